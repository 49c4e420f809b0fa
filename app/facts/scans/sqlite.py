"""Scans beside SQLite: sixteen files of one B-tree each, chosen by the unit.

The ledger's database has one writer at a time; a scan must not wait for it. A unit's whole history lies in one file,
so a retry always meets its first copy and the earlier scans are one local read; and two processes rarely want the same
file. The driver is used without SQLAlchemy because this is the hottest write of the service (measured in
docs/decisions/0003-scan-storage.md).
"""

import os
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from functools import partial
from operator import attrgetter
from pathlib import Path

from app.facts.scans.scan import PAGE, RECENT, RecordedScan, Scan, ScanCount, count_within

SHARDS = 16
BUSY_TIMEOUT_S = 30.0
KILL_SAFE_PAGES = 1_000
POWER_SAFE_PAGES = 250
"""Pages of the write-ahead log after which it is folded into the file and written again from its start. Waiting for the
disk is shorter on a log that is overwritten than on one that grows (measured: 310 against 490 microseconds)."""
MOST_VISITED = 50_000
"""Scans that a count looks at: 10 ms of a million, measured."""
_SCATTER = 0x9E3779B97F4A7C15
"""2**64 divided by the golden ratio: neighbouring unit numbers land in different files (Fibonacci hashing)."""

_CREATE = """
CREATE TABLE IF NOT EXISTS scans (
    unit_id INTEGER NOT NULL, device TEXT NOT NULL, scan_key TEXT NOT NULL,
    received_at INTEGER NOT NULL, scanned_at INTEGER NOT NULL, role TEXT NOT NULL, organisation_id INTEGER,
    action TEXT NOT NULL, latitude INTEGER, longitude INTEGER, accuracy INTEGER, place_source TEXT NOT NULL,
    offline INTEGER NOT NULL, operator_saw TEXT, signature TEXT NOT NULL, code_digest BLOB NOT NULL,
    arrival INTEGER NOT NULL, statement TEXT, PRIMARY KEY (unit_id, device, scan_key)
) WITHOUT ROWID, STRICT
"""
_ADD_STATEMENT = "ALTER TABLE scans ADD COLUMN statement TEXT"
"""For a file from before there were signed scans."""
_CREATE_ARRIVALS = "CREATE UNIQUE INDEX IF NOT EXISTS scans_arrival ON scans (arrival)"
_FIELDS = "unit_id, device, " + ", ".join(("scan_key" if name == "key" else name) for name in Scan._fields[2:])
_INSERT = f"""
INSERT INTO scans ({_FIELDS}, arrival) VALUES ({", ".join("?" * len(Scan._fields))},
    (SELECT coalesce(max(arrival), 0) + 1 FROM scans)) ON CONFLICT (unit_id, device, scan_key) DO NOTHING
"""  # noqa: S608 -- only names of this module
"""A file has one writer at a time, so its scans are numbered in the order in which they became visible: who has read up
to a number has missed none before it. That is what the ledger's commitments to scans build on."""
_ARRIVED = f"SELECT arrival, {_FIELDS} FROM scans WHERE arrival BETWEEN ? + 1 AND ? ORDER BY arrival LIMIT ?"  # noqa: S608 -- only names of this module
_SIGNED = f"SELECT arrival, {_FIELDS} FROM scans WHERE statement IS NOT NULL AND arrival > ? ORDER BY arrival LIMIT ?"  # noqa: S608 -- only names of this module
_ARRIVAL = "SELECT arrival FROM scans WHERE unit_id = ? AND device = ? AND scan_key = ?"
_REPLACE = f"UPDATE scans SET ({_FIELDS}) = ({', '.join('?' * len(Scan._fields))}) WHERE arrival = ?"  # noqa: S608 -- only names of this module
_NEWEST = "SELECT coalesce(max(arrival), 0) FROM scans"
_RECENT = f"SELECT {_FIELDS} FROM scans WHERE unit_id = ? ORDER BY received_at DESC LIMIT ?"  # noqa: S608 -- only names of this module
_SINCE = """
SELECT count(*), coalesce(sum(received_at >= ?), 0)
FROM (SELECT received_at FROM scans WHERE unit_id BETWEEN ? AND ? LIMIT ?)
"""
_ANY = f"SELECT {_FIELDS} FROM scans WHERE unit_id = ? LIMIT ?"  # noqa: S608 -- only names of this module
"""Nearly every unit has few scans: sorting those here costs a third of what it costs SQLite to set its sorter up."""
_SAME = f"SELECT {_FIELDS} FROM scans WHERE unit_id = ? AND device = ? AND scan_key = ?"  # noqa: S608 -- only names of this module


class SqliteScanStore:
    """The store in `directory`.

    With `power_safe` each commit waits for the disk; without it a scan survives a killed process but not a power cut.
    """

    def __init__(self, directory: Path, *, power_safe: bool) -> None:
        self._directory = directory
        self._power_safe = power_safe
        self._local = threading.local()
        self._opened: list[tuple[int, sqlite3.Connection]] = []
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)

    def record(self, scan: Scan) -> RecordedScan:
        """Store a scan; a retry stores nothing and gives back the first copy."""
        # Autocommit: the INSERT is its own transaction. A crash before it returns leaves no scan and no answer; a
        # crash after it leaves a scan whose sender, without an answer, repeats it and finds this first copy.
        return _record(self._connection(scan.unit_id), scan)

    def record_many(self, found: Sequence[Scan]) -> list[RecordedScan]:
        """Store scans with one transaction a file."""
        by_file: dict[int, list[int]] = {}
        for place, scan in enumerate(found):
            by_file.setdefault(_shard_of(scan.unit_id), []).append(place)
        recorded: dict[int, RecordedScan] = {}
        for number, places in by_file.items():
            connection = self._shard(number)
            connection.execute("BEGIN IMMEDIATE")
            # A crash between two files leaves some scans stored; the sender, without an answer, repeats them all.
            try:
                recorded.update((place, _record(connection, found[place])) for place in places)
            except BaseException:
                connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")
        return [recorded[place] for place in range(len(found))]

    def recent(self, unit_id: int, limit: int = RECENT) -> list[Scan]:
        """Give the newest scans of a unit, newest first."""
        return [Scan._make(row) for row in self._connection(unit_id).execute(_RECENT, (unit_id, limit))]

    def count(self) -> int:
        """Count all scans."""
        counted = (self._shard(number).execute("SELECT count(*) FROM scans").fetchone()[0] for number in range(SHARDS))
        return sum(counted)

    def count_since(self, units: Sequence[range], since: int) -> ScanCount:
        """Count the scans of ranges of units that came in at `since` or later, within the bounds of `ScanStore`."""

        def look(number: int, one: range, most: int) -> Sequence[int]:
            visited_and_counted: Sequence[int] = (
                self._shard(number).execute(_SINCE, (since, one[0], one[-1], most)).fetchone()
            )
            return visited_and_counted

        return count_within(MOST_VISITED, (partial(look, number, one) for one in units for number in range(SHARDS)))

    def settled(self) -> dict[int, int]:
        """Give the newest arrival of each file, as `ScanStore.settled` promises."""
        newest = {number: int(self._shard(number).execute(_NEWEST).fetchone()[0]) for number in range(SHARDS)}
        return {number: arrival for number, arrival in newest.items() if arrival}

    def arrived(self, part: int, after: int, upto: int) -> Iterator[tuple[int, Scan]]:
        """Give the scans of a file in the order of their arrival; reads in pages."""
        while rows := self._shard(part).execute(_ARRIVED, (after, upto, PAGE)).fetchall():
            yield from ((row[0], Scan._make(row[1:])) for row in rows)
            after = rows[-1][0]

    def signed(self) -> Iterator[tuple[int, int, Scan]]:
        """Give every scan that a device signed, file by file; reads in pages."""
        for part in range(SHARDS):
            after = -1
            while rows := self._shard(part).execute(_SIGNED, (after, PAGE)).fetchall():
                yield from ((part, row[0], Scan._make(row[1:])) for row in rows)
                after = rows[-1][0]

    def place_of(self, unit_id: int, device: str, key: str) -> tuple[int, int] | None:
        """Give the file of a scan and its arrival there."""
        row = self._connection(unit_id).execute(_ARRIVAL, (unit_id, device, key)).fetchone()
        return None if row is None else (_shard_of(unit_id), int(row[0]))

    def replace(self, part: int, redacted: Sequence[tuple[int, Scan]]) -> None:
        """Put these scans in the place of those that have their arrivals; one transaction."""
        connection = self._shard(part)
        connection.execute("PRAGMA secure_delete = ON")  # what is freed in the file is overwritten with zeros
        connection.execute("BEGIN IMMEDIATE")
        try:
            connection.executemany(_REPLACE, [(*scan, arrival) for arrival, scan in redacted])
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")

    def sweep(self) -> None:
        """Fold the write-ahead logs back as far as readers let it: they hold pages from before a replacement."""
        for number in range(SHARDS):
            self._shard(number).execute("PRAGMA wal_checkpoint(PASSIVE)")

    def close(self) -> None:
        """Close the files of all threads of this process; for the end of a process or a test."""
        while self._opened:
            process, connection = self._opened.pop()
            if process == os.getpid():
                connection.close()
        self._local = threading.local()

    def _connection(self, unit_id: int) -> sqlite3.Connection:
        return self._shard(_shard_of(unit_id))

    def _shard(self, number: int) -> sqlite3.Connection:
        local = self._local
        if getattr(local, "process", None) != os.getpid():  # a new thread, or a fork: never share a handle over it
            local.process, local.shards = os.getpid(), {}
        connection: sqlite3.Connection | None = local.shards.get(number)
        if connection is None:
            connection = local.shards[number] = self._open(number)
        return connection

    def _open(self, number: int) -> sqlite3.Connection:
        path = self._directory / f"{number:02d}.db"
        connection = sqlite3.connect(path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False)
        self._opened.append((os.getpid(), connection))
        _use_wal(connection)
        synchronous, pages = ("FULL", POWER_SAFE_PAGES) if self._power_safe else ("NORMAL", KILL_SAFE_PAGES)
        connection.execute(f"PRAGMA synchronous = {synchronous}")
        connection.execute(f"PRAGMA wal_autocheckpoint = {pages}")
        connection.execute(_CREATE)
        connection.execute(_CREATE_ARRIVALS)
        _add_statement(connection)
        return connection


def _use_wal(connection: sqlite3.Connection) -> None:
    """Switch a file to write-ahead logging, once for its life.

    Two processes that meet a new file at the same moment: the switch of one fails at once in the other, since SQLite
    does not wait there, whatever the busy timeout says.
    """
    deadline = time.monotonic() + BUSY_TIMEOUT_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.005)
        else:
            return


def _add_statement(connection: sqlite3.Connection) -> None:
    """Give a file of an earlier program the column that it lacks; another process may do the same at this moment."""
    if any(row[1] == "statement" for row in connection.execute("PRAGMA table_info(scans)")):
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        if all(row[1] != "statement" for row in connection.execute("PRAGMA table_info(scans)")):
            connection.execute(_ADD_STATEMENT)
    finally:
        connection.execute("COMMIT")


_received_at = attrgetter("received_at")


def _record(connection: sqlite3.Connection, scan: Scan) -> RecordedScan:
    first = connection.execute(_INSERT, scan).rowcount == 1
    rows = [Scan._make(row) for row in connection.execute(_ANY, (scan.unit_id, RECENT + 2))]
    if len(rows) > RECENT + 1:
        rows = [Scan._make(row) for row in connection.execute(_RECENT, (scan.unit_id, RECENT + 1))]
    elif len(rows) > 1:
        rows.sort(key=_received_at, reverse=True)
    if not first:
        scan = Scan._make(connection.execute(_SAME, (scan.unit_id, scan.device, scan.key)).fetchone())
    earlier = tuple(row for row in rows if row.key != scan.key or row.device != scan.device)
    return RecordedScan(scan, first, earlier[:RECENT])


def _shard_of(unit_id: int) -> int:
    return (unit_id * _SCATTER & 0xFFFFFFFFFFFFFFFF) >> 60
