"""One log in two places: copies that grow apart, writers without the lock, a database put back to yesterday."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import Engine, make_url
from sqlalchemy.exc import OperationalError

from ledger.audit import FaultCode, audit
from ledger.checkpoint import open_checkpoint
from ledger.errors import AcknowledgedLost, ForkDetected, LogReadOnly, LogUnavailable, StorageError
from ledger.log import Log
from ledger.mark.adoption import adopt, assess, read_word
from ledger.mark.high_water import HighWaterMark, MarkState
from ledger.note import NoteSigner
from ledger.own import StatementSigner
from ledger.storage.engine import begin_write, create_database_engine
from ledger.storage.interface import Head
from ledger.storage.sql import SqlLogStorage, SqlWriter
from tests.databases import Databases
from tests.faults.evidence import Evidence
from tests.faults.log_appender import remember
from tests.log_builders import ORIGIN, facts, new_entry


@dataclass
class Copies:
    """Makes copies of a log's database as a split network or a restore does: behind the back of the log."""

    databases: Databases
    directory: Path

    def copy(self, url: str) -> str:
        """Give the URL of a copy of a database that nobody has open."""
        if url.startswith("sqlite"):
            target = self.directory / "copy.db"
            shutil.copy(str(make_url(url).database), target)
            return f"sqlite:///{target}"
        server = self.databases.postgresql
        return server.url(server.create_database(template=make_url(url).database))

    def put_back(self, url: str, backup: str) -> None:
        """Replace a database by its copy."""
        if url.startswith("sqlite"):
            for leftover in ("-wal", "-shm"):
                Path(f"{make_url(url).database}{leftover}").unlink(missing_ok=True)
            shutil.copy(str(make_url(backup).database), str(make_url(url).database))
            return
        server, name = self.databases.postgresql, make_url(url).database
        server.drop_database(str(name))
        server.execute(f"CREATE DATABASE {name} TEMPLATE {make_url(backup).database}")


@pytest.fixture
def copies(databases: Databases, tmp_path: Path) -> Copies:
    return Copies(databases, tmp_path)


@contextmanager
def opened(url: str, signer: NoteSigner, mark: Path | None = None) -> Iterator[tuple[Engine, Log]]:
    """Open a log and let go of its database afterwards."""
    engine = create_database_engine(url, durable=False)
    high_water = None if mark is None else HighWaterMark(mark, origin=ORIGIN)
    try:
        yield engine, Log.open(engine, origin=ORIGIN, signer=signer, high_water=high_water)
    finally:
        engine.dispose()


@pytest.fixture
def signer() -> NoteSigner:
    return NoteSigner.generate(ORIGIN)


def append(log: Log, *numbers: int) -> str:
    """Append entries and give the note of the last acknowledgement."""
    return [log.append(new_entry(number), remember(number)) for number in numbers][-1].checkpoint.note_text


def test_two_halves_of_a_split_network_sign_checkpoints_that_contradict_each_other_and_the_audit_names_it(
    log_url: str, copies: Copies, signer: NoteSigner
) -> None:
    with opened(log_url, signer) as (_, log):
        common = append(log, *range(300))
    other_url = copies.copy(log_url)
    notes: dict[str, str] = {}
    for url, numbers in ((log_url, (1_000, 1_001)), (other_url, (2_000, 2_001))):
        with opened(url, signer) as (engine, log):
            notes[url] = append(log, *numbers)
            assert audit(engine, signer.verifier, known_checkpoints=[common, notes[url]]).faults == []
    here, there = (open_checkpoint(notes[url], signer.verifier).checkpoint for url in (log_url, other_url))
    assert here.size == there.size == 302
    assert here.root != there.root
    for url, known in ((log_url, notes[other_url]), (other_url, notes[log_url])):
        with opened(url, signer) as (engine, _):
            report = audit(engine, signer.verifier, known_checkpoints=[common, known])
        assert [(fault.code, fault.where) for fault in report.faults] == [
            (FaultCode.CHECKPOINT_ROOT, "known checkpoint 2")
        ]


def test_a_half_that_is_shorter_than_what_the_other_signed_is_called_cut_back(
    log_url: str, copies: Copies, signer: NoteSigner
) -> None:
    with opened(log_url, signer) as (_, log):
        append(log, *range(10))
    other_url = copies.copy(log_url)
    with opened(other_url, signer) as (_, log):
        known = append(log, 2_000, 2_001, 2_002)
    with opened(log_url, signer) as (engine, log):
        append(log, 1_000)
        report = audit(engine, signer.verifier, known_checkpoints=[known])
    assert [(fault.code, fault.where) for fault in report.faults] == [
        (FaultCode.CHECKPOINT_AHEAD, "known checkpoint 1")
    ]


def test_of_two_halves_that_share_a_high_water_mark_only_one_goes_on(
    log_url: str, copies: Copies, signer: NoteSigner, tmp_path: Path
) -> None:
    mark = tmp_path / "mark"
    with opened(log_url, signer, mark) as (_, log):
        append(log, *range(10))
    other_url = copies.copy(log_url)
    with opened(log_url, signer, mark) as (_, here), opened(other_url, signer, mark) as (engine, there):
        append(here, 1_000)
        with pytest.raises(LogReadOnly, match="has only 10"):
            append(there, 2_000)
        assert there.head()[0] == 10
        assert [number for number, _ in facts(engine)] == list(range(10))
        append(here, 1_001)
    with opened(other_url, signer, mark) as (_, there):
        finding = there.finding()
        assert finding is not None
        assert finding.state is MarkState.AHEAD


def test_a_half_that_grew_in_secret_beside_the_mark_is_refused_by_it(
    log_url: str, copies: Copies, signer: NoteSigner, tmp_path: Path
) -> None:
    """The other half ran without the mark, so both have entries that the other has not: no size gives it away."""
    mark = tmp_path / "mark"
    with opened(log_url, signer, mark) as (_, log):
        append(log, *range(10))
    other_url = copies.copy(log_url)
    with opened(other_url, signer) as (_, there):
        append(there, 2_000, 2_001, 2_002)
    with opened(log_url, signer, mark) as (_, here):
        append(here, 1_000, 1_001)
    with opened(other_url, signer, mark) as (_, there):
        with pytest.raises(LogReadOnly, match="another history"):
            append(there, 2_003)
        assert there.head()[0] == 13


def test_a_half_that_grew_in_secret_is_not_let_on_by_those_who_only_read(
    log_url: str, copies: Copies, signer: NoteSigner, tmp_path: Path
) -> None:
    """Showing a checkpoint moves the mark; it must not move one that the log contradicts."""
    mark = tmp_path / "mark"
    with opened(log_url, signer, mark) as (_, log):
        append(log, *range(10))
    other_url = copies.copy(log_url)
    with opened(other_url, signer) as (_, there):
        append(there, *range(2_000, 2_007))
        there.checkpoint(at_least=17)
    with opened(log_url, signer, mark) as (_, here):
        append(here, 1_000, 1_001, 1_002)
    before = mark.read_bytes()
    with opened(other_url, signer, mark) as (_, there):
        assert there.checkpoint().checkpoint.size == 17, "who only asks is answered"
        assert there.published() is not None
        assert state_of(there) is MarkState.CONTRADICTS
        with pytest.raises(LogReadOnly, match="another history"):
            append(there, 2_900)
    assert mark.read_bytes() == before


def test_a_server_whose_mark_was_ahead_of_a_database_put_back_does_not_forget_it(
    log_url: str, copies: Copies, signer: NoteSigner, tmp_path: Path
) -> None:
    """Two servers, a mark each. The second has not seen the last entries, so it goes on; the first must not."""
    first, second = tmp_path / "first", tmp_path / "second"
    with opened(log_url, signer, first) as (_, log):
        append(log, *range(5))
        shutil.copy(first, second)
    other_url = copies.copy(log_url)
    with opened(log_url, signer, first) as (_, log):
        append(log, 10, 11, 12)
    with opened(other_url, signer, first) as (_, here), opened(other_url, signer, second) as (_, there):
        assert state_of(here) is MarkState.AHEAD
        append(there, *range(50, 55))
        there.checkpoint(at_least=10)
        for _ in range(2):
            assert state_of(here) is MarkState.CONTRADICTS
            assert here.published() is not None
        with pytest.raises(LogReadOnly, match="another history"):
            append(here, 99)


@pytest.mark.parametrize("late", [1, 12])
def test_a_half_that_was_let_in_before_the_other_acknowledged_is_not_acknowledged(
    log_url: str, copies: Copies, signer: NoteSigner, tmp_path: Path, late: int
) -> None:
    """Both looked at the mark before either moved it: who moves it second finds it moved by another history."""
    mark = tmp_path / "mark"
    with opened(log_url, signer, mark) as (_, log):
        append(log, *range(10))
    other_url = copies.copy(log_url)
    with opened(log_url, signer, mark) as (_, here), opened(other_url, signer, mark) as (_, there):
        inside, go_on = threading.Event(), threading.Event()
        refused: list[Exception] = []

        def wait(_connection: Any, _index: int) -> None:
            inside.set()
            assert go_on.wait(30)

        def overtaken() -> None:
            try:
                there.append(new_entry(2_000), wait)
            except LogUnavailable as error:
                refused.append(error)

        thread = threading.Thread(target=overtaken)
        thread.start()
        assert inside.wait(30)
        append(here, *range(1_000, 1_000 + late))
        go_on.set()
        thread.join(30)
        assert len(refused) == 1
        assert state_of(here) is MarkState.OK
        assert state_of(there) in {MarkState.AHEAD, MarkState.CONTRADICTS}
        with pytest.raises(LogReadOnly):
            append(there, 2_001)
        append(here, 1_900)


@pytest.mark.parametrize("grown", [400, 2_000], ids=["read-entry-by-entry", "loaded-afresh"])
def test_a_database_exchanged_under_a_running_log_is_refused_as_often_as_it_is_tried(
    log_url: str, copies: Copies, signer: NoteSigner, tmp_path: Path, grown: int
) -> None:
    mark = tmp_path / "mark"
    with opened(log_url, signer, mark) as (_, log):
        append(log, *range(300))
    other_url = copies.copy(log_url)
    with opened(other_url, signer) as (_, there):
        there.append_many([new_entry(number) for number in range(5_000, 5_000 + grown)])
        there.checkpoint(at_least=300 + grown)
        root = there.root_at(300 + grown)
        tiles = [there.tile(0, at, 256) for at in range((300 + grown) // 256)]
    with opened(log_url, signer, mark) as (engine, log):
        append(log, 1_000, 1_001, 1_002)
        log.append_many([new_entry(number) for number in range(20_000, 20_300)])
        assert len(log.tile(0, 1, 256)) == 8_192, "kept in memory"
        before = mark.read_bytes()
        engine.dispose()
        copies.put_back(log_url, other_url)
        for number in (50_000, 50_001, 50_002):
            with pytest.raises((LogReadOnly, ForkDetected, StorageError)):
                append(log, number)
        assert state_of(log) in {MarkState.AHEAD, MarkState.CONTRADICTS}
        assert log.published() is not None
        assert mark.read_bytes() == before
        assert log.head() == (300 + grown, root), "what is there now is what is shown"
        assert [log.tile(0, at, 256) for at in range((300 + grown) // 256)] == tiles
        engine.dispose()


def state_of(log: Log) -> MarkState:
    finding = log.finding()
    assert finding is not None
    return finding.state


REFUSALS = (LogUnavailable, ForkDetected, OperationalError)
"""How an overtaken writer fails; the last comes from the statement of its caller, if that is the first to collide."""


class Unlocked(SqlLogStorage):
    """The storage without the lock of the log: an ordinary transaction, as a careless second program would use."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine)
        self.after_head: Any = lambda: None

    @contextmanager
    def writing(self) -> Iterator[Any]:
        with begin_write(self._engine) if self._engine.dialect.name != "sqlite" else self._engine.begin() as connection:
            writer = SqlWriter(connection, self._statements)
            read_head = writer.head

            def head() -> Head | None:
                found = read_head()
                then, self.after_head = self.after_head, lambda: None
                then()
                return found

            writer.head = head  # type: ignore[method-assign]
            yield writer


def test_a_writer_without_the_lock_that_was_overtaken_is_refused(log_url: str, signer: NoteSigner) -> None:
    with opened(log_url, signer) as (engine, log):
        append(log, *range(10))
        storage = Unlocked(engine)
        careless = Log.open(engine, origin=ORIGIN, signer=signer, storage=storage)
        for round_number in range(5):
            storage.after_head = lambda number=round_number: append(log, 1_000 + number)
            with pytest.raises(REFUSALS):
                append(careless, 2_000 + round_number)
            assert log.head()[0] == 11 + 2 * round_number
            append(careless, 3_000 + round_number)  # it goes on from where the log is now
        assert audit(engine, signer.verifier).faults == []


def test_many_writers_without_the_lock_make_no_fork(log_url: str) -> None:
    evidence = Evidence(log_url, durable=False)
    engine = create_database_engine(log_url, durable=False)
    refused = []

    def work(first: int) -> None:
        log = Log.open(engine, origin=ORIGIN, signer=evidence.signer, storage=Unlocked(engine))
        for number in range(first, first + 25):
            while True:
                try:
                    appended = log.append(new_entry(number), remember(number))
                    break
                except REFUSALS as error:
                    refused.append(error)
            with lock:
                evidence.take(number, appended)

    lock = threading.Lock()
    workers = [threading.Thread(target=work, args=(first * 1_000,)) for first in range(1, 5)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(120)
        assert not worker.is_alive()
    engine.dispose()
    assert evidence.check() == 100 == len(evidence.places)
    assert refused, "the writers never met, so nothing was shown"


@pytest.mark.postgresql
@pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True)
def test_the_second_of_two_heads_written_side_by_side_is_refused(log_url: str, signer: NoteSigner) -> None:
    """Both transactions have seen the same head: the second waits for the first to end, and is then refused."""
    with opened(log_url, signer) as (engine, log):
        append(log, *range(10))
        storage, refusals = Unlocked(engine), []
        written = threading.Event()

        def second() -> None:
            try:
                with storage.writing() as writer:
                    written.set()
                    writer.add_head(Head(12, 10, bytes(32), 0))
            except ForkDetected as error:
                refusals.append(error)

        with storage.writing() as writer:
            writer.add_head(Head(11, 10, bytes(32), 0))
            rival = threading.Thread(target=second)
            rival.start()
            assert written.wait(30)
        rival.join(30)
        assert ["from size 10" in error.message for error in refusals] == [True]


def test_a_database_put_back_to_yesterday_takes_no_entries_until_it_is_adopted(
    log_url: str, copies: Copies, signer: NoteSigner, tmp_path: Path
) -> None:
    mark = tmp_path / "mark"
    with opened(log_url, signer, mark) as (_, log):
        append(log, *range(300))
        log.checkpoint(at_least=300)
    yesterday = copies.copy(log_url)
    with opened(log_url, signer, mark) as (_, log):
        receipt = append(log, *range(300, 320))
    copies.put_back(log_url, yesterday)
    with opened(log_url, signer, mark) as (engine, log):
        for number in (1_000, 319, 5):  # a new statement, one that was lost, one that was not
            with pytest.raises(LogReadOnly, match="320 entries were acknowledged, but the database has only 300"):
                log.append(new_entry(number), remember(number))
        with pytest.raises(LogReadOnly):
            log.append_many([new_entry(1_000)])
        assert log.head()[0] == 300
        assert log.checkpoint().checkpoint.size == 300, "what there is can still be shown"
        assert log.prove(5, 300)
        assert audit(engine, signer.verifier).faults == [], "the database alone can not tell"
        assert [fault.code for fault in audit(engine, signer.verifier, known_checkpoints=[receipt]).faults] == [
            FaultCode.CHECKPOINT_AHEAD
        ]
    with opened(log_url, signer, mark) as (_, log), pytest.raises(LogReadOnly):
        append(log, 1_000)  # a new start changes nothing
    adopt_yesterday(log_url, signer, mark, receipt)


def adopt_yesterday(url: str, signer: NoteSigner, mark_file: Path, receipt: str) -> None:
    """Go on with what is left, as a person who accepts the loss; the log says so, and others still see the loss."""
    mark = HighWaterMark(mark_file, origin=ORIGIN)
    with opened(url, signer, mark_file) as (engine, closed), opened(url, signer) as (_, log):
        finding = closed.finding()
        assert finding is not None
        assessment = assess(log, finding, [read_word("a client", receipt, log.keys(), ORIGIN)])
        assert assessment.lost == 20
        statements = StatementSigner("registry-1", Ed25519PrivateKey.generate())
        with pytest.raises(AcknowledgedLost):
            adopt(assessment, log=log, mark=mark, engine=engine, signer=statements, reason="Yesterday's backup.")
        stated = adopt(
            assessment,
            log=log,
            mark=mark,
            engine=engine,
            signer=statements,
            reason="Yesterday's backup.",
            accept_loss=True,
        )
        assert stated is not None
        assert stated.index == 300
        known = [receipt, stated.checkpoint.note_text]
    with opened(url, signer, mark_file) as (engine, log):
        again = append(log, 319)  # a statement that was lost gets another place, under another history
        assert open_checkpoint(again, signer.verifier).checkpoint.size == 302
        report = audit(engine, signer.verifier, known_checkpoints=known)
        assert [(fault.code, fault.where) for fault in report.faults] == [
            (FaultCode.CHECKPOINT_AHEAD, "known checkpoint 1")
        ], "the receipt of yesterday must stay a witness of the loss"
