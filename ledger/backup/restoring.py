"""Put a backup back: into an empty database only, checked before and complete or not at all.

What is put back is the state of the day of the backup. Whether the log may be written from there is not decided here:
the high-water mark knows whether more was acknowledged since (see `ledger.mark.high_water`).
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, inspect, text

from ledger.backup.checking import check_backup
from ledger.backup.making import NOT_COPIED
from ledger.backup.manifest import CHUNK, DATABASE_FILE, BackupFile, Manifest, Progress, stage, sync_folder
from ledger.checkpoint import Checkpoint
from ledger.errors import BackupError
from ledger.storage.engine import begin_write

LEFT_BY_SQLITE = ("-wal", "-shm", "-journal")
"""What the names of the files end with that SQLite keeps beside a database, and reads together with it."""

_IN_THE_WAY = "Restore into a new, empty database. What is there now stays as it is."


def read_for_restore(
    engine: Engine,
    directory: Path,
    *,
    prefilled: Mapping[str, int] | None = None,
    known: Sequence[Checkpoint] = (),
    progress: Progress | None = None,
) -> Manifest:
    """Check a backup, and that the database is of its kind and empty; changes nothing.

    prefilled: tables in which the schema itself puts so many rows. Raises BackupError, ForkDetected (see
    `check_backup`), or what the database raises.
    """
    manifest = check_backup(directory, known=known, progress=progress)
    if manifest.database != engine.dialect.name:
        raise BackupError(f"this is a backup of {manifest.database}, the database here is {engine.dialect.name}")
    with engine.connect() as connection:
        for table in inspect(connection).get_table_names():
            allowed = 1 if table in NOT_COPIED else (prefilled or {}).get(table, 0)
            query = f'SELECT count(*) FROM (SELECT 1 FROM "{table}" LIMIT :most) AS rows'  # noqa: S608 -- catalogue's
            if connection.execute(text(query), {"most": allowed + 1}).scalar_one() > allowed:
                raise BackupError(f"the database is not empty: {table} has rows", fix=_IN_THE_WAY)
    return manifest


def restore_backup(
    engine: Engine,
    directory: Path,
    manifest: Manifest,
    *,
    prepare: Callable[[], None],
    further_files: Callable[[str], Path | None] = lambda _name: None,
    progress: Progress | None = None,
) -> None:
    """Put a backup that `read_for_restore` has accepted into the database.

    prepare: makes the tables as they were at the backup's schema, in PostgreSQL (SQLite's come with the file).
    further_files: where each further SQLite file belongs, None for a name that belongs to nobody. On an error the
    database is as empty as before. Raises BackupError, OSError, or what the database raises.
    """
    report = progress or (lambda _what, _done, _whole: None)
    if manifest.database == "sqlite":
        targets = {file.name: further_files(file.name) for file in manifest.files if file.name != DATABASE_FILE}
        _put_files(engine, directory, targets, report)
        return
    prepare()
    with begin_write(engine) as connection:
        _require_same_tables(connection, manifest)
        whole, before = sum(file.bytes for file in manifest.files), 0
        for file in reversed(manifest.files):
            _delete_prefilled(connection, file.table)
        for file in manifest.files:
            _load(connection, directory, file, stage(report, "rows", whole, before=before))
            before += file.bytes
        for column, last in manifest.sequences.items():
            _set_sequence(connection, column, last)
    with begin_write(engine) as connection:
        connection.execute(text("ANALYZE"))  # a planner without statistics would read whole tables


def _put_files(engine: Engine, directory: Path, further: Mapping[str, Path | None], report: Progress) -> None:
    database = Path(str(engine.url.database))
    targets: dict[str, Path] = {}
    for name, path in further.items():
        if path is None:
            raise BackupError(f"nothing here knows where {name} belongs")
        if path.exists():
            raise BackupError(f"{path} is there already", fix=_IN_THE_WAY)
        targets[name] = path
    targets[DATABASE_FILE] = database  # last: a database that is there is complete
    engine.dispose()
    if database.exists():
        with closing(sqlite3.connect(database, isolation_level=None)) as empty:
            empty.execute("PRAGMA journal_mode = DELETE")  # no write-ahead log may lie beside what comes in its place
    for path in targets.values():
        _require_alone(path)
    unfinished: list[Path] = []
    try:
        for name, path in targets.items():
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            unfinished.append(path.with_name(f".{path.name}.restored"))
            _copy(directory / name, unfinished[-1], report)
        for beside, path in zip(unfinished, targets.values(), strict=True):
            _require_alone(path)
            beside.replace(path)
            sync_folder(path.parent)
    finally:
        for beside in unfinished:
            beside.unlink(missing_ok=True)


def _require_alone(path: Path) -> None:
    """Refuse what an earlier file of this name left beside it: SQLite would play it into the one that is restored."""
    for end in LEFT_BY_SQLITE:
        left = path.with_name(path.name + end)
        if left.exists():
            raise BackupError(
                f"{left} lies beside the place of a file that is to be restored",
                fix="It belongs to a database that is no longer there: move it away, then restore again.",
            )


def _copy(source: Path, target: Path, report: Progress) -> None:
    whole, done = source.stat().st_size, 0
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with source.open("rb") as reading, os.fdopen(descriptor, "wb") as writing:
        while chunk := reading.read(CHUNK):
            writing.write(chunk)
            done += len(chunk)
            report(source.name, done, whole)
        writing.flush()
        os.fsync(writing.fileno())


def _require_same_tables(connection: Connection, manifest: Manifest) -> None:
    inspector = inspect(connection)
    there = {
        table: tuple(str(column["name"]) for column in inspector.get_columns(table))
        for table in inspector.get_table_names()
        if table not in NOT_COPIED
    }
    if there != {file.table: file.columns for file in manifest.files}:
        raise BackupError(f"the tables of schema {manifest.schema} are not those of the backup")


def _delete_prefilled(connection: Connection, table: str) -> None:
    """Remove what the schema itself put there: the backup brings its own. Most tables are empty, and some guarded."""
    if connection.execute(text(f'SELECT EXISTS (SELECT 1 FROM "{table}")')).scalar_one():  # noqa: S608 -- checked name
        connection.execute(text(f'DELETE FROM "{table}"'))  # noqa: S608 -- checked name


def _load(connection: Connection, directory: Path, file: BackupFile, report: Callable[[int], None]) -> None:
    named = ", ".join(f'"{column}"' for column in file.columns)
    driver: Any = connection.connection.driver_connection
    done = 0
    with (directory / file.name).open("rb") as reading, driver.cursor() as cursor:
        with cursor.copy(f'COPY "{file.table}" ({named}) FROM STDIN (FORMAT BINARY)') as copy:
            while chunk := reading.read(CHUNK):
                copy.write(chunk)
                done += len(chunk)
                report(done)
        if cursor.rowcount != file.rows:
            raise BackupError(f"{file.name} has {cursor.rowcount} rows, the manifest says {file.rows}")


def _set_sequence(connection: Connection, column: str, last: int) -> None:
    table, _, name = column.partition(".")
    statement = (
        f"SELECT setval(pg_get_serial_sequence('\"{table}\"', '{name}'), greatest(:last, max(\"{name}\"))) "  # noqa: S608
        f'FROM "{table}" HAVING greatest(:last, max("{name}")) > 0'
    )
    connection.execute(text(statement), {"last": last})
