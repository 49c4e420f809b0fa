"""The subject map in the database: its tiles, which change, and its heads, which never do.

The tags themselves are `ledger_tags`, written with the entries. Tiles are only ever written together with the head
they belong to and the entry that states it, so whoever reads head, tiles and tags in one transaction reads one map.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any, NamedTuple

from sqlalchemy import Connection, bindparam, desc, func, insert, select

from ledger.errors import LedgerError, StorageError
from ledger.map.subject_map import BUCKETS, MAP_LEVELS, MAP_TILE_WIDTH, MapChange, Record, bucket_of, bucket_range
from ledger.storage.interface import EntryRow
from ledger.storage.tables import ledger_entries, ledger_map_heads
from ledger.tiles import Tile

STREAM_BUCKETS = 256
"""Buckets read at once when all are read: 40,000 records of a map of 10 million."""

_HEAD_COLUMNS = (ledger_map_heads.c.size, ledger_map_heads.c.root, ledger_map_heads.c.entry, ledger_map_heads.c.time)
_HEAD = select(*_HEAD_COLUMNS).order_by(desc(ledger_map_heads.c.size)).limit(1)
_STATED = select(func.count()).where(
    ledger_map_heads.c.entry >= bindparam("start"), ledger_map_heads.c.entry < bindparam("stop")
)
_TILE = 'SELECT data FROM ledger_map_tiles WHERE level = {0} AND "index" = {0}'
_RECORDS = 'SELECT tag, "index" FROM ledger_tags WHERE tag >= {0} AND tag < {0} ORDER BY tag'
_TILES = 'SELECT "index", data FROM ledger_map_tiles WHERE level = %s AND "index" = ANY(%s)'
_RECORDS_OF = """
SELECT found.tag, found."index" FROM unnest(%s::bytea[], %s::bytea[]) AS wanted (lower, upper)
CROSS JOIN LATERAL (
    SELECT tag, "index" FROM ledger_tags WHERE tag >= wanted.lower AND tag < wanted.upper ORDER BY tag
) AS found
ORDER BY found.tag
"""
_PUT_TILE = (
    'INSERT INTO ledger_map_tiles (level, "index", data) VALUES ({0}, {0}, {0}) '
    'ON CONFLICT (level, "index") DO UPDATE SET data = excluded.data'
)


class MapSuperseded(LedgerError):
    """Somebody else moved the map on meanwhile; nothing was written."""

    code = "ledger.map_superseded"


class MapHead(NamedTuple):
    """One state of the map: the entries whose tags it holds, its root, the entry that states both, and when (ms)."""

    size: int
    root: bytes
    entry: int
    time: int


class MapReader:
    """Reads the map on one connection; several reads of one map need one transaction around them.

    A change of the map reads thousands of single rows, so tiles and records are asked of the driver itself: a third of
    the time. SQLite is asked once for each, being in the same process; PostgreSQL for many at once. Ask for the head
    first: that begins the transaction.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._sqlite = connection.dialect.name == "sqlite"
        place = "?" if self._sqlite else "%s"
        self._tile, self._records = _TILE.format(place), _RECORDS.format(place)
        # PostgreSQL then sends bytes as bytes instead of hexadecimal text.
        self._options = {} if self._sqlite else {"binary": True}

    def head(self) -> MapHead | None:
        """Give the latest head."""
        row = self._connection.execute(_HEAD).first()
        return None if row is None else MapHead(*row)

    def heads_stated(self, start: int, stop: int) -> int:
        """Count the entries from `start` up to, not including, `stop` that state a head of the map."""
        count: int = self._connection.execute(_STATED, {"start": start, "stop": stop}).scalar_one()
        return count

    def latest_stated(self, size: int) -> int | None:
        """Give the latest entry among the first `size` that states a head."""
        entry = ledger_map_heads.c.entry
        index: int | None = self._connection.execute(select(func.max(entry)).where(entry < size)).scalar()
        return index

    def stated_entries(self, start: int, stop: int) -> list[int]:
        """Give the entries that state the heads number `start` to `stop` - 1, counted from 0, as far as they exist."""
        query = select(ledger_map_heads.c.entry).order_by(ledger_map_heads.c.size).offset(start).limit(stop - start)
        return list(self._connection.execute(query).scalars())

    def tile(self, level: int, index: int) -> bytes:
        """Give a tile, 512 bytes; StorageError when it is not there."""
        row = self._driver.execute(self._tile, (level, index), **self._options).fetchone()
        if row is None:
            raise _missing(level, index)
        data: bytes = row[0]
        return data

    def tiles_above(self, buckets: Iterable[int]) -> dict[tuple[int, int], bytes]:
        """Give every tile from these buckets up to the root, by level and index; StorageError when one is not there."""
        found: dict[tuple[int, int], bytes] = {}
        indexes = set(buckets)
        for level in range(MAP_LEVELS):
            indexes = {index // MAP_TILE_WIDTH for index in indexes}
            if self._sqlite:
                found |= {(level, index): self.tile(level, index) for index in sorted(indexes)}
                continue
            rows = self._driver.execute(_TILES, (level, list(indexes)), **self._options).fetchall()
            found |= {(level, index): data for index, data in rows}
            for index in indexes:
                if (level, index) not in found:
                    raise _missing(level, index)
        return found

    def entries(self, indexes: Sequence[int]) -> list[EntryRow]:
        """Give these entries of the log, in ascending order, those that exist."""
        table = ledger_entries.c
        columns = (table.index, table.statement_key, table.salt, table.body)
        rows = self._connection.execute(select(*columns).where(table.index.in_(indexes)).order_by(table.index))
        return [EntryRow(*row) for row in rows]

    def records(self, bucket: int, buckets: int = 1) -> list[Record]:
        """Give the records of one or more buckets, ascending by tag, of the whole log and not of a map's size."""
        lower, _ = bucket_range(bucket)
        _, upper = bucket_range(bucket + buckets - 1)
        records: list[Record] = self._driver.execute(self._records, (lower, upper), **self._options).fetchall()
        return records

    def records_of(self, buckets: Iterable[int]) -> Iterator[tuple[int, list[Record]]]:
        """Give each of these buckets, in ascending order, with its records."""
        wanted = sorted(buckets)
        if self._sqlite:
            yield from ((bucket, self.records(bucket)) for bucket in wanted)
            return
        for at in range(0, len(wanted), STREAM_BUCKETS):
            ranges = [bucket_range(bucket) for bucket in wanted[at : at + STREAM_BUCKETS]]
            bounds = [lower for lower, _ in ranges], [upper for _, upper in ranges]
            rows = self._driver.execute(_RECORDS_OF, bounds, **self._options).fetchall()
            groups = {bucket: list(group) for bucket, group in groupby(rows, key=lambda row: bucket_of(row[0]))}
            yield from ((bucket, groups.get(bucket, [])) for bucket in wanted[at : at + STREAM_BUCKETS])

    def all_records(self) -> Iterator[Record]:
        """Give every record, ascending by tag, reading a part at a time."""
        for bucket in range(0, BUCKETS, STREAM_BUCKETS):
            yield from self.records(bucket, STREAM_BUCKETS)

    @property
    def _driver(self) -> Any:
        return self._connection.connection.driver_connection


def _missing(level: int, index: int) -> StorageError:
    return StorageError(f"tile {level}/{index} of the subject map is missing", fix="Run `marchamo ledger map rebuild`.")


def write_map(connection: Connection, *, earlier: MapHead | None, head: MapHead, change: MapChange) -> None:
    """Write the tiles of a change and the head, inside the transaction of the entry that states it.

    Raises MapSuperseded when the latest head is no longer the one that the change started from.
    """
    write_tiles(connection, head=earlier, tiles=change.tiles)
    connection.execute(insert(ledger_map_heads), head._asdict())


def write_tiles(connection: Connection, *, head: MapHead | None, tiles: Sequence[Tile]) -> None:
    """Write tiles over those that are there; MapSuperseded unless this head is the latest."""
    if MapReader(connection).head() != head:
        raise MapSuperseded("the subject map was moved on by another process", fix="Try again.")
    if tiles:
        place = "?" if connection.dialect.name == "sqlite" else "%s"
        rows: list[Any] = [(tile.level, tile.index, tile.data) for tile in tiles]
        connection.exec_driver_sql(_PUT_TILE.format(place), rows)
