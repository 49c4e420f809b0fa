"""Tiles of a Merkle tree: coordinates, building from a stream of leaves, and proofs read back from them.

As C2SP tlog-tiles, with the height as a parameter: a tile of height h holds up to 2**h consecutive hashes of one
tree level; at tile level 0 these are leaf hashes, at level l the roots of 2**(h*l) leaves each. Full tiles never
change. The log uses height 8 (8,192 bytes), the trees of a batch of units height 4 (512 bytes: a short read a unit).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from itertools import islice

from ledger.errors import FormatError, ProofError
from ledger.merkle import EMPTY_ROOT, HASH_SIZE, NODE_PREFIX, node_hash, perfect_root, split_point
from ledger.strict import MAX_INTEGER

LOG_HEIGHT = 8
BATCH_HEIGHT = 4
MAX_LEVEL = 63
_MAX_PATH = 64

ReadTile = Callable[[int, int, int], bytes]
"""(level, index, width) -> the first `width` hashes of that tile, exactly width * 32 bytes."""


@dataclass(frozen=True, slots=True)
class Tile:
    """One tile: `width` hashes of 32 bytes in `data`."""

    level: int
    index: int
    width: int
    data: bytes


def tile_path(level: int | str, index: int, width: int | None = None) -> str:
    """Give the path of a tile below the log's prefix, as `tile/0/x001/234` or `tile/1/000.p/17`.

    `level` is a number, or "entries" for entry bundles; `width` is given for a partial tile only.
    """
    groups = [f"{index % 1000:03d}"]
    while index >= 1000:
        index //= 1000
        groups.append(f"x{index % 1000:03d}")
    suffix = "" if width is None else f".p/{width}"
    return f"tile/{level}/{'/'.join(reversed(groups))}{suffix}"


def parse_tile_path(path: str) -> tuple[int | str, int, int | None]:
    """Read a path written by `tile_path` (height 8); refuses every other spelling with FormatError.

    Returns level (or "entries"), index, and the width of a partial tile or None for a full one.
    """
    malformed = FormatError("this is not the path of a tile")
    if len(path) > _MAX_PATH:
        raise malformed
    try:
        _, level_text, rest = path.split("/", 2)
        base, partial, width_text = rest.partition(".p/")
        level: int | str = level_text if level_text == "entries" else int(level_text)
        index = int("".join(group.removeprefix("x") for group in base.split("/")))
        width = int(width_text) if partial else None
    except ValueError:
        raise malformed from None
    in_range = (level == "entries" or 0 <= int(level) <= MAX_LEVEL) and (width is None or 1 <= width <= 255)
    if not in_range or index > MAX_INTEGER or tile_path(level, index, width) != path:
        raise malformed
    return level, index, width


def format_entry_bundle(entries: Iterable[bytes]) -> bytes:
    """Write an entry bundle (C2SP tlog-tiles): each entry of at most 65,535 bytes behind its length in two bytes."""
    return b"".join(len(entry).to_bytes(2, "big") + entry for entry in entries)


def parse_entry_bundle(data: bytes, width: int) -> list[bytes]:
    """Read an entry bundle that should hold `width` entries, no more and no less. Raises FormatError."""
    entries: list[bytes] = []
    at = 0
    while at < len(data) and len(entries) < width:
        start = at + 2
        at = start + int.from_bytes(data[at:start], "big")
        entries.append(data[start:at])
    if len(entries) != width or at != len(data):
        raise FormatError(f"this bundle is not one of {width} entries: it is cut off or goes on behind them")
    return entries


def tile_width(height: int, level: int, index: int, size: int) -> int:
    """Count the hashes that tile (level, index) holds in a tree of `size` leaves; 0 where there is no such tile."""
    complete = size >> (height * level)
    return max(0, min(1 << height, complete - (index << height)))


class TileBuilder:
    """Build the tiles and the root of a growing tree, keeping only its right edge in memory.

    The edge is, for each level, the hashes of the tile that is not yet full, and the roots of the perfect subtrees
    the tree decomposes into. Each inner node is hashed once. Not safe for use by several threads.
    """

    def __init__(self, height: int) -> None:
        if not 1 <= height <= 16:
            raise FormatError("the height of tiles must be from 1 to 16")
        self._height = height
        self._size = 0
        self._edge: list[list[bytes]] = []
        # Perfect subtrees from left to right: (height above the leaves, root). Heights strictly fall.
        self._subtrees: list[tuple[int, bytes]] = []
        self._full: list[Tile] = []

    @classmethod
    def resume(cls, height: int, size: int, read_tile: ReadTile) -> TileBuilder:
        """Continue a tree of `size` leaves from its stored tiles; reads one partial tile a level."""
        builder = cls(height)
        builder._size = size
        level = 0
        while size >> (height * level):
            complete = size >> (height * level)
            index, width = complete >> height, complete & ((1 << height) - 1)
            builder._edge.append(list(_hashes(_read(read_tile, level, index, width))) if width else [])
            level += 1
        for level in reversed(range(len(builder._edge))):
            hashes, at = builder._edge[level], 0
            for bit in reversed(range(height)):
                if len(hashes) & (1 << bit):
                    subtree = perfect_root(b"".join(hashes[at : at + (1 << bit)]))
                    builder._subtrees.append((height * level + bit, subtree))
                    at += 1 << bit
        return builder

    @property
    def size(self) -> int:
        """How many leaves were added."""
        return self._size

    def copy(self) -> TileBuilder:
        """Copy the edge, to try additions that may be rolled back."""
        other = TileBuilder(self._height)
        other._size = self._size
        other._edge = [hashes.copy() for hashes in self._edge]
        other._subtrees = self._subtrees.copy()
        other._full = self._full.copy()
        return other

    def add(self, leaf_hash: bytes) -> None:
        """Append one leaf by its hash (32 bytes)."""
        if len(leaf_hash) != HASH_SIZE:
            raise FormatError(f"a leaf hash has {HASH_SIZE} bytes")
        self._size += 1
        self._push(0, leaf_hash)

    def extend(self, leaf_hashes: Iterable[bytes]) -> None:
        """Append many leaves; whole tiles are hashed in one go, which is the fast way."""
        width = 1 << self._height
        remaining = iter(leaf_hashes)
        to_boundary = -self._size % width
        for digest in islice(remaining, to_boundary):
            self.add(digest)
        while chunk := list(islice(remaining, width)):
            if len(chunk) == width and set(map(len, chunk)) == {HASH_SIZE}:
                self._add_full_tile(b"".join(chunk))
            else:
                for digest in chunk:
                    self.add(digest)

    def take_full(self) -> list[Tile]:
        """Hand over the full tiles of all levels completed since the last call."""
        full, self._full = self._full, []
        return full

    def finish(self) -> list[Tile]:
        """Give the partial tiles of the right edge, lowest level first. The builder can go on growing."""
        return [
            Tile(level, (self._size >> (self._height * level)) >> self._height, len(hashes), b"".join(hashes))
            for level, hashes in enumerate(self._edge)
            if hashes
        ]

    def root(self) -> bytes:
        """Give the root over all leaves added; costs one hash for each perfect subtree."""
        if not self._subtrees:
            return EMPTY_ROOT
        digest = self._subtrees[-1][1]
        for _, left in reversed(self._subtrees[:-1]):
            digest = sha256(NODE_PREFIX + left + digest).digest()
        return digest

    def _add_full_tile(self, data: bytes) -> None:
        width = 1 << self._height
        if not self._edge:
            self._edge.append([])
        self._full.append(Tile(0, self._size >> self._height, width, data))
        self._size += width
        self._push(self._height, perfect_root(data))

    def _push(self, height: int, digest: bytes) -> None:
        """Put a perfect subtree at the right edge and merge it with its left siblings as far as they go."""
        subtrees, tile_height = self._subtrees, self._height
        while True:
            if height % tile_height == 0:
                self._record(height // tile_height, digest)
            if not subtrees or subtrees[-1][0] != height:
                subtrees.append((height, digest))
                return
            left = subtrees.pop()[1]
            digest = sha256(NODE_PREFIX + left + digest).digest()
            height += 1

    def _record(self, level: int, digest: bytes) -> None:
        """Write a hash into the tile at the right edge of its level; hand the tile over when it is full."""
        if level == len(self._edge):
            self._edge.append([])
        hashes = self._edge[level]
        hashes.append(digest)
        if len(hashes) == 1 << self._height:
            index = ((self._size >> (self._height * level)) >> self._height) - 1
            self._full.append(Tile(level, index, len(hashes), b"".join(hashes)))
            hashes.clear()


def inclusion_path(read_tile: ReadTile, height: int, index: int, size: int) -> list[bytes]:
    """Read the audit path of leaf `index` in the tree of `size` leaves, from its sibling up.

    Raises ProofError when the leaf is not in that tree. Reads each tile once.
    """
    if not 0 <= index < size:
        raise ProofError(f"leaf {index} does not exist in a tree of {size}")
    tree = _Tree(read_tile, height, size)
    path = []
    node, last, level = index, size - 1, 0
    while last:
        sibling = node ^ 1
        if sibling <= last:
            # The last node of a level may stand for fewer leaves than its siblings: its range ends with the tree.
            path.append(tree.range_root(sibling << level, min((sibling + 1) << level, size)))
        node, last, level = node >> 1, last >> 1, level + 1
    return path


def consistency_path(read_tile: ReadTile, height: int, old_size: int, new_size: int) -> list[bytes]:
    """Read the proof that the tree of new_size extends that of old_size (RFC 9162 section 2.1.4.1).

    Empty for old_size 0 and for equal sizes. Raises ProofError when the sizes are out of order.
    """
    if not 0 <= old_size <= new_size:
        raise ProofError(f"a tree of {new_size} has no earlier size {old_size}")
    if old_size in {0, new_size}:
        return []
    tree = _Tree(read_tile, height, new_size)
    start, end, known = 0, new_size, True
    falling: list[bytes] = []
    while old_size != end:
        split = start + split_point(end - start)
        if old_size <= split:
            falling.append(tree.range_root(split, end))
            end = split
        else:
            falling.append(tree.range_root(start, split))
            start, known = split, False
    if not known:
        falling.append(tree.range_root(start, end))
    return falling[::-1]


def tree_root(read_tile: ReadTile, height: int, size: int) -> bytes:
    """Compute the root of the tree of `size` leaves from its tiles."""
    return EMPTY_ROOT if size == 0 else _Tree(read_tile, height, size).range_root(0, size)


def peaks(read_tile: ReadTile, height: int, size: int) -> list[bytes]:
    """Read the roots of the perfect subtrees of the tree of `size` leaves, the greatest first."""
    return _Tree(read_tile, height, size).perfect_roots(0, size)


class _Tree:
    """Hashes of a tree of a given size, read from tiles; lives for one proof and reads each tile once."""

    def __init__(self, read_tile: ReadTile, height: int, size: int) -> None:
        self._read_tile = read_tile
        self._height = height
        self._size = size
        self._tiles: dict[tuple[int, int], bytes] = {}

    def range_root(self, start: int, end: int) -> bytes:
        """Root over the leaves [start, end), where start is aligned to a power of two >= end - start."""
        roots = self.perfect_roots(start, end)
        digest = roots[-1]
        for left in reversed(roots[:-1]):
            digest = node_hash(left, digest)
        return digest

    def perfect_roots(self, start: int, end: int) -> list[bytes]:
        """Roots of the perfect subtrees of [start, end), the greatest first."""
        roots = []
        while start < end:
            level = (end - start).bit_length() - 1
            roots.append(self._perfect_root(level, start >> level))
            start += 1 << level
        return roots

    def _perfect_root(self, level: int, index: int) -> bytes:
        """Root of the 2**level leaves from index * 2**level on: part of one tile, hashed up."""
        tile_level, rest = divmod(level, self._height)
        first = index << rest
        offset = (first & ((1 << self._height) - 1)) * HASH_SIZE
        tile = self._tile(tile_level, first >> self._height)
        return perfect_root(tile[offset : offset + (HASH_SIZE << rest)])

    def _tile(self, level: int, index: int) -> bytes:
        tile = self._tiles.get((level, index))
        if tile is None:
            width = tile_width(self._height, level, index, self._size)
            tile = self._tiles[level, index] = _read(self._read_tile, level, index, width)
        return tile


def _read(read_tile: ReadTile, level: int, index: int, width: int) -> bytes:
    data = read_tile(level, index, width)
    if len(data) != width * HASH_SIZE:
        raise ProofError(f"tile {level}/{index} should hold {width} hashes, it has {len(data)} bytes")
    return data


def _hashes(data: bytes) -> Iterator[bytes]:
    return (data[at : at + HASH_SIZE] for at in range(0, len(data), HASH_SIZE))
