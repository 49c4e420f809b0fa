"""Signed scans that wait on the device until the registry has them, in a SQLite file of its own.

Numbering and keeping are one transaction: a number that was given out is never given out again, whatever dies in
between, and a scan that was signed is sent until the registry has answered for it.
"""

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from scanners.device import DeviceRefusal

BUSY_TIMEOUT_S = 30.0
MOST_WAITING = 1_000_000
"""Scans that may wait: half a gigabyte."""

_CREATE = """
CREATE TABLE IF NOT EXISTS numbers (only INTEGER PRIMARY KEY CHECK (only = 1), last INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS scans (
    seq INTEGER PRIMARY KEY, code TEXT NOT NULL, statement TEXT NOT NULL, refusal TEXT
) STRICT;
INSERT OR IGNORE INTO numbers VALUES (1, 0);
"""


@dataclass(frozen=True, slots=True)
class WaitingScan:
    """One signed scan; refusal: why the registry did not take it, None while it waits."""

    seq: int
    code: str
    statement: str
    refusal: str | None = None


class ScanQueue:
    """The queue in the file `path`; several processes may use it at once. Raises DeviceRefusal where it can not."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            path.touch(mode=0o600)  # it says what was scanned where: nobody else's to read
        except OSError as error:
            raise DeviceRefusal(f"{path} cannot be used: {error.strerror}.") from error
        with self._connected() as connection:
            connection.executescript(_CREATE)

    def sign_all(self, codes: Sequence[str], sign: Callable[[str, int], str]) -> list[WaitingScan]:
        """Sign a scan of each code under the next number, and keep it; all of them or none."""
        with self._connected() as connection:
            connection.execute("BEGIN IMMEDIATE")
            [last] = connection.execute("SELECT last FROM numbers").fetchone()
            [waiting] = connection.execute("SELECT count(*) FROM scans").fetchone()
            if waiting + len(codes) > MOST_WAITING:
                raise DeviceRefusal(
                    f"{waiting:,} scans wait already to be sent.", fix="Find a connection: marchamo device send"
                )
            signed = [WaitingScan(seq, code, sign(code, seq)) for seq, code in enumerate(codes, last + 1)]
            connection.executemany(
                "INSERT INTO scans (seq, code, statement) VALUES (?, ?, ?)",
                [(scan.seq, scan.code, scan.statement) for scan in signed],
            )
            connection.execute("UPDATE numbers SET last = ?", (last + len(codes),))
            connection.execute("COMMIT")
        return signed

    def waiting(self, limit: int) -> list[WaitingScan]:
        """Give the oldest scans that the registry has not answered for."""
        return self._read("SELECT seq, code, statement, refusal FROM scans WHERE refusal IS NULL", limit)

    def refused(self, limit: int) -> list[WaitingScan]:
        """Give scans that the registry did not take: they stay here until a person has looked at them."""
        return self._read("SELECT seq, code, statement, refusal FROM scans WHERE refusal IS NOT NULL", limit)

    def count(self) -> tuple[int, int, int]:
        """Count what waits and what was refused, and give the last number."""
        with self._connected() as connection:
            waiting, refused, last = connection.execute(
                "SELECT (SELECT count(*) FROM scans WHERE refusal IS NULL),"
                " (SELECT count(*) FROM scans WHERE refusal IS NOT NULL), (SELECT last FROM numbers)"
            ).fetchone()
        return waiting, refused, last

    def settle(self, taken: Sequence[int], refused: Sequence[tuple[int, str]]) -> None:
        """Remove what the registry has, and mark what it refused; one transaction."""
        with self._connected() as connection:
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany("DELETE FROM scans WHERE seq = ?", [(seq,) for seq in taken])
            connection.executemany(
                "UPDATE scans SET refusal = ? WHERE seq = ?", [(reason, seq) for seq, reason in refused]
            )
            connection.execute("COMMIT")

    def _read(self, query: str, limit: int) -> list[WaitingScan]:
        with self._connected() as connection:
            return [WaitingScan(*row) for row in connection.execute(f"{query} ORDER BY seq LIMIT ?", (limit,))]

    @contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection]:
        try:
            connection = sqlite3.connect(self.path, timeout=BUSY_TIMEOUT_S, isolation_level=None)
            try:
                connection.execute("PRAGMA synchronous = FULL")
                yield connection
            finally:
                connection.close()  # what was not committed is undone
        except sqlite3.Error as error:
            raise DeviceRefusal(f"{self.path} cannot be used: {error}.") from error
