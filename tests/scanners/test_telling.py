"""What was established, in lines for a person."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scanners.telling import event_line, lines_of, moment, not_shown

EVENT = {"index": 7, "of": "unit", "covered": True, "shown": True, "what": "held", "time": "2026", "by": "ADUANA"}


def test_an_event_is_told_with_its_time_its_actor_and_its_place() -> None:
    assert event_line(EVENT) == f"{'2026':24}  held by ADUANA (entry 7, unit)"
    assert event_line(EVENT | {"time": None, "by": None}) == f"{'-':24}  held (entry 7, unit)"
    assert event_line(EVENT | {"covered": False}).endswith("unit, after the entries among which nothing is omitted)")


def test_entries_that_are_not_shown_are_counted_and_said_to_be_what_may_be_worst() -> None:
    assert not_shown({"not_shown": 0, "events": [EVENT]}) is None
    told = not_shown({"not_shown": 1, "events": [EVENT, EVENT, EVENT]})
    assert told is not None
    assert told.startswith("1 of 3 entries not shown")
    assert "which entry of the ledger erased them is not shown either" in told


@pytest.mark.parametrize(
    ("count", "words"), [(0, "0 newer entries are"), (1, "1 newer entry is"), (2, "2 newer entries are")]
)
def test_newer_entries_are_told_in_a_sentence(count: int, words: str) -> None:
    assert list(lines_of("state", {"not_covered": count, "events": []})) == [f"{words} not covered"]


def test_a_receipt_says_how_many_witnesses_had_signed_and_warns_without_a_nonce() -> None:
    told = list(lines_of("receipt", {"iat": 0, "checkpoint": {"origin": "o"}, "witnessed": {"k": 1, "n": 2}, "new": 5}))
    assert "answered by none at 1970-01-01T00:00:00Z, on data of none" in told
    assert "witnessed 1 of 2, not enough for the registry's policy" in told
    assert any(line.startswith("no nonce was sent") for line in told)
    assert "new: 5" in told, "what a later registry adds is not passed over"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)
MEMBERS = ("v", "iss", "iat", "scan", "code_sha256", "nonce", "summary", "authenticity", "status", "risk", "witnessed")


@given(st.dictionaries(st.sampled_from(MEMBERS), JSON), st.dictionaries(st.text(), JSON))
def test_whatever_a_registry_signs_as_a_receipt_can_be_told(
    members: dict[str, Any], checkpoint: dict[str, Any]
) -> None:
    assert all(isinstance(line, str) for line in lines_of("receipt", members | {"checkpoint": checkpoint}))


@given(st.integers())
def test_any_number_is_a_moment_or_told_as_the_number_that_it_is(number: int) -> None:
    told = moment(number)
    assert told.endswith("Z") or str(number) in told
