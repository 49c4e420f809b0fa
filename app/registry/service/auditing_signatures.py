"""The audit's view of signatures that firms handed in: all there, all fitting, and sealed as the ledger says.

And of what nobody signed: a batch under a key of the service after the firm took the signing into its own hands.
"""

from collections.abc import Iterator
from functools import partial
from itertools import islice
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from sqlalchemy import Connection, Row, select

from app.accounts import service as accounts
from app.core.audit_rows import LoggedRows, stated_time
from app.core.sealing import Sealer
from app.registry.contents import UnitContents, batch_elements
from app.registry.models import BatchRow, BatchSigningRow, ProductRow
from app.registry.service.signing import KIND, signatures_hash
from app.registry.signature_store import SIGNATURES_A_ROW, signatures_from
from app.registry.unit_store import serials_of_batch
from app.registry.vocabulary import Profile
from ledger.audit import ExtraCheck
from ledger.audit.report import AuditScope, Fault
from ledger.audit.statements import stretches
from ledger.errors import LedgerError
from ledger.strict import encode_base64
from scanners.codes.errors import CodeError
from scanners.codes.identity import CodeKind
from scanners.codes.key_messages import seal_message
from scanners.codes.signature import verify_code

_signings = BatchSigningRow.__table__.c
_batches = BatchRow.__table__.c
_products = ProductRow.__table__.c


def signing_check(sealer: Sealer) -> ExtraCheck:
    """Make the check of batches that firms signed."""
    about = partial(accounts.ledger_subject, sealer, "batch")
    rows = LoggedRows(
        name="batch_signings",
        code="signing",
        kinds=frozenset({KIND}),
        rows=_signed(),
        log_index=_signings.log_index,
        label=lambda row: row.handle,
        words=lambda row: {
            "time": stated_time(row.signed_at),
            "handle": row.handle,
            "key_id": row.key_id,
            "count": row.quantity,
            "signatures_hash": encode_base64(row.signatures_hash),
            "seal": encode_base64(row.seal),
        },
        about=lambda row: about(row.handle),
    )

    def check(connection: Connection, scope: AuditScope) -> Iterator[Fault]:
        yield from rows.check(connection, scope)
        for stretch in stretches(connection, scope, {KIND}):
            for row in connection.execute(_signed().where(stretch.holds(_signings.log_index))).all():
                yield from _check_signatures(connection, row)
        for stretch in stretches(connection, scope, {"batch"}):
            yield from _check_taken_over(connection, stretch.holds(_batches.log_index))

    return check


def _signed() -> Any:
    return (
        select(
            BatchSigningRow.__table__,
            _batches.handle,
            _batches.organisation_id,
            _batches.product_id,
            _batches.profile,
            _batches.lot,
            _batches.expiry,
            _batches.quantity,
            _batches.key_id,
            _batches.root,
            _batches.first_serial,
            _batches.last_serial,
            _products.kind,
            _products.identifier,
        )
        .join(BatchRow, _batches.id == _signings.batch_id)
        .join(ProductRow, _products.id == _batches.product_id)
    )


def _check_signatures(connection: Connection, row: Row[Any]) -> Iterator[Fault]:
    where = f"batch_signings {row.handle}"
    key = accounts.public_code_key(connection, row.key_id)
    if key is None:
        return  # a changed row, which the check of batches names
    try:
        key.public_key.verify(row.seal, seal_message(key_id=row.key_id, root=row.root or b"", count=row.quantity))
    except (InvalidSignature, LedgerError):
        yield Fault("signing.seal", where, "the firm's seal does not fit the batch's root and number of units")
    # The ledger's hash covers every signature, and each was verified before it was stated: only where the hash
    # differs are they verified again (100 microseconds each), to name the one that was changed.
    if signatures_hash(connection, row.batch_id) != row.signatures_hash:
        position = _first_wrong(connection, row, key.public_key)
        if position is None:
            yield Fault("signing.signatures", where, "its signatures are others than those that its entry states")
            return
        chunk = position // SIGNATURES_A_ROW
        finding = f"the signature at position {position} of batch {row.handle} is missing or does not fit its unit"
        yield Fault("signing.signatures", f"unit_signatures {row.batch_id}/{chunk}", finding)


def _first_wrong(connection: Connection, row: Row[Any], public_key: Ed25519PublicKey) -> int | None:
    try:
        kind = CodeKind(row.kind)
        elements = batch_elements(kind, Profile(row.profile), row.lot, row.expiry)
        contents = UnitContents(kind, row.identifier, elements, row.key_id)
    except (ValueError, CodeError):
        return None
    serials = serials_of_batch(
        connection, batch_id=row.batch_id, product_id=row.product_id, first=row.first_serial, last=row.last_serial
    )
    signatures = signatures_from(connection, row.batch_id, 0)
    for position, (_, serial) in enumerate(islice(serials, row.quantity)):
        if not verify_code(public_key, contents.of(serial), next(signatures, b"")):
            return position
    return None


def _check_taken_over(connection: Connection, holds: Any) -> Iterator[Fault]:
    """Name batches of a key that the service holds behind the position at which the firm registered its own."""
    taken_over: dict[int, int | None] = {}
    found = connection.execute(select(_batches.handle, _batches.key_id, _batches.log_index).where(holds)).all()
    for row in found:
        if row.key_id not in taken_over:
            taken_over[row.key_id] = accounts.taken_over_at(connection, row.key_id)
        since = taken_over[row.key_id]
        if since is not None and row.log_index > since:
            finding = f"it is under key {row.key_id} of the service, and from entry {since} on the firm signed itself"
            yield Fault("batch.taken_over", f"batches {row.handle}", finding)
