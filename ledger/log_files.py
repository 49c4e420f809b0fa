"""The log as the files of C2SP tlog-tiles: what the web server answers and what an export writes, byte for byte.

    checkpoint                 the latest published checkpoint
    tile/<level>/<index>       hashes; the last of each level as .p/<width>
    tile/entries/<index>       the leaves, likewise

Only what a published checkpoint covers is given: a tile beyond it proves nothing to anybody yet, and whoever fetched
it could not tell a slow log from a lying one.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass

from ledger.checkpoint import SignedCheckpoint
from ledger.edge import TILE_WIDTH
from ledger.errors import EntryNotFound
from ledger.log import Log
from ledger.tiles import LOG_HEIGHT, parse_tile_path, tile_path, tile_width
from ledger.witnessing.cosigned import CosignedCheckpoints

ENTRIES = "entries"
CACHED_BUNDLE_BYTES = 16 * 1024 * 1024
"""Entry bundles kept in memory; a full one of entries about one subject each has about 21 KB."""


@dataclass(frozen=True, slots=True)
class TileName:
    """One tile or entry bundle: `level` is a number or "entries", `width` the hashes or leaves in it (1 to 256)."""

    level: int | str
    index: int
    width: int

    @classmethod
    def from_path(cls, path: str) -> TileName:
        """Read `tile/...`; FormatError for every other spelling."""
        level, index, width = parse_tile_path(path)
        return cls(level, index, TILE_WIDTH if width is None else width)

    @property
    def is_full(self) -> bool:
        """Whether it holds 256 hashes or leaves."""
        return self.width == TILE_WIDTH

    def path(self) -> str:
        """Give the path below the log's address."""
        return tile_path(self.level, self.index, None if self.is_full else self.width)

    def needed_size(self) -> int:
        """Give the least size of a log that has it. Narrower than its tile is allowed: it once was the log's last."""
        level = 0 if self.level == ENTRIES else int(self.level)
        return (self.index * TILE_WIDTH + self.width) << (LOG_HEIGHT * level)


class LogFiles:
    """Reads the files of one log; safe for threads. Memory is asked first, the database where it must be.

    With `cosigned` the checkpoint is the one that witnesses have signed, with their signatures.
    """

    def __init__(self, log: Log, cosigned: CosignedCheckpoints | None = None) -> None:
        self._log = log
        self._cosigned = cosigned
        self._published = 0
        self._bundles: OrderedDict[TileName, bytes] = OrderedDict()
        self._bundle_bytes = 0
        self._lock = threading.Lock()

    @property
    def cached_bytes(self) -> int:
        """Bytes of the bundles in memory."""
        return self._bundle_bytes

    def checkpoint(self) -> SignedCheckpoint:
        """Give the latest published checkpoint (a new one when that is older than a second)."""
        # Read from the database each time: of several processes none may answer with an older one than another has
        # shown, or the log would seem to shrink.
        if self._cosigned is not None:
            signed = self._cosigned.read().signed
        else:
            signed = self._log.checkpoint()
            signed = self._log.published() or signed
        self._published = max(self._published, signed.checkpoint.size)
        return signed

    def covers(self, size: int) -> bool:
        """Whether a checkpoint of this size or a larger one was published; the database is asked only if none known."""
        if size > self._published and (latest := self._log.published()) is not None:
            self._published = max(self._published, latest.checkpoint.size)
        return size <= self._published

    def read(self, name: TileName) -> bytes:
        """Give the bytes of a tile or bundle. Raises EntryNotFound beyond the published checkpoint."""
        if not self.covers(name.needed_size()):
            raise EntryNotFound(f"the published log has no {name.path()}")
        if isinstance(name.level, int):
            return self._log.tile(name.level, name.index, name.width)
        return self._bundle(name)

    @staticmethod
    def names(size: int) -> Iterator[TileName]:
        """Name every tile and bundle of a log of this size."""
        level = 0
        while size >> (LOG_HEIGHT * level):
            for index in range(-(-(size >> (LOG_HEIGHT * level)) // TILE_WIDTH)):
                width = tile_width(LOG_HEIGHT, level, index, size)
                yield TileName(level, index, width)
                if level == 0:
                    yield TileName(ENTRIES, index, width)
            level += 1

    @staticmethod
    def count(size: int) -> int:
        """Count what `names` names."""
        widths = [size >> (LOG_HEIGHT * level) for level in range(8)]
        tiles = [-(-width // TILE_WIDTH) for width in widths]
        return sum(tiles) + tiles[0]

    def _bundle(self, name: TileName) -> bytes:
        with self._lock:
            if name in self._bundles:
                self._bundles.move_to_end(name)
                return self._bundles[name]
        data = self._log.entry_bundle(name.index, name.width)
        with self._lock:
            if name not in self._bundles and len(data) <= CACHED_BUNDLE_BYTES:
                self._bundles[name] = data
                self._bundle_bytes += len(data)
            while self._bundle_bytes > CACHED_BUNDLE_BYTES:
                _, oldest = self._bundles.popitem(last=False)
                self._bundle_bytes -= len(oldest)
        return data
