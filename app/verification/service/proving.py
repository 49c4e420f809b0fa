"""Proof bundles: everything a third party needs to check one unit without this registry, in one JSON document."""

from typing import Any

from sqlalchemy.orm import Session

from app.accounts import service as accounts
from app.core.authorisation import Permission, Principal
from app.core.errors import NotFound
from app.core.service_keys import KeyPurpose
from app.core.services import Services
from app.registry import service as registry
from app.registry.vocabulary import Profile
from ledger.strict import encode_base64
from scanners.codes.errors import CodeError
from scanners.codes.identity import CodeIdentity
from scanners.codes.signature import decode_signature, verify_code

BUNDLE_FORMAT = "marchamo proof bundle v1"


def proof_bundle(
    services: Services, *, handle: str, serial: str, signature: str | None, principal: Principal
) -> dict[str, Any]:
    """Give the proof bundle of a unit.

    A stranger must show that he holds the code: its signature `S` where the code has one; a compact code's serial is
    itself the secret. Otherwise, and for a unit that does not exist, NotFound: the two look the same.
    """
    with Session(services.engine) as session:
        batch = registry.find_batch(session, handle)
        try:
            identity = CodeIdentity(batch.kind, batch.reference, serial)
        except CodeError:
            raise NotFound from None
        unit = registry.find_unit(session, identity)
        key = accounts.public_code_key(session, batch.key_id)
    if unit is None or unit.batch_id != batch.id or key is None:
        raise NotFound
    content = registry.unit_content(unit)
    holds_code = batch.profile is Profile.COMPACT or (signature is not None and _fits(key, content, signature))
    if not holds_code and not principal.may(Permission.PROOF_READ):
        raise NotFound
    return {
        "format": BUNDLE_FORMAT,
        "uri": identity.uri(),
        "content": encode_base64(content),
        "code_key": {"key_id": key.key_id, "public_key": encode_base64(key.public_key.public_bytes_raw())},
        "signature": signature,
        "unit_proof": registry.unit_proof(services, unit).to_members(),
        "log": services.log.verifier.to_text(),
        "receipt_keys": {
            services.keys[KeyPurpose.RECEIPT].key_id: encode_base64(
                services.keys[KeyPurpose.RECEIPT].public_key.public_bytes_raw()
            )
        },
    }


def _fits(key: accounts.PublicCodeKey, content: bytes, signature: str) -> bool:
    try:
        decoded = decode_signature(signature)
    except CodeError:
        return False
    return decoded.key_id == key.key_id and verify_code(key.public_key, content, decoded.signature)
