"""Migrations on both databases: complete, in step with the models, and with the guards of what is append-only."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic import command
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, Executable, Table, TextClause, delete, func, inspect, select, text, update
from sqlalchemy.exc import DatabaseError

from app.core.bootstrap import MIGRATIONS, SchemaOutdated, alembic_config, check_database, migrate, open_services
from app.core.config import Settings
from app.core.database import Base
from ledger.storage.engine import create_database_engine
from ledger.storage.tables import APPEND_ONLY_TABLES
from ledger.storage.tables import metadata as ledger_metadata
from tests.databases import Databases
from tests.serving import run_command

GUARDED = (*APPEND_ONLY_TABLES, "events", "event_units", "scan_commitments", "scan_redactions")
KEY = bytes(range(32))

ROWS = {
    "ledger_entries": '("index", statement_key, salt, body) VALUES (0, 1, :salt, :salt)',
    "ledger_tags": '(tag, "index") VALUES (:tag, 0)',
    "ledger_tiles": '(level, "index", data) VALUES (0, 0, :tile)',
    "ledger_heads": "(size, prev_size, root, time) VALUES (1, 0, :salt, 1)",
    "ledger_checkpoints": "(size, note, time) VALUES (1, 'note', 1)",
    "ledger_cosignatures": "(size, key_id, line, time) VALUES (1, 1, 'line', 1)",
    "ledger_erasures": '("index", erased_by) VALUES (-1, 0)',
    "ledger_map_heads": "(size, root, entry, time) VALUES (1, :salt, 1, 1)",
    "ledger_freezes": "(entry, time) VALUES (1, 1)",
    "ledger_alarms": "(number, time, kind, detail, evidence) VALUES (1, 1, 'fork', 'x', 'x')",
    "ledger_audits": "(number, time, mode, size, ok, report) VALUES (1, 1, 'full', 1, 1, '{}')",
    "events": (
        "(id, event_id, kind, organisation_id, actor, event_time, record_time, log_index, body) "
        "VALUES (1, 'e', 'sold', 1, 'x', 1, 1, 0, '{}')"
    ),
    "event_units": "(unit_id, event) VALUES (1, 1)",
    "scan_commitments": (
        "(number, log_index, committed_at, size, root, upto, marks) VALUES (1, 1, 1, 1, :salt, '{}', :salt)"
    ),
    "scan_redactions": (
        "(number, log_index, first, last, redacted_at, kept_days, size, root, leaves, marks) "
        "VALUES (1, 1, 1, 1, 1, 1, 1, :salt, :salt, :salt)"
    ),
}


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> Settings:
    """Settings that point to an empty database."""
    return Settings(data_dir=tmp_path, database_url=database_url, key_encryption_key=KEY)


@pytest.fixture
def engine(settings: Settings) -> Iterator[Engine]:
    """The database after every migration, with one row in each guarded table."""
    migrate(settings)
    opened = create_database_engine(settings.effective_database_url)
    with opened.begin() as connection:
        for table in ROWS:
            connection.execute(insertion(table))
    yield opened
    opened.dispose()


def count(engine: Engine, table: str) -> int:
    with engine.connect() as connection:
        return connection.execute(select(func.count()).select_from(table_named(table))).scalar_one()


def table_named(name: str) -> Table:
    return Base.metadata.tables[name] if name in Base.metadata.tables else ledger_metadata.tables[name]


def insertion(table: str, verb: str = "INSERT", more: str = "") -> TextClause:
    """The statement that inserts the table's one row (again)."""
    inserted = text(f"{verb} INTO {table} {ROWS[table]} {more}")
    given = {"salt": bytes(32), "tag": bytes(16), "tile": bytes(8192)}
    return inserted.bindparams(**{name: value for name, value in given.items() if f":{name}" in ROWS[table]})


def refused(engine: Engine, statement: Executable) -> None:
    """The database itself refuses the statement, in words that name the reason."""
    with pytest.raises(DatabaseError, match="append-only"), engine.begin() as connection:
        connection.execute(statement)


def test_an_empty_database_gets_every_table_of_the_models(settings: Settings) -> None:
    migrate(settings)
    engine = create_database_engine(settings.effective_database_url)
    found = set(inspect(engine).get_table_names())
    assert found == {*Base.metadata.tables, *ledger_metadata.tables, "alembic_version"}
    engine.dispose()


def test_models_and_migrations_do_not_differ(settings: Settings) -> None:
    migrate(settings)
    engine = create_database_engine(settings.effective_database_url)
    command.check(alembic_config(engine))
    engine.dispose()


def test_migrating_again_changes_nothing(engine: Engine, settings: Settings) -> None:
    migrate(settings)
    assert {table: count(engine, table) for table in GUARDED} == dict.fromkeys(GUARDED, 1)


def test_the_versions_form_one_line_with_one_head() -> None:
    scripts = ScriptDirectory(str(MIGRATIONS))
    assert len(scripts.get_heads()) == len(scripts.get_bases()) == 1
    assert not any(script.is_branch_point or script.is_merge_point for script in scripts.walk_revisions())


def test_every_guarded_table_is_tried_here() -> None:
    assert set(ROWS) == set(GUARDED)


@pytest.mark.parametrize("table", GUARDED)
def test_a_row_on_the_record_can_be_neither_changed_nor_removed(engine: Engine, table: str) -> None:
    rows = table_named(table)
    for column in rows.columns:
        refused(engine, update(rows).values({column.name: column}))
    refused(engine, delete(rows))
    if engine.dialect.name == "postgresql":
        if table != "ledger_entries":  # PostgreSQL itself refuses: erasures refer to it
            refused(engine, text(f"TRUNCATE {table}"))
        refused(engine, text(f"TRUNCATE {table} CASCADE"))
    assert count(engine, table) == 1


@pytest.mark.parametrize("table", GUARDED)
def test_a_row_on_the_record_cannot_be_replaced_by_an_insertion(engine: Engine, table: str) -> None:
    keys = [f'"{column.name}"' for column in table_named(table).primary_key]
    update_it = f"DO UPDATE SET {keys[0]} = excluded.{keys[0]}"
    refused(engine, insertion(table, more=f"ON CONFLICT ({', '.join(keys)}) {update_it}"))
    if engine.dialect.name == "sqlite":
        refused(engine, insertion(table, "INSERT OR REPLACE"))
        refused(engine, insertion(table, "REPLACE"))
    assert count(engine, table) == 1


@pytest.mark.parametrize("found", [None, "0000", "9999"])
def test_a_database_of_another_version_is_refused_at_start(settings: Settings, found: str | None) -> None:
    migrate(settings)
    engine = create_database_engine(settings.effective_database_url)
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM alembic_version"))
        if found is not None:
            connection.execute(text("INSERT INTO alembic_version VALUES (:found)"), {"found": found})
    engine.dispose()
    ours = r"this program needs .*: run `marchamo migrate`"
    why = ours if found is None else "which this program does not know"
    for start in (check_database, open_services):
        with pytest.raises(SchemaOutdated, match=f"at version {found}, {why}"):
            start(settings)


def test_an_older_database_is_refused_by_serve_and_every_command_that_needs_it(
    database_kind: str, databases: Databases, settings: Settings
) -> None:
    engine = create_database_engine(settings.effective_database_url)
    engine.connect().close()  # SQLite makes the file
    engine.dispose()
    for asked in (("serve",), ("worker",), ("batch", "list", "--organisation", "X")):
        done = run_command(*asked, data_dir=settings.data_dir, database_url=settings.database_url, port=0)
        assert done.returncode == 3
        assert "this program needs" in done.stderr
        assert "run `marchamo migrate`" in done.stderr
        assert "Traceback" not in done.stderr
