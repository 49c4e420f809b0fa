"""Several threads in one group when it fails: each of them learns what became of its own statement."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from sqlalchemy import Connection

from ledger.errors import LogUnavailable
from ledger.group import Ticket
from ledger.log import Appended, Log
from ledger.storage.engine import create_database_engine
from tests.faults.evidence import Evidence, recorded_from
from tests.faults.faulty_storage import FAULTS, Fault, FaultyStorage, Plan, Step, database_failure, interruption
from tests.faults.log_appender import high_water, remember
from tests.log_builders import ORIGIN, new_entry

THREADS = 4

REPEATED = 0
"""The statement of this number is in the log before any group."""


@dataclass
class Group:
    """A log whose next group holds the statements of several threads, because a first thread keeps it busy."""

    evidence: Evidence
    log: Log
    storage: FaultyStorage
    numbers: int = 1
    answers: dict[int, Appended[None] | BaseException] = field(default_factory=dict)
    plan: Plan = field(default_factory=Plan)

    def submit(self, faults: dict[Step, Fault]) -> dict[int, Appended[None] | BaseException]:
        """Give what each statement of the group got: its acknowledgement or what was raised."""
        busy, leaving = threading.Event(), threading.Event()

        def keep_busy(_: Connection | None) -> None:
            busy.set()
            assert leaving.wait(30)

        self.plan = Plan({Step(1, "begin", 1, after=False): keep_busy, **faults})
        self.answers = {}
        first, *others = range(self.numbers, self.numbers + THREADS + 1)
        self.numbers = others[-1] + 1
        with self.storage.armed(self.plan):
            workers = [self._start(first)]
            assert busy.wait(30)
            for number in (*others, REPEATED):
                workers.append(self._start(number))
                wait_until_queued(workers[-1])
            leaving.set()
            for worker in workers:
                worker.join(60)
                assert not worker.is_alive(), "a thread waits for ever"
        assert self.plan.faults == {}, "a fault did not happen"
        assert isinstance(self.answers.pop(first), Appended)
        return self.answers

    def _start(self, number: int) -> threading.Thread:
        def run() -> None:
            try:
                self.answers[number] = self.log.append(new_entry(number), remember(number))
            except BaseException as error:
                self.answers[number] = error

        worker = threading.Thread(target=run)
        worker.start()
        return worker


def wait_until_queued(worker: threading.Thread) -> None:
    """Wait until a thread waits for its turn in the group commit."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        frame = sys._current_frames().get(worker.ident or 0)
        if frame is not None and frame.f_code is Ticket.wait.__code__:
            return
        time.sleep(0.000_5)
    pytest.fail("the thread does not queue")


@pytest.fixture
def group(log_url: str, tmp_path: Path) -> Iterator[Group]:
    engine = create_database_engine(log_url, durable=False)
    evidence, storage = Evidence(log_url, durable=False, mark=tmp_path / "mark"), FaultyStorage(engine)
    log = Log.open(engine, origin=ORIGIN, signer=evidence.signer, high_water=high_water(evidence.mark), storage=storage)
    evidence.take(REPEATED, log.append(new_entry(REPEATED), remember(REPEATED)))
    yield Group(evidence, log, storage)
    engine.dispose()


def check(group: Group, answers: dict[int, Appended[None] | BaseException], raised: type[BaseException]) -> None:
    """Check that nobody was told what is not so, and that everybody's second attempt succeeds."""
    assert len(answers) == THREADS + 1
    with group.evidence.reopened() as (engine, _):
        recorded = recorded_from(engine, 0)
    for number, answer in answers.items():
        if isinstance(answer, Appended):
            assert recorded[number] == answer.index
            group.evidence.take(number, answer)
        else:
            assert isinstance(answer, LogUnavailable | raised), f"{answer!r} says nothing of what became of {number}"
            denied = "nothing was recorded" in str(answer) and number != REPEATED
            assert not (denied and number in recorded), "recorded, and denied"
    group.evidence.check(ask_again=answers, since=group.log.head()[0])


def steps_of_the_group(group: Group, faults: dict[Step, Fault], transaction: int) -> list[Step]:
    group.submit(faults)
    return [step for step in group.plan.taken if step.transaction == transaction and step.nth <= 2]


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_a_group_that_fails_at_any_step_tells_each_thread_the_truth(group: Group, fault: Fault) -> None:
    for step in steps_of_the_group(group, {}, 2):
        check(group, group.submit({step: fault}), raised_by(fault))


@pytest.mark.parametrize("recorded", [True, False], ids=["recorded", "not-recorded"])
@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_a_group_whose_recovery_fails_at_any_step_tells_each_thread_the_truth(
    group: Group, recorded: bool, fault: Fault
) -> None:
    first = Step(2, "commit", 1, after=recorded)
    for step in steps_of_the_group(group, {first: database_failure}, 3):
        check(group, group.submit({first: database_failure, step: fault}), raised_by(fault))


def raised_by(fault: Fault) -> type[BaseException]:
    return KeyboardInterrupt if fault is interruption else LogUnavailable
