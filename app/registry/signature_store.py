"""Signatures of units in the database: 512 a row, in order of position, added and never changed."""

from collections.abc import Iterator

from sqlalchemy import Connection, func, insert, select

from app.registry.models import unit_signatures

SIGNATURE_SIZE = 64
SIGNATURES_A_ROW = 512
"""32 KiB a row: few rows for a big batch, and little to read for one label."""
_ROWS_AT_ONCE = 32


def rows_of(quantity: int) -> int:
    """How many rows the signatures of so many units take."""
    return -(-quantity // SIGNATURES_A_ROW)


def stored_rows(connection: Connection, batch_id: int) -> int:
    """How many rows of the batch are there."""
    query = select(func.count()).where(unit_signatures.c.batch_id == batch_id)
    return connection.scalar(query.select_from(unit_signatures)) or 0


def first_missing_row(connection: Connection, batch_id: int) -> int:
    """The number of the first row that is not there: rows are counted from 0."""
    numbers = connection.scalars(
        select(unit_signatures.c.chunk).where(unit_signatures.c.batch_id == batch_id).order_by(unit_signatures.c.chunk)
    )
    expected = 0
    for number in numbers:
        if number != expected:
            break
        expected += 1
    return expected


def read_rows(connection: Connection, batch_id: int, start: int, stop: int) -> dict[int, bytes]:
    """The rows from `start` up to, not including, `stop`, by number."""
    columns = unit_signatures.c
    rows = connection.execute(
        select(columns.chunk, columns.data).where(
            columns.batch_id == batch_id, columns.chunk >= start, columns.chunk < stop
        )
    )
    return {number: bytes(data) for number, data in rows}


def add_rows(connection: Connection, batch_id: int, rows: dict[int, bytes]) -> None:
    """Add rows; the caller has made sure in this transaction that they are not there."""
    if rows:
        values = [{"batch_id": batch_id, "chunk": number, "data": data} for number, data in sorted(rows.items())]
        connection.execute(insert(unit_signatures), values)


def data_of_batch(connection: Connection, batch_id: int, *, first: int = 0) -> Iterator[bytes]:
    """The rows' bytes in order from row `first` on, a megabyte in memory at once; ends at the first that is missing."""
    while True:
        rows = read_rows(connection, batch_id, first, first + _ROWS_AT_ONCE)
        for number in range(first, first + _ROWS_AT_ONCE):
            if number not in rows:
                return
            yield rows[number]
        first += _ROWS_AT_ONCE


def signatures_from(connection: Connection, batch_id: int, position: int) -> Iterator[bytes]:
    """The signatures (64 bytes each) in order from a position on; ends where one is missing."""
    first, skipped = divmod(position, SIGNATURES_A_ROW)
    start = skipped * SIGNATURE_SIZE
    for data in data_of_batch(connection, batch_id, first=first):
        for at in range(start, len(data), SIGNATURE_SIZE):
            yield data[at : at + SIGNATURE_SIZE]
        start = 0
