"""Comparing the product's rows with what the ledger says: the part of the audit that every feature shares.

A feature says which kinds of entry its table stands for, and how a row would be worded in a statement. Compared are
both directions: a row without its entry is as much a fault as an entry without its row.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, func, select

from app.core.clock import to_iso
from ledger.audit.report import AuditScope, Fault
from ledger.audit.statements import Stated, Stretch, stretches

MISSING = object()
"""Stands for a member that a statement does not have; equal to nothing that a row could say."""


@dataclass(frozen=True)
class LoggedRows:
    """A table whose rows are on the ledger, one entry each.

    name: of the table, and, without its plural s, the first part of the fault codes. rows: every row that should be on
    the ledger. label: what names a row to people. words: the members of the statement that a row stands for. about: the
    subject that the entry is about, None where it cannot be told.
    """

    name: str
    code: str
    kinds: frozenset[str]
    rows: Select[Any]
    log_index: ColumnElement[int]
    label: Callable[[Row[Any]], str]
    words: Callable[[Row[Any]], Mapping[str, object]]
    about: Callable[[Row[Any]], bytes]

    def check(self, connection: Connection, scope: AuditScope) -> Iterator[Fault]:
        """Compare the rows with the entries that the audit looks at."""
        for stretch in stretches(connection, scope, self.kinds):
            found = connection.execute(self.rows.where(stretch.holds(self.log_index))).all()
            yield from self._compare(stretch, found)
        if scope.whole:
            yield from strays(connection, self.name, self.code, self.log_index, scope.size)

    def _compare(self, stretch: Stretch, found: Sequence[Row[Any]]) -> Iterator[Fault]:
        unseen = dict(stretch.entries)
        for row in found:
            where = f"{self.name} {self.label(row)}"
            stated = unseen.pop(row.log_index, None)
            if row.log_index in stretch.erased:
                yield Fault(f"{self.code}.entry", where, f"the body of its entry {row.log_index} was erased")
            elif stated is None:
                yield Fault(f"{self.code}.entry", where, f"entry {row.log_index} of the ledger does not speak of it")
            else:
                yield from self.compare_one(where, row, stated)
        for index, stated in unseen.items():
            finding = f"entry {index} is of kind {stated.kind}, and there is no row of {self.name} for it"
            yield Fault(f"{self.code}.missing", f"ledger_entries {index}", finding)

    def compare_one(self, where: str, row: Row[Any], stated: Stated) -> Iterator[Fault]:
        """Compare a row with its entry."""
        different = difference(stated, self.words(row))
        if different is not None:
            yield Fault(f"{self.code}.entry", where, f"its entry {stated.index} says another {different}")
        if self.about(row) not in stated.subjects:
            finding = f"entry {stated.index} is not about it: it would be left out of its history"
            yield Fault(f"{self.code}.subject", where, finding)


def difference(stated: Stated, words: Mapping[str, object]) -> str | None:
    """Give the first member of which a statement says something else than `words`, None when there is no such."""
    payload = {} if stated.payload is None else stated.payload
    return next((name for name, value in words.items() if payload.get(name, MISSING) != value), None)


def strays(connection: Connection, name: str, code: str, log_index: ColumnElement[int], size: int) -> Iterator[Fault]:
    """Find rows that claim a place which the log does not have."""
    beyond = select(func.count(), func.min(log_index)).where((log_index >= size) | (log_index < 0))
    count, least = connection.execute(beyond).one()
    if count:
        finding = f"{count} rows name entries that a log of {size} entries does not have"
        yield Fault(f"{code}.entry", f"{name} with log index {least}", finding)


def stated_time(milliseconds: int | None) -> str | None:
    """Word a row's time as statements do; a number that is no time is told as such, and fits no statement."""
    if milliseconds is None:
        return None
    try:
        return to_iso(milliseconds)
    except (ValueError, OverflowError, OSError):
        return f"{milliseconds} ms"


def said(stated: Stated, member: str) -> Any:
    """Give a member of the statement, None when it has none of that name or cannot be read."""
    return None if stated.payload is None else stated.payload.get(member)


def within(stretch: Stretch, index: int | None) -> bool:
    """Say whether a row that names this entry belongs to the stretch."""
    if index is None:
        return False
    return index in stretch.chosen if stretch.chosen is not None else stretch.start <= index < stretch.stop
