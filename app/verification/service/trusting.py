"""The trust list: hosts and public keys with which a reader judges without this registry (scanners.trust reads it)."""

from typing import Any

from sqlalchemy.orm import Session

from app.accounts import service as accounts
from app.accounts.vocabulary import OrganisationKeyPurpose, OrganisationStatus
from app.core.clock import now_ms
from app.core.service_keys import KeyPurpose
from app.core.services import Services
from ledger.errors import TrustRootError
from ledger.keys.trust_root import HEADER, SIGNATURE, TrustRoot, keys_to_members
from ledger.strict import encode_base64

LIFETIME_MS = 90 * 86_400_000
"""How long a trust list may be used: three times the overlap of two keys of the log, and long enough for a voyage."""


def trust_list(services: Services) -> dict[str, Any]:
    """Give the trust list of now, signed by the log's keys. It holds public keys only; all are on the ledger."""
    try:
        return _compose(services)
    except TrustRootError:  # the log's keys were changed in this very moment: now they are read as they are
        return _compose(services)


def _compose(services: Services) -> dict[str, Any]:
    # The size before the keys: a list may know more than its version says, never less.
    version, _ = services.log.head()
    log_keys = services.log.keys()
    policy = services.checkpoints.policy
    as_of = now_ms()
    members = {
        "format": HEADER,
        "version": version,
        "as_of": as_of,
        "expires_at": as_of + LIFETIME_MS,
        "registry": services.settings.registry_name,
        "hosts": sorted(services.settings.code_hosts),
        "log_keys": keys_to_members(log_keys),
        "witness_policy": policy.to_bytes().decode("utf-8") if policy.witnesses else None,
        **_keys(services),
    }
    signature = TrustRoot.of(members, log_keys).sign(services.checkpoint_keys.current())
    return {**members, SIGNATURE: signature}


def _witness_policy(services: Services) -> str | None:
    """The witnesses whose cosignatures count, as C2SP tlog-policy text; None when the registry has none."""
    policy = services.checkpoints.policy
    return policy.to_bytes().decode("utf-8") if policy.witnesses else None


def _keys(services: Services) -> dict[str, Any]:
    with Session(services.engine) as session:
        keys = accounts.list_all_keys(session)
    own = services.keys
    return {
        "code_keys": [
            {
                "key_id": key.key_id,
                "issuer": organisation.issuer,
                "issuer_suspended": organisation.status is OrganisationStatus.SUSPENDED,
                "public_key": encode_base64(key.public_key),
                "valid_until": key.valid_until,
                "registered_index": key.registered_index,
                "revoked_index": key.revoked_index,
                "revoked_from": key.revoked_from,
            }
            for organisation, key in keys
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
