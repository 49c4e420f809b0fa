"""The audit's view of entries: each row against its own columns, its body, its subjects' chains and its tile."""

from __future__ import annotations

import re
from binascii import a2b_base64
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

from sqlalchemy import Connection, func, select

from ledger.audit.report import AuditReport, FaultCode
from ledger.edge import TILE_BYTES, TILE_WIDTH, chain_hashes
from ledger.errors import FormatError, LedgerError
from ledger.leaf import Body, split_tags, subject_tag
from ledger.merkle import HASH_SIZE
from ledger.own import OwnKind
from ledger.statement import read_unverified
from ledger.storage.interface import EntryRow, LogReader
from ledger.storage.sql import SqlReader
from ledger.storage.tables import ledger_entries, ledger_erasures, ledger_tiles
from ledger.submission import statement_key
from ledger.tiles import tile_path

# The canonical body in one regular expression, which is ten times as fast as parsing it. Whatever does not match goes
# to the strict reader, so this only ever has to accept.
_BODY = re.compile(
    rb'\{"key_id":"[!#-\[\]-~]{1,128}","kind":"[a-z][a-z0-9_.-]{0,63}",'
    rb'"statement":"([A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+)",'
    rb'"subjects":\[\["([A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=)",(0|[1-9][0-9]{0,17})\]\]\}'
)
_SHARED_KEYS = select(ledger_entries.c.statement_key).group_by(ledger_entries.c.statement_key).having(func.count() > 1)


@dataclass(frozen=True, slots=True)
class _Tagged:
    """What a body says of its subjects: each with the number of the entry about it, and the tags that follow."""

    entry: int
    subjects: Sequence[tuple[bytes, int]]
    tags: Sequence[bytes]


def read_tiles(connection: Connection, level: int, start: int, stop: int) -> dict[int, bytes]:
    """Read the stored full tiles of a level from `start` up to, not including, `stop`."""
    columns = ledger_tiles.c
    rows = connection.execute(
        select(columns.index, columns.data).where(columns.level == level, columns.index >= start, columns.index < stop)
    )
    return {row[0]: row[1] for row in rows}


def check_bodies(reader: LogReader, rows: Sequence[EntryRow], report: AuditReport) -> list[bytes]:
    """Check that each body is canonical and agrees with the keys by which it is found.

    Returns what each leaf says besides `prev`: commitment || tags.
    """
    contents: list[bytes] = []
    tagged: list[_Tagged] = []
    for row in rows:
        if row.salt is None:
            contents.append(row.body)
            tagged.append(_Tagged(row.entry, (), split_tags(row.body[HASH_SIZE:])))
            continue
        commitment = sha256(row.salt + row.body).digest()
        try:
            statement, subjects = _read_body(row.body)
        except FormatError as error:
            report.add(FaultCode.ENTRY_BODY, _entry(row.entry), error.message)
            contents.append(commitment)
            continue
        if statement_key(statement) != row.statement_key:
            message = "statement_key is not the one of the body: the statement would not be recognised again"
            report.add(FaultCode.ENTRY_STATEMENT_KEY, _entry(row.entry), message)
        tags = [subject_tag(subject, sequence) for subject, sequence in subjects]
        contents.append(b"".join((commitment, *tags)))
        tagged.append(_Tagged(row.entry, subjects, tags))
    _check_tags(reader, tagged, report)
    report.tags += sum(len(entry.tags) for entry in tagged)
    return contents


def _check_tags(reader: LogReader, tagged: Sequence[_Tagged], report: AuditReport) -> None:
    """Check that each tag is filed under its entry, and that the entry before it about the subject is there."""
    before = {
        (entry.entry, subject): subject_tag(subject, sequence - 1)
        for entry in tagged
        for subject, sequence in entry.subjects
        if sequence
    }
    filed = reader.find_tags([*(tag for entry in tagged for tag in entry.tags), *before.values()])
    for entry in tagged:
        if any(filed.get(tag) != entry.entry for tag in entry.tags):
            message = "its tag is not filed under it: the entry would be omitted from its subject's history"
            report.add(FaultCode.ENTRY_TAG, _entry(entry.entry), message)
    for (index, _), tag in before.items():
        if filed.get(tag, index) >= index:
            message = "the entry before it about the same subject is not there: the subject's chain is broken"
            report.add(FaultCode.ENTRY_SUBJECT_CHAIN, _entry(index), message)


def check_erasures(reader: SqlReader, since: int, report: AuditReport) -> None:
    """Check that what is erased is on record as erased, that the log says so, and that nothing on record is left."""
    entries, erasures = ledger_entries.c, ledger_erasures.c
    connection = reader.connection
    erased = set(
        connection.execute(select(entries.index).where(entries.salt.is_(None), entries.index >= since)).scalars()
    )
    rows = connection.execute(select(erasures.index, erasures.erased_by).where(erasures.index >= since))
    recorded = {row[0]: row[1] for row in rows}
    for index in sorted(erased - recorded.keys()):
        report.add(
            FaultCode.ENTRY_CONTENT, _entry(index), "the salt or the body is missing, and no erasure is on record"
        )
    for index, erased_by in sorted(recorded.items()):
        where = f"ledger_erasures {index}"
        if index not in erased:
            report.add(FaultCode.ERASURE_UNDONE, where, "the erasure is on record, but the body is still there")
        if not _says_erased(reader.entries(erased_by, erased_by + 1), index):
            message = f"entry {erased_by} does not say that the body of entry {index} was erased"
            report.add(FaultCode.ERASURE_UNLOGGED, where, message)


def _says_erased(rows: Sequence[EntryRow], index: int) -> bool:
    try:
        [row] = rows
        body = Body.from_bytes(row.body)
        return body.kind == OwnKind.ERASED and read_unverified(body.statement).payload.get("index") == index
    except (ValueError, LedgerError):
        return False


def check_leaves(
    last: bytes, start: int, contents: Sequence[bytes], tiles: dict[int, bytes], report: AuditReport
) -> list[bytes]:
    """Chain the leaves that follow `last` and compare them with the stored level-0 tiles.

    `start` is the first leaf of a tile. Returns the leaf hashes. After a difference the stored hash is taken, so that
    one changed row is one fault.
    """
    hashes: list[bytes] = []
    for at in range(0, len(contents), TILE_WIDTH):
        part = contents[at : at + TILE_WIDTH]
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
    last: bytes, index: int, contents: Sequence[bytes], stored: bytes, report: AuditReport
) -> list[bytes]:
    """Find which of a tile and its entries was changed. Returns the hashes to go on with."""
    if len(stored) != TILE_BYTES:
        report.add(FaultCode.TILE_CONTENT, _tile(0, index), f"a full tile has {TILE_BYTES} bytes, not {len(stored)}")
        return chain_hashes(last, contents)
    chained = chain_hashes(last, contents)
    stored_before = [last, *(stored[at : at + HASH_SIZE] for at in range(0, TILE_BYTES - HASH_SIZE, HASH_SIZE))]
    fitting = sum(
        chain_hashes(before, [content])[0] == stored[at * HASH_SIZE : (at + 1) * HASH_SIZE]
        for at, (before, content) in enumerate(zip(stored_before, contents, strict=True))
    )
    if fitting < TILE_WIDTH // 2:
        message = f"only {fitting} of its hashes fit their entries: it is another tile, or all entries are others"
        report.add(FaultCode.TILE_CONTENT, _tile(0, index), message)
        return chained
    hashes = []
    for at, content in enumerate(contents):
        expected = stored[at * HASH_SIZE : (at + 1) * HASH_SIZE]
        [computed] = chain_hashes(last, [content])
        if computed != expected:
            following = contents[at + 1 : at + 2]
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
                statement, _ = _read_body(body)
            except FormatError:
                continue  # noted already, as a body
            if first.setdefault(statement, index) != index:
                message = f"this statement is recorded already as entry {first[statement]}"
                report.add(FaultCode.ENTRY_DUPLICATE, _entry(index), message)


def _read_body(data: bytes) -> tuple[bytes, Sequence[tuple[bytes, int]]]:
    match = _BODY.fullmatch(data)
    if match is None:
        body = Body.from_bytes(data)
        return body.statement, body.subjects
    statement, subject, sequence = match.groups()
    return statement, ((a2b_base64(subject), int(sequence)),)


def _entry(index: int) -> str:
    return f"ledger_entries {index}"


def _tile(level: int, index: int) -> str:
    return f"ledger_tiles {tile_path(level, index).removeprefix('tile/')}"
