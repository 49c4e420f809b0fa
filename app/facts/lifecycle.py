"""The life of a unit as a fold over its events: pure, total, and the only place that knows the rules.

A state is never edited: it is what `fold` makes of the events in the order of the ledger, leaving out those that were
undone. `next_state` is the same, one event at a time, for the path where a sale must cost little. A batch has a state
of its own, from the events that speak for all its units; `joined` says what both together mean for one unit.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from app.core.errors import Conflict
from app.facts.vocabulary import EVENT_RULES, UNDO_DAYS, EventKind, Status

_DAY_MS = 86_400_000
_SALES = frozenset({EventKind.SOLD, EventKind.DISPENSED})
_DETAINED = frozenset({Status.HELD, Status.SEIZED})
_FOR_THE_DETAINER = frozenset(
    {
        EventKind.HELD,
        EventKind.SEIZED,
        EventKind.ACTIVATED,
        EventKind.RETURNED,
        EventKind.EXPORTED,
        EventKind.SAMPLED,
        EventKind.DESTROYED,
    }
)
"""What only the authority may do with goods that it detains. A sale is no such act: that it happened is evidence."""


@dataclass(frozen=True, slots=True)
class UnitState:
    """What the events of one unit, or of one batch, add up to.

    sales: sales and dispensings since the last return. first_sold_at (ms) and first_sold_by (organisation): the
    earliest of them. detained_by: the authority that holds or has seized it. changed_at: time of the last event in ms,
    0 for none.
    """

    statuses: frozenset[Status] = frozenset()
    sales: int = 0
    first_sold_at: int | None = None
    first_sold_by: int | None = None
    detained_by: int | None = None
    changed_at: int = 0


NEW = UnitState()


@dataclass(frozen=True, slots=True)
class LifeEvent:
    """An event as the life of a unit sees it. event_time in ms; `undoes` names the event that this one takes back."""

    event_id: str
    kind: EventKind
    organisation_id: int
    event_time: int
    undoes: str | None = None


def next_state(state: UnitState, event: LifeEvent) -> UnitState:
    """Give the state after one more event that is no undo; raises Conflict when the event can not follow.

    A second sale is never refused: that it happened is evidence of a copy, and the counter keeps it.
    """
    rule = EVENT_RULES[event.kind]
    _check_order(state, event)
    statuses = state.statuses - rule.takes
    if rule.gives is not None:
        statuses |= {rule.gives}
    if rule.terminal or event.kind is EventKind.EXPORTED:
        statuses -= {Status.NOT_ACTIVATED}
    following = replace(state, statuses=statuses, changed_at=max(state.changed_at, event.event_time))
    if event.kind in _SALES:
        following = replace(following, sales=state.sales + 1)
        # A report that comes late, from a shop that was offline, may tell of an earlier sale.
        if state.first_sold_at is None or event.event_time < state.first_sold_at:
            following = replace(following, first_sold_at=event.event_time, first_sold_by=event.organisation_id)
    elif event.kind is EventKind.RETURNED:
        following = replace(following, sales=0, first_sold_at=None, first_sold_by=None)
    if rule.gives in _DETAINED:
        following = replace(following, detained_by=event.organisation_id)
    elif event.kind is EventKind.RELEASED:
        following = replace(following, detained_by=None)
    return following


def _check_order(state: UnitState, event: LifeEvent) -> None:
    kind, statuses = event.kind, state.statuses
    if kind is EventKind.RELEASED:
        if not statuses & _DETAINED:
            raise Conflict("This unit is neither held nor seized.", code="not_detained")
        _check_same_authority(state, event)
    elif statuses & _DETAINED and kind in _FOR_THE_DETAINER:
        _check_same_authority(state, event)
    elif kind is EventKind.UNLOCKED and not statuses & EVENT_RULES[kind].takes:
        raise Conflict("This unit is not locked.", code="not_locked")
    elif kind is EventKind.RECALL_LIFTED and Status.RECALLED not in statuses:
        raise Conflict("This unit is not recalled.", code="not_recalled")
    elif kind in (EventKind.RETURNED, EventKind.ACTIVATED) and Status.DESTROYED in statuses:
        raise Conflict("This unit is recorded as destroyed.", code="destroyed")


def _check_same_authority(state: UnitState, event: LifeEvent) -> None:
    if state.detained_by != event.organisation_id:
        raise Conflict("Another authority detains this unit; only it can decide.", code="detained_by_another")


def check_undo(undone: LifeEvent, by: LifeEvent) -> None:
    """Refuse, with Conflict, an undo that comes too late, from another organisation, or of what can not be undone."""
    if not EVENT_RULES[undone.kind].undoable:
        raise Conflict("An event of this kind can not be undone.", code="not_undoable")
    if undone.organisation_id != by.organisation_id:
        raise Conflict("Only the organisation that recorded an event can undo it.", code="undo_by_another")
    if by.event_time - undone.event_time > UNDO_DAYS * _DAY_MS:
        raise Conflict("An event can be undone for %(days)s days.", code="undo_too_late", days=UNDO_DAYS)


def fold(events: Iterable[LifeEvent]) -> UnitState:
    """Give the state after `events`, given in the order of the ledger; what was undone leaves no trace in it.

    Never raises: an event that lost its ground because an earlier one was undone simply changes nothing.
    """
    listed = list(events)
    undone = {event.undoes for event in listed if event.kind is EventKind.UNDONE}
    state = NEW
    for event in listed:
        if event.kind is EventKind.UNDONE or event.event_id in undone:
            continue
        try:
            state = next_state(state, event)
        except Conflict:
            continue
    return state


def joined(unit: UnitState, batch: UnitState) -> UnitState:
    """Give the state of one unit from its own events and those of its whole batch."""
    statuses = unit.statuses | batch.statuses
    if Status.RETURNED in unit.statuses and unit.changed_at >= batch.changed_at:
        statuses -= {Status.EXPORTED} - unit.statuses  # the batch was exported, this unit came back
    if Status.ACTIVE in statuses or statuses & _STARTED:
        statuses -= {Status.NOT_ACTIVATED}
    if statuses & _ENDED:
        statuses -= {Status.ACTIVE}
    return replace(
        unit,
        statuses=statuses,
        detained_by=unit.detained_by if unit.detained_by is not None else batch.detained_by,
        changed_at=max(unit.changed_at, batch.changed_at),
    )


_STARTED = frozenset({Status.SOLD, Status.DISPENSED, Status.EXPORTED, Status.RETURNED, Status.DESTROYED})
_ENDED = frozenset({Status.SOLD, Status.DISPENSED, Status.DESTROYED})


def statuses_to_text(statuses: frozenset[Status]) -> str:
    """Write statuses as kept in a column: words in order, separated by spaces."""
    return " ".join(sorted(statuses))


def statuses_from_text(text: str | None) -> frozenset[Status]:
    """Read the column; nothing for a unit without events of its own."""
    if not text:
        return frozenset()
    known = _READ.get(text)
    if known is None:
        known = _READ[text] = frozenset(Status(word) for word in text.split())
    return known


_READ: dict[str, frozenset[Status]] = {}
"""Texts already read: there are few combinations, and each scan reads two."""
