"""The right edge of the log: all that must be in memory to append.

An `Edge` is one state of the log and does not change once it is shared: to append, the committer grows a copy and
publishes it when the database has committed. So readers need no lock, and a rolled back transaction leaves no trace.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property
from hashlib import sha256

from ledger.errors import EntryNotFound, ForkDetected, ProofError, StorageError
from ledger.leaf import FIRST_PREV, Leaf
from ledger.merkle import EMPTY_ROOT, HASH_SIZE, perfect_root, verify_append, verify_consistency
from ledger.storage.interface import Head, LogReader
from ledger.tiles import LOG_HEIGHT, ReadTile, Tile, TileBuilder, consistency_path, tree_root
from ledger.tiles import peaks as tile_peaks

TILE_WIDTH = 1 << LOG_HEIGHT
TILE_BYTES = TILE_WIDTH * HASH_SIZE

MAX_CATCH_UP = 4 * TILE_WIDTH
"""Another process's entries are read one by one up to this many; beyond, the edge is loaded afresh from tiles."""

_LEAF_START = b"\x00\x02"  # the RFC 6962 leaf prefix and the version of our leaf


class Edge:
    """The log at one size: the builder that can extend it, and the hash of the last leaf.

    Edges of one `lineage` are states of one history: each was made by extending another. An edge that is read afresh
    begins a lineage, so that whatever is remembered of the log counts only beside the lineage it was learned in: the
    database may have been exchanged meanwhile.
    """

    def __init__(self, builder: TileBuilder, last: bytes, lineage: object | None = None) -> None:
        self._builder = builder
        self.last = last
        self.lineage = object() if lineage is None else lineage

    @classmethod
    def empty(cls) -> Edge:
        """Give the edge of a log without entries."""
        return cls(TileBuilder(LOG_HEIGHT), FIRST_PREV)

    @classmethod
    def load(cls, reader: LogReader, head: Head | None) -> Edge:
        """Read the edge at `head` from storage; raises StorageError unless tiles and entries give the head's root.

        Reads at most 255 entries, and for each level at most 255 tiles.
        """
        if head is None:
            return cls.empty()
        full = head.size // TILE_WIDTH
        last = _last_hash(_tile(reader, 0, full - 1)) if full else FIRST_PREV

        def read_tile(level: int, index: int, width: int) -> bytes:
            if level == 0:
                return b"".join(chain_hashes(last, _contents(reader, index * TILE_WIDTH, index * TILE_WIDTH + width)))
            # A hash of a level is the root of one full tile of the level below.
            start = index * TILE_WIDTH
            return b"".join(perfect_root(tile) for tile in reader.tile_run(level - 1, start, start + width))

        builder = TileBuilder.resume(LOG_HEIGHT, head.size, read_tile)
        in_tile = [tile for tile in builder.finish() if tile.level == 0]
        edge = cls(builder, _last_hash(in_tile[0].data) if in_tile else last)
        edge._require(head)
        return edge

    def advanced(self, reader: LogReader, head: Head | None) -> Edge:
        """Give the edge at `head`, which another process may have written; itself when nothing changed.

        What is larger extends this edge, by its entries or by a proof from the tiles; else StorageError or
        ForkDetected is raised. For what is smaller there is no telling: an edge of another lineage is given.
        """
        size = 0 if head is None else head.size
        if size == self.size and (head is None or head.root == self.root):
            return self
        if head is None or size < self.size:
            return Edge.load(reader, head)
        if size - self.size > MAX_CATCH_UP:
            later = Edge.load(reader, head)
            if later.root_at(self.size, reader) != self.root:
                raise ForkDetected(
                    f"the first {self.size} entries in the database are not those that this process has read there",
                    fix="The database was exchanged for another. Look for what did it before anything is appended.",
                )
            return later
        edge = self.copy()
        edge.extend(_contents(reader, self.size, size))
        edge.take_full()  # the other process has stored them
        edge._require(head)
        return edge

    def copy(self) -> Edge:
        """Copy, to grow the copy."""
        return Edge(self._builder.copy(), self.last, self.lineage)

    @property
    def size(self) -> int:
        """How many entries the log has here."""
        return self._builder.size

    @cached_property
    def root(self) -> bytes:
        """The root over all leaves. Read it only when the edge has stopped growing."""
        return self._builder.root() if self.size else EMPTY_ROOT

    def extend(self, contents: Iterable[bytes]) -> list[bytes]:
        """Append leaves by their contents (commitment || tags), each chained to the one before; gives their hashes."""
        hashes = chain_hashes(self.last, contents)
        if hashes:
            self._builder.extend(hashes)
            self.last = hashes[-1]
        return hashes

    def prove_growth(self, leaves: Sequence[bytes], root: bytes, reader: LogReader) -> None:
        """Check by a proof that this edge, extended by these leaf hashes, has `root`; raises ProofError.

        It shares nothing with the builder that made `root` but the hash function.
        """
        peaks = tile_peaks(self._tiles(reader), LOG_HEIGHT, self.size)
        verify_append(old_size=self.size, old_root=self.root, peaks=peaks, leaves=leaves, new_root=root)

    def root_at(self, size: int, reader: LogReader) -> bytes:
        """Give the root (32 bytes) over the first `size` entries, proved to lead to the root of this edge.

        `reader` holds the full tiles. Raises EntryNotFound for a size beyond this edge, StorageError when the tiles are
        not those of this edge.
        """
        if size > self.size:
            raise EntryNotFound(f"the log has fewer than {size} entries")
        if size in {0, self.size}:
            return self.root if size else EMPTY_ROOT
        read_tile = self._tiles(reader)
        root = tree_root(read_tile, LOG_HEIGHT, size)
        path = consistency_path(read_tile, LOG_HEIGHT, size, self.size)
        try:
            verify_consistency(old_size=size, new_size=self.size, old_root=root, new_root=self.root, path=path)
        except ProofError:
            raise StorageError(
                f"the tiles do not lead from size {size} to the root at size {self.size}",
                fix="Run `marchamo ledger audit --full` to name the tile; do not append before it is understood.",
            ) from None
        return root

    def take_full(self) -> list[Tile]:
        """Hand over the full tiles completed since the last call."""
        return self._builder.take_full()

    def partial(self, level: int, index: int) -> bytes | None:
        """Give the hashes so far of a tile that is not yet full, None when this edge holds no such tile."""
        return self._partials.get((level, index))

    @cached_property
    def _partials(self) -> dict[tuple[int, int], bytes]:
        return {(tile.level, tile.index): tile.data for tile in self._builder.finish()}

    def _tiles(self, reader: LogReader) -> ReadTile:
        """Read the tiles of this edge: the full ones from storage, those at the right from memory."""

        def read_tile(level: int, index: int, width: int) -> bytes:
            partial = self.partial(level, index)
            return (_tile(reader, level, index) if partial is None else partial)[: width * HASH_SIZE]

        return read_tile

    def _require(self, head: Head) -> None:
        if self.root != head.root:
            raise StorageError(
                f"the entries and tiles do not give the root of the head at size {head.size}",
                fix="Run `marchamo ledger audit --full` to name the row; do not append before it is understood.",
            )


def chain_hashes(last: bytes, contents: Iterable[bytes]) -> list[bytes]:
    """Hash leaves that follow the leaf with hash `last`, each chained to the one before (same as `Leaf.hash`)."""
    hashes = []
    for content in contents:
        last = sha256(_LEAF_START + last + content).digest()
        hashes.append(last)
    return hashes


def chained_leaves(last: bytes, contents: Iterable[bytes]) -> list[Leaf]:
    """Give the leaves themselves."""
    leaves = []
    for content in contents:
        leaves.append(Leaf.from_bytes(b"\x02" + last + content))
        last = leaves[-1].hash()
    return leaves


def _contents(reader: LogReader, start: int, stop: int) -> list[bytes]:
    rows = reader.entries(start, stop)
    if [row.entry for row in rows] != list(range(start, stop)):
        raise StorageError(f"entries are missing between {start} and {stop}", fix="Run `marchamo ledger audit --full`.")
    return [row.content() for row in rows]


def _tile(reader: LogReader, level: int, index: int) -> bytes:
    data = reader.tile(level, index)
    if data is None or len(data) != TILE_BYTES:
        raise StorageError(f"tile {level}/{index} is missing or damaged", fix="Run `marchamo ledger audit --full`.")
    return data


def _last_hash(tile: bytes) -> bytes:
    return tile[-HASH_SIZE:]
