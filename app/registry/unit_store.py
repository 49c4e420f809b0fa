"""Units and tree tiles in bulk: half a thousand rows a transaction, by the fastest way each database has.

A batch is filled while its row has no `log_index`: nobody sees its units yet. Every transaction first makes sure that
the batch still belongs to the attempt that fills it, so that a worker that was taken for dead and comes back can not
write into what its successor has swept away.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count, repeat
from typing import Any, cast

import psycopg
from sqlalchemy import Connection, Engine, delete, select, text, update

from app.registry.models import BatchRow, batch_tiles, units
from app.registry.serials import in_chunks
from app.registry.unit_id import batch_of, pack
from ledger.storage.engine import begin_write
from ledger.tiles import Tile

ROWS_A_TRANSACTION = 500
"""Units written while the database's write lock is held: a few milliseconds, so that others get their turn."""
SERIALS_A_QUERY = 500
SERIALS_A_PAGE = 2_000

_INSERT_UNITS = "INSERT INTO units (product_id, serial, unit_id) VALUES (?, ?, ?)"
_INSERT_TILES = "INSERT INTO batch_tiles (batch_id, level, tile_index, data) VALUES (?, ?, ?, ?)"
_COPY_UNITS = "COPY units (product_id, serial, unit_id) FROM STDIN"
_COPY_TILES = "COPY batch_tiles (batch_id, level, tile_index, data) FROM STDIN"


class AttemptSupersededError(RuntimeError):
    """Another attempt has taken this batch over; this one must leave it alone."""


class SerialTakenError(Exception):
    """A serial of this chunk exists already under this product."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """Units of a batch at consecutive positions, and the tree tiles that became ready with them."""

    batch_id: int
    product_id: int
    first_position: int
    serials: Sequence[str]
    tiles: Sequence[Tile]

    def unit_rows(self) -> Iterator[tuple[int, str, int]]:
        """Rows of `units`."""
        return zip(repeat(self.product_id), self.serials, count(pack(self.batch_id, self.first_position)), strict=False)

    def tile_rows(self) -> Iterator[tuple[int, int, int, bytes]]:
        """Rows of `batch_tiles`."""
        return ((self.batch_id, tile.level, tile.index, tile.data) for tile in self.tiles)


def write_chunk(engine: Engine, chunk: Chunk, *, attempt: str) -> None:
    """Add a chunk in one transaction.

    Raises AttemptSupersededError, and SerialTakenError when a serial exists; then nothing of the chunk is kept.
    """
    try:
        with begin_write(engine) as connection:
            require_attempt(connection, chunk.batch_id, attempt)
            if connection.dialect.name == "sqlite":
                _insert_sqlite(connection, chunk)
            else:
                _copy_postgresql(connection, chunk)
    except (sqlite3.IntegrityError, psycopg.errors.UniqueViolation) as error:
        raise SerialTakenError from error


def require_attempt(connection: Connection, batch_id: int, attempt: str) -> None:
    """Hold the batch for this transaction; raises AttemptSupersededError when it is another's by now."""
    # FOR SHARE makes a sweep wait until this transaction ends (PostgreSQL); SQLite has one writer anyway.
    held = connection.scalar(select(BatchRow.attempt).where(BatchRow.id == batch_id).with_for_update(read=True))
    if held != attempt:
        raise AttemptSupersededError(f"batch {batch_id} was taken over")


def _insert_sqlite(connection: Connection, chunk: Chunk) -> None:
    # The driver itself: SQLAlchemy's executemany costs three times as much (measured).
    driver = cast("sqlite3.Connection", connection.connection.driver_connection)
    driver.executemany(_INSERT_UNITS, chunk.unit_rows())
    driver.executemany(_INSERT_TILES, chunk.tile_rows())


def _copy_postgresql(connection: Connection, chunk: Chunk) -> None:
    # Not acknowledged yet: the commit that publishes the batch is durable and takes all earlier ones with it.
    connection.execute(text("SET LOCAL synchronous_commit = off"))
    driver = cast("psycopg.Connection[Any]", connection.connection.driver_connection)
    with driver.cursor() as cursor:
        with cursor.copy(_COPY_UNITS) as copy:
            # Text format; AI 21 has neither backslash nor tab, so nothing needs escaping.
            copy.write("".join([f"{product}\t{serial}\t{number}\n" for product, serial, number in chunk.unit_rows()]))
        with cursor.copy(_COPY_TILES) as copy:
            rows = [f"{batch}\t{level}\t{at}\t\\\\x{data.hex()}\n" for batch, level, at, data in chunk.tile_rows()]
            copy.write("".join(rows))


def taken_serials(
    connection: Connection,
    *,
    product_id: int,
    serials: Sequence[str],
    besides_batch: int | None = None,
    limit: int = 1000,
) -> list[str]:
    """Those of `serials` that exist under the product in another batch, at most `limit`."""
    found: list[str] = []
    for part in in_chunks(serials, SERIALS_A_QUERY):
        query = select(units.c.serial, units.c.unit_id).where(
            units.c.product_id == product_id, units.c.serial.in_(part)
        )
        found += [serial for serial, unit_id in connection.execute(query) if batch_of(unit_id) != besides_batch]
        if len(found) >= limit:
            break
    return found[:limit]


def sweep_batch(engine: Engine, batch_id: int) -> bool:
    """Remove an unpublished batch with all that was written for it; False when it is published or gone.

    Short transactions. A crash in between leaves the batch abandoned and partly removed: the next sweep finishes.
    """
    with begin_write(engine) as connection:
        abandoned = connection.execute(
            update(BatchRow).where(BatchRow.id == batch_id, BatchRow.log_index.is_(None)).values(attempt="")
        )
        if abandoned.rowcount == 0:
            return False
        row = connection.execute(
            select(BatchRow.product_id, BatchRow.first_serial, BatchRow.last_serial).where(BatchRow.id == batch_id)
        ).one()
    _sweep_units(engine, batch_id, *row)
    _sweep_tiles(engine, batch_id)
    with begin_write(engine) as connection:
        connection.execute(delete(BatchRow).where(BatchRow.id == batch_id))
    return True


def _sweep_units(engine: Engine, batch_id: int, product_id: int, first: str, last: str) -> None:
    with engine.connect() as connection:
        after = first
        while True:
            query = (
                select(units.c.serial, units.c.unit_id)
                .where(units.c.product_id == product_id, units.c.serial >= after, units.c.serial <= last)
                .order_by(units.c.serial)
                .limit(ROWS_A_TRANSACTION)
            )
            rows = connection.execute(query).all()
            connection.rollback()
            own = [row.serial for row in rows if batch_of(row.unit_id) == batch_id]
            if own:
                with begin_write(engine) as writing:
                    writing.execute(delete(units).where(units.c.product_id == product_id, units.c.serial.in_(own)))
            if len(rows) < ROWS_A_TRANSACTION:
                return
            after = rows[-1].serial  # read again and skipped, or removed by now


def _sweep_tiles(engine: Engine, batch_id: int) -> None:
    while True:
        with begin_write(engine) as connection:
            key = (batch_tiles.c.level, batch_tiles.c.tile_index)
            rows = connection.execute(
                select(*key).where(batch_tiles.c.batch_id == batch_id).order_by(*key).limit(ROWS_A_TRANSACTION)
            ).all()
            for level in {row.level for row in rows}:
                indexes = [row.tile_index for row in rows if row.level == level]
                connection.execute(
                    delete(batch_tiles).where(
                        batch_tiles.c.batch_id == batch_id,
                        batch_tiles.c.level == level,
                        batch_tiles.c.tile_index.between(indexes[0], indexes[-1]),
                    )
                )
        if len(rows) < ROWS_A_TRANSACTION:
            return


def serials_of_batch(
    connection: Connection,
    *,
    batch_id: int,
    product_id: int,
    first: str,
    last: str,
    start: int = 0,
    count: int | None = None,
) -> Iterator[tuple[int, str]]:
    """(unit number, serial) of a batch in order of position, from position `start` on; reads in pages."""
    remaining = pack(batch_id + 1, 0) if count is None else count
    after: str | None = None
    while remaining > 0:
        page = min(remaining, SERIALS_A_PAGE)
        query = (
            select(units.c.unit_id, units.c.serial)
            .where(
                units.c.product_id == product_id,
                units.c.serial >= first if after is None else units.c.serial > after,
                units.c.serial <= last,
                # A firm's own serials may lie between those of its other batches.
                units.c.unit_id.between(pack(batch_id, start), pack(batch_id + 1, 0) - 1),
            )
            .order_by(units.c.serial)
            .limit(page)
        )
        rows = connection.execute(query).all()
        yield from ((row.unit_id, row.serial) for row in rows)
        if len(rows) < page:
            return
        after = rows[-1].serial
        remaining -= len(rows)
