"""A log and its high-water mark: nothing is acknowledged that it does not know, nothing follows what it denies."""

from __future__ import annotations

import errno
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import Engine

from ledger.audit import audit
from ledger.edge import Edge
from ledger.errors import LogReadOnly, LogUnavailable
from ledger.log import Log
from ledger.mark.high_water import HighWaterMark, MarkState
from ledger.note import NoteSigner
from ledger.storage.engine import create_database_engine
from ledger.storage.interface import LogReader
from ledger.storage.sql import SqlLogStorage, SqlWriter
from tests.databases import Databases
from tests.log_builders import ORIGIN, Clock, new_entry, prepare_log_database


@pytest.fixture
def mark(tmp_path: Path) -> HighWaterMark:
    return HighWaterMark(tmp_path / "outside" / "mark", origin=ORIGIN)


Open = Callable[[], Log]


@pytest.fixture
def reopen(engine: Engine, signer: NoteSigner, clock: Clock, mark: HighWaterMark) -> Open:
    """Opens the log as a new process would."""

    def open_log() -> Log:
        return Log.open(
            engine, origin=ORIGIN, signer=signer, clock=clock, high_water=HighWaterMark(mark.path, origin=ORIGIN)
        )

    return open_log


def marked(mark: HighWaterMark) -> int:
    found = mark.read()
    assert found is not None
    return found.size


def state(log: Log) -> MarkState:
    found = log.finding()
    assert found is not None
    return found.state


def test_what_is_acknowledged_is_in_the_mark(reopen: Open, mark: HighWaterMark) -> None:
    log = reopen()
    assert marked(mark) == 0
    for number in range(5):
        appended = log.append(new_entry(number))
        assert marked(mark) >= appended.size
    log.append_many([new_entry(number) for number in range(5, 300)])
    assert marked(mark) == 300
    assert state(log) is MarkState.OK


def test_a_log_without_a_mark_has_no_finding(log: Log) -> None:
    log.append(new_entry(1))
    assert log.finding() is None


def test_a_group_whose_mark_can_not_be_written_is_not_acknowledged(
    reopen: Open, mark: HighWaterMark, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = reopen()
    log.append(new_entry(0))

    def full(*_arguments: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fdatasync", full)
        for number in (1, 2, 2):
            with pytest.raises(LogUnavailable, match="No space left"):
                log.append(new_entry(number))
        assert log.head()[0] == 2, "after the first refusal nothing more is committed"
        with pytest.raises(LogUnavailable, match="No space left"):
            log.append(new_entry(0))
        assert log.entry(0).body is not None, "what is recorded can be read"
    assert marked(mark) == 1
    again = log.append(new_entry(1))
    assert (again.index, again.duplicate) == (1, True)
    assert log.append(new_entry(2)).index == 2
    assert marked(mark) == 3


def test_a_log_whose_mark_is_missing_answers_and_takes_nothing(
    reopen: Open, mark: HighWaterMark, engine: Engine, signer: NoteSigner
) -> None:
    reopen().append_many([new_entry(number) for number in range(3)])
    checkpoint = reopen().checkpoint()
    mark.path.unlink()
    log = reopen()
    assert state(log) is MarkState.MISSING
    with pytest.raises(LogReadOnly, match="no high-water mark") as refused:
        log.append(new_entry(3))
    assert "ledger adopt" in str(refused.value.fix)
    assert log.checkpoint() == checkpoint
    assert log.prove(1)
    assert log.head()[0] == 3
    assert audit(engine, signer.verifier).ok
    assert not mark.path.exists()
    mark.adopt(*log.head())
    assert log.append(new_entry(3)).index == 3, "the running process goes on"


def test_a_database_put_back_to_an_earlier_state_can_not_be_forked(
    databases: Databases, tmp_path: Path, signer: NoteSigner, mark: HighWaterMark
) -> None:
    url = databases.copy_of("log", prepare_log_database, "sqlite", tmp_path)
    path = Path(url.removeprefix("sqlite:///"))

    def open_log() -> Log:
        engine = create_database_engine(url)
        opened.append(engine)
        return Log.open(engine, origin=ORIGIN, signer=signer, high_water=HighWaterMark(mark.path, origin=ORIGIN))

    opened: list[Engine] = []
    open_log().append_many([new_entry(number) for number in range(3)])
    opened.pop().dispose()
    shutil.copy(path, tmp_path / "yesterday.db")
    open_log().append(new_entry(3))
    opened.pop().dispose()
    shutil.copy(tmp_path / "yesterday.db", path)
    log = open_log()
    assert state(log) is MarkState.AHEAD
    for number in (0, 4):
        with pytest.raises(LogReadOnly, match="4 entries were acknowledged, but the database has only 3"):
            log.append(new_entry(number))
    assert log.head()[0] == 3
    opened.pop().dispose()


def test_a_log_that_was_forked_without_its_mark_is_another_history(
    reopen: Open, mark: HighWaterMark, engine: Engine, signer: NoteSigner, tmp_path: Path
) -> None:
    reopen().append(new_entry(0))
    other = tmp_path / "other"
    shutil.copy(mark.path, other)
    reopen().append(new_entry(1))
    theirs = HighWaterMark(other, origin=ORIGIN)
    theirs.advance(2, bytes(32), reopen().root_at)
    for size in (2, 3):
        log = Log.open(engine, origin=ORIGIN, signer=signer, high_water=HighWaterMark(other, origin=ORIGIN))
        assert state(log) is MarkState.CONTRADICTS
        with pytest.raises(LogReadOnly, match="another history"):
            log.append(new_entry(9))
        assert log.head()[0] == size
        reopen().append(new_entry(size))


def test_a_database_swapped_under_a_running_log_is_noticed_by_the_next_group(
    databases: Databases, tmp_path: Path, signer: NoteSigner, mark: HighWaterMark
) -> None:
    """The log's memory is dropped on the way, as after any failure: only the mark remembers."""
    old, new = tmp_path / "old", tmp_path / "new"
    for folder in (old, new):
        folder.mkdir()
    engines = [
        create_database_engine(databases.copy_of("log", prepare_log_database, "sqlite", folder))
        for folder in (old, new)
    ]
    Log.open(engines[1], origin=ORIGIN, signer=signer, high_water=mark).append_many([new_entry(0), new_entry(1)])
    log = Log(engines[0], origin=ORIGIN, signer=signer, high_water=mark)
    with pytest.raises(LogReadOnly, match="2 entries were acknowledged, but the database has only 0"):
        log.append(new_entry(7))
    for engine in engines:
        engine.dispose()


def test_entries_committed_by_a_process_that_died_before_the_mark_do_no_harm(
    reopen: Open, mark: HighWaterMark, log: Log
) -> None:
    reopen().append(new_entry(0))
    log.append(new_entry(1))  # without the mark: as if killed between COMMIT and the mark
    assert marked(mark) == 1
    after = reopen()
    assert state(after) is MarkState.OK
    assert after.append(new_entry(1)).duplicate
    assert marked(mark) == 2, "an acknowledgement, also of what was there, moves the mark first"


class AnswerLost(SqlLogStorage):
    """A database that commits and whose answer then gets lost, once."""

    lose = False

    @contextmanager
    def writing(self) -> Iterator[SqlWriter]:
        with super().writing() as writer:
            yield writer
        if self.lose:
            self.lose = False
            raise ConnectionError("the answer to COMMIT did not come")


def test_a_commit_whose_answer_was_lost_is_acknowledged_only_with_its_mark(
    engine: Engine, signer: NoteSigner, mark: HighWaterMark, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = AnswerLost(engine)
    log = Log.open(engine, origin=ORIGIN, signer=signer, storage=storage, high_water=mark)
    storage.lose = True
    assert log.append(new_entry(0)).index == 0
    assert marked(mark) == 1

    def broken(*_arguments: object) -> int:
        raise OSError(errno.EIO, "Input/output error")

    storage.lose = True
    with monkeypatch.context() as patch:
        patch.setattr(os, "fdatasync", broken)
        with pytest.raises(LogUnavailable):
            log.append(new_entry(1))
    assert (marked(mark), log.head()[0]) == (1, 2)
    assert log.append(new_entry(1)).duplicate
    assert marked(mark) == 2


def test_a_published_checkpoint_that_is_shown_is_in_the_mark(reopen: Open, mark: HighWaterMark, log: Log) -> None:
    reopen().append(new_entry(0))
    log.append(new_entry(1))
    published = log.checkpoint(at_least=2)
    assert marked(mark) == 1
    assert reopen().checkpoint(at_least=2) == published
    assert marked(mark) == 2
    log.append(new_entry(2))
    log.checkpoint(at_least=3)
    assert reopen().published() is not None
    assert marked(mark) == 3


@pytest.fixture
def second_engine(log_database_url: str) -> Iterator[Engine]:
    engine = create_database_engine(log_database_url, durable=False)
    yield engine
    engine.dispose()


def test_two_processes_with_one_mark_go_on_together(
    reopen: Open, second_engine: Engine, signer: NoteSigner, mark: HighWaterMark
) -> None:
    logs = [
        reopen(),
        Log.open(second_engine, origin=ORIGIN, signer=signer, high_water=HighWaterMark(mark.path, origin=ORIGIN)),
    ]
    failures: list[BaseException] = []

    def work(log: Log, first: int) -> None:
        try:
            for number in range(first, 160, 4):
                assert marked(mark) <= log.append(new_entry(number)).size + 200
        except BaseException as error:
            failures.append(error)
            raise

    threads = [threading.Thread(target=work, args=(logs[first % 2], first)) for first in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert marked(mark) == logs[0].head()[0] == 160
    assert [state(log) for log in logs] == [MarkState.OK] * 2


def test_a_group_of_one_process_reads_no_root_again(
    reopen: Open, mark: HighWaterMark, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = reopen()
    log.append_many([new_entry(number) for number in range(300)])
    read: list[int] = []
    real = Edge.root_at

    def counted(edge: Edge, size: int, reader: LogReader) -> bytes:
        read.append(size)
        return real(edge, size, reader)

    monkeypatch.setattr(Edge, "root_at", counted)
    for number in range(300, 600):
        log.append(new_entry(number))
    assert read == []
    mark.adopt(290, log.root_at(290))
    log.append(new_entry(600))
    assert read == [290], "a mark that is not known is compared, once"
