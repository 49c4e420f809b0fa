"""The database under the log: append-only by its own guards, exclusive writers, savepoints, forks."""

from __future__ import annotations

import multiprocessing
import threading
import time
from typing import Any

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from ledger.log import Log
from ledger.storage.engine import begin_write
from ledger.storage.sql import SqlLogStorage
from ledger.storage.tables import APPEND_ONLY_TABLES
from tests.log_builders import new_entry

CHANGES = {
    "ledger_entries": "UPDATE ledger_entries SET body = salt",
    "ledger_tags": 'UPDATE ledger_tags SET "index" = 1',
    "ledger_tiles": "UPDATE ledger_tiles SET level = 3",
    "ledger_heads": "UPDATE ledger_heads SET time = 1",
    "ledger_checkpoints": "UPDATE ledger_checkpoints SET note = 'x'",
    "ledger_cosignatures": "UPDATE ledger_cosignatures SET line = 'x'",
    "ledger_erasures": "UPDATE ledger_erasures SET erased_by = 9",
    "ledger_map_heads": "UPDATE ledger_map_heads SET time = 1",
    "ledger_freezes": "UPDATE ledger_freezes SET time = 1",
    "ledger_alarms": "UPDATE ledger_alarms SET detail = 'x'",
    "ledger_audits": "UPDATE ledger_audits SET ok = 1",
}
ROWS = {
    "ledger_cosignatures": "(1, 2, '-', 3)",
    "ledger_erasures": "(1, 2)",
    "ledger_map_heads": "(1, :root, 2, 3)",
    "ledger_freezes": "(259, 3)",
    "ledger_alarms": "(1, 2, 'fork', '-', '-')",
    "ledger_audits": "(1, 2, 'full', 3, 0, '{}')",
}
"""One row each for the tables that an ordinary log leaves empty: SQLite's guards fire for rows."""


@pytest.fixture
def filled(log: Log) -> Log:
    log.append_many([new_entry(number) for number in range(260)])
    log.checkpoint()
    return log


@pytest.fixture
def crowded(filled: Log, engine: Engine) -> None:
    with begin_write(engine) as connection:
        for table, row in ROWS.items():
            values = {"root": bytes(32)} if ":root" in row else {}
            connection.execute(text(f"INSERT INTO {table} VALUES {row}"), values)  # noqa: S608


def test_every_table_of_the_ledger_is_guarded() -> None:
    assert set(CHANGES) == set(APPEND_ONLY_TABLES)


@pytest.mark.parametrize("table", sorted(CHANGES))
def test_the_database_refuses_to_change_a_row(crowded: None, engine: Engine, table: str) -> None:
    with pytest.raises(DBAPIError, match=f"{table} is append-only: UPDATE refused"), begin_write(engine) as connection:
        connection.execute(text(CHANGES[table]))


@pytest.mark.parametrize("table", sorted(CHANGES))
def test_the_database_refuses_to_remove_a_row(crowded: None, engine: Engine, table: str) -> None:
    with pytest.raises(DBAPIError, match=f"{table} is append-only: DELETE refused"), begin_write(engine) as connection:
        connection.execute(text(f"DELETE FROM {table}"))  # noqa: S608 -- a name of this module


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
@pytest.mark.parametrize("table", sorted(CHANGES))
def test_sqlite_refuses_to_replace_a_row(crowded: None, engine: Engine, table: str) -> None:
    """REPLACE removes the old row without firing its delete trigger."""
    with pytest.raises(DBAPIError, match="append-only"), begin_write(engine) as connection:
        connection.execute(text(f"REPLACE INTO {table} SELECT * FROM {table} LIMIT 1"))  # noqa: S608


@pytest.mark.postgresql
@pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True)
@pytest.mark.parametrize("table", sorted(CHANGES))
def test_postgresql_refuses_to_truncate(crowded: None, engine: Engine, table: str) -> None:
    with (
        pytest.raises(DBAPIError, match=r"TRUNCATE refused|referenced in a foreign key"),
        begin_write(engine) as connection,
    ):
        connection.execute(text(f"TRUNCATE {table}"))


def test_a_savepoint_undoes_its_part_and_leaves_the_rest(engine: Engine) -> None:
    with begin_write(engine) as connection:
        connection.execute(text("INSERT INTO facts VALUES (1, 1)"))
        savepoint = connection.begin_nested()
        connection.execute(text("INSERT INTO facts VALUES (2, 2)"))
        savepoint.rollback()
    with engine.connect() as connection:
        assert connection.execute(text("SELECT number FROM facts")).scalars().all() == [1]


def test_a_failing_block_leaves_nothing(engine: Engine) -> None:
    def fail() -> None:
        with begin_write(engine) as connection:
            connection.execute(text("INSERT INTO facts VALUES (1, 1)"))
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    with engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM facts")).scalar() == 0


def test_writers_of_the_log_exclude_each_other(engine: Engine) -> None:
    storage = SqlLogStorage(engine)
    inside: list[int] = []
    overlaps: list[int] = []

    def work(number: int) -> None:
        with storage.writing():
            inside.append(number)
            time.sleep(0.01)
            overlaps.append(len(inside))
            inside.remove(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert overlaps == [1] * 6


def test_a_reader_sees_one_state_while_a_writer_commits(log: Log, engine: Engine) -> None:
    log.append(new_entry(1))
    with SqlLogStorage(engine).reading() as reader:
        before = reader.head()
        log.append(new_entry(2))
        assert reader.head() == before


def _append_in_child(log: Log, number: int, answers: Any) -> None:
    answers.put((log.append(new_entry(number)).index, log.head()[0]))


def test_a_forked_process_appends_on_connections_of_its_own(log: Log) -> None:
    log.append(new_entry(1))
    context = multiprocessing.get_context("fork")
    answers = context.Queue()
    child = context.Process(target=_append_in_child, args=(log, 2, answers))
    child.start()
    assert answers.get(timeout=20) == (1, 2)
    child.join()
    assert child.exitcode == 0
    assert log.append(new_entry(3)).index == 2
