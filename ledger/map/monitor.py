"""Watching a log from outside: that the subject map it states is the one that its public leaves give.

Whoever asks for the state of a subject trusts the map that the log states. The map is computed from the tags of the
leaves, which are public, and so are its statements (`ledger.map.files`). This module reads all leaves, checks the chain
and the tree, finds every statement by the public subject of maps, and computes each map again. Nothing here needs a
secret or the database: a copy of the log's files, or its address, and the public keys.

It takes about 100 bytes of memory a tag.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from ledger.checkpoint import Checkpoint, open_checkpoint
from ledger.errors import FormatError, LedgerError
from ledger.keys.log_keys import LogKeys
from ledger.leaf import FIRST_PREV, TAG_SIZE, Body, Leaf, subject_tag
from ledger.map.files import STATEMENTS_A_FILE, read_line, statements_path
from ledger.map.statement import MAP_SUBJECT, MapStatement, verify_map_body
from ledger.map.subject_map import MAP_TILE_WIDTH, RECORD_SIZE, bucket_of, build_map, change_map, hash_records
from ledger.merkle import HASH_SIZE
from ledger.note import NoteVerifier
from ledger.tiles import LOG_HEIGHT, TileBuilder, parse_entry_bundle, tile_path

Fetch = Callable[[str], bytes]
"""Gives a file of the log by its path below the log's address; raises OSError when it can not."""

Progress = Callable[[int, int], None]
"""Called with the leaves read so far and how many there are."""

_BUNDLE = 1 << LOG_HEIGHT


class FaultKind(StrEnum):
    """What can be wrong with a log as seen from outside."""

    LEAF = "leaf"
    """A leaf that can not be read, or does not follow the one before it."""
    ROOT = "root"
    """The leaves do not give the root that the log signed."""
    TAG_TWICE = "tag_twice"
    """Two entries say that they are the same entry about the same subject: one of them could be hidden."""
    MAP_STATEMENT = "map_statement"
    """A statement of the map that is not the one in the leaves, or not signed by the registry."""
    MAP_SIZE = "map_size"
    """A map that claims entries after itself, or goes back behind an earlier map."""
    MAP_ROOT = "map_root"
    """A map that is not the one that the leaves give: something could be hidden behind it."""


@dataclass(frozen=True, slots=True)
class MonitorFault:
    """One fault: what kind, at which entry of the log, and a sentence."""

    kind: FaultKind
    entry: int
    message: str


@dataclass(frozen=True, slots=True)
class MonitorReport:
    """What was read, and what is wrong with it."""

    checkpoint: Checkpoint
    tags: int
    maps: int
    latest: MapStatement | None
    faults: tuple[MonitorFault, ...]


def monitor(
    fetch: Fetch,
    *,
    log_keys: NoteVerifier | LogKeys,
    map_keys: Mapping[str, Ed25519PublicKey],
    progress: Progress | None = None,
) -> MonitorReport:
    """Check a whole log. Raises NoteError for a checkpoint that is not the log's, and what `fetch` raises."""
    checkpoint = open_checkpoint(fetch("checkpoint"), log_keys).checkpoint
    leaves = _Leaves(fetch, checkpoint, progress)
    faults = list(leaves.faults)
    public = PublicMap()
    tags, latest = leaves.tags(), None
    following = next(tags, None)
    for index, statement in _statements(fetch, leaves, map_keys, faults):
        if statement.size > index or (latest is not None and statement.size < latest.size):
            message = f"the map of size {statement.size} stands at entry {index}, after one of another size"
            faults.append(MonitorFault(FaultKind.MAP_SIZE, index, message))
            continue
        while following is not None and following[1] < statement.size:
            _add(public, following, faults)
            following = next(tags, None)
        if public.root() != statement.root:
            message = f"the map that entry {index} states for size {statement.size} is not the one of the leaves"
            faults.append(MonitorFault(FaultKind.MAP_ROOT, index, message))
        latest = statement
    while following is not None:
        _add(public, following, faults)
        following = next(tags, None)
    return MonitorReport(checkpoint, leaves.tag_count, len(leaves.maps), latest, tuple(faults))


def _add(public: PublicMap, record: tuple[bytes, int], faults: list[MonitorFault]) -> None:
    earlier = public.add(*record)
    if earlier is not None:
        message = f"entries {earlier} and {record[1]} bear the same tag"
        faults.append(MonitorFault(FaultKind.TAG_TWICE, record[1], message))


class _Leaves:
    """All leaves, read once: their tags in order, and the entries that state a map."""

    def __init__(self, fetch: Fetch, checkpoint: Checkpoint, progress: Progress | None) -> None:
        self.faults: list[MonitorFault] = []
        self.maps: list[tuple[int, Leaf]] = []
        self._records = bytearray()
        tree, last = TileBuilder(LOG_HEIGHT), FIRST_PREV
        wanted = subject_tag(MAP_SUBJECT, 0)
        for index, data in _read_leaves(fetch, checkpoint.size, progress):
            try:
                leaf = Leaf.from_bytes(data)
            except FormatError as error:
                self.faults.append(MonitorFault(FaultKind.LEAF, index, error.message))
                break
            if leaf.prev != last:
                self.faults.append(MonitorFault(FaultKind.LEAF, index, "it does not follow the leaf before it"))
            last = leaf.hash()
            tree.add(last)
            for tag in leaf.tags:
                self._records += tag + index.to_bytes(8, "big")
            if wanted in leaf.tags:
                self.maps.append((index, leaf))
                wanted = subject_tag(MAP_SUBJECT, len(self.maps))
        if not self.faults and tree.root() != checkpoint.root:
            message = "the leaves do not give the root that the log signed"
            self.faults.append(MonitorFault(FaultKind.ROOT, checkpoint.size, message))

    @property
    def tag_count(self) -> int:
        return len(self._records) // RECORD_SIZE

    def tags(self) -> Iterator[tuple[bytes, int]]:
        """Give each tag with the index of its entry, in the order of the log."""
        for at in range(0, len(self._records), RECORD_SIZE):
            record = bytes(self._records[at : at + RECORD_SIZE])
            yield record[:TAG_SIZE], int.from_bytes(record[TAG_SIZE:], "big")


def _read_leaves(fetch: Fetch, size: int, progress: Progress | None) -> Iterator[tuple[int, bytes]]:
    for start in range(0, size, _BUNDLE):
        width = min(_BUNDLE, size - start)
        path = tile_path("entries", start // _BUNDLE, None if width == _BUNDLE else width)
        yield from enumerate(parse_entry_bundle(fetch(path), width), start)
        if progress is not None:
            progress(start + width, size)


def _statements(
    fetch: Fetch, leaves: _Leaves, keys: Mapping[str, Ed25519PublicKey], faults: list[MonitorFault]
) -> Iterator[tuple[int, MapStatement]]:
    """Give each statement of the map that is what its leaf commits to, in order; note the others as faults."""
    lines: list[bytes] = []
    for number, (index, leaf) in enumerate(leaves.maps):
        if number % STATEMENTS_A_FILE == 0:
            lines = fetch(statements_path(number // STATEMENTS_A_FILE)).splitlines()
        try:
            yield index, _statement(lines, number % STATEMENTS_A_FILE, index, leaf, keys)
        except LedgerError as error:
            faults.append(MonitorFault(FaultKind.MAP_STATEMENT, index, error.message))


def _statement(
    lines: list[bytes], at: int, index: int, leaf: Leaf, keys: Mapping[str, Ed25519PublicKey]
) -> MapStatement:
    if at >= len(lines):
        raise FormatError(f"the statement of the map in entry {index} was not published")
    stated_index, content = read_line(lines[at])
    body = Body.from_bytes(content.body)
    if stated_index != index or leaf.commitment != sha256(content.salt + content.body).digest():
        raise FormatError(f"the statement published for entry {index} is not the one in the log")
    if body.tags() != leaf.tags:
        raise FormatError(f"entry {index} is about other subjects than its statement says")
    return verify_map_body(body, keys)


class PublicMap:
    """A subject map grown in memory from tags, entry by entry."""

    def __init__(self) -> None:
        empty = build_map([])
        self._tiles = {(tile.level, tile.index): tile.data for tile in empty.tiles}
        self._root = empty.root
        self._buckets: dict[int, list[bytes]] = {}
        self._changed: set[int] = set()

    def add(self, tag: bytes, index: int) -> int | None:
        """Add a tag (16 bytes) and the entry that bears it; one that is there already stays, and its entry is given."""
        bucket = self._buckets.setdefault(bucket_of(tag), [])
        at = bisect_left(bucket, tag)
        if at < len(bucket) and bucket[at].startswith(tag):
            return int.from_bytes(bucket[at][TAG_SIZE:], "big")
        bucket.insert(at, tag + index.to_bytes(8, "big"))
        self._changed.add(bucket_of(tag))
        return None

    def root(self) -> bytes:
        """Give the root over all tags so far."""
        hashes = {bucket: (self._kept_hash(bucket), hash_records(self._buckets[bucket])) for bucket in self._changed}
        change = change_map(self._read, self._root, hashes)
        self._tiles.update({(tile.level, tile.index): tile.data for tile in change.tiles})
        self._root = change.root
        self._changed.clear()
        return self._root

    def _read(self, level: int, index: int) -> bytes:
        return self._tiles[level, index]

    def _kept_hash(self, bucket: int) -> bytes:
        start = bucket % MAP_TILE_WIDTH * HASH_SIZE
        return self._tiles[0, bucket // MAP_TILE_WIDTH][start : start + HASH_SIZE]
