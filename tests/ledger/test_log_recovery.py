"""The log when its database fails at any step: nothing acknowledged is lost, nothing is guessed."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import OperationalError

from ledger.audit import audit
from ledger.errors import ForkDetected, LogUnavailable, StorageError
from ledger.log import Log
from ledger.note import NoteSigner
from ledger.storage.interface import Head
from ledger.storage.sql import SqlLogStorage, SqlReader
from tests.log_builders import ORIGIN, facts, new_entry

READS_AND_WRITES = (
    "head",
    "find_statements",
    "find_tags",
    "frozen",
    "keep",
    "add_entries",
    "add_tags",
    "add_tiles",
    "add_head",
)


def database_failure() -> OperationalError:
    return OperationalError("COMMIT", {}, Exception("the disk is full"))


class BreakableWriter:
    """Passes everything on to the real writer, and fails where it is told to."""

    def __init__(self, writer: Any, fail_at: str | None) -> None:
        self._writer = writer
        self._fail_at = fail_at

    def __getattr__(self, name: str) -> Any:
        if name == self._fail_at:
            raise database_failure()
        return getattr(self._writer, name)


class BreakableStorage(SqlLogStorage):
    """Fails once at `fail_at`: a method of the writer, `commit-lost`, `commit-kept`, or `gone` (kept, then away)."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine)
        self.fail_at: str | None = None
        self.gone = False

    @contextmanager
    def writing(self) -> Iterator[Any]:
        if self.gone:
            raise database_failure()
        fail_at, self.fail_at = self.fail_at, None
        with super().writing() as writer:
            yield BreakableWriter(writer, fail_at)
            if fail_at == "commit-lost":
                raise database_failure()
        if fail_at in {"commit-kept", "gone"}:
            self.gone = fail_at == "gone"
            raise database_failure()


@pytest.fixture
def storage(engine: Engine) -> BreakableStorage:
    return BreakableStorage(engine)


@pytest.fixture
def breakable_log(engine: Engine, signer: NoteSigner, storage: BreakableStorage) -> Log:
    log = Log.open(engine, origin=ORIGIN, signer=signer, storage=storage)
    log.append_many([new_entry(number) for number in range(300)])
    return log


def remember_seven(connection: Any, index: int) -> str:
    connection.execute(text("INSERT INTO facts VALUES (7, :place)"), {"place": index})
    return "seven"


@pytest.mark.parametrize("step", [*READS_AND_WRITES, "commit-lost"])
def test_a_failure_before_the_commit_records_nothing_and_the_log_goes_on(
    breakable_log: Log, storage: BreakableStorage, engine: Engine, signer: NoteSigner, step: str
) -> None:
    storage.fail_at = step
    with pytest.raises(LogUnavailable, match="nothing was recorded"):
        breakable_log.append(new_entry(1000), remember_seven)
    assert facts(engine) == []
    again = breakable_log.append(new_entry(1000), remember_seven)
    assert (again.index, again.duplicate, again.result) == (300, False, "seven")
    assert audit(engine, signer.verifier).faults == []


def test_a_commit_that_arrived_although_it_failed_is_acknowledged(
    breakable_log: Log, storage: BreakableStorage, engine: Engine, signer: NoteSigner
) -> None:
    storage.fail_at = "commit-kept"
    appended = breakable_log.append(new_entry(1000), remember_seven)
    assert (appended.index, appended.size, appended.duplicate, appended.result) == (300, 301, False, "seven")
    assert facts(engine) == [(7, 300)]
    assert audit(engine, signer.verifier).faults == []


def test_when_the_database_is_gone_the_outcome_is_called_unknown_and_asking_again_settles_it(
    breakable_log: Log, storage: BreakableStorage, engine: Engine
) -> None:
    storage.fail_at = "gone"
    with pytest.raises(LogUnavailable, match="not known"):
        breakable_log.append(new_entry(1000), remember_seven)
    storage.gone = False
    again = breakable_log.append(new_entry(1000), remember_seven)
    assert (again.index, again.duplicate) == (300, True)
    assert facts(engine) == [(7, 300)]


def test_a_batch_is_recorded_whole_or_not_at_all(breakable_log: Log, storage: BreakableStorage) -> None:
    batch = [new_entry(number) for number in range(1000, 1600)]
    storage.fail_at = "add_head"
    with pytest.raises(LogUnavailable):
        breakable_log.append_many(batch)
    assert breakable_log.head()[0] == 300
    storage.fail_at = "commit-kept"
    assert [one.index for one in breakable_log.append_many(batch)] == list(range(300, 900))


def test_a_second_head_after_the_same_one_is_refused(breakable_log: Log, storage: BreakableStorage) -> None:
    with pytest.raises(ForkDetected, match="from size 0"), storage.writing() as writer:
        writer.add_head(Head(301, 0, bytes(32), 0))


def test_a_log_whose_head_is_not_the_one_of_its_entries_does_not_open(
    breakable_log: Log, storage: BreakableStorage, engine: Engine, signer: NoteSigner
) -> None:
    with storage.writing() as writer:
        writer.add_head(Head(301, 300, bytes(32), 0))
    with pytest.raises(StorageError, match="entries are missing"):
        Log.open(engine, origin=ORIGIN, signer=signer)
    with pytest.raises(StorageError, match="entries are missing"):
        breakable_log.append(new_entry(5000))


class BusyStorage(SqlLogStorage):
    """After each read, somebody else has appended an entry and published a checkpoint of it."""

    def __init__(self, engine: Engine, other: Log) -> None:
        super().__init__(engine)
        self._other = other
        self._numbers = itertools.count()

    @contextmanager
    def reading(self) -> Iterator[SqlReader]:
        with super().reading() as reader:
            yield reader
        appended = self._other.append(new_entry(next(self._numbers)))
        self._other.checkpoint(at_least=appended.size)


def test_a_log_opens_while_another_process_appends_and_publishes(engine: Engine, signer: NoteSigner) -> None:
    other = Log.open(engine, origin=ORIGIN, signer=signer)
    other.append(new_entry(1_000))
    other.checkpoint(at_least=1)
    opened = Log.open(engine, origin=ORIGIN, signer=signer, storage=BusyStorage(engine, other))
    assert opened.head()[0] > 1


def test_a_log_rolled_back_behind_its_published_checkpoint_does_not_open(
    log: Log, engine: Engine, signer: NoteSigner
) -> None:
    checkpoint = log.append(new_entry(1)).checkpoint
    log.append_many([new_entry(2)])
    log.checkpoint(at_least=2)

    class RolledBack(SqlLogStorage):
        @contextmanager
        def reading(self) -> Iterator[SqlReader]:
            with super().reading() as reader:
                reader.head = lambda: Head(1, 0, checkpoint.checkpoint.root, 0)  # type: ignore[method-assign]
                yield reader

    with pytest.raises(ForkDetected, match="was published but"):
        Log.open(engine, origin=ORIGIN, signer=signer, storage=RolledBack(engine))


def test_a_checkpoint_asked_for_in_a_group_that_failed_is_published_by_the_recovery(
    breakable_log: Log, storage: BreakableStorage
) -> None:
    breakable_log.append(new_entry(1000))
    storage.fail_at = "add_checkpoint"
    assert breakable_log.checkpoint(at_least=301).checkpoint.size == 301


def test_an_entry_that_another_process_recorded_meanwhile_is_not_taken_for_ones_own(
    engine: Engine, signer: NoteSigner
) -> None:
    other = Log.open(engine, origin=ORIGIN, signer=signer)

    class Overtaken(SqlLogStorage):
        """Loses one commit; before anybody looks what became of it, another process records the same statement."""

        loses = overtaken = False

        @contextmanager
        def writing(self) -> Iterator[Any]:
            if self.overtaken:
                self.overtaken = False
                other.append(new_entry(1000))
            with super().writing() as writer:
                yield writer
                if self.loses:
                    self.loses, self.overtaken = False, True
                    raise database_failure()

    storage = Overtaken(engine)
    log = Log.open(engine, origin=ORIGIN, signer=signer, storage=storage)
    log.append(new_entry(1))
    storage.loses = True
    appended = log.append(new_entry(1000), remember_seven)
    assert (appended.index, appended.duplicate, appended.result) == (1, True, None)
    assert facts(engine) == []
