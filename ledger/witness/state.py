"""What a witness must not forget: the latest checkpoint that it cosigned of each log, in an SQLite file of its own.

The contract: `exclusive()` lets one caller in at a time, over all threads and processes, and what was changed inside is
on disk before the block ends. A witness that answered from memory, or before the disk did, could cosign a fork after a
power cut. The database itself refuses a row that shrinks or that changes its root, and refuses to lose one.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from ledger.errors import WitnessError
from ledger.merkle import EMPTY_ROOT

BUSY_TIMEOUT_SECONDS = 10.0
MAX_EVIDENCE = 100
"""Contradicting checkpoints kept of one log: each is signed by the log, so a few prove as much as many."""

_SCHEMA = """
CREATE TABLE latest (
    origin TEXT PRIMARY KEY,
    origin_hash TEXT NOT NULL UNIQUE,
    size INTEGER NOT NULL CHECK (size >= 0),
    root BLOB NOT NULL CHECK (length(root) = 32),
    time INTEGER NOT NULL,
    note TEXT NOT NULL
) STRICT;
CREATE TABLE evidence (
    origin TEXT NOT NULL,
    note_hash BLOB NOT NULL,
    time INTEGER NOT NULL,
    reason TEXT NOT NULL,
    cosigned TEXT NOT NULL,
    refused TEXT NOT NULL,
    PRIMARY KEY (origin, note_hash)
) STRICT;
CREATE TRIGGER latest_never_shrinks BEFORE UPDATE ON latest
    WHEN NEW.origin <> OLD.origin OR NEW.size < OLD.size OR (NEW.size = OLD.size AND NEW.root <> OLD.root)
    BEGIN SELECT RAISE(ABORT, 'a witness never goes back'); END;
CREATE TRIGGER latest_is_kept BEFORE DELETE ON latest
    BEGIN SELECT RAISE(ABORT, 'a witness never forgets'); END;
CREATE TRIGGER evidence_is_kept BEFORE DELETE ON evidence
    BEGIN SELECT RAISE(ABORT, 'a witness keeps its evidence'); END;
PRAGMA user_version = 1;
"""


class Latest(NamedTuple):
    """The latest checkpoint cosigned of one log. time: of the cosignature, seconds since 1970. note: as cosigned."""

    size: int
    root: bytes
    time: int
    note: str


NEVER = Latest(0, EMPTY_ROOT, 0, "")
"""What stands for a log of which nothing was cosigned yet."""


class Evidence(NamedTuple):
    """Two checkpoints signed by one log of which the second was refused, and why. time: seconds since 1970."""

    origin: str
    time: int
    reason: str
    cosigned: str
    refused: str


class WitnessState:
    """The state in one file, which must exist: a witness that began anew in silence would cosign a fork."""

    def __init__(self, path: Path) -> None:
        self._address = f"{path.absolute().as_uri()}?mode=rw"
        try:
            with self._connection() as connection:
                version = connection.execute("PRAGMA user_version").fetchone()[0]
        except sqlite3.Error as error:
            raise WitnessError(f"the witness's state {path} cannot be read: {error}") from None
        if version != 1:
            raise WitnessError(f"{path} is not the state of a witness")

    @staticmethod
    def create(path: Path) -> None:
        """Make an empty state."""
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.executescript(f"BEGIN IMMEDIATE;{_SCHEMA}COMMIT;")
        path.chmod(0o600)

    @contextmanager
    def exclusive(self) -> Iterator[StateWriter]:
        """Open the exclusive transaction; its changes are on disk when the block has ended, or not there at all."""
        with self._connection() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield StateWriter(connection)
            except BaseException:
                connection.execute("ROLLBACK")
                raise
            # With synchronous = FULL the log is synced before this returns. If it fails nobody gets an answer.
            connection.execute("COMMIT")

    def all_latest(self) -> dict[str, Latest]:
        """Give the latest checkpoint of every log that was cosigned, by origin."""
        with self._connection() as connection:
            rows = connection.execute("SELECT origin, size, root, time, note FROM latest ORDER BY origin").fetchall()
        return {row[0]: Latest(*row[1:]) for row in rows}

    def note_of(self, origin_hash: str) -> str | None:
        """Give the cosigned note of the log whose origin has this SHA-256 (hexadecimal)."""
        with self._connection() as connection:
            row = connection.execute("SELECT note FROM latest WHERE origin_hash = ?", (origin_hash,)).fetchone()
        return None if row is None else str(row[0])

    def evidence(self) -> list[Evidence]:
        """Give the contradictions that were kept, oldest first."""
        query = "SELECT origin, time, reason, cosigned, refused FROM evidence ORDER BY time, origin"
        with self._connection() as connection:
            return [Evidence(*row) for row in connection.execute(query)]

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        connection = sqlite3.connect(self._address, uri=True, timeout=BUSY_TIMEOUT_SECONDS, isolation_level=None)
        with closing(connection):
            connection.execute("PRAGMA synchronous = FULL")
            yield connection


class StateWriter:
    """Reads and changes inside the exclusive transaction."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def latest(self, origin: str) -> Latest:
        """Give the latest checkpoint cosigned of a log, `NEVER` without one."""
        query = "SELECT size, root, time, note FROM latest WHERE origin = ?"
        row = self._connection.execute(query, (origin,)).fetchone()
        return NEVER if row is None else Latest(*row)

    def put(self, origin: str, latest: Latest) -> None:
        """Keep the checkpoint that is about to be cosigned in place of the one before."""
        self._connection.execute(
            "INSERT INTO latest (origin, origin_hash, size, root, time, note) VALUES (?, ?, ?, ?, ?, ?) "
            "ON CONFLICT (origin) DO UPDATE SET size = excluded.size, root = excluded.root, time = excluded.time, "
            "note = excluded.note",
            (origin, sha256(origin.encode()).hexdigest(), *latest),
        )

    def add_evidence(self, evidence: Evidence) -> bool:
        """Keep a contradiction; False when it is known or when enough of this log are kept."""
        done = self._connection.execute(
            "INSERT INTO evidence (origin, note_hash, time, reason, cosigned, refused) SELECT ?, ?, ?, ?, ?, ? "
            "WHERE (SELECT count(*) FROM evidence WHERE origin = ?) < ? ON CONFLICT DO NOTHING",
            (
                evidence.origin,
                sha256(evidence.refused.encode()).digest(),
                *evidence[1:],
                evidence.origin,
                MAX_EVIDENCE,
            ),
        )
        return done.rowcount == 1


def utc_text(moment: int) -> str:
    """Write a time in seconds since 1970 for people; one that no calendar has as a number."""
    try:
        return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (ValueError, OverflowError, OSError):
        return str(moment)
