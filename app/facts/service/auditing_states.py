"""The audit's view of states: what verdicts are given from is what the events, told in order, come to.

The states are projections and no facts, but they answer at the till: a recall that is taken out of them alone would
be on the ledger, and nobody would be told.
"""

from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from functools import partial
from itertools import islice
from typing import Any

from sqlalchemy import Connection, Row, exists, func, select

from app.core.errors import AppError
from app.facts.lifecycle import LifeEvent, UnitState, fold
from app.facts.models import EventRow, batch_states, event_units, unit_states
from app.facts.service.projections import CHUNK, batch_lives, batch_row, life_of, unit_lives, unit_row
from app.facts.vocabulary import EventKind
from ledger.audit.report import Fault


def check_states(connection: Connection) -> Iterator[Fault]:
    """Tell the lives of all units and batches once more and compare."""
    unknown = select(func.count()).select_from(EventRow).where(EventRow.kind.not_in([kind.value for kind in EventKind]))
    if connection.scalar(unknown):
        return  # no life can be told with such an event; the check of events names it
    lives = unit_lives(connection)
    while some := dict(islice(lives, CHUNK)):
        yield from _compare_units(connection, some)
    batches, told = batch_lives(connection), set[int]()
    while some := dict(islice(batches, CHUNK)):
        told.update(some)
        yield from _compare_batches(connection, some)
    yield from _without_events(connection, told)


def check_narrowly(
    connection: Connection, events: Sequence[Row[Any]], units: Mapping[int, Sequence[int]]
) -> Iterator[Fault]:
    """Tell the lives of those goods that these events are about."""
    named = sorted({unit_id for row in events for unit_id in units[row.id]})
    for at in range(0, len(named), CHUNK):
        yield from _compare_units(
            connection, {unit_id: _life(connection, unit_id=unit_id) for unit_id in named[at : at + CHUNK]}
        )
    whole = sorted({row.batch_id for row in events if not units[row.id] and row.batch_id is not None})
    yield from _compare_batches(connection, {batch_id: _life(connection, batch_id=batch_id) for batch_id in whole})


def _life(connection: Connection, **goods: int) -> list[LifeEvent] | None:
    try:
        return life_of(connection, **goods)
    except ValueError:
        return None  # an event of a kind that there is not; the check of events names it


def _compare_units(connection: Connection, lives: Mapping[int, list[LifeEvent] | None]) -> Iterator[Fault]:
    stored = connection.execute(select(unit_states).where(unit_states.c.unit_id.in_(lives)))
    found = {row.unit_id: dict(row._mapping) for row in stored}
    for unit_id, life in lives.items():
        if found.get(unit_id) != _told(life, partial(unit_row, unit_id)):
            yield Fault("state.unit", f"unit_states {unit_id}", "it is not the state that the unit's events come to")


def _compare_batches(connection: Connection, lives: Mapping[int, list[LifeEvent] | None]) -> Iterator[Fault]:
    stored = connection.execute(select(batch_states).where(batch_states.c.batch_id.in_(lives)))
    found = {row.batch_id: dict(row._mapping) for row in stored}
    for batch_id, life in lives.items():
        if found.get(batch_id) != _told(life, partial(batch_row, batch_id)):
            yield Fault(
                "state.batch", f"batch_states {batch_id}", "it is not the state that the batch's events come to"
            )


def _told(life: Sequence[LifeEvent] | None, row: Callable[[UnitState], dict[str, Any]]) -> dict[str, Any] | None:
    try:
        return None if life is None else row(fold(life))
    except AppError:
        return None  # events that can not follow each other: one of them was changed, and is named as such


def _without_events(connection: Connection, told: Container[int]) -> Iterator[Fault]:
    named = exists().where(event_units.c.unit_id == unit_states.c.unit_id)
    count, least = connection.execute(select(func.count(), func.min(unit_states.c.unit_id)).where(~named)).one()
    if count:
        yield Fault("state.unit", f"unit_states {least}", f"{count} units have a state, and no event made it")
    for (batch_id,) in connection.execute(select(batch_states.c.batch_id)):
        if batch_id not in told:
            yield Fault("state.batch", f"batch_states {batch_id}", "no event made this state")
