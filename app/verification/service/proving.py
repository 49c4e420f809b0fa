"""Proof bundles: everything a third party needs to check one unit without this registry, in one JSON document."""

import hashlib
from dataclasses import dataclass
from typing import Any, NoReturn

from sqlalchemy.orm import Session

from app.accounts import service as accounts
from app.core.authorisation import Permission, Principal
from app.core.errors import NotFound
from app.core.service_keys import KeyPurpose
from app.core.services import Services
from app.registry import service as registry
from app.registry.contents import batch_elements
from app.registry.vocabulary import Profile
from app.verification.limits import Guess, count_guess
from ledger.strict import encode_base64
from scanners.codes.errors import CodeError
from scanners.codes.identity import CodeIdentity
from scanners.codes.serial import handle_of
from scanners.codes.signature import decode_signature, signed_message, verify_code

BUNDLE_FORMAT = "marchamo proof bundle v1"
_DECOY = bytes(96)
"""As long as what a code signs, for a check that can only fail."""


def proof_bundle(
    services: Services,
    *,
    handle: str,
    serial: str,
    signature: str | None,
    principal: Principal,
    remote_address: str = "",
) -> dict[str, Any]:
    """Give the proof bundle of a unit.

    A stranger must show that he holds the code: its signature `S` where the code has one; a compact code's serial is
    itself the secret. Otherwise, and for a unit or a batch that does not exist, NotFound: all look the same, take the
    same work, and count as a guess (TooMany).
    """
    stranger = not principal.may(Permission.PROOF_READ)
    with Session(services.engine) as session:
        claim = _claim(session, handle, serial)
        if stranger and not _holds_code(services, claim, signature):
            _refuse_guess(services, handle, serial, remote_address)
        unit = None if claim is None else registry.find_unit(session, claim.identity)
    if claim is None or unit is None or unit.batch_id != claim.batch.id:
        if stranger:
            _refuse_guess(services, handle, serial, remote_address)
        raise NotFound
    return {
        "format": BUNDLE_FORMAT,
        "uri": claim.identity.uri(),
        "content": encode_base64(registry.unit_content(unit)),
        "code_key": {"key_id": claim.key.key_id, "public_key": encode_base64(claim.key.public_key.public_bytes_raw())},
        "signature": signature,
        "unit_proof": registry.unit_proof(services, unit).to_members(),
        "log": services.log.verifier.to_text(),
        "receipt_keys": {
            services.keys[KeyPurpose.RECEIPT].key_id: encode_base64(
                services.keys[KeyPurpose.RECEIPT].public_key.public_bytes_raw()
            )
        },
    }


@dataclass(frozen=True, slots=True)
class _Claim:
    """What a handle and a serial say; whether there is such a unit has not been asked."""

    batch: registry.Batch
    identity: CodeIdentity
    key: accounts.PublicCodeKey

    @property
    def content(self) -> bytes:
        elements = batch_elements(self.batch.kind, self.batch.profile, self.batch.lot, self.batch.expiry)
        return signed_message(self.identity, elements, self.batch.key_id)


def _claim(session: Session, handle: str, serial: str) -> _Claim | None:
    try:
        batch = registry.find_batch(session, handle)
        identity = CodeIdentity(batch.kind, batch.reference, serial)
    except (CodeError, NotFound):
        return None
    key = accounts.public_code_key(session, batch.key_id)
    return None if key is None else _Claim(batch, identity, key)


def _holds_code(services: Services, claim: _Claim | None, signature: str | None) -> bool:
    """Whether the stranger shows what only the code has, decided before any unit is looked up.

    So there is nothing in the answer for an issued serial, nor in its time, that a serial never issued lacks. A batch
    that does not exist costs a signature check as well.
    """
    if claim is not None and claim.batch.profile is Profile.COMPACT:
        return True
    try:
        decoded = decode_signature(signature or "")
    except CodeError:
        return False
    if claim is None:
        verify_code(services.keys[KeyPurpose.RECEIPT].public_key, _DECOY, decoded.signature)
        return False
    # The signature is checked first: whose key it names must not decide how long this takes.
    return verify_code(claim.key.public_key, claim.content, decoded.signature) and decoded.key_id == claim.key.key_id


def _refuse_guess(services: Services, handle: str, serial: str, remote_address: str) -> NoReturn:
    digest = hashlib.sha256(f"{handle}/{serial}".encode()).digest()
    count_guess(services, Guess(remote_address, digest, handle=handle_of(serial) or ""))
    raise NotFound
