"""The subject map: every tag of the log in one verifiable map, so that "there is no further entry" can be proved.

The map has 65,536 buckets, one for each value of a tag's first two bytes. A bucket holds the records of its tags,
tag (16 bytes) || index of the entry that bears it (8 bytes, big endian), in ascending order of tag. Its hash is the
RFC 6962 root over the records as leaves, that of the empty tree when it has none. The map's root is the perfect
RFC 6962 tree over the 65,536 bucket hashes as leaf hashes. At map size S the map holds the tags of the entries 0 to
S - 1, and nothing else: whoever has the public leaves can compute the root again.

A bucket is small enough to be shown whole. So one bucket and 16 hashes prove both that a tag is in the map and that
it is not: the records are what the root says, and a binary search finds the tag or its absence.

Everything here is pure. `ledger.storage.map_sql` keeps the map and `ledger.map.keeper` moves it on.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import groupby, pairwise

from ledger.errors import ProofError, StorageError
from ledger.leaf import TAG_SIZE
from ledger.merkle import EMPTY_ROOT, HASH_SIZE, LEAF_PREFIX, NODE_PREFIX, perfect_root, verify_inclusion
from ledger.strict import MAX_INTEGER
from ledger.tiles import Tile, TileBuilder, inclusion_path

BUCKETS = 65_536
RECORD_SIZE = TAG_SIZE + 8
MAX_BUCKET_SIZE = 1 << 20
"""Bytes of a bucket that a reader accepts: 43,690 records, as many as a map of 2.8 thousand million tags has."""

MAP_TILE_HEIGHT = 4
MAP_TILE_WIDTH = 1 << MAP_TILE_HEIGHT
MAP_LEVELS = 4
"""Tile levels of the map: level 0 holds the bucket hashes in 4,096 tiles, level 3 is one tile below the root."""

Record = tuple[bytes, int]
"""A tag (16 bytes) and the index of the entry that bears it."""

ReadMapTile = Callable[[int, int], bytes]
"""(level, index) -> the 16 hashes of that tile, 512 bytes."""


@dataclass(frozen=True, slots=True)
class MapChange:
    """What takes the map from one size to the next: the tiles to write, and the new root."""

    tiles: tuple[Tile, ...]
    root: bytes


def bucket_of(tag: bytes) -> int:
    """Give the number of the bucket of a tag, 0 to 65,535."""
    return int.from_bytes(tag[:2], "big")


def bucket_range(bucket: int) -> tuple[bytes, bytes]:
    """Give bounds between which the tags of a bucket lie, the first of them included, in the order of bytes."""
    following = bucket + 1
    return bucket.to_bytes(2, "big"), b"\xff" * (TAG_SIZE + 1) if following == BUCKETS else following.to_bytes(2, "big")


def bucket_hash(records: Iterable[Record]) -> bytes:
    """Hash the records of a bucket, given in ascending order of tag."""
    return hash_records(tag + index.to_bytes(8, "big") for tag, index in records)


def hash_records(encoded: Iterable[bytes]) -> bytes:
    """Hash the records of a bucket, each given as its 24 bytes, in ascending order."""
    return _root([sha256(LEAF_PREFIX + record).digest() for record in encoded])


def bucket_hashes(records: Sequence[Record], size: int) -> tuple[bytes, bytes]:
    """Hash a bucket twice: as it was at the smaller map size `size`, and with all its records."""
    leaves = [sha256(LEAF_PREFIX + tag + index.to_bytes(8, "big")).digest() for tag, index in records]
    earlier = [leaf for leaf, (_, index) in zip(leaves, records, strict=True) if index < size]
    new = _root(leaves)
    return new if len(earlier) == len(leaves) else _root(earlier), new


def _root(level: list[bytes]) -> bytes:
    """Give the RFC 6962 root. Pairing level by level, the odd one out moving up, gives the tree the RFC defines."""
    if not level:
        return EMPTY_ROOT
    while len(level) > 1:
        odd = level[-1:] if len(level) & 1 else []
        pairs = zip(level[::2], level[1::2], strict=False)
        level = [sha256(NODE_PREFIX + left + right).digest() for left, right in pairs] + odd
    return level[0]


def encode_bucket(records: Iterable[Record]) -> bytes:
    """Write the records of a bucket one behind the other, 24 bytes each."""
    return b"".join(tag + index.to_bytes(8, "big") for tag, index in records)


def decode_bucket(data: bytes, bucket: int) -> list[Record]:
    """Read the records of this bucket; ProofError unless they are whole, ascending by tag, and of this bucket."""
    if len(data) > MAX_BUCKET_SIZE or len(data) % RECORD_SIZE:
        raise ProofError(f"a bucket has at most {MAX_BUCKET_SIZE} bytes, {RECORD_SIZE} for each record")
    records = [
        (data[at : at + TAG_SIZE], int.from_bytes(data[at + TAG_SIZE : at + RECORD_SIZE], "big"))
        for at in range(0, len(data), RECORD_SIZE)
    ]
    if any(earlier[0] >= later[0] for earlier, later in pairwise(records)):
        raise ProofError("the records of a bucket stand in ascending order of tag, each tag once")
    if any(bucket_of(tag) != bucket or index > MAX_INTEGER for tag, index in records):
        raise ProofError("a record stands in a bucket that is not its own, or names no entry")
    return records


def find_record(records: Sequence[Record], tag: bytes) -> int | None:
    """Give the index of the entry that bears the tag, None when no record of this (whole, ascending) bucket has it."""
    at = bisect_left(records, (tag, 0))
    return records[at][1] if at < len(records) and records[at][0] == tag else None


def verify_bucket(records: Sequence[Record], *, bucket: int, path: Sequence[bytes], root: bytes) -> None:
    """Check that the map with this root holds exactly these records in this bucket. Raises ProofError.

    `path` is the audit path of the bucket's hash, 16 hashes from its sibling up.
    """
    verify_inclusion(leaf=bucket_hash(records), index=bucket, size=BUCKETS, path=path, root=root)


def bucket_path(read_tile: ReadMapTile, bucket: int) -> list[bytes]:
    """Read the audit path of a bucket from four tiles."""
    return inclusion_path(lambda level, index, _: read_tile(level, index), MAP_TILE_HEIGHT, bucket, BUCKETS)


def build_map(records: Iterable[Record], *, size: int = 0, root: bytes | None = None) -> MapChange:
    """Build all tiles from every record, in ascending order of tag. One pass; holds the tiles, 2.2 MB, in memory.

    With `root`, the records of entries before `size` must give it: StorageError when they do not.
    """
    now, before = TileBuilder(MAP_TILE_HEIGHT), TileBuilder(MAP_TILE_HEIGHT)
    for earlier, new in _every_bucket(records, size):
        now.add(new)
        if root is not None:
            before.add(earlier)
    if root is not None and before.root() != root:
        raise StorageError(
            f"the tags of the first {size} entries do not give the root that the subject map of that size has",
            fix="Run `marchamo ledger audit --full`: tags were removed, added or changed in the database.",
        )
    return MapChange(tuple(now.take_full()), now.root())


def _every_bucket(records: Iterable[Record], size: int) -> Iterator[tuple[bytes, bytes]]:
    """Give the two hashes of every bucket in order, the empty ones too."""
    following = 0
    for bucket, group in groupby(records, key=lambda record: bucket_of(record[0])):
        for _ in range(following, bucket):
            yield EMPTY_ROOT, EMPTY_ROOT
        yield bucket_hashes(list(group), size)
        following = bucket + 1
    for _ in range(following, BUCKETS):
        yield EMPTY_ROOT, EMPTY_ROOT


def change_map(read_tile: ReadMapTile, root: bytes, changes: Mapping[int, tuple[bytes, bytes]]) -> MapChange:
    """Put new bucket hashes into the map with this root: bucket -> (hash it has now, hash it gets).

    Whatever is read on the way is checked against the root, so that a changed tile or a changed tag is never built
    upon: StorageError.
    """
    tiles: list[Tile] = []
    for level in range(MAP_LEVELS):
        by_tile: dict[int, dict[int, tuple[bytes, bytes]]] = {}
        for index, hashes in changes.items():
            by_tile.setdefault(index // MAP_TILE_WIDTH, {})[index % MAP_TILE_WIDTH] = hashes
        changes = {}
        for index, places in by_tile.items():
            old = read_tile(level, index)
            new = bytearray(old)
            for place, (earlier, later) in places.items():
                start, end = place * HASH_SIZE, (place + 1) * HASH_SIZE
                if old[start:end] != earlier:
                    raise _damaged(level, index)
                new[start:end] = later
            tiles.append(Tile(level, index, MAP_TILE_WIDTH, bytes(new)))
            changes[index] = perfect_root(old), perfect_root(bytes(new))
    if not changes:
        return MapChange((), root)
    [(old_root, new_root)] = changes.values()
    if old_root != root:
        raise _damaged(MAP_LEVELS - 1, 0)
    return MapChange(tuple(tiles), new_root)


def _damaged(level: int, index: int) -> StorageError:
    return StorageError(
        f"tile {level}/{index} of the subject map does not fit the tags below it or the root above it",
        fix="Run `marchamo ledger audit --full`; when the tags are sound, run `marchamo ledger map rebuild`.",
    )
