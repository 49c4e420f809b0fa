"""The first rules of clone risk, each alone, and the way they are weighed."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from app.facts.lifecycle import UnitState
from app.facts.scans import Scan
from app.facts.scans.redacting import redact
from app.verification import risk
from app.verification.risk import NO_RISK, RULES, Situation, assess
from app.verification.verdict import Reason, Risk, Status

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
SHOP, OTHER = 1, 2
ACTIVE = UnitState(frozenset({Status.ACTIVE}))
SOLD = UnitState(frozenset({Status.SOLD}), 1, DAY_MS, SHOP, None, DAY_MS)


def scan(*, by: int | None = OTHER, at: int = 2 * DAY_MS, action: str = "check", device: str = "d") -> Scan:
    role = "public" if by is None else "retailer"
    return Scan(1, device, "k", at, at, role, by, action, None, None, None, "none", False, None, "valid", b"")


def situation(state: UnitState, given: Scan, *earlier: Scan, **more: Any) -> Situation:
    return Situation(state, given, earlier, **more)


def test_a_plain_scan_has_no_risk() -> None:
    assert assess(situation(ACTIVE, scan())) is NO_RISK


def test_a_sale_by_another_shop_after_the_sale_is_suspect() -> None:
    found = assess(situation(SOLD, scan(action="sell")))
    assert found.risk is Risk.SUSPECT
    assert found.evidence[0].reason is Reason.SOLD_ELSEWHERE
    assert assess(situation(SOLD, scan(action="sell", at=DAY_MS + HOUR_MS))).risk is Risk.NONE, "within the hour"


def test_what_should_follow_a_sale_is_no_risk() -> None:
    assert assess(situation(SOLD, scan(action="return"))).risk is Risk.NONE
    assert assess(situation(SOLD, scan(action="inspect"))).risk is Risk.NONE
    assert assess(situation(SOLD, scan(action="inspect"), on_offer=True)).risk is Risk.SUSPECT
    assert assess(situation(SOLD, scan(by=None))).risk is Risk.NONE, "the consumer who bought it"


def test_the_same_shop_selling_again_is_a_slip_within_a_day() -> None:
    assert assess(situation(SOLD, scan(by=SHOP, action="sell", at=DAY_MS + HOUR_MS))).risk is Risk.NONE
    assert assess(situation(SOLD, scan(by=SHOP, action="sell", at=3 * DAY_MS))).risk is Risk.REVIEW


def test_a_sale_sent_again_is_not_a_second_sale() -> None:
    again = scan(by=SHOP, action="sell", at=DAY_MS)
    assert assess(situation(SOLD, again, replayed=True)).evidence == ()
    assert assess(situation(SOLD, again)).evidence[0].reason is Reason.SOLD_TWICE
    other = scan(by=OTHER, action="sell")
    assert assess(situation(SOLD, other, replayed=True)).risk is Risk.SUSPECT, "another shop had sold it before"


def test_a_code_that_contradicts_the_record_needs_a_look_at_least() -> None:
    for reason in risk.DIFFERENCES:
        for by in (OTHER, None):
            found = assess(situation(ACTIVE, scan(by=by), differences=(reason,)))
            assert found.risk is Risk.REVIEW
            assert [line.reason for line in found.evidence] == [reason]
    waiting = UnitState(frozenset({Status.NOT_ACTIVATED}))
    crowd = assess(situation(waiting, scan(by=None), differences=(Reason.LOT_DIFFERS,)))
    assert crowd.risk is Risk.REVIEW, "whoever writes a code anew must not stop goods by it"


def test_retail_before_activation() -> None:
    waiting = UnitState(frozenset({Status.NOT_ACTIVATED}))
    assert assess(situation(waiting, scan(action="sell"))).risk is Risk.SUSPECT
    assert assess(situation(waiting, scan(by=None))).risk is Risk.REVIEW, "consumers alone never stop goods"
    assert assess(situation(waiting, scan())).risk is Risk.NONE
    assert assess(situation(waiting, scan(), scan(by=None))).risk is Risk.REVIEW, "an inspector is told of it"


def test_a_look_that_is_not_recorded_is_no_evidence() -> None:
    waiting = UnitState(frozenset({Status.NOT_ACTIVATED}))
    assert assess(situation(waiting, scan(by=None), recorded=False)).risk is Risk.NONE
    assert assess(situation(waiting, scan(by=None), scan(by=None), recorded=False)).risk is Risk.REVIEW
    crowd = [scan(by=None, device=f"d{number}") for number in range(4)]
    assert assess(situation(ACTIVE, scan(by=None, device="me"), *crowd)).risk is Risk.NOTE
    assert assess(situation(ACTIVE, scan(by=None, device="me"), *crowd, recorded=False)).risk is Risk.NONE


def test_consumers_alone_are_capped_at_review() -> None:
    crowd = [scan(by=None, device=f"d{number}") for number in range(40)]
    found = assess(situation(ACTIVE, scan(by=None, device="me"), *crowd))
    assert found.score > 0.9
    assert found.risk is Risk.REVIEW


def test_only_the_strongest_of_a_group_counts() -> None:
    twice = UnitState(frozenset({Status.SOLD}), 2, DAY_MS, SHOP, None, DAY_MS)
    found = assess(situation(twice, scan(action="sell")))
    assert len(found.evidence) == 2
    assert found.score == found.evidence[0].weight


states = st.builds(
    UnitState,
    st.frozensets(st.sampled_from(Status)),
    st.integers(0, 3),
    st.none() | st.integers(0, 10 * DAY_MS),
    st.none() | st.sampled_from([SHOP, OTHER]),
    st.none(),
    st.integers(0, 10 * DAY_MS),
)
scans = st.builds(
    scan,
    by=st.none() | st.sampled_from([SHOP, OTHER]),
    at=st.integers(0, 20 * DAY_MS),
    action=st.sampled_from(["check", "inspect", "sell", "return"]),
    device=st.sampled_from("abcdefg"),
)


@given(states, scans, st.lists(scans, max_size=8), st.booleans(), st.sampled_from([(), (Reason.LOT_DIFFERS,)]))
def test_the_short_cut_agrees_with_the_rules(
    state: UnitState, given_scan: Scan, earlier: list[Scan], on_offer: bool, differences: tuple[Reason, ...]
) -> None:
    if state.sales > 0 and state.first_sold_at is None:
        return
    asked = Situation(state if state.sales else _unsold(state), given_scan, earlier, on_offer, differences=differences)
    if risk._is_plain(asked):
        assert [rule(asked) for rule in RULES if rule(asked) is not None] == []


def _unsold(state: UnitState) -> UnitState:
    """A state that the fold can give: no sale, so no first seller."""
    return UnitState(state.statuses, 0, None, None, None, state.changed_at)


def test_redacting_old_scans_leaves_the_evidence_of_many_devices_as_it_was() -> None:
    public = [scan(by=None, device=f"p:{number}")._replace(key=f"k{number}") for number in range(6)]
    trade = scan(by=SHOP, device="1:till")
    before = assess(situation(ACTIVE, scan(by=OTHER), *public, trade))
    redacted = [redact(one, number, bytes(32)) for number, one in enumerate([*public, trade])]
    assert assess(situation(ACTIVE, scan(by=OTHER), *redacted)) == before
    assert before.risk is not Risk.NONE
