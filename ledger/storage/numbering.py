"""Rows that are counted from 1 without a gap, in tables that nothing is ever removed from."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256

from sqlalchemy import Connection, Engine, Table, func, select

from ledger.storage.engine import begin_write


@contextmanager
def next_number(engine: Engine, table: Table) -> Iterator[tuple[Connection, int]]:
    """Open a write transaction that nobody else has on this table, and give the next number of its rows.

    The table has a primary key `number`. The transaction is committed at the end, rolled back on an exception.
    """
    with begin_write(engine) as connection:
        if connection.dialect.name == "postgresql":
            # SQLite lets in one writer anyhow. A lock of the table itself would need more rights than to insert.
            key = int.from_bytes(sha256(table.name.encode()).digest()[:8], "big", signed=True)
            connection.execute(select(func.pg_advisory_xact_lock(key)))
        greatest = connection.execute(select(func.max(table.c.number))).scalar()
        yield connection, (greatest or 0) + 1
