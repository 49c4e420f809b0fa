"""Trust lists changed at random: one list per signature, and no error but TrustError."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scanners.trust import TrustError, TrustList
from tests.ledger.fuzzing import Target
from tests.ledger.mutations import mutants
from tests.trust_builders import LogOwner, signed

_OWNER = LogOwner()
_OWNER.rotate()
_GENUINE = signed(_OWNER.members(hosts=["id.example", "localhost:8000"]), _OWNER.current)


def _read(data: bytes) -> bytes:
    trust = TrustList.from_json(data)
    assert trust.root == TrustList.from_json(_GENUINE).root, "a list that was never signed"
    return data


_TARGET = Target("trust-list", (_GENUINE,), (TrustError,), _read)


@settings(max_examples=600, deadline=None, suppress_health_check=list(HealthCheck), database=None)
@given(mutants(_TARGET.seeds) | st.binary(max_size=200))
def test_a_changed_trust_list_is_refused_or_is_the_same_list_in_another_spelling(data: bytes) -> None:
    _TARGET.accepts(data)


def test_every_cut_of_a_trust_list_is_refused() -> None:
    assert _TARGET.accepts(_GENUINE)
    assert not any(_TARGET.accepts(_GENUINE[:length]) for length in range(len(_GENUINE) - 1))
