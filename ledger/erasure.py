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

from sqlalchemy import Connection, Engine, insert, update

from ledger.errors import EntryNotFound, ProofError, StateRefused, StorageError
from ledger.log import Log, StoredEntry
from ledger.merkle import verify_inclusion
from ledger.own import OwnKind, StatementSigner
from ledger.storage.sweeping import overwrite_freed_rows, require_sweeper, sweep
from ledger.storage.tables import ledger_entries, ledger_erasures

MAX_REASON = 500
_NOTHING: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class BodyCopies:
    """A table of the product that repeats what bodies say. erase: removes what it has of the entry with this index."""

    table: str
    erase: Callable[[Connection, int], None]


@dataclass(frozen=True, slots=True)
class Erased:
    """What an erasure came to. index: of the entry that says so.

    kept: what kept the database from overwriting its old row at once; None when it is gone. `sweep_erased` tries again.
    """

    index: int
    kept: str | None


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
) -> Erased:
    """Erase body and salt of entry `index`, and log that.

    `copies` are erased in the same transaction. `needed` names the kinds of entry whose bodies the product cannot do
    without, each with a sentence that says why. Raises EntryNotFound, and StateRefused for what is erased already, is
    needed, or is the ledger's own: without those nobody could check the log. Raises StorageError for a row that is not
    the one in the tree, which is evidence, and RoleRefused where another role owns the tables. Copies in backups are
    not reached.
    """
    if not 1 <= len(reason) <= MAX_REASON:
        raise ValueError(f"the reason has 1 to {MAX_REASON} characters")
    tables = _tables(copies)
    require_sweeper(engine, tables)
    stored = log.entry(index)
    if stored.body is None:
        raise StateRefused(f"the body of entry {index} was erased before")
    if stored.body.kind in set(OwnKind):
        raise StateRefused(f"entry {index} is the ledger's own ({stored.body.kind}): it is needed to check the log")
    if (why := needed.get(stored.body.kind)) is not None:
        raise StateRefused(f"entry {index} is of kind {stored.body.kind} and stays: {why}")
    _require_in_tree(log, stored)
    remains = stored.leaf.commitment + b"".join(stored.leaf.tags)

    def apply(connection: Connection, own_index: int) -> None:
        connection.execute(insert(ledger_erasures).values(index=index, erased_by=own_index))
        overwrite_freed_rows(connection)
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
    return Erased(appended.index, sweep(engine, tables))


def sweep_erased(engine: Engine, *, copies: Sequence[BodyCopies] = ()) -> str | None:
    """Overwrite what the database still keeps of erased rows; returns what stood in the way, None when all is gone."""
    return sweep(engine, _tables(copies))


def _tables(copies: Sequence[BodyCopies]) -> list[str]:
    return ["ledger_entries", *(copy.table for copy in copies)]


def _require_in_tree(log: Log, stored: StoredEntry) -> None:
    """Refuse to destroy a row that somebody has changed: it is evidence, and its leaf would be lost with it."""
    size, root = log.head()
    try:
        path = log.inclusion_path(stored.index, size)
        verify_inclusion(leaf=stored.leaf.hash(), index=stored.index, size=size, path=path, root=root)
    except ProofError:
        raise StorageError(
            f"the body of entry {stored.index} is not the one that the tree holds: it was changed, and is not erased",
            fix="Keep this database as it is, and run: marchamo ledger audit --full",
        ) from None
