"""Make a backup: one state of the database, read while others go on writing."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, inspect, text

from ledger.backup.manifest import (
    DATABASE_FILE,
    BackupFile,
    Manifest,
    Progress,
    hash_file,
    stage,
    sync_folder,
    write_manifest,
)
from ledger.errors import BackupError
from ledger.merkle import EMPTY_ROOT

NOT_COPIED = frozenset({"alembic_version"})
"""Tables that say how far the schema is, which the manifest does in its own words."""

PAGES_A_STEP = 2_048
"""Pages of SQLite copied between two reports of progress: 16 MB."""


def make_backup(
    engine: Engine,
    directory: Path,
    *,
    origin: str,
    schema: str,
    further_files: Mapping[str, Path] | None = None,
    progress: Progress | None = None,
) -> Manifest:
    """Write a backup of the database into `directory`, which must be new or empty; returns its manifest.

    schema: the version of the tables, in the caller's words. further_files: SQLite files that belong to the database,
    by the name each gets in the backup (such as `scans-00.db`); they are copied last, so that they hold whatever the
    entries of the database commit to. Raises BackupError, OSError, or what the database raises.
    """
    report = progress or (lambda _what, _done, _whole: None)
    _claim(directory)
    sequences: dict[str, int] = {}
    if engine.dialect.name == "sqlite":
        sources = {DATABASE_FILE: Path(str(engine.url.database)), **(further_files or {})}
        for name, path in sources.items():
            _copy_sqlite(path, directory / name, report)
        files = [_described(directory / name, report) for name in sources]
        head = _head_of_sqlite(directory / DATABASE_FILE)
    else:
        with engine.connect() as plain:
            snapshot = plain.execution_options(isolation_level="REPEATABLE READ")
            snapshot.execute(text("SET TRANSACTION READ ONLY"))
            head = _head(snapshot)
            files = _copy_tables(snapshot, directory, report)
            sequences = _sequences(snapshot)
    size, root, checkpoint = head
    manifest = Manifest(
        database=engine.dialect.name,
        schema=schema,
        origin=origin,
        size=size,
        root=root,
        checkpoint=checkpoint,
        made_at=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        files=tuple(files),
        sequences=sequences,
    )
    # A crash before this leaves a folder without a manifest, which nobody takes for a backup.
    sync_folder(directory)
    write_manifest(directory, manifest)
    return manifest


def _claim(directory: Path) -> None:
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    if any(directory.iterdir()):
        raise BackupError(f"{directory} is not empty", fix="Name a new folder: a backup never overwrites another.")


def _copy_sqlite(source: Path, target: Path, report: Progress) -> None:
    """Copy a database file by SQLite's online backup. The open read transaction keeps the copy to one state."""
    os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    with (
        closing(sqlite3.connect(f"{source.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)) as reading,
        closing(sqlite3.connect(target, isolation_level=None)) as writing,
    ):
        reading.execute("BEGIN")
        reading.execute(
            "SELECT count(*) FROM sqlite_schema"
        ).fetchone()  # a read transaction begins with its first read
        reading.backup(
            writing,
            pages=PAGES_A_STEP,
            progress=lambda _status, left, whole: report(target.name, whole - left, whole),
        )
    # One file and nothing beside it: a backup is read where nobody may write.
    with closing(sqlite3.connect(target, isolation_level=None)) as finished:
        finished.execute("PRAGMA journal_mode = DELETE")
    with target.open("rb") as file:
        os.fsync(file.fileno())


def _copy_tables(snapshot: Connection, directory: Path, report: Progress) -> list[BackupFile]:
    inspector = inspect(snapshot)
    tables = [name for name, _ in inspector.get_sorted_table_and_fkc_names() if name and name not in NOT_COPIED]
    sizes = {name: _bytes_of(snapshot, name) for name in tables}
    whole, before = sum(sizes.values()), 0
    files = []
    for table in tables:
        columns = [str(column["name"]) for column in inspector.get_columns(table)]
        path = directory / f"{table}.copy"
        select = _select(table, columns, inspector.get_pk_constraint(table)["constrained_columns"])
        rows = _copy_rows(snapshot, select, path, stage(report, "rows", whole, before=before))
        before += sizes[table]
        size, digest = hash_file(path, lambda _done: None)
        files.append(BackupFile(path.name, size, digest, rows, tuple(columns)))
    return files


def _select(table: str, columns: list[str], key: list[str]) -> str:
    named = ", ".join(f'"{column}"' for column in columns)
    order = ", ".join(f'"{column}"' for column in key) or "1"
    # In order, so that the log's entries can be hashed as they are read, and equal states give equal files.
    return f'SELECT {named} FROM "{table}" ORDER BY {order}'  # noqa: S608 -- names from the database's own catalogue


def _copy_rows(snapshot: Connection, select: str, path: Path, report: Callable[[int], None]) -> int:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    driver: Any = snapshot.connection.driver_connection
    done = 0
    with os.fdopen(descriptor, "wb", buffering=1024 * 1024) as file, driver.cursor() as cursor:
        with cursor.copy(f"COPY ({select}) TO STDOUT (FORMAT BINARY)") as copy:
            for chunk in copy:
                file.write(chunk)
                done += len(chunk)
                report(done)
        file.flush()
        os.fsync(file.fileno())
        return int(cursor.rowcount)


def _bytes_of(snapshot: Connection, table: str) -> int:
    return int(snapshot.execute(text("SELECT pg_table_size(to_regclass(:name))"), {"name": f'"{table}"'}).scalar_one())


def _sequences(snapshot: Connection) -> dict[str, int]:
    """Give the last number of each column that numbers itself: numbers given out are never given out again."""
    rows = snapshot.execute(
        text(
            "SELECT t.relname || '.' || a.attname, pg_get_serial_sequence(quote_ident(t.relname), a.attname) "
            "FROM pg_class t JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped "
            "WHERE t.relkind = 'r' AND t.relnamespace = current_schema()::regnamespace "
            "AND pg_get_serial_sequence(quote_ident(t.relname), a.attname) IS NOT NULL ORDER BY 1"
        )
    ).all()
    last = {}
    for column, sequence in rows:
        # Sequences stand outside of transactions: this may be beyond the rows, never before them.
        value, called = snapshot.exec_driver_sql(f"SELECT last_value, is_called FROM {sequence}").one()  # noqa: S608
        last[str(column)] = int(value) if called else 0
    return last


def _head(connection: Connection) -> tuple[int, bytes, str]:
    return _read_head(
        connection.execute(text("SELECT size, root FROM ledger_heads ORDER BY size DESC LIMIT 1")).first(),
        connection.execute(text("SELECT note FROM ledger_checkpoints ORDER BY size DESC LIMIT 1")).first(),
    )


def _head_of_sqlite(path: Path) -> tuple[int, bytes, str]:
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True)) as connection:
        return _read_head(
            connection.execute("SELECT size, root FROM ledger_heads ORDER BY size DESC LIMIT 1").fetchone(),
            connection.execute("SELECT note FROM ledger_checkpoints ORDER BY size DESC LIMIT 1").fetchone(),
        )


def _read_head(head: Any, checkpoint: Any) -> tuple[int, bytes, str]:
    size, root = (0, EMPTY_ROOT) if head is None else (int(head[0]), bytes(head[1]))
    return size, root, "" if checkpoint is None else str(checkpoint[0])


def _described(path: Path, report: Progress) -> BackupFile:
    whole = path.stat().st_size
    size, digest = hash_file(path, stage(report, f"{path.name}, its hash", whole))
    return BackupFile(path.name, size, digest)
