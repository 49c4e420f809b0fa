"""Erasing the body of an entry, in the open.

What people may ask to have erased lies in the body. Erasing it leaves the leaf as it is: the commitment and the tags
stay, so that every proof goes on to hold, but without the salt nobody can test what the body may have said. The log
itself says, in an entry of its own, that it was erased, when and why; the database refuses an erasure without one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from sqlalchemy import Connection, Engine, insert, text, update

from ledger.errors import EntryNotFound, StateRefused
from ledger.log import Appended, Log
from ledger.own import OwnKind, StatementSigner
from ledger.storage.tables import ledger_entries, ledger_erasures

MAX_REASON = 500
_NOTHING: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class BodyCopies:
    """A table of the product that repeats what bodies say. erase: removes what it has of the entry with this index."""

    table: str
    erase: Callable[[Connection, int], None]


def erase(
    log: Log,
    engine: Engine,
    index: int,
    *,
    reason: str,
    signer: StatementSigner,
    copies: Sequence[BodyCopies] = (),
    needed: Mapping[str, str] = _NOTHING,
    clock: Callable[[], float] = time.time,
) -> Appended[None]:
    """Erase body and salt of entry `index`, and log that; returns the acknowledgement of the entry that says so.

    `copies` are erased in the same transaction. `needed` names the kinds of entry whose bodies the product cannot do
    without, each with a sentence that says why. Raises EntryNotFound, and StateRefused for what is erased already, is
    needed, or is the ledger's own: without those nobody could check the log. Copies in backups are not reached.
    """
    if not 1 <= len(reason) <= MAX_REASON:
        raise ValueError(f"the reason has 1 to {MAX_REASON} characters")
    stored = log.entry(index)
    if stored.body is None:
        raise StateRefused(f"the body of entry {index} was erased before")
    if stored.body.kind in set(OwnKind):
        raise StateRefused(f"entry {index} is the ledger's own ({stored.body.kind}): it is needed to check the log")
    if (why := needed.get(stored.body.kind)) is not None:
        raise StateRefused(f"entry {index} is of kind {stored.body.kind} and stays: {why}")
    remains = stored.leaf.commitment + b"".join(stored.leaf.tags)

    def apply(connection: Connection, own_index: int) -> None:
        connection.execute(insert(ledger_erasures).values(index=index, erased_by=own_index))
        if connection.dialect.name == "sqlite":
            connection.exec_driver_sql("PRAGMA secure_delete = ON")
        done = connection.execute(
            update(ledger_entries)
            .where(ledger_entries.c.index == index, ledger_entries.c.salt.is_not(None))
            .values(salt=None, body=remains)
        )
        if done.rowcount != 1:
            raise EntryNotFound(f"entry {index} is not there to be erased")
        for copy in copies:
            copy.erase(connection, index)

    statement = signer.entry(OwnKind.ERASED, {"index": index, "reason": reason}, at_ms=int(clock() * 1000))
    appended = log.append(statement, apply)
    _sweep(engine, ["ledger_entries", *(copy.table for copy in copies)])
    return appended


def _sweep(engine: Engine, tables: Sequence[str]) -> None:
    """Have the database overwrite what it keeps of the old row: SQLite's write-ahead log, PostgreSQL's dead rows."""
    with engine.connect() as connection:
        driver: Any = connection.execution_options(isolation_level="AUTOCOMMIT")
        if connection.dialect.name == "sqlite":
            driver.execute(text("PRAGMA wal_checkpoint(TRUNCATE)"))
        else:
            driver.execute(text(f"VACUUM {', '.join(tables)}"))
