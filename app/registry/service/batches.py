"""Find published batches and their units."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from app.accounts import service as accounts
from app.core.errors import NotFound
from app.core.sealing import Sealer
from app.registry.contents import batch_elements
from app.registry.lookup import unit_lookup
from app.registry.models import BatchRow, ProductRow
from app.registry.unit_id import batch_of, position_of
from app.registry.unit_store import serials_of_batch
from app.registry.values import Batch, Unit, UnitCode
from app.registry.vocabulary import Profile
from scanners.codes.build import code_text
from scanners.codes.identity import CodeIdentity, CodeKind
from scanners.codes.signature import sign_code

MAX_PAGE = 200


@dataclass(frozen=True, slots=True)
class BatchPage:
    """Some batches, newest first, and the cursor of the next page if there is one."""

    items: list[Batch]
    next_cursor: str | None


def find_batch(session: Session, handle: str, *, organisation_id: int | None = None) -> Batch:
    """The published batch with this handle, of the organisation when one is named; raises NotFound."""
    query = _batches().where(BatchRow.handle == handle)
    if organisation_id is not None:
        query = query.where(BatchRow.organisation_id == organisation_id)
    row = session.execute(query).first()
    if row is None:
        raise NotFound("There is no such batch.", code="unknown_batch")
    return _batch(*row)


def find_batch_by_id(session: Session, batch_id: int) -> Batch:
    """The published batch; raises NotFound."""
    row = session.execute(_batches().where(BatchRow.id == batch_id)).first()
    if row is None:
        raise NotFound("There is no such batch.", code="unknown_batch")
    return _batch(*row)


def batch_of_unit(session: Session, unit_id: int) -> Batch:
    """The batch of a unit's number; raises NotFound."""
    return find_batch_by_id(session, batch_of(unit_id))


def list_batches(
    session: Session, *, organisation_id: int, cursor: str | None = None, limit: int = 50, reference: str | None = None
) -> BatchPage:
    """The organisation's published batches, newest first; of one product when `reference` (as stored) is given."""
    query = _batches().where(BatchRow.organisation_id == organisation_id)
    if reference is not None:
        query = query.where(ProductRow.identifier == reference)
    if cursor is not None:
        last = session.scalar(
            select(BatchRow.log_index).where(BatchRow.handle == cursor, BatchRow.organisation_id == organisation_id)
        )
        if last is None:
            raise NotFound("There is no such page.", code="unknown_cursor")
        query = query.where(BatchRow.log_index < last)
    limit = max(1, min(limit, MAX_PAGE))
    rows = session.execute(query.order_by(BatchRow.log_index.desc()).limit(limit + 1)).all()
    items = [_batch(*row) for row in rows[:limit]]
    return BatchPage(items, items[-1].handle if len(rows) > limit else None)


def batches_of_job(session: Session, job_id: str) -> list[Batch]:
    """The batches that a job has published so far, in order."""
    return list(published_parts(session, job_id).values())


def published_parts(session: Session, job_id: str) -> dict[int, Batch]:
    """The batches that a job has published so far, by part, in order."""
    rows = session.execute(_batches().where(BatchRow.job_id == job_id).order_by(BatchRow.part)).all()
    return {row.part: _batch(row, product) for row, product in rows}


def find_unit(session: Session, identity: CodeIdentity) -> Unit | None:
    """The commissioned unit with this identity, or None."""
    parameters = {"kind": identity.kind.value, "identifier": identity.identifier, "serial": identity.serial}
    row = session.execute(unit_lookup(), parameters).first()
    return None if row is None else unit_value(row, identity)


def unit_value(row: Any, identity: CodeIdentity) -> Unit:
    """The unit of a row of `unit_lookup`."""
    return Unit(
        unit_id=row.unit_id,
        identity=identity,
        batch_id=row.batch_id,
        handle=row.handle,
        profile=Profile(row.profile),
        key_id=row.key_id,
        lot=row.lot,
        expiry=row.expiry,
        log_index=row.log_index,
        product_id=row.product_id,
        product_name=row.product_name,
        product_brand=row.product_brand,
        organisation_id=row.organisation_id,
    )


def codes_of_batch(
    session: Session, sealer: Sealer, batch: Batch, *, stem: str, start: int = 0, count: int | None = None
) -> Iterator[UnitCode]:
    """The batch's codes in order of position, from position `start` on; `stem` is `settings.code_stem`.

    Signatures are made anew: Ed25519 gives the same ones each time (RFC 8032), so none has to be kept.
    """
    elements = batch_elements(batch.kind, batch.profile, batch.lot, batch.expiry)
    private_key = _private_key(session, sealer, batch) if batch.profile is not Profile.COMPACT else None
    for unit_id, serial in unit_serials(session, batch, start=start, count=count):
        identity = CodeIdentity(batch.kind, batch.reference, serial)
        signature = sign_code(private_key, identity, elements, batch.key_id) if private_key is not None else None
        yield UnitCode(unit_id, serial, code_text(identity, elements, stem=stem, signature=signature))


def unit_serials(
    session: Session, batch: Batch, *, start: int = 0, count: int | None = None
) -> Iterator[tuple[int, str]]:
    """(unit number, serial) of the batch in order of position."""
    return serials_of_batch(
        session.connection(),
        batch_id=batch.id,
        product_id=batch.product_id,
        first=batch.first_serial,
        last=batch.last_serial,
        start=start,
        count=count,
    )


def _private_key(session: Session, sealer: Sealer, batch: Batch) -> Ed25519PrivateKey:
    key = accounts.code_key_by_id(session, sealer, organisation_id=batch.organisation_id, key_id=batch.key_id)
    return key.private_key


def serial_at(session: Session, batch: Batch, position: int) -> str:
    """The serial at a position; raises NotFound."""
    for unit_id, serial in unit_serials(session, batch, start=position, count=1):
        if position_of(unit_id) == position:
            return serial
    raise NotFound("There is no such unit.", code="unknown_unit")


def _batch(row: BatchRow, product: ProductRow) -> Batch:
    """The value of a published batch's rows."""
    if row.root is None or row.log_index is None or row.published_at is None:
        raise NotFound("There is no such batch.", code="unknown_batch")
    return Batch(
        id=row.id,
        handle=row.handle,
        product_id=row.product_id,
        kind=CodeKind(product.kind),
        reference=product.identifier,
        product_name=product.name,
        product_brand=product.brand,
        organisation_id=row.organisation_id,
        profile=Profile(row.profile),
        lot=row.lot,
        expiry=row.expiry,
        note=row.note,
        quantity=row.quantity,
        generated=row.generated,
        key_id=row.key_id,
        first_serial=row.first_serial,
        last_serial=row.last_serial,
        root=row.root,
        created_at=row.created_at,
        published_at=row.published_at,
        log_index=row.log_index,
    )


def _batches() -> Select[BatchRow, ProductRow]:
    return (
        select(BatchRow, ProductRow)
        .join(ProductRow, ProductRow.id == BatchRow.product_id)
        .where(BatchRow.log_index.is_not(None))
        .execution_options(populate_existing=True)
    )
