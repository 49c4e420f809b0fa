"""Codes signed by the firm: what it is to sign, the signatures it hands in, and the end of it on the ledger.

Life of a batch under a key that the firm holds
1. It is commissioned and published as every batch; its codes have no signature, so no label of it is printed.
2. The firm fetches what it is to sign, never a hash of it: elements, serials, and the secret that salts the leaves,
   with which it can grow the batch's tree and see that the root on the ledger is over these units and no others.
3. It hands signatures in, some thousands at once, in any order, as often as it likes. Each is verified; a part with
   one that does not fit is not kept. Rows are added and never changed.
4. It closes the batch with its seal over the root and the number of units. The ledger gets the entry `signed`; from
   then on labels are printed.
"""

from dataclasses import dataclass
from hashlib import sha256

from cryptography.exceptions import InvalidSignature
from sqlalchemy import Connection, select
from sqlalchemy.orm import Session

from app.accounts import service as accounts
from app.accounts.vocabulary import KeyHolder
from app.core.clock import now_ms
from app.core.database import session_on
from app.core.errors import Conflict, Invalid
from app.core.services import Services
from app.registry.contents import UnitContents, batch_elements
from app.registry.models import BatchRow, BatchSigningRow
from app.registry.service.batches import find_batch, unit_serials
from app.registry.service.proofs import batch_secret
from app.registry.service.statements import organisation_entry
from app.registry.signature_store import (
    SIGNATURE_SIZE,
    SIGNATURES_A_ROW,
    add_rows,
    data_of_batch,
    first_missing_row,
    read_rows,
    stored_rows,
)
from app.registry.unit_id import position_of
from app.registry.unit_store import serials_of_batch
from app.registry.values import Batch
from app.registry.vocabulary import Profile
from ledger.storage.engine import begin_write
from ledger.strict import encode_base64
from scanners.codes.key_messages import seal_message
from scanners.codes.signature import load_public_key, verify_code

KIND = "signed"
"""Kind of the ledger's entries that close a batch."""
MAX_PART = 1024 * 1024
"""Bytes of signatures handed in at once: 16,384 of them, verified in about two seconds."""
MAX_PAGE = 8_192
"""Serials of one page of what is to be signed."""


@dataclass(frozen=True, slots=True)
class Signing:
    """How far a batch is signed.

    by_firm: its codes are signed by a key that the firm holds; otherwise nothing of the rest is asked. signed: units
    whose signatures are there. first_unsigned: position of the first without, None when all are there. log_index: of
    the entry that closes the batch, None before.
    """

    key: accounts.KeyRecord
    by_firm: bool
    quantity: int
    signed: int
    first_unsigned: int | None
    log_index: int | None

    @property
    def is_printable(self) -> bool:
        """Whether codes of the batch can be printed."""
        return not self.by_firm or self.log_index is not None


@dataclass(frozen=True, slots=True)
class SigningPage:
    """What a firm is to sign: the batch, and its serials in order from position `start` on.

    elements: the application identifiers beside the identity. salt_secret: 32 bytes, see `ledger.leaf.SaltedLeaves`.
    following: position of the next page, None after the last.
    """

    batch: Batch
    issuer: str
    signing: Signing
    elements: tuple[tuple[str, str], ...]
    salt_secret: bytes
    start: int
    serials: tuple[str, ...]
    following: int | None


def signing_of(session: Session, batch: Batch) -> Signing:
    """How far the batch is signed; at most three small queries for one that the firm signs, one for others."""
    key = accounts.find_key(session, organisation_id=batch.organisation_id, key_id=batch.key_id)
    if key.holder is not KeyHolder.FIRM or batch.profile is Profile.COMPACT:
        return Signing(key, False, batch.quantity, 0, None, None)
    log_index = session.scalar(select(BatchSigningRow.log_index).where(BatchSigningRow.batch_id == batch.id))
    if log_index is not None:
        return Signing(key, True, batch.quantity, batch.quantity, None, log_index)
    connection = session.connection()
    signed = min(stored_rows(connection, batch.id) * SIGNATURES_A_ROW, batch.quantity)
    first = first_missing_row(connection, batch.id) * SIGNATURES_A_ROW
    return Signing(key, True, batch.quantity, signed, first if first < batch.quantity else None, None)


def signing_page(
    services: Services,
    session: Session,
    *,
    handle: str,
    organisation_id: int,
    start: int = 0,
    limit: int = MAX_PAGE,
    after: str | None = None,
) -> SigningPage:
    """A page of what the firm is to sign. Raises NotFound, Conflict for a batch that the firm does not sign.

    after: the serial before position `start`, where the caller knows it: finds the page without counting up to it.
    """
    batch, signing = _to_sign(session, handle, organisation_id)
    serials = _serials(session, batch, start=start, count=min(limit, MAX_PAGE), after=after)
    following = start + len(serials)
    return SigningPage(
        batch=batch,
        issuer=accounts.organisation_by_id(session, organisation_id).issuer,
        signing=signing,
        elements=batch_elements(batch.kind, batch.profile, batch.lot, batch.expiry),
        salt_secret=batch_secret(services, session, batch),
        start=start,
        serials=serials,
        following=following if serials and following < batch.quantity else None,
    )


def put_signatures(
    services: Services,
    *,
    handle: str,
    organisation_id: int,
    start: int,
    signatures: bytes,
    after: str | None = None,
) -> Signing:
    """Keep signatures of the units from position `start` on, 64 bytes each; the same again changes nothing.

    A part begins at a multiple of 512 and ends at one or with the batch. About 100 microseconds a signature. Raises
    NotFound, Invalid, naming the position of a signature that does not fit, and Conflict; then nothing of it is kept.
    """
    with Session(services.engine) as session:
        batch, signing = _to_sign(session, handle, organisation_id)
        count = _checked_count(batch, start, signatures)
        serials = _serials(session, batch, start=start, count=count, after=after)
        elements = batch_elements(batch.kind, batch.profile, batch.lot, batch.expiry)
    contents = UnitContents(batch.kind, batch.reference, elements, batch.key_id)
    public_key = load_public_key(signing.key.public_key)
    for at, serial in enumerate(serials):
        signature = signatures[at * SIGNATURE_SIZE : (at + 1) * SIGNATURE_SIZE]
        if not verify_code(public_key, contents.of(serial), signature):
            raise Invalid(
                "The signature at position %(position)s does not fit its unit; nothing of this part was kept.",
                code="signature_wrong",
                fix="Sign with the key of this batch exactly what is given for it.",
                position=start + at,
            )
    step = SIGNATURES_A_ROW * SIGNATURE_SIZE
    first = start // SIGNATURES_A_ROW
    rows = {first + number: signatures[at : at + step] for number, at in enumerate(range(0, len(signatures), step))}
    with begin_write(services.engine) as connection:
        _hold(connection, batch)
        known = read_rows(connection, batch.id, first, first + len(rows))
        if any(rows[number] != data for number, data in known.items()):
            raise Conflict(
                "Other signatures of these units were handed in before, and they fit too.",
                code="signatures_differ",
                fix="Go on with what is missing: signatures once kept are not replaced.",
            )
        add_rows(connection, batch.id, {number: data for number, data in rows.items() if number not in known})
    with Session(services.engine) as session:
        return signing_of(session, batch)


def close_signing(services: Services, *, handle: str, organisation_id: int, seal: bytes) -> Signing:
    """Put on the ledger that all codes of the batch are signed; the same again changes nothing.

    seal: the firm's signature (64 bytes) of `seal_message`, with which nobody can add a unit to the batch any more.
    Raises NotFound, Invalid, and Conflict while signatures are missing, or once the key is revoked.
    """
    with Session(services.engine) as session:
        batch, signing = _to_sign(session, handle, organisation_id)
        if signing.log_index is not None:
            return signing
        if signing.first_unsigned is not None:
            raise Conflict(
                "%(signed)s of the %(quantity)s units are signed.",
                code="signatures_missing",
                fix="Hand in those from the first position that is missing.",
                signed=signing.signed,
                quantity=batch.quantity,
            )
        organisation = accounts.organisation_by_id(session, organisation_id)
        signer = accounts.statement_signer(session, services.sealer, organisation_id=organisation_id)
        digest = signatures_hash(session.connection(), batch.id)
    message = seal_message(key_id=batch.key_id, root=batch.root, count=batch.quantity)
    try:
        load_public_key(signing.key.public_key).verify(seal, message)
    except InvalidSignature:
        raise Invalid(
            "The seal does not fit the batch.", code="seal", fix="Sign the batch's root and number of units."
        ) from None
    now = now_ms()
    entry = organisation_entry(
        services,
        signer,
        kind=KIND,
        subject_kind="batch",
        subject=batch.handle,
        organisation=organisation.issuer,
        at_ms=now,
        handle=batch.handle,
        key_id=batch.key_id,
        count=batch.quantity,
        signatures_hash=encode_base64(digest),
        seal=encode_base64(seal),
    )

    def apply(connection: Connection, index: int) -> None:
        accounts.refuse_revoked_signer(connection, signer)
        with session_on(connection) as session:
            _refuse_revoked(session, batch)
            if session.get(BatchSigningRow, batch.id) is not None:
                raise Conflict("This batch was closed meanwhile.", code="signatures_complete")
            session.add(
                BatchSigningRow(batch_id=batch.id, signatures_hash=digest, seal=seal, signed_at=now, log_index=index)
            )

    services.log.append(entry, apply)
    with Session(services.engine) as session:
        return signing_of(session, batch)


def signatures_hash(connection: Connection, batch_id: int) -> bytes:
    """SHA-256 over the signatures of a batch in order of position."""
    digest = sha256()
    for data in data_of_batch(connection, batch_id):
        digest.update(data)
    return digest.digest()


def require_printable(session: Session, batch: Batch) -> Signing:
    """Raise Conflict, saying what to run, while codes of the batch cannot be printed for want of signatures."""
    signing = signing_of(session, batch)
    if not signing.is_printable:
        raise Conflict(
            "The codes of this batch are not signed yet: your firm holds the key, and %(signed)s of %(quantity)s are "
            "signed.",
            code="codes_unsigned",
            fix=f"Sign them with: marchamo sign {batch.handle} --key FILE",
            signed=signing.signed,
            quantity=batch.quantity,
        )
    return signing


def _serials(session: Session, batch: Batch, *, start: int, count: int, after: str | None) -> tuple[str, ...]:
    """Serials from position `start` on. A wrong `after` only costs the time that a right one saves."""
    if after is not None and batch.first_serial <= after <= batch.last_serial:
        near = serials_of_batch(
            session.connection(),
            batch_id=batch.id,
            product_id=batch.product_id,
            first=after,
            last=batch.last_serial,
            start=start,
            count=count,
        )
        found = list(near)
        if found and position_of(found[0][0]) == start:
            return tuple(serial for _, serial in found)
    return tuple(serial for _, serial in unit_serials(session, batch, start=start, count=count))


def _to_sign(session: Session, handle: str, organisation_id: int) -> tuple[Batch, Signing]:
    batch = find_batch(session, handle, organisation_id=organisation_id)
    signing = signing_of(session, batch)
    if not signing.by_firm:
        raise Conflict(
            "The codes of this batch are not signed by a key that your firm holds.",
            code="not_signed_by_firm",
            fix="There is nothing to sign: its labels can be printed.",
        )
    _refuse_revoked(session, batch)
    return batch, signing


def _refuse_revoked(session: Session, batch: Batch) -> None:
    key = accounts.find_key(session, organisation_id=batch.organisation_id, key_id=batch.key_id)
    if key.revoked_from is not None and key.revoked_from <= batch.log_index:
        raise Conflict(
            "The key of this batch was revoked before it was registered; what it signs is worth nothing.",
            code="key_revoked",
            fix="Commission the goods again: a new key signs them.",
        )


def _checked_count(batch: Batch, start: int, signatures: bytes) -> int:
    count, rest = divmod(len(signatures), SIGNATURE_SIZE)
    end = start + count
    if rest or not count or len(signatures) > MAX_PART:
        raise Invalid(
            "A part has 1 to %(limit)s signatures of 64 bytes.",
            code="signature_length",
            limit=MAX_PART // SIGNATURE_SIZE,
        )
    if start % SIGNATURES_A_ROW or end > batch.quantity or (end % SIGNATURES_A_ROW and end != batch.quantity):
        raise Invalid(
            "A part begins at a multiple of %(step)s and ends at one, or with the batch of %(quantity)s units.",
            code="signature_position",
            step=SIGNATURES_A_ROW,
            quantity=batch.quantity,
        )
    return count


def _hold(connection: Connection, batch: Batch) -> None:
    """Let two parts of one batch be added one after the other: each sees whether its rows are there."""
    connection.execute(select(BatchRow.id).where(BatchRow.id == batch.id).with_for_update())
