"""The audit's view of entries: each row against its own columns, its body, its subject's chain and its tile."""

from __future__ import annotations

import re
from binascii import a2b_base64
from collections.abc import Sequence
from hashlib import sha256

from sqlalchemy import Connection, func, select
from sqlalchemy.orm import aliased

from ledger.audit_report import AuditReport, FaultCode
from ledger.committer import statement_key, subject_key
from ledger.edge import TILE_BYTES, TILE_WIDTH, chain_hashes
from ledger.errors import FormatError
from ledger.leaf import SALT_SIZE, Body
from ledger.merkle import HASH_SIZE
from ledger.storage.tables import ledger_entries, ledger_tiles
from ledger.tiles import tile_path

Row = tuple[int, int, int, bytes | None, bytes | None, int | None]
"""index, statement key, subject key, salt, body, index of the subject's previous entry by the database's index."""

# The canonical body in one regular expression, which is ten times as fast as parsing it. Whatever does not match goes
# to the strict reader, so this only ever has to accept.
_BODY = re.compile(
    rb'\{"key_id":"[!#-\[\]-~]{1,128}","kind":"[a-z][a-z0-9_.-]{0,63}",'
    rb'"statement":"([A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+)",'
    rb'"subject":"([A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=)","subject_prev":(null|0|[1-9][0-9]{0,17})\}'
)

_EARLIER = aliased(ledger_entries)
_ROWS = select(
    ledger_entries.c.index,
    ledger_entries.c.statement_key,
    ledger_entries.c.subject_key,
    ledger_entries.c.salt,
    ledger_entries.c.body,
    select(func.max(_EARLIER.c.index))
    .where(_EARLIER.c.subject_key == ledger_entries.c.subject_key, _EARLIER.c.index < ledger_entries.c.index)
    .scalar_subquery(),
).order_by(ledger_entries.c.index)
_SHARED_KEYS = select(ledger_entries.c.statement_key).group_by(ledger_entries.c.statement_key).having(func.count() > 1)


def read_rows(connection: Connection, start: int, stop: int) -> list[Row]:
    """Read the entries from `start` up to, not including, `stop`."""
    rows = connection.execute(_ROWS.where(ledger_entries.c.index >= start, ledger_entries.c.index < stop))
    return [tuple(row) for row in rows]


def read_tiles(connection: Connection, level: int, start: int, stop: int) -> dict[int, bytes]:
    """Read the stored full tiles of a level from `start` up to, not including, `stop`."""
    columns = ledger_tiles.c
    rows = connection.execute(
        select(columns.index, columns.data).where(columns.level == level, columns.index >= start, columns.index < stop)
    )
    return {row[0]: row[1] for row in rows}


def commitments_of(rows: Sequence[Row], report: AuditReport) -> list[bytes]:
    """Hash each row's body under its salt; note rows that have none."""
    commitments = []
    for index, _, _, salt, body, _ in rows:
        if salt is None or body is None or len(salt) != SALT_SIZE:
            report.add(FaultCode.ENTRY_CONTENT, _entry(index), "the salt or the body is missing")
            commitments.append(bytes(HASH_SIZE))
        else:
            commitments.append(sha256(salt + body).digest())
    return commitments


def check_bodies(rows: Sequence[Row], report: AuditReport) -> None:
    """Check that each body is canonical and agrees with the columns by which it is found."""
    for index, stated_statement_key, stated_subject_key, _, body, earlier in rows:
        if body is None:
            continue
        try:
            statement, subject, previous = _read_body(body)
        except FormatError as error:
            report.add(FaultCode.ENTRY_BODY, _entry(index), error.message)
            continue
        if statement_key(statement) != stated_statement_key:
            message = "statement_key is not the one of the body: the statement would not be recognised again"
            report.add(FaultCode.ENTRY_STATEMENT_KEY, _entry(index), message)
        if subject_key(subject) != stated_subject_key:
            message = "subject_key is not the one of the body: the entry would be omitted from its subject's history"
            report.add(FaultCode.ENTRY_SUBJECT_KEY, _entry(index), message)
        elif previous != earlier:
            message = f"the body names entry {previous} as its subject's previous one, the database holds {earlier}"
            report.add(FaultCode.ENTRY_SUBJECT_CHAIN, _entry(index), message)


def check_leaves(
    last: bytes, start: int, commitments: Sequence[bytes], tiles: dict[int, bytes], report: AuditReport
) -> list[bytes]:
    """Chain the leaves that follow `last` and compare them with the stored level-0 tiles.

    `start` is the first leaf of a tile. Returns the leaf hashes. After a difference the stored hash is taken, so that
    one changed row is one fault.
    """
    hashes: list[bytes] = []
    for at in range(0, len(commitments), TILE_WIDTH):
        part = commitments[at : at + TILE_WIDTH]
        index = (start + at) // TILE_WIDTH
        chained = chain_hashes(last, part)
        stored = tiles.get(index)
        if len(part) == TILE_WIDTH:
            if stored is None:
                report.add(FaultCode.TILE_MISSING, _tile(0, index), "this full tile is not stored")
            elif stored != b"".join(chained):
                chained = _compare_tile(last, index, part, stored, report)
        hashes.extend(chained)
        last = hashes[-1]
    return hashes


def _compare_tile(
    last: bytes, index: int, commitments: Sequence[bytes], stored: bytes, report: AuditReport
) -> list[bytes]:
    """Find which of a tile and its entries was changed. Returns the hashes to go on with."""
    if len(stored) != TILE_BYTES:
        report.add(FaultCode.TILE_CONTENT, _tile(0, index), f"a full tile has {TILE_BYTES} bytes, not {len(stored)}")
        return chain_hashes(last, commitments)
    chained = chain_hashes(last, commitments)
    stored_before = [last, *(stored[at : at + HASH_SIZE] for at in range(0, TILE_BYTES - HASH_SIZE, HASH_SIZE))]
    fitting = sum(
        chain_hashes(before, [commitment])[0] == stored[at * HASH_SIZE : (at + 1) * HASH_SIZE]
        for at, (before, commitment) in enumerate(zip(stored_before, commitments, strict=True))
    )
    if fitting < TILE_WIDTH // 2:
        message = f"only {fitting} of its hashes fit their entries: it is another tile, or all entries are others"
        report.add(FaultCode.TILE_CONTENT, _tile(0, index), message)
        return chained
    hashes = []
    for at, commitment in enumerate(commitments):
        expected = stored[at * HASH_SIZE : (at + 1) * HASH_SIZE]
        [computed] = chain_hashes(last, [commitment])
        if computed != expected:
            following = commitments[at + 1 : at + 2]
            next_stored = stored[(at + 1) * HASH_SIZE : (at + 2) * HASH_SIZE]
            # The next leaf contains the hash in question. If it hangs on the computed one, the tile was changed.
            if following and chain_hashes(computed, following) == [next_stored]:
                report.add(FaultCode.TILE_CONTENT, _tile(0, index), f"hash {at} is not the one of its entry")
                expected = computed
            else:
                place = index * TILE_WIDTH + at
                message = "salt and body do not give the leaf that the tree holds: the entry was changed"
                report.add(FaultCode.ENTRY_CONTENT, _entry(place), message)
        hashes.append(expected)
        last = expected
    return hashes


def check_duplicates(connection: Connection, report: AuditReport) -> None:
    """Check that no statement was recorded twice. Keys may collide, so the statements themselves are compared."""
    for key in connection.execute(_SHARED_KEYS).scalars().all():
        rows = connection.execute(
            select(ledger_entries.c.index, ledger_entries.c.body)
            .where(ledger_entries.c.statement_key == key)
            .order_by(ledger_entries.c.index)
        )
        first: dict[bytes, int] = {}
        for index, body in rows:
            try:
                statement, _, _ = _read_body(body or b"")
            except FormatError:
                continue  # noted already, as a body
            if first.setdefault(statement, index) != index:
                message = f"this statement is recorded already as entry {first[statement]}"
                report.add(FaultCode.ENTRY_DUPLICATE, _entry(index), message)


def _read_body(data: bytes) -> tuple[bytes, bytes, int | None]:
    match = _BODY.fullmatch(data)
    if match is None:
        body = Body.from_bytes(data)
        return body.statement, body.subject, body.subject_prev
    statement, subject, previous = match.groups()
    return statement, a2b_base64(subject), None if previous == b"null" else int(previous)


def _entry(index: int) -> str:
    return f"ledger_entries {index}"


def _tile(level: int, index: int) -> str:
    return f"ledger_tiles {tile_path(level, index).removeprefix('tile/')}"
