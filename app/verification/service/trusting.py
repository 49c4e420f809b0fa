"""The trust list: hosts and public keys with which a reader judges without this registry (scanners.trust reads it)."""

from typing import Any

from sqlalchemy.orm import Session

from app.accounts import service as accounts
from app.accounts.vocabulary import OrganisationKeyPurpose
from app.core.clock import now_ms
from app.core.service_keys import KeyPurpose
from app.core.services import Services
from ledger.strict import encode_base64

TRUST_FORMAT = "marchamo trust list v1"


def trust_list(services: Services) -> dict[str, Any]:
    """Give the trust list of now. Public keys only; all of them are on the ledger."""
    with Session(services.engine) as session:
        keys = accounts.list_all_keys(session)
    own = services.keys
    return {
        "format": TRUST_FORMAT,
        "registry": services.settings.registry_name,
        "as_of": now_ms(),
        "hosts": sorted(services.settings.code_hosts),
        "log": services.log.verifier.to_text(),
        "code_keys": [
            {
                "key_id": key.key_id,
                "issuer": issuer,
                "public_key": encode_base64(key.public_key),
                "valid_until": key.valid_until,
                "registered_index": key.registered_index,
                "revoked_index": key.revoked_index,
            }
            for issuer, key in keys
            if key.purpose is OrganisationKeyPurpose.CODE
        ],
        "statement_keys": {
            own[KeyPurpose.STATEMENT].key_id: encode_base64(own[KeyPurpose.STATEMENT].public_key.public_bytes_raw()),
            **{
                f"org:{key.key_id}": encode_base64(key.public_key)
                for _, key in keys
                if key.purpose is OrganisationKeyPurpose.STATEMENT
            },
        },
        "receipt_keys": {
            own[KeyPurpose.RECEIPT].key_id: encode_base64(own[KeyPurpose.RECEIPT].public_key.public_bytes_raw())
        },
    }
