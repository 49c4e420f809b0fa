"""Keeps the subject map of a log: moves it on, states it in the log, and proves a subject's state by it.

    subject_map = SubjectMap(log, engine, signer)
    subject_map.publish()
    proof = subject_map.prove(subject)

The hashing is done on a snapshot, without any lock. Then one transaction checks that nobody else moved the map on
meanwhile, writes the tiles and the head, and appends the entry that states them: all of it or nothing. Two processes
that publish at the same time do some work twice and nothing wrong; the second one steps back.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import NamedTuple

from sqlalchemy import Connection, Engine

from ledger.checkpoint import SignedCheckpoint
from ledger.errors import EntryNotFound, LogUnavailable, ProofError, StorageError
from ledger.leaf import FIRST_PREV, TAG_SIZE, subject_tag
from ledger.log import Log
from ledger.map.state_proof import (
    MAX_BODIES_SHOWN,
    MAX_ENTRIES_SHOWN,
    ErasedContent,
    OpenContent,
    ShownEntry,
    StateProof,
)
from ledger.map.subject_map import (
    MapChange,
    Record,
    bucket_hashes,
    bucket_of,
    bucket_path,
    build_map,
    change_map,
    encode_bucket,
    verify_bucket,
)
from ledger.merkle import HASH_SIZE
from ledger.own import OwnKind, StatementSigner
from ledger.storage.interface import EntryRow, LogReader, tags_of
from ledger.storage.map_sql import MapHead, MapReader, MapSuperseded, write_map, write_tiles
from ledger.storage.sql import SqlLogStorage
from ledger.strict import encode_base64
from ledger.tiles import LOG_HEIGHT, tile_width

REBUILD_FROM_ENTRIES = 50_000
"""New entries from which on all tags are read in one pass instead of the buckets that changed."""

REBUILD_FROM_BUCKETS = 16_384
"""The same for changed buckets, a quarter of all: an event of 1,000 units changes 1,000."""

ENTRIES_A_READ = 1_000

TAGS_A_CHECK = 8_192
"""Tags of new entries that are looked up at once before a map is made in one pass."""

ON_DEMAND_ENTRIES = 1_000
"""Whoever asks for a proof waits for a new map only while there are at most so many new entries."""

ON_DEMAND_INTERVAL_MS = 1_000
"""Nor is a new map made for an asker when the last one is younger than this."""

FIRST_TAGS = 16
"""Tags of a subject that are looked up at once, at first."""


class SubjectMap:
    """The subject map of one log, in the log's database. Threads and processes may share it."""

    def __init__(
        self,
        log: Log,
        engine: Engine,
        signer: StatementSigner,
        *,
        checkpoint: Callable[[int], SignedCheckpoint] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """checkpoint(size) gives the published checkpoint of at least this size under which proofs are made."""
        self._log = log
        self._storage = SqlLogStorage(engine)
        self._signer = signer
        self._checkpoint = checkpoint or (lambda size: log.checkpoint(at_least=size))
        self._clock = clock

    def head(self) -> MapHead | None:
        """Give the latest head, None before the first."""
        with self._storage.reading() as reader:
            return MapReader(reader.connection).head()

    def publish(self) -> MapHead | None:
        """Move the map on to the log's size and state it; None when there is nothing new, or another was faster.

        Entries that state a map are not news by themselves. Raises StorageError when tags or tiles are not those that
        the last head was stated with, and what `Log.append` raises.
        """
        with self._storage.reading() as reader:
            own = MapReader(reader.connection)
            earlier = own.head()
            size = _size(reader)
            if size == 0 or (earlier is not None and _news(own, earlier, size) == 0):
                return None
            change = _change(reader, own, earlier, size)
        now = int(self._clock() * 1000)
        entry = self._signer.entry(OwnKind.MAP, {"size": size, "root": encode_base64(change.root)}, at_ms=now)

        def apply(connection: Connection, index: int) -> MapHead:
            head = MapHead(size, change.root, index, now)
            write_map(connection, earlier=earlier, head=head, change=change)
            return head

        # Superseded means that another process has stated a newer map: as good as ours.
        with suppress(MapSuperseded):
            return self._log.append(entry, apply).result
        return None

    def rebuild(self) -> MapHead | None:
        """Make the tiles of the latest head again from the tags; None when there is none.

        Raises StorageError when the tags do not give its root, MapSuperseded when the map moved on meanwhile.
        """
        with self._storage.reading() as reader:
            own = MapReader(reader.connection)
            head = own.head()
            if head is None:
                return None
            records = (record for record in own.all_records() if record[1] < head.size)
            change = build_map(records, size=head.size, root=head.root)
        with self._storage.writing() as writer:
            write_tiles(writer.connection, head=head, tiles=change.tiles)
        return head

    def prove(self, subject: bytes) -> StateProof:
        """Prove the state of a subject (32 bytes); see `prove_all`."""
        return self.prove_all([subject])[0]

    def prove_all(self, subjects: Sequence[bytes]) -> list[StateProof]:
        """Prove the states of several subjects by one map and under one checkpoint.

        Publishes a map first when the last one is old and few entries are new. Raises EntryNotFound when there is no
        map yet, StorageError when the database contradicts it, ProofError when there are more entries about a subject
        than a proof shows.
        """
        found = self._look_up(subjects, unless_due=True)
        if found is None:
            # A log that takes no entries, frozen for instance, still answers by the map it has.
            with suppress(LogUnavailable):
                self.publish()
            found = self._look_up(subjects, unless_due=False)
        if found is None:
            raise EntryNotFound("no subject map was published yet", fix="It is published within seconds.")
        stated, chains = found
        checkpoint = self._checkpoint(max(row.entry for chain in chains for row in (stated, *chain.rows)) + 1)
        size = checkpoint.checkpoint.size
        map_entry = self._shown(stated, size)
        return [
            StateProof(
                subject=subject,
                entries=tuple(self._shown(row, size) for row in chain.rows),
                map_entry=map_entry,
                bucket=encode_bucket(chain.records),
                bucket_path=tuple(chain.path),
                checkpoint_note=checkpoint.note_text,
            )
            for subject, chain in zip(subjects, chains, strict=True)
        ]

    def _look_up(self, subjects: Sequence[bytes], *, unless_due: bool) -> tuple[EntryRow, list[_Chain]] | None:
        """Read the statement of the latest map and all about the subjects; None without a map, or when one is due."""
        with self._storage.reading() as reader:
            own = MapReader(reader.connection)
            head, size = own.head(), _size(reader)
            if head is None or (unless_due and self._is_due(own, head, size)):
                return None
            chains = [_find(reader, own, head, subject) for subject in subjects]
            [stated] = own.entries([head.entry])
        return stated, chains

    def _is_due(self, own: MapReader, head: MapHead, size: int) -> bool:
        is_old = abs(int(self._clock() * 1000) - head.time) >= ON_DEMAND_INTERVAL_MS
        return is_old and size - head.size > 1 and 0 < _news(own, head, size) <= ON_DEMAND_ENTRIES

    def _shown(self, row: EntryRow, size: int) -> ShownEntry:
        path = tuple(self._log.inclusion_path(row.entry, size))
        return ShownEntry(row.entry, self._leaf_hash(row.entry - 1, size), _content(row), path)

    def _leaf_hash(self, index: int, size: int) -> bytes:
        """Give the hash of a leaf in the log of this size, from a whole tile where there is one: those are cached."""
        if index < 0:
            return FIRST_PREV
        tile, offset = index >> LOG_HEIGHT, index % (1 << LOG_HEIGHT)
        hashes = self._log.tile(0, tile, tile_width(LOG_HEIGHT, 0, tile, size))
        return hashes[offset * HASH_SIZE : (offset + 1) * HASH_SIZE]


def _size(reader: LogReader) -> int:
    head = reader.head()
    return 0 if head is None else head.size


def _news(own: MapReader, head: MapHead, size: int) -> int:
    """Count the entries beyond the map that are more than a statement of the map."""
    return size - head.size - own.heads_stated(head.size, size)


class _Chain(NamedTuple):
    """What the database has about one subject: its entries, and the bucket in which a further tag would lie."""

    rows: list[EntryRow]
    records: list[Record]
    path: list[bytes]


def _find(reader: LogReader, own: MapReader, head: MapHead, subject: bytes) -> _Chain:
    indexes = _indexes(reader, subject)
    rows = own.entries(indexes)
    if sum(len(row.body) for row in rows) > MAX_BODIES_SHOWN:
        raise ProofError("the entries about this subject are too long to be shown in one proof")
    if [row.entry for row in rows] != indexes:
        raise _changed_tags("the entries about a subject are not there, or not in the order of the subject map")
    for number, row in enumerate(rows):
        if subject_tag(subject, number) not in _tags(row):
            raise _changed_tags(f"entry {row.entry} does not bear the tag by which the subject map knows it")
    bucket = bucket_of(subject_tag(subject, sum(row.entry < head.size for row in rows)))
    records = [record for record in own.records(bucket) if record[1] < head.size]
    tiles = own.tiles_above([bucket])
    path = bucket_path(lambda level, index: tiles[level, index], bucket)
    try:
        verify_bucket(records, bucket=bucket, path=path, root=head.root)
    except ProofError:
        raise _changed_tags(f"bucket {bucket} is not the one that the subject map was stated with") from None
    return _Chain(rows, records, path)


def _indexes(reader: LogReader, subject: bytes) -> list[int]:
    """Find the entries about a subject, in order: a few tags at first, since most subjects have few entries."""
    indexes: list[int] = []
    step = FIRST_TAGS
    while True:
        tags = [subject_tag(subject, number) for number in range(len(indexes), len(indexes) + step)]
        found = reader.find_tags(tags)
        there = [found[tag] for tag in tags if tag in found]
        indexes += there
        if len(indexes) > MAX_ENTRIES_SHOWN:
            raise ProofError(f"there are more than {MAX_ENTRIES_SHOWN} entries about this subject: too many to show")
        if len(there) < len(tags):
            return indexes
        step *= 2


def _changed_tags(message: str) -> StorageError:
    return StorageError(message, fix="Tags were changed in the database: run `marchamo ledger audit --full`.")


def _content(row: EntryRow) -> OpenContent | ErasedContent:
    if row.salt is None:
        return ErasedContent(row.body[:HASH_SIZE], tuple(_tags(row)))
    return OpenContent(row.salt, row.body)


def _change(reader: LogReader, own: MapReader, earlier: MapHead | None, size: int) -> MapChange:
    if earlier is None:
        _require_filed(reader, 0, size)
        return build_map(own.all_records())
    news: dict[int, set[Record]] | None = None
    if size - earlier.size < REBUILD_FROM_ENTRIES:
        news = _news_by_bucket(reader, earlier.size, size)
    if news is None or len(news) > REBUILD_FROM_BUCKETS:
        _require_filed(reader, earlier.size, size)
        return build_map(own.all_records(), size=earlier.size, root=earlier.root)
    hashes = {}
    for bucket, records in own.records_of(news):
        if not news[bucket].issubset(records):
            raise _changed_news(earlier.size)
        hashes[bucket] = bucket_hashes(records, earlier.size)
    tiles = own.tiles_above(hashes)
    return change_map(lambda level, index: tiles[level, index], earlier.root, hashes)


def _require_filed(reader: LogReader, start: int, stop: int) -> None:
    """Compare the bodies of these entries with the tags' own table, from which a map is made in one pass.

    A tag that was removed there would be signed away for ever. Raises StorageError.
    """
    borne: list[Record] = []
    for first in range(start, stop, ENTRIES_A_READ):
        for row in reader.entries(first, min(first + ENTRIES_A_READ, stop)):
            borne += [(tag, row.entry) for tag in _tags(row)]
            if len(borne) >= TAGS_A_CHECK:
                _require_records(reader, borne, start)
                borne = []
    _require_records(reader, borne, start)


def _require_records(reader: LogReader, borne: Sequence[Record], start: int) -> None:
    filed = reader.find_tags([tag for tag, _ in borne])
    if any(filed.get(tag) != entry for tag, entry in borne):
        raise _changed_news(start)


def _changed_news(start: int) -> StorageError:
    return _changed_tags(f"tags of entries from {start} on are not those by which the subject map is made")


def _news_by_bucket(reader: LogReader, start: int, stop: int) -> dict[int, set[Record]]:
    """Read from the bodies which tags have come with these entries: the tags' own table might have lost some."""
    news: dict[int, set[Record]] = {}
    for first in range(start, stop, ENTRIES_A_READ):
        for row in reader.entries(first, min(first + ENTRIES_A_READ, stop)):
            for tag in _tags(row):
                news.setdefault(bucket_of(tag), set()).add((tag, row.entry))
    return news


def _tags(row: EntryRow) -> Sequence[bytes]:
    if not row.erased:
        return tags_of(row.body)
    return [row.body[at : at + TAG_SIZE] for at in range(HASH_SIZE, len(row.body), TAG_SIZE)]
