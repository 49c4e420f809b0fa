"""What the entries say, in stretches that fit into memory: for the checks that a product adds to the audit.

The audit itself proves that the bodies are those of the leaves. A check of the product's compares them with the
product's own rows, stretch by stretch, and so needs the memory of one stretch, however long the log is.
"""

from __future__ import annotations

import re
from binascii import a2b_base64
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, bindparam, func, or_, select

from ledger.audit.report import AuditScope
from ledger.errors import LedgerError
from ledger.leaf import Body
from ledger.statement import read_unverified
from ledger.storage.tables import ledger_entries

STRETCH = 8_192
"""Entries of one stretch."""
CHOSEN = 500
"""Entries of one stretch of those chosen at random; below the databases' limits on parameters."""

# The canonical body with one subject, as most are, in one regular expression. It only ever has to accept: whatever does
# not match goes to the strict reader, and the audit itself reads every body strictly.
_BODY = re.compile(
    rb'\{"key_id":"([!#-\[\]-~]{1,128})","kind":"([a-z][a-z0-9_.-]{0,63})",'
    rb'"statement":"([A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+)",'
    rb'"subjects":\[\["([A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=)",(?:0|[1-9][0-9]{0,17})\]\]\}'
)
_HEAD = 256
"""Bytes of a body in which its kind stands."""


@dataclass(frozen=True, slots=True)
class Stated:
    """One entry as its body has it. payload: what the statement says; None when it cannot be read."""

    index: int
    kind: str
    key_id: str
    subjects: tuple[bytes, ...]
    payload: Mapping[str, Any] | None
    statement: bytes


@dataclass(frozen=True, slots=True)
class Stretch:
    """A part of the log: the entries of the kinds asked for, and the indexes of the erased ones, of whatever kind."""

    start: int
    stop: int
    chosen: tuple[int, ...] | None
    entries: Mapping[int, Stated]
    erased: frozenset[int]

    def holds(self, log_index: ColumnElement[int]) -> ColumnElement[bool]:
        """Give the condition that a row of the product's, by its column of log indexes, belongs to this stretch."""
        if self.chosen is not None:
            return log_index.in_(self.chosen)
        return and_(log_index >= self.start, log_index < self.stop)


def stretches(connection: Connection, scope: AuditScope, kinds: Collection[str] | None) -> Iterator[Stretch]:
    """Give what the audit looks at, in order, read as far as it is of one of these kinds; None stands for all."""
    if scope.chosen is not None:
        for at in range(0, len(scope.chosen), CHOSEN):
            some = scope.chosen[at : at + CHOSEN]
            yield _read(connection, some[0], some[-1] + 1, some, kinds)
            scope.told(len(some))
        return
    for start in range(scope.since, scope.size, STRETCH):
        stop = min(start + STRETCH, scope.size)
        yield _read(connection, start, stop, None, kinds)
        scope.told(stop - start)


def _read(
    connection: Connection, start: int, stop: int, chosen: tuple[int, ...] | None, kinds: Collection[str] | None
) -> Stretch:
    columns = ledger_entries.c
    where = columns.index.in_(chosen) if chosen is not None else and_(columns.index >= start, columns.index < stop)
    query = select(columns.index, columns.salt.is_(None), columns.body).where(where).order_by(columns.index)
    if kinds is not None:
        # The database leaves out what is of another kind: a log of a million events is not read for its few keys.
        found = [_is_of_kind(connection.dialect.name, kind, number) for number, kind in enumerate(sorted(kinds))]
        query = query.where(or_(columns.salt.is_(None), *found))
    entries: dict[int, Stated] = {}
    erased = set()
    for index, is_erased, body in connection.execute(query):
        if is_erased:
            erased.add(index)
        elif (stated := _stated(index, bytes(body))) is not None and (kinds is None or stated.kind in kinds):
            entries[index] = stated
    return Stretch(start, stop, chosen, entries, frozenset(erased))


def _is_of_kind(dialect: str, kind: str, number: int) -> ColumnElement[bool]:
    # No member before "kind" can contain a quotation mark, so these bytes stand in no other place of the body's head.
    needle = bindparam(f"kind_{number}", f'"kind":"{kind}"'.encode(), type_=ledger_entries.c.body.type)
    head = func.substr(ledger_entries.c.body, 1, _HEAD)
    if dialect == "sqlite":
        return func.instr(head, needle) > 0
    # What SQL writes as position(needle IN head) is this function.
    return func.pg_catalog.position(head, needle) > 0


def _stated(index: int, body: bytes) -> Stated | None:
    """Read a body; None for one that is none, which the audit itself names."""
    if (match := _BODY.fullmatch(body)) is not None:
        key_id, kind, statement, subject = match.groups()
        payload = _payload(statement)
        return Stated(index, kind.decode("ascii"), key_id.decode("ascii"), (a2b_base64(subject),), payload, statement)
    try:
        read = Body.from_bytes(body)
    except LedgerError:
        return None
    subjects = tuple(subject for subject, _ in read.subjects)
    return Stated(index, read.kind, read.key_id, subjects, _payload(read.statement), read.statement)


def _payload(statement: bytes) -> Mapping[str, Any] | None:
    try:
        return read_unverified(statement).payload
    except LedgerError:
        return None
