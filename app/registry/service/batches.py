"""Find published batches and their units."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, and_, or_, select
from sqlalchemy.orm import Session

from app.accounts import service as accounts
from app.core.errors import NotFound
from app.registry.lookup import unit_lookup
from app.registry.models import BatchRow, ProductRow
from app.registry.unit_id import batch_of, position_of
from app.registry.unit_store import serials_of_batch
from app.registry.values import Batch, Unit
from app.registry.vocabulary import Profile
from scanners.codes.identity import CodeIdentity, CodeKind

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


def find_batch_to_see(session: Session, handle: str, *, organisation_id: int) -> Batch:
    """The published batch, for the organisation that made it or by whose right another one did; raises NotFound."""
    batch = find_batch(session, handle)
    if batch.organisation_id != organisation_id and organisation_id not in owners_of_batch(session, batch.id):
        raise NotFound("There is no such batch.", code="unknown_batch")
    return batch


def owners_of_batch(session: Session, batch_id: int) -> frozenset[int]:
    """The organisations that let the maker of a batch make units of their GTIN; none for goods of its own."""
    batch = find_batch_by_id(session, batch_id)
    if batch.kind is not CodeKind.GTIN:
        return frozenset()
    return accounts.delegators_of(
        session, organisation_id=batch.organisation_id, gtin=batch.reference, at_ms=batch.published_at
    )


def list_batches_of_makers(
    session: Session, *, organisation_id: int, cursor: str | None = None, limit: int = 50
) -> BatchPage:
    """Published batches that others made by the organisation's right, newest first."""
    given = accounts.delegations_ever_given(session, organisation_id=organisation_id)
    if not given:
        return BatchPage([], None)
    made = or_(
        *(
            and_(BatchRow.organisation_id == maker, ProductRow.identifier == gtin, BatchRow.published_at >= since)
            for maker, gtin, since in given
        )
    )
    query = _batches().where(ProductRow.kind == CodeKind.GTIN.value, made)
    if cursor is not None:
        last = find_batch_to_see(session, cursor, organisation_id=organisation_id)
        query = query.where(BatchRow.log_index < last.log_index)
    limit = max(1, min(limit, MAX_PAGE))
    rows = session.execute(query.order_by(BatchRow.log_index.desc()).limit(limit + 1)).all()
    items = [_batch(*row) for row in rows[:limit]]
    return BatchPage(items, items[-1].handle if len(rows) > limit else None)


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
    session: Session,
    *,
    organisation_id: int,
    cursor: str | None = None,
    limit: int = 50,
    reference: str | None = None,
    key_id: int | None = None,
) -> BatchPage:
    """The organisation's published batches, newest first.

    Those of one product when `reference` (as stored) is given, those under one key when `key_id` is.
    """
    query = _batches().where(BatchRow.organisation_id == organisation_id)
    if key_id is not None:
        query = query.where(BatchRow.key_id == key_id)
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
