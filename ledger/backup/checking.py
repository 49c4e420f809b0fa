"""Check a backup with nothing but its files: every byte by its hash, and the log's root from the entries themselves."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from itertools import islice
from pathlib import Path

from ledger.backup.copy_format import integer, read_rows
from ledger.backup.manifest import DATABASE_FILE, Manifest, Progress, hash_file, read_manifest, stage
from ledger.checkpoint import Checkpoint, read_unverified_checkpoint
from ledger.edge import Edge
from ledger.errors import BackupError, ForkDetected
from ledger.storage.interface import EntryRow

ENTRIES_FILE = "ledger_entries.copy"
HEADS_FILE = "ledger_heads.copy"
BATCH = 4_096
_COLUMNS = ("index", "statement_key", "salt", "body")


def check_backup(directory: Path, *, known: Sequence[Checkpoint] = (), progress: Progress | None = None) -> Manifest:
    """Check every file of a backup against its manifest, and the manifest's head against the entries.

    known: checkpoints kept outside, whose signatures the caller has verified; one that is larger than the backup's log
    is no fault of the backup and not looked at. Returns the manifest. Raises BackupError for a backup that is damaged,
    ForkDetected for one that contradicts a known checkpoint, OSError.
    """
    report = progress or (lambda _what, _done, _whole: None)
    manifest = read_manifest(directory)
    for file in manifest.files:
        try:
            size, digest = hash_file(directory / file.name, stage(report, file.name, file.bytes))
        except FileNotFoundError:
            raise BackupError(f"{file.name} is missing") from None
        if (size, digest) != (file.bytes, file.sha256):
            raise BackupError(f"{file.name} is not the file that was backed up: its size or its SHA-256 differs")
    _check_tree(directory, manifest, known, report)
    return manifest


def _check_tree(directory: Path, manifest: Manifest, known: Sequence[Checkpoint], report: Progress) -> None:
    stops: dict[int, list[tuple[bytes, BackupError | ForkDetected]]] = {}

    def expect(size: int, root: bytes, error: BackupError | ForkDetected) -> None:
        stops.setdefault(size, []).append((root, error))

    if _head_of(directory, manifest) != (manifest.size, manifest.root):
        raise BackupError("the greatest head among the rows is not the head that the manifest names")
    expect(manifest.size, manifest.root, BackupError("the entries do not give the root of the log's head"))
    if manifest.checkpoint:
        published = read_unverified_checkpoint(manifest.checkpoint)
        if published.origin != manifest.origin or published.size > manifest.size:
            raise BackupError("the checkpoint in the manifest is not one of this log as it was backed up")
        expect(published.size, published.root, BackupError("the entries do not give the root of the last checkpoint"))
    for checkpoint in known:
        if checkpoint.size <= manifest.size:
            message = f"a known checkpoint of size {checkpoint.size} contradicts the entries of the backup"
            fix = "This backup holds another history of the log. Do not restore it; find out who made it."
            expect(checkpoint.size, checkpoint.root, ForkDetected(message, fix=fix))
    edge = Edge.empty()
    _compare(edge, stops)
    rows = _entries(directory, manifest)
    while edge.size < manifest.size:
        # Up to the next size whose root is to be compared, but never too many at once.
        until = min([edge.size + BATCH, *(size for size in stops if size > edge.size)])
        batch = list(islice(rows, until - edge.size))
        if [row.entry for row in batch] != list(range(edge.size, until)):
            raise BackupError(f"entries are missing, or not in order, after the first {edge.size}")
        edge.extend(row.content() for row in batch)
        edge.take_full()
        _compare(edge, stops)
        report("entries", edge.size, manifest.size)
    if next(rows, None) is not None:
        raise BackupError(f"there are more entries than the {manifest.size} of the log's head")


def _compare(edge: Edge, stops: dict[int, list[tuple[bytes, BackupError | ForkDetected]]]) -> None:
    if expected := stops.get(edge.size):
        found = edge.copy().root
        for root, error in expected:
            if root != found:
                raise error


def _entries(directory: Path, manifest: Manifest) -> Iterator[EntryRow]:
    if manifest.database == "sqlite":
        yield from _sqlite_rows(directory)
        return
    for index, key, salt, body in _table_rows(directory, manifest, ENTRIES_FILE, _COLUMNS):
        if body is None:
            raise BackupError(f"entry {integer(index)} has no body")
        yield EntryRow(integer(index), integer(key), salt, body)


def _sqlite_rows(directory: Path) -> Iterator[EntryRow]:
    try:
        with closing(_open(directory / DATABASE_FILE)) as connection:
            query = 'SELECT "index", statement_key, salt, body FROM ledger_entries ORDER BY "index"'
            yield from (EntryRow(*row) for row in connection.execute(query))
    except sqlite3.Error as error:
        raise BackupError(f"{DATABASE_FILE} can not be read: {error}") from None


def _head_of(directory: Path, manifest: Manifest) -> tuple[int, bytes]:
    """Give the greatest head among the rows; the manifest's own for an empty log, which has none."""
    greatest = (0, manifest.root) if manifest.size == 0 else (0, b"")
    if manifest.database == "sqlite":
        try:
            with closing(_open(directory / DATABASE_FILE)) as connection:
                row = connection.execute("SELECT size, root FROM ledger_heads ORDER BY size DESC LIMIT 1").fetchone()
        except sqlite3.Error as error:
            raise BackupError(f"{DATABASE_FILE} can not be read: {error}") from None
        return greatest if row is None else (row[0], row[1])
    for size, root in _table_rows(directory, manifest, HEADS_FILE, ("size", "root")):
        greatest = max(greatest, (integer(size), root or b""))
    return greatest


def _table_rows(
    directory: Path, manifest: Manifest, name: str, columns: Iterable[str]
) -> Iterator[tuple[bytes | None, ...]]:
    file = manifest.file(name)
    try:
        places = [file.columns.index(column) for column in columns]
    except ValueError:
        raise BackupError(f"{name} lacks a column that the log's tables have") from None
    for row in read_rows(directory / name, len(file.columns)):
        yield tuple(row[place] for place in places)


def _open(path: Path) -> sqlite3.Connection:
    """Open a database file that nobody writes, and that may lie on a medium where nobody can."""
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True)
