"""The audit's view of products and batches: what the ledger says of them, their trees, and every unit in these."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from sqlalchemy import Connection, Row, func, or_, select

from app.accounts import service as accounts
from app.core.audit_rows import LoggedRows, said, stated_time
from app.core.sealing import Sealer, SealError
from app.facts.service import SubjectsOf
from app.registry.models import CASE_PRODUCT_ID, BatchRow, ProductRow, batch_tiles, units
from app.registry.service.auditing_units import UnitTree, check_units
from app.registry.service.proofs import secret_context
from app.registry.unit_id import POSITION_BITS, batch_of, position_of
from ledger.audit import ExtraCheck
from ledger.audit.report import AuditScope, Fault
from ledger.audit.statements import stretches
from ledger.errors import LedgerError
from ledger.leaf import SaltedLeaves
from ledger.map.state_proof import unit_subject
from ledger.strict import encode_base64
from ledger.tiles import BATCH_HEIGHT, tree_root
from scanners.codes.errors import CodeError

_batches = BatchRow.__table__.c
_products = ProductRow.__table__.c
KNOWN_SECRETS = 1_024
"""Batches whose secrets one audit keeps open."""


class TileMissing(LedgerError):
    """A tile of a batch's tree is not stored, or too short."""

    code = "batch.tile"


def product_check(sealer: Sealer) -> ExtraCheck:
    """Make the check of products: name, brand and description that people are shown are those on the ledger."""
    return LoggedRows(
        name="products",
        code="product",
        kinds=frozenset({"product"}),
        rows=select(ProductRow.__table__),
        log_index=_products.log_index,
        label=lambda row: row.identifier,
        words=lambda row: {
            "time": stated_time(row.created_at),
            "product": row.identifier,
            "name": row.name,
            "brand": row.brand,
            "description": row.description,
            "sector": row.sector,
        },
        about=lambda row: accounts.ledger_subject(sealer, f"product {row.kind}", row.identifier),
    ).check


def batch_check(sealer: Sealer) -> ExtraCheck:
    """Make the check of batches: their rows and trees, and, unless entries are drawn by lot, all their units."""
    about = partial(accounts.ledger_subject, sealer, "batch")
    rows = LoggedRows(
        name="batches",
        code="batch",
        kinds=frozenset({"batch"}),
        rows=_published(),
        log_index=_batches.log_index,
        label=lambda row: row.handle,
        words=lambda row: {
            "time": stated_time(row.published_at),
            "handle": row.handle,
            "size": row.quantity,
            "profile": row.profile,
            "key_id": row.key_id,
            "product": row.identifier if row.product_id != CASE_PRODUCT_ID else None,
            "lot": row.lot,
            "expiry": row.expiry,
        },
        about=lambda row: about(row.handle),
    )

    def check(connection: Connection, scope: AuditScope) -> Iterator[Fault]:
        yield from rows.check(connection, scope)
        for stretch in stretches(connection, scope, {"batch"}):
            for row in connection.execute(_published().where(stretch.holds(_batches.log_index))).all():
                stated = stretch.entries.get(row.log_index)
                root = None if stated is None else said(stated, "root")
                if row.root is None or encode_base64(row.root) != root:
                    finding = f"its root is not the one that entry {row.log_index} states"
                    yield Fault("batch.root", f"batches {row.handle}", finding)
                elif scope.chosen is not None:
                    yield from _check_root(connection, row)
                else:
                    yield from _check_units(connection, sealer, row)
        if scope.whole:
            yield from _check_counts(connection)

    return check


def subjects_of(sealer: Sealer) -> SubjectsOf:
    """Make the function that tells the check of events how the ledger calls its goods."""
    about = partial(accounts.ledger_subject, sealer, "batch")
    opened: dict[int, SaltedLeaves | None] = {}
    handles: dict[int, str | None] = {}

    def subjects(connection: Connection, batch_id: int, unit_ids: Sequence[int]) -> Sequence[bytes] | None:
        if batch_id not in handles:
            if len(handles) >= KNOWN_SECRETS:
                handles.clear()
                opened.clear()
            row = connection.execute(
                select(_batches.handle, _batches.sealed_secret).where(_batches.id == batch_id)
            ).first()
            handles[batch_id] = None if row is None else row.handle
            opened[batch_id] = None if row is None else _leaves(sealer, row)
        handle, leaves = handles[batch_id], opened[batch_id]
        if handle is None or any(batch_of(unit_id) != batch_id for unit_id in unit_ids):
            return None
        if not unit_ids:
            return (about(handle),)
        return None if leaves is None else [unit_subject(leaves.salt(position_of(unit_id))) for unit_id in unit_ids]

    return subjects


def _published() -> Any:
    return (
        select(BatchRow.__table__, _products.kind, _products.identifier)
        .join(ProductRow, ProductRow.id == BatchRow.product_id)
        .where(_batches.log_index.is_not(None))
    )


def _leaves(sealer: Sealer, row: Any) -> SaltedLeaves | None:
    try:
        return SaltedLeaves(sealer.open(row.sealed_secret, secret_context(row.handle)))
    except (SealError, LedgerError):
        return None


def _check_root(connection: Connection, row: Row[Any]) -> Iterator[Fault]:
    """Compare the root with the tiles at the right edge of the tree, believing those below them."""
    try:
        root = tree_root(partial(_read_tile, connection, row.id), BATCH_HEIGHT, row.quantity)
    except LedgerError as error:
        yield Fault("batch.tile", f"batches {row.handle}", error.message)
        return
    if root != row.root:
        yield Fault("batch.root", f"batches {row.handle}", "its stored tree has another root than its entry states")


def _read_tile(connection: Connection, batch_id: int, level: int, index: int, width: int) -> bytes:
    columns = batch_tiles.c
    data = connection.scalar(
        select(columns.data).where(columns.batch_id == batch_id, columns.level == level, columns.tile_index == index)
    )
    if data is None or len(data) < width * 32:
        raise TileMissing(f"tile {level}/{index} of its tree is missing")
    return bytes(data[: width * 32])


def _check_units(connection: Connection, sealer: Sealer, row: Row[Any]) -> Iterator[Fault]:
    leaves = _leaves(sealer, row)
    if leaves is None:
        finding = "its secret does not open, so its units cannot be proved"
        yield Fault("batch.secret", f"batches {row.handle}", finding)
        return
    try:
        tree = UnitTree.of(row, leaves)
    except (ValueError, CodeError):
        return  # a row that no code could be made from differs from its entry, and is named for that
    yield from check_units(connection, tree)


def _check_counts(connection: Connection) -> Iterator[Fault]:
    """Look for units of no batch, and for more units of a batch than its entry states."""
    batch_id = units.c.unit_id // (1 << POSITION_BITS)
    known: Mapping[int, Any] = {
        row.id: row
        for row in connection.execute(select(_batches.id, _batches.handle, _batches.quantity, _batches.log_index))
    }
    counted = connection.execute(
        select(batch_id.label("batch"), func.count().label("units"), func.min(units.c.serial)).group_by(batch_id)
    )
    for number, count, least in counted:
        batch = known.get(number)
        if batch is None:
            finding = f"{count} units belong to batch number {number}, which there is not; the first is {least}"
            yield Fault("unit.batch", f"units {least}", finding)
        elif batch.log_index is not None and count > batch.quantity:
            finding = f"{count} units belong to it, and its entry states {batch.quantity}"
            yield Fault("batch.units", f"batches {batch.handle}", finding)
    unlogged = select(_batches.handle).where(
        _batches.log_index.is_(None), or_(_batches.root.is_not(None), _batches.published_at.is_not(None))
    )
    for handle in connection.scalars(unlogged):
        yield Fault("batch.entry", f"batches {handle}", "it is published, and no entry of the ledger says so")
