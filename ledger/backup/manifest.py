"""The manifest of a backup: what it is of, and which bytes belong to it."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from ledger.errors import BackupError, FormatError
from ledger.merkle import HASH_SIZE
from ledger.strict import MAX_INTEGER, decode_base64, decode_json_object, encode_base64

MANIFEST_FILE = "manifest.json"
MAX_MANIFEST_SIZE = 4 * 1024 * 1024
BACKUP_FORMAT = "marchamo backup v1"
DATABASE_FILE = "database.db"
CHUNK = 1024 * 1024

Progress = Callable[[str, int, int], None]
"""Called with what is being worked on, the part of it done so far and the whole, in the same unit."""


def stage(progress: Progress, what: str, whole: int, *, before: int = 0) -> Callable[[int], None]:
    """Give what one stage of the work calls with the part of it that is done; `before` it so much was done already."""
    return lambda done: progress(what, min(before + done, whole), whole)


_MEMBERS: Mapping[str, type] = {
    "format": str,
    "database": str,
    "schema": str,
    "origin": str,
    "size": int,
    "root": str,
    "checkpoint": str,
    "made_at": str,
    "files": list,
    "sequences": dict,
}
_FILE_MEMBERS: Mapping[str, type] = {"name": str, "bytes": int, "sha256": str, "rows": int, "columns": list}
_NAME = re.compile(r"[a-z][a-z0-9_-]{0,62}\.(db|copy)")
_COLUMN = re.compile(r"[a-z][a-z0-9_]{0,62}")
_SEQUENCE = re.compile(r"[a-z][a-z0-9_]{0,62}\.[a-z][a-z0-9_]{0,62}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", re.ASCII)


@dataclass(frozen=True, slots=True)
class BackupFile:
    """One file: its size in bytes and its SHA-256 in hexadecimal; of a table also how many rows, and its columns."""

    name: str
    bytes: int
    sha256: str
    rows: int = 0
    columns: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name) or not _SHA256.fullmatch(self.sha256):
            raise FormatError("a file of the backup has a name or a hash of another shape")
        if min(self.bytes, self.rows) < 0 or not all(
            isinstance(column, str) and _COLUMN.fullmatch(column) for column in self.columns
        ):
            raise FormatError(f"the description of {self.name} is malformed")

    @property
    def table(self) -> str:
        """The table whose rows a `.copy` file holds."""
        return self.name.partition(".")[0]


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a backup is of.

    database: `sqlite` or `postgresql`. schema: the version of the database's tables, in the caller's words. size and
    root: the log's head. checkpoint: the latest published checkpoint that the database held, "" when none. made_at:
    RFC 3339 in UTC. sequences: for `table.column` that numbers itself the last number given out.
    """

    database: str
    schema: str
    origin: str
    size: int
    root: bytes
    checkpoint: str
    made_at: str
    files: tuple[BackupFile, ...]
    sequences: Mapping[str, int]

    def __post_init__(self) -> None:
        names = [file.name for file in self.files]
        if self.database not in ("sqlite", "postgresql") or not 0 <= self.size <= MAX_INTEGER:
            raise FormatError("the manifest names no database and log that could be restored here")
        if len(set(names)) != len(names) or not _TIME.fullmatch(self.made_at):
            raise FormatError("the manifest names a file twice, or no time")
        if not all(_SEQUENCE.fullmatch(name) and type(last) is int for name, last in self.sequences.items()):
            raise FormatError("the manifest has malformed sequences")

    def file(self, name: str) -> BackupFile:
        """Give the file of this name; BackupError when the backup has none."""
        for file in self.files:
            if file.name == name:
                return file
        raise BackupError(f"the backup has no {name}")

    def to_bytes(self) -> bytes:
        """Give the JSON text of the file."""
        members: dict[str, Any] = {
            "format": BACKUP_FORMAT,
            "database": self.database,
            "schema": self.schema,
            "origin": self.origin,
            "size": self.size,
            "root": encode_base64(self.root),
            "checkpoint": self.checkpoint,
            "made_at": self.made_at,
            "files": [
                {
                    "name": file.name,
                    "bytes": file.bytes,
                    "sha256": file.sha256,
                    "rows": file.rows,
                    "columns": list(file.columns),
                }
                for file in self.files
            ],
            "sequences": dict(self.sequences),
        }
        return json.dumps(members, indent=1).encode("ascii") + b"\n"

    @classmethod
    def from_bytes(cls, data: bytes) -> Manifest:
        """Read a manifest; FormatError for a missing, further or ill-typed member."""
        members = decode_json_object(data)
        _require(members, _MEMBERS, "the manifest")
        if members.pop("format") != BACKUP_FORMAT:
            raise FormatError("this is no backup, or one of another version")
        files = []
        for file in members.pop("files"):
            if not isinstance(file, dict):
                raise FormatError("a file of the backup is described by an object")
            _require(file, _FILE_MEMBERS, "the description of a file")
            files.append(BackupFile(**{**file, "columns": tuple(file["columns"])}))
        root = decode_base64(members.pop("root"), size=HASH_SIZE)
        return cls(files=tuple(files), root=root, **members)


def read_manifest(directory: Path) -> Manifest:
    """Read the manifest of a backup. Raises BackupError, also for a folder that holds none: then it is unfinished."""
    try:
        with (directory / MANIFEST_FILE).open("rb") as file:
            data = file.read(MAX_MANIFEST_SIZE + 1)
    except FileNotFoundError:
        raise BackupError(
            f"{directory} has no {MANIFEST_FILE}: it is no backup, or one that was not finished"
        ) from None
    if len(data) > MAX_MANIFEST_SIZE:
        raise BackupError(f"{MANIFEST_FILE} is larger than any manifest")
    try:
        return Manifest.from_bytes(data)
    except FormatError as error:
        raise BackupError(f"{MANIFEST_FILE} is malformed: {error.message}") from None


def write_manifest(directory: Path, manifest: Manifest) -> None:
    """Write the manifest: whole or not at all, and on disk when this returns."""
    unfinished = directory / f".{MANIFEST_FILE}.new"
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(manifest.to_bytes())
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(directory / MANIFEST_FILE)
    sync_folder(directory)


def hash_file(path: Path, progress: Callable[[int], None]) -> tuple[int, str]:
    """Give size and SHA-256 (hexadecimal) of a file; `progress` gets the bytes read so far."""
    digest, done = sha256(), 0
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
            done += len(chunk)
            progress(done)
    return done, digest.hexdigest()


def sync_folder(directory: Path) -> None:
    """Put the names in a folder on disk."""
    folder = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _require(members: Mapping[str, Any], wanted: Mapping[str, type], what: str) -> None:
    if members.keys() != wanted.keys() or any(type(members[name]) is not kind for name, kind in wanted.items()):
        raise FormatError(f"{what} has exactly the members {', '.join(wanted)}, each of its type")
