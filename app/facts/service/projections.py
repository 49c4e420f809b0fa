"""States of units and batches as kept in tables: written beside each event, and made anew from all of them.

Nothing here is a fact. `rebuild_projections` throws both tables away and gets the same rows from the events.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import groupby
from typing import Any, NamedTuple

from sqlalchemy import Connection, Engine, Row, Select, Table, delete, exists, func, insert, select
from sqlalchemy.dialects import postgresql, sqlite

from app.core.jobs import Progress
from app.facts.lifecycle import NEW, LifeEvent, UnitState, fold, joined, statuses_from_text, statuses_to_text
from app.facts.models import EventRow, batch_states, event_units, unit_states
from app.facts.vocabulary import EventKind
from ledger.storage.engine import begin_write

CHUNK = 500
"""Rows a statement; below SQLite's and PostgreSQL's limits on parameters."""
REBUILD_CHUNK = 10_000

events = EventRow.__table__
STATE_COLUMNS = (
    "unit_statuses",
    "sales",
    "first_sold_at",
    "first_sold_by",
    "unit_detained_by",
    "unit_changed_at",
    "batch_statuses",
    "batch_detained_by",
    "batch_changed_at",
)
"""What `join_states` adds to a row, in this order; `joined_state` reads them."""


class StateRow(NamedTuple):
    """The columns that `join_states` adds; all None for a unit without events."""

    unit_statuses: str | None
    sales: int | None
    first_sold_at: int | None
    first_sold_by: int | None
    unit_detained_by: int | None
    unit_changed_at: int | None
    batch_statuses: str | None
    batch_detained_by: int | None
    batch_changed_at: int | None


def join_states(units: Select[Any]) -> Select[Any]:
    """Add to a query of units (columns `unit_id` and `batch_id` among them) the columns of `STATE_COLUMNS`."""
    unit = units.subquery("unit")
    return select(
        unit,
        unit_states.c.statuses.label("unit_statuses"),
        unit_states.c.sales,
        unit_states.c.first_sold_at,
        unit_states.c.first_sold_by,
        unit_states.c.detained_by.label("unit_detained_by"),
        unit_states.c.changed_at.label("unit_changed_at"),
        batch_states.c.statuses.label("batch_statuses"),
        batch_states.c.detained_by.label("batch_detained_by"),
        batch_states.c.changed_at.label("batch_changed_at"),
    ).select_from(
        unit.outerjoin(unit_states, unit_states.c.unit_id == unit.c.unit_id).outerjoin(
            batch_states, batch_states.c.batch_id == unit.c.batch_id
        )
    )


@lru_cache(maxsize=4096)
def joined_state(row: tuple[Any, ...]) -> UnitState:
    """Give the state of one unit from the columns that `join_states` added.

    Remembered by the columns' values: units of a batch without events of their own all have the same.
    """
    found = StateRow._make(row)
    unit = NEW
    if found.unit_statuses is not None:
        unit = UnitState(
            statuses_from_text(found.unit_statuses),
            found.sales or 0,
            found.first_sold_at,
            found.first_sold_by,
            found.unit_detained_by,
            found.unit_changed_at or 0,
        )
    batch = NEW
    if found.batch_statuses is not None:
        batch = UnitState(
            statuses_from_text(found.batch_statuses),
            detained_by=found.batch_detained_by,
            changed_at=found.batch_changed_at or 0,
        )
    return joined(unit, batch)


def read_states(connection: Connection, *, batch_id: int, unit_ids: Sequence[int]) -> dict[int, UnitState]:
    """Give the joined state of each unit of one batch."""
    own = read_unit_states(connection, unit_ids)
    batch = read_batch_state(connection, batch_id)
    return {unit_id: joined(own.get(unit_id, NEW), batch) for unit_id in unit_ids}


def read_unit_states(connection: Connection, unit_ids: Sequence[int]) -> dict[int, UnitState]:
    """Give the own states of those units that have one."""
    states: dict[int, UnitState] = {}
    for start in range(0, len(unit_ids), CHUNK):
        some = unit_ids[start : start + CHUNK]
        for row in connection.execute(select(unit_states).where(unit_states.c.unit_id.in_(some))):
            states[row.unit_id] = UnitState(
                statuses_from_text(row.statuses),
                row.sales,
                row.first_sold_at,
                row.first_sold_by,
                row.detained_by,
                row.changed_at,
            )
    return states


def read_batch_state(connection: Connection, batch_id: int) -> UnitState:
    """Give the state that events about the whole batch make; `NEW` when there are none."""
    row = connection.execute(select(batch_states).where(batch_states.c.batch_id == batch_id)).first()
    if row is None:
        return NEW
    return UnitState(statuses_from_text(row.statuses), detained_by=row.detained_by, changed_at=row.changed_at)


def write_unit_states(connection: Connection, states: Mapping[int, UnitState]) -> None:
    """Put the states of units in place of what was there."""
    rows = [unit_row(unit_id, state) for unit_id, state in states.items()]
    for start in range(0, len(rows), CHUNK):
        _put(connection, unit_states, rows[start : start + CHUNK])


def write_batch_state(connection: Connection, batch_id: int, state: UnitState) -> None:
    """Put the state of a batch in place of what was there."""
    _put(connection, batch_states, [batch_row(batch_id, state)])


def life_of(connection: Connection, *, unit_id: int | None = None, batch_id: int | None = None) -> list[LifeEvent]:
    """Give the events that name this unit, or that speak for this whole batch, in the order of the ledger."""
    if unit_id is not None:
        query = select(events).join(event_units, event_units.c.event == events.c.id)
        query = query.where(event_units.c.unit_id == unit_id)
    else:
        query = select(events).where(events.c.batch_id == batch_id, _speaks_for_batch())
    return [life_event(row) for row in connection.execute(query.order_by(events.c.log_index))]


def life_event(row: Row[Any]) -> LifeEvent:
    """Give a row of `events` as the life of a unit sees it."""
    return LifeEvent(row.event_id, EventKind(row.kind), row.organisation_id, row.event_time, row.undoes)


def rebuild_projections(engine: Engine, progress: Progress | None = None) -> None:
    """Throw all states away and make them again from the events, in one transaction.

    Nothing can be recorded meanwhile; readers see the old states until it is done. `progress(done, total)` counts
    (event, unit) pairs and batches.
    """
    with begin_write(engine) as connection:
        pairs = connection.scalar(select(func.count()).select_from(event_units)) or 0
        batches = select(func.count(func.distinct(events.c.batch_id))).where(_speaks_for_batch())
        total = pairs + (connection.scalar(batches) or 0)
        connection.execute(delete(unit_states))
        connection.execute(delete(batch_states))
        done = 0
        rows: list[dict[str, Any]] = []
        for unit_id, life in unit_lives(connection):
            rows.append(unit_row(unit_id, fold(life)))
            done += len(life)
            if len(rows) >= REBUILD_CHUNK:
                connection.execute(insert(unit_states), rows)
                rows.clear()
                if progress is not None:
                    progress(done, total)
        if rows:
            connection.execute(insert(unit_states), rows)
        states = [batch_row(batch_id, fold(life)) for batch_id, life in batch_lives(connection)]
        if states:
            connection.execute(insert(batch_states), states)
    if progress is not None:
        progress(total, total)


def unit_lives(connection: Connection) -> Iterator[tuple[int, list[LifeEvent]]]:
    """Give each unit that events name, with these events in the order of the ledger."""
    query = (
        select(event_units.c.unit_id, events)
        .join(events, events.c.id == event_units.c.event)
        .order_by(event_units.c.unit_id, events.c.log_index)
    )
    streamed = connection.execute(query, execution_options={"yield_per": REBUILD_CHUNK})
    for unit_id, group in groupby(streamed, lambda row: int(row.unit_id)):
        yield unit_id, [life_event(row) for row in group]


def batch_lives(connection: Connection) -> Iterator[tuple[int, list[LifeEvent]]]:
    """Give each batch with the events that speak for all of it, in the order of the ledger."""
    query = select(events).where(events.c.batch_id.is_not(None), _speaks_for_batch())
    ordered = connection.execute(
        query.order_by(events.c.batch_id, events.c.log_index), execution_options={"yield_per": REBUILD_CHUNK}
    )
    for batch_id, group in groupby(ordered, _batch_of):
        yield batch_id, [life_event(row) for row in group]


def _batch_of(row: Row[Any]) -> int:
    return int(row.batch_id)


def _speaks_for_batch() -> Any:
    return ~exists().where(event_units.c.event == events.c.id)


def unit_row(unit_id: int, state: UnitState) -> dict[str, Any]:
    """Word a unit's state as a row of its table."""
    return {
        "unit_id": unit_id,
        "statuses": statuses_to_text(state.statuses),
        "sales": state.sales,
        "first_sold_at": state.first_sold_at,
        "first_sold_by": state.first_sold_by,
        "detained_by": state.detained_by,
        "changed_at": state.changed_at,
    }


def batch_row(batch_id: int, state: UnitState) -> dict[str, Any]:
    """Word a batch's state as a row of its table."""
    return {
        "batch_id": batch_id,
        "statuses": statuses_to_text(state.statuses),
        "detained_by": state.detained_by,
        "changed_at": state.changed_at,
    }


def _put(connection: Connection, table: Table, rows: list[dict[str, Any]]) -> None:
    """Insert, or replace by primary key (both databases know ON CONFLICT, each under its own dialect)."""
    if not rows:
        return
    dialect: Any = sqlite if connection.dialect.name == "sqlite" else postgresql
    statement = dialect.insert(table)
    key = table.primary_key.columns.keys()
    changed = {column.name: statement.excluded[column.name] for column in table.c if column.name not in key}
    connection.execute(statement.on_conflict_do_update(index_elements=key, set_=changed), rows)
