"""Valid examples, changed at random: only declared errors come out, and what is accepted is written back as it came."""

from __future__ import annotations

import base64

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ledger.errors import FormatError
from tests.ledger.fuzz_targets import TARGETS
from tests.ledger.fuzzing import Target
from tests.ledger.mutations import mutants

EXAMPLES = 400

each_target = pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)


def attack(target: Target) -> None:
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        database=None,
        report_multiple_bugs=False,
    )
    @given(mutants(target.seeds) | st.binary(max_size=200))
    def run(data: bytes) -> None:
        target.accepts(data)

    run()


@each_target
def test_the_valid_examples_are_accepted(target: Target) -> None:
    assert all(target.accepts(seed) for seed in target.seeds)


@each_target
def test_changed_examples_raise_declared_errors_or_are_written_back_as_they_came(target: Target) -> None:
    attack(target)


@each_target
def test_every_cut_of_an_example_is_handled(target: Target) -> None:
    for seed in target.seeds:
        for length in range(min(len(seed), 1_500)):
            target.accepts(seed[:length])
            target.accepts(seed[length:])


def test_this_attack_finds_a_reader_that_takes_two_spellings_and_one_that_raises_another_error() -> None:
    sloppy = Target("sloppy", (b"AAAA", b"QQ=="), (ValueError,), lambda data: base64.b64encode(base64.b64decode(data)))
    with pytest.raises(AssertionError):
        attack(sloppy)
    careless = Target("careless", (b"00ff",), (FormatError,), lambda data: (bytes.fromhex(data.decode("l1")), data)[1])
    with pytest.raises(ValueError, match="hexadecimal"):
        attack(careless)
