"""The life of a unit: rules, undo, and the laws of the fold."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.errors import Conflict
from app.facts.lifecycle import (
    NEW,
    LifeEvent,
    UnitState,
    check_undo,
    fold,
    joined,
    next_state,
    statuses_from_text,
    statuses_to_text,
)
from app.facts.vocabulary import EVENT_RULES, EventKind, Status

DAY_MS = 86_400_000
SHOP, OTHER_SHOP, AUTHORITY, OTHER_AUTHORITY = 1, 2, 8, 9

_ids = itertools.count()


def event(kind: EventKind, *, by: int = SHOP, at: int = 1000, undoes: str | None = None) -> LifeEvent:
    return LifeEvent(f"e{next(_ids)}", kind, by, at, undoes)


def after(*events: LifeEvent) -> UnitState:
    state = NEW
    for one in events:
        state = next_state(state, one)
    return state


def test_a_sale_ends_the_life_in_trade() -> None:
    state = after(event(EventKind.COMMISSIONED), event(EventKind.ACTIVATED), event(EventKind.SOLD, at=5000))
    assert Status.SOLD in state.statuses
    assert (state.sales, state.first_sold_at, state.first_sold_by) == (1, 5000, SHOP)


def test_a_second_sale_is_counted_not_refused() -> None:
    state = after(event(EventKind.SOLD, at=5000), event(EventKind.SOLD, by=OTHER_SHOP, at=9000))
    assert (state.sales, state.first_sold_by) == (2, SHOP)


def test_a_late_report_of_an_earlier_sale_names_the_first_seller() -> None:
    state = after(event(EventKind.SOLD, at=9000), event(EventKind.SOLD, by=OTHER_SHOP, at=5000))
    assert (state.first_sold_at, state.first_sold_by) == (5000, OTHER_SHOP)


def test_a_return_reopens() -> None:
    state = after(event(EventKind.SOLD), event(EventKind.RETURNED))
    assert Status.SOLD not in state.statuses
    assert Status.RETURNED in state.statuses
    assert state.sales == 0
    resold = next_state(state, event(EventKind.SOLD, at=7000))
    assert Status.RETURNED not in resold.statuses
    assert resold.first_sold_at == 7000


def test_what_is_destroyed_is_not_returned() -> None:
    with pytest.raises(Conflict) as refusal:
        after(event(EventKind.DESTROYED), event(EventKind.RETURNED))
    assert refusal.value.code == "destroyed"


@pytest.mark.parametrize("detention", [EventKind.HELD, EventKind.SEIZED])
def test_only_the_authority_that_detains_releases(detention: EventKind) -> None:
    detained = after(event(detention, by=AUTHORITY))
    with pytest.raises(Conflict) as refusal:
        next_state(detained, event(EventKind.RELEASED, by=OTHER_AUTHORITY))
    assert refusal.value.code == "detained_by_another"
    released = next_state(detained, event(EventKind.RELEASED, by=AUTHORITY))
    assert released.statuses == frozenset()
    assert released.detained_by is None


@pytest.mark.parametrize("kind", [EventKind.DESTROYED, EventKind.EXPORTED, EventKind.RETURNED, EventKind.SAMPLED])
def test_goods_that_an_authority_holds_stay_where_they_are(kind: EventKind) -> None:
    held = after(event(EventKind.HELD, by=AUTHORITY))
    with pytest.raises(Conflict) as refusal:
        next_state(held, event(kind))
    assert refusal.value.code == "detained_by_another"
    assert next_state(held, event(kind, by=AUTHORITY)).statuses != held.statuses
    assert Status.SOLD in next_state(held, event(EventKind.SOLD)).statuses  # that it happened all the same is evidence


def test_nothing_is_released_that_is_not_detained() -> None:
    for kind, code in (
        (EventKind.RELEASED, "not_detained"),
        (EventKind.UNLOCKED, "not_locked"),
        (EventKind.RECALL_LIFTED, "not_recalled"),
    ):
        with pytest.raises(Conflict) as refusal:
            next_state(NEW, event(kind))
        assert refusal.value.code == code


def test_an_undone_event_leaves_no_trace() -> None:
    commissioned, sold = event(EventKind.COMMISSIONED), event(EventKind.SOLD)
    assert fold([commissioned, sold, event(EventKind.UNDONE, undoes=sold.event_id)]) == fold([commissioned])


def test_an_undo_has_ten_days_and_one_author() -> None:
    sold = event(EventKind.SOLD, at=0)
    check_undo(sold, event(EventKind.UNDONE, at=10 * DAY_MS, undoes=sold.event_id))
    for undo, code in (
        (event(EventKind.UNDONE, at=10 * DAY_MS + 1), "undo_too_late"),
        (event(EventKind.UNDONE, by=OTHER_SHOP, at=1), "undo_by_another"),
    ):
        with pytest.raises(Conflict) as refusal:
            check_undo(sold, undo)
        assert refusal.value.code == code
    with pytest.raises(Conflict) as refusal:
        check_undo(event(EventKind.SEIZED, at=0), event(EventKind.UNDONE, at=1))
    assert refusal.value.code == "not_undoable"


def test_the_batch_speaks_for_its_units() -> None:
    batch = after(event(EventKind.COMMISSIONED), event(EventKind.ACTIVATED), event(EventKind.RECALLED))
    assert joined(NEW, batch).statuses == {Status.ACTIVE, Status.RECALLED}
    sold = joined(after(event(EventKind.SOLD)), batch)
    assert sold.statuses == {Status.SOLD, Status.RECALLED}


def test_a_unit_that_came_back_is_no_longer_exported_with_its_batch() -> None:
    batch = after(event(EventKind.COMMISSIONED, at=1), event(EventKind.EXPORTED, at=10))
    unit = after(event(EventKind.RETURNED, at=20))
    assert joined(unit, batch).statuses == {Status.RETURNED}


def test_every_kind_has_a_rule_and_every_status_survives_its_column() -> None:
    assert set(EVENT_RULES) == set(EventKind)
    everything = frozenset(Status)
    assert statuses_from_text(statuses_to_text(everything)) == everything
    assert statuses_from_text("") == statuses_from_text(None) == frozenset()


_events = st.lists(
    st.builds(
        event,
        st.sampled_from([kind for kind in EventKind if kind is not EventKind.UNDONE]),
        by=st.sampled_from([SHOP, OTHER_SHOP, AUTHORITY]),
        at=st.integers(0, 10**6),
    ),
    max_size=12,
)


@given(_events)
def test_one_event_at_a_time_gives_the_same_state_as_all_at_once(events: list[LifeEvent]) -> None:
    state = NEW
    accepted: list[LifeEvent] = []
    for one in events:
        try:
            state = next_state(state, one)
        except Conflict:
            continue
        accepted.append(one)
    assert fold(accepted) == state


@given(_events, st.data())
def test_undoing_the_last_event_restores_the_state_before_it(events: list[LifeEvent], data: st.DataObject) -> None:
    accepted: list[LifeEvent] = []
    state = NEW
    for one in events:
        try:
            state = next_state(state, one)
        except Conflict:
            continue
        accepted.append(one)
    if accepted:
        last = accepted[-1]
        undone = fold([*accepted, event(EventKind.UNDONE, by=last.organisation_id, undoes=last.event_id)])
        assert undone == fold(accepted[:-1])


@given(_events)
def test_a_unit_is_never_both_for_sale_and_gone(events: list[LifeEvent]) -> None:
    state = joined(fold(events), after(event(EventKind.COMMISSIONED), event(EventKind.ACTIVATED)))
    assert Status.NOT_ACTIVATED not in state.statuses
    if state.statuses & {Status.SOLD, Status.DISPENSED, Status.DESTROYED}:
        assert Status.ACTIVE not in state.statuses
    assert (state.detained_by is not None) == bool(state.statuses & {Status.HELD, Status.SEIZED})
