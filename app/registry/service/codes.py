"""The codes of a batch as they are printed, with the signatures of whoever holds the key."""

from collections.abc import Iterator

from sqlalchemy.orm import Session

from app.accounts import service as accounts
from app.core.errors import AppError
from app.core.sealing import Sealer
from app.registry.contents import UnitContents, batch_elements
from app.registry.service.batches import unit_serials
from app.registry.service.signing import require_printable
from app.registry.signature_store import signatures_from
from app.registry.unit_id import position_of
from app.registry.values import Batch, UnitCode
from app.registry.vocabulary import Profile
from scanners.codes.build import code_text
from scanners.codes.identity import CodeIdentity
from scanners.codes.signature import encode_signature, load_public_key, sign_code, verify_code


def codes_of_batch(
    session: Session, sealer: Sealer, batch: Batch, *, stem: str, start: int = 0, count: int | None = None
) -> Iterator[UnitCode]:
    """The batch's codes in order of position, from position `start` on; `stem` is `settings.code_stem`.

    Signatures under a key that the service holds are made anew: Ed25519 gives the same ones each time (RFC 8032), so
    none has to be kept. Those that the firm handed in are read and verified. Raises Conflict while they are missing.
    """
    elements = batch_elements(batch.kind, batch.profile, batch.lot, batch.expiry)
    for unit_id, serial, signature in _signed(session, sealer, batch, elements, start=start, count=count):
        identity = CodeIdentity(batch.kind, batch.reference, serial)
        yield UnitCode(unit_id, serial, code_text(identity, elements, stem=stem, signature=signature))


_Signed = Iterator[tuple[int, str, str | None]]


def _signed(
    session: Session,
    sealer: Sealer,
    batch: Batch,
    elements: tuple[tuple[str, str], ...],
    *,
    start: int,
    count: int | None,
) -> _Signed:
    serials = unit_serials(session, batch, start=start, count=count)
    if batch.profile is Profile.COMPACT:
        yield from ((unit_id, serial, None) for unit_id, serial in serials)
        return
    signing = require_printable(session, batch)
    if signing.by_firm:
        yield from _handed_in(session, batch, elements, serials, signing.key)
        return
    key = accounts.code_key_by_id(session, sealer, organisation_id=batch.organisation_id, key_id=batch.key_id)
    for unit_id, serial in serials:
        identity = CodeIdentity(batch.kind, batch.reference, serial)
        yield unit_id, serial, sign_code(key.private_key, identity, elements, batch.key_id)


def _handed_in(
    session: Session,
    batch: Batch,
    elements: tuple[tuple[str, str], ...],
    serials: Iterator[tuple[int, str]],
    key: accounts.KeyRecord,
) -> _Signed:
    contents = UnitContents(batch.kind, batch.reference, elements, batch.key_id)
    public_key = load_public_key(key.public_key)
    signatures: Iterator[bytes] | None = None
    for unit_id, serial in serials:
        if signatures is None:
            signatures = signatures_from(session.connection(), batch.id, position_of(unit_id))
        signature = next(signatures, b"")
        if not verify_code(public_key, contents.of(serial), signature):
            raise AppError(
                "The stored signature of unit %(serial)s does not fit it; nothing is printed.",
                code="signature_damaged",
                fix="Run an audit of the ledger: it names what was changed.",
                serial=serial,
            )
        yield unit_id, serial, encode_signature(batch.key_id, signature)
