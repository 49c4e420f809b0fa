"""The threshold in force is what the acts on the ledger add up to: laws of that sum."""

from hypothesis import given
from hypothesis import strategies as st

from app.accounts import service as accounts
from app.accounts.service.acts import ActRecord
from app.accounts.service.limits import LIMIT, WAIT_MS, add_up

STEPS = st.sampled_from(["set", "asked", "agreed", "refused"])
VALUES = st.one_of(st.none(), st.integers(1, 10**6))


@given(st.lists(st.tuples(STEPS, VALUES, st.booleans(), st.integers(0, 2 * WAIT_MS)), max_size=12), VALUES)
def test_no_order_of_acts_raises_the_threshold_but_by_agreement_by_time_or_by_being_set(
    steps: list[tuple[str, int | None, bool, int]], default: int | None
) -> None:
    at, acts = 0, []
    for number, (step, above, by_time, pause) in enumerate(steps):
        at += pause
        details = {"limit": LIMIT, "step": step, "above": above, "by_time": by_time}
        acts.append(ActRecord(number, accounts.Act.LIMITS_CHANGED, "person:1", details, at, organisation_id=1))
    reached = {default} | {above for step, above, _, _ in steps if step in ("set", "asked")}
    found = add_up(acts, default=default, now=at)
    assert found.second_person_above in reached
    if all(step == "asked" and not by_time for step, _, by_time, _ in steps):
        assert found.second_person_above == default
    # What is in force at the end is what a longer wait can only change by the pending one.
    later = add_up(acts, default=default, now=at + 100 * WAIT_MS)
    assert later.pending is None
    expected = {found.second_person_above} | ({found.pending.above} if found.pending else set())
    assert later.second_person_above in expected
