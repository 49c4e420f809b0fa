"""One log on storage that can be told to fail, and the check after each failure."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

from sqlalchemy import Engine

from ledger.audit import audit
from ledger.errors import LogUnavailable
from ledger.log import Appended, Log
from tests.faults.evidence import Evidence, recorded_from
from tests.faults.faulty_storage import Fault, FaultyStorage, Plan, Step
from tests.faults.log_appender import Acknowledgement, high_water, remember
from tests.log_builders import ORIGIN, Clock, new_entry

TILE = 256

BATCH = 20
"""Entries in a batch: enough for PostgreSQL's COPY."""


@dataclass
class Attempt:
    """Statements that were submitted, where they belong, and what came back: the places, or an error."""

    numbers: list[int]
    places: list[int]
    acknowledged: list[int] = field(default_factory=list)
    error: BaseException | None = None


@dataclass
class Bench:
    """One log on faulty storage over `engine`, and what was promised in its name so far."""

    engine: Engine
    evidence: Evidence
    clock: Clock = field(default_factory=Clock)
    numbers: int = 0

    def __post_init__(self) -> None:
        self.storage = FaultyStorage(self.engine)
        self.log = Log.open(
            self.engine,
            origin=ORIGIN,
            signer=self.evidence.signer,
            high_water=high_water(self.evidence.mark),
            clock=self.clock,
            storage=self.storage,
        )

    def begin(self, count: int) -> list[int]:
        """Give the numbers of the statements of a case, and let a checkpoint become due.

        Before a batch the log is filled up to just before the end of a tile, so that the batch completes it.
        """
        if count > 1 and (room := -(self.numbers + BATCH // 2) % TILE):
            self.append(self._next(room))
        self.clock.now += 2
        return self._next(count)

    def _next(self, count: int) -> list[int]:
        self.numbers += count
        return list(range(self.numbers - count, self.numbers))

    def append(self, numbers: Sequence[int]) -> list[Appended[None]]:
        """Append one entry with its caller's fact, or several as a batch."""
        if len(numbers) == 1:
            appended = [self.log.append(new_entry(numbers[0]), remember(numbers[0]))]
        else:
            appended = self.log.append_many([new_entry(number) for number in numbers])
        self.evidence.add(
            Acknowledgement(number, one.index, one.checkpoint.note_text)
            for number, one in zip(numbers, appended, strict=True)
        )
        return appended

    def size(self) -> int:
        """How many entries there are, as a process sees it that has just started."""
        with self.evidence.reopened() as (_, log):
            return log.head()[0]

    def steps(self, count: int, fault: dict[Step, Fault] | None = None, transaction: int = 1) -> list[Step]:
        """Give the steps that an append of `count` entries takes in one of its transactions.

        Of a call that is made for each entry only the first two are given.
        """
        plan = Plan(dict(fault or {}))
        self.attempt(count, self.storage.armed(plan))
        return [step for step in plan.taken if step.transaction == transaction and step.nth <= 2]

    def fail(self, count: int, faults: dict[Step, Fault], gone_after: Step | None = None) -> None:
        """Let one append fail and check everything that must hold afterwards."""
        plan = Plan(dict(faults), gone_after)
        attempt = self.attempt(count, self.storage.armed(plan))
        assert plan.faults == {}, "the fault did not happen"
        assert self.check(attempt) == is_recorded(min(faults))

    def attempt(self, count: int, during: AbstractContextManager[object]) -> Attempt:
        """Append `count` entries while something happens."""
        attempt = self.plan_attempt(count)
        with during:
            self.submit(attempt)
        return attempt

    def submit(self, attempt: Attempt) -> None:
        """Append the entries of an attempt and note what came back."""
        try:
            attempt.acknowledged = [one.index for one in self.append(attempt.numbers)]
        except (LogUnavailable, KeyboardInterrupt) as raised:
            attempt.error = raised

    def plan_attempt(self, count: int) -> Attempt:
        """Give the statements of an attempt and where they will be."""
        numbers, before = self.begin(count), self.log.head()[0]
        return Attempt(numbers, list(range(before, before + count)))

    def check(self, attempt: Attempt) -> bool:
        """Check that an attempt left the truth, and that a second one puts everything right.

        Returns whether the first attempt was recorded. It is recorded whole or not at all, whatever was said.
        """
        numbers, places, acknowledged = attempt.numbers, attempt.places, attempt.acknowledged
        size = self.size()
        assert size in (places[0], places[-1] + 1)
        recorded = size > places[0]
        assert acknowledged in ([], places)
        assert recorded or not acknowledged, "acknowledged, but not recorded"
        assert not (recorded and "nothing was recorded" in str(attempt.error)), "recorded, and denied"
        if len(numbers) == 1:
            assert recorded_from(self.engine, numbers[0]) == ({numbers[0]: places[0]} if recorded else {})
        again = self.append(numbers)
        assert [(one.index, one.duplicate) for one in again] == [(place, recorded) for place in places]
        [following] = self.append(self.begin(1))
        assert following.index == places[-1] + 1
        report = audit(self.engine, self.evidence.signer.verifier, since=places[0])
        assert report.faults == []
        return recorded

    def finish(self) -> None:
        """Check the whole log against all that was promised."""
        with self.evidence.reopened() as (engine, log):
            self.evidence.check_roots(log)
            self.evidence.check_mark(log)
            report = audit(engine, self.evidence.signer.verifier, known_checkpoints=sorted(self.evidence.notes))
            assert report.faults == []
            for number, index in list(self.evidence.places.items())[::37]:
                body = log.entry(index).body
                assert body is not None
                assert body.statement == new_entry(number).statement


def is_recorded(first: Step) -> bool:
    """Say whether a group is recorded whose first failure is at this step."""
    return (first.call, first.after) == ("commit", True)
