"""What the log asks of whatever keeps it.

The consistency contract, on which every promise of the log rests:

* `writing()` is exclusive across all threads and processes that open the same log. Whoever is inside sees everything
  that any earlier writer committed, and nobody else's uncommitted work.
* What was written inside `writing()` becomes visible to others all at once when the block ends without an exception,
  and is durable by then. If the block ends with an exception nothing of it remains.
* If leaving the block itself raises, the outcome is unknown. Entering `writing()` again waits until it is settled, and
  what is read there is the truth.
* `reading()` sees one committed state for the length of the block. It never waits for a writer.
* Rows are never changed and never removed. Two heads can not follow the same head.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from hashlib import sha256
from typing import NamedTuple, Protocol

from sqlalchemy import Connection

from ledger.errors import StorageError
from ledger.tiles import Tile


@dataclass(frozen=True, slots=True)
class EntryRow:
    """One entry as stored. `salt` and `body` are both present, or both absent when the body was erased."""

    index: int
    statement_key: int
    subject_key: int
    salt: bytes | None
    body: bytes | None

    def commitment(self) -> bytes:
        """Hash the body under its salt again (32 bytes); StorageError when they are not there."""
        if self.salt is None or self.body is None:
            raise StorageError(f"entry {self.index} has lost its body")
        return sha256(self.salt + self.body).digest()


class Head(NamedTuple):
    """One state of the log: how many entries, and the root over them. `time` in milliseconds since 1970."""

    size: int
    prev_size: int
    root: bytes
    time: int


class CheckpointRow(NamedTuple):
    """A published checkpoint: the signed note, and when it was published in milliseconds since 1970."""

    size: int
    note: str
    time: int


class LogReader(Protocol):
    """Reads one committed state."""

    def head(self) -> Head | None:
        """Give the greatest head, None for an empty log."""

    def entries(self, start: int, stop: int) -> Sequence[EntryRow]:
        """Give the entries from `start` up to, not including, `stop`, in order."""

    def find_statements(self, keys: Iterable[int]) -> list[tuple[int, int]]:
        """Give (statement key, index) of every entry with one of these keys, in order of index."""

    def subject_entries(self, key: int) -> list[int]:
        """Give the indexes of all entries with this subject key, in order."""

    def tile(self, level: int, index: int) -> bytes | None:
        """Give a full tile (8,192 bytes), None when it is not stored."""

    def tile_run(self, level: int, start: int, stop: int) -> list[bytes]:
        """Give the full tiles of a level from `start` up to, not including, `stop`, in order, those that exist."""

    def checkpoint(self) -> CheckpointRow | None:
        """Give the latest published checkpoint."""

    def checkpoint_of(self, size: int) -> CheckpointRow | None:
        """Give the published checkpoint of exactly this size, if there was one."""


class LogWriter(LogReader, Protocol):
    """Reads and adds inside the exclusive transaction."""

    @property
    def connection(self) -> Connection:
        """The transaction's connection, on which callers of the log do their own part of it."""

    def keep(self) -> None:
        """Keep what was done in the transaction so far; `undo` can not reach behind it."""

    def undo(self) -> None:
        """Undo what was done since the last `keep`, also after an error of the database."""

    def latest_by_subject(self, keys: Iterable[int]) -> dict[int, int]:
        """Give for each subject key that has entries the index of its latest."""

    def add_entries(self, rows: Sequence[EntryRow]) -> None:
        """Add entries. They follow the head without a gap; the caller sees to it."""

    def add_tiles(self, tiles: Sequence[Tile]) -> None:
        """Add full tiles."""

    def add_head(self, head: Head) -> None:
        """Add a head; ForkDetected when another head follows the same one."""

    def add_checkpoint(self, row: CheckpointRow) -> None:
        """Add a published checkpoint; adding the same size again is an error."""


class LogStorage(Protocol):
    """Opens transactions; see the module's contract."""

    def reading(self) -> AbstractContextManager[LogReader]:
        """Open a read transaction."""

    def writing(self) -> AbstractContextManager[LogWriter]:
        """Open the exclusive write transaction."""
