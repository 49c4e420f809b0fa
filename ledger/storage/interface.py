"""What the log asks of whatever keeps it.

The consistency contract, on which every promise of the log rests:

* `writing()` is exclusive across all threads and processes that open the same log. Whoever is inside sees everything
  that any earlier writer committed, and nobody else's uncommitted work.
* What was written inside `writing()` becomes visible to others all at once when the block ends without an exception,
  and is durable by then. If the block ends with an exception nothing of it remains.
* If leaving the block itself raises, the outcome is unknown. Entering `writing()` again waits until it is settled, and
  what is read there is the truth.
* `reading()` sees one committed state for the length of the block. It never waits for a writer.
* Rows are never changed and never removed, save that the body of an entry can be erased. Two heads can not follow the
  same head.
"""

from __future__ import annotations

import re
from binascii import a2b_base64
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from hashlib import sha256
from typing import NamedTuple, Protocol

from sqlalchemy import Connection

from ledger.errors import FormatError, StorageError
from ledger.leaf import Body, subject_tag
from ledger.tiles import Tile


class EntryRow(NamedTuple):
    """One entry as stored; `entry` is its index in the log.

    Of an erased entry the salt is gone, and `body` holds what the leaf needs: the commitment and the tags.
    """

    entry: int
    statement_key: int
    salt: bytes | None
    body: bytes

    @property
    def erased(self) -> bool:
        """Whether the body was erased."""
        return self.salt is None

    def content(self) -> bytes:
        """Give what the leaf says besides `prev`: commitment || tags. Raises StorageError for a body that is none."""
        if self.salt is None:
            return self.body
        try:
            tags = tags_of(self.body)
        except FormatError as error:
            raise StorageError(f"the body of entry {self.entry} is damaged: {error.message}") from None
        return b"".join((sha256(self.salt + self.body).digest(), *tags))


_ONE_SUBJECT = re.compile(rb'"subjects":\[\["([A-Za-z0-9+/]{43}=)",(0|[1-9][0-9]{0,17})\]\]\}\Z')


def tags_of(body: bytes) -> Sequence[bytes]:
    """Give the tags of a body (16 bytes each). Most have one subject, whose place is known without parsing the rest.

    Raises FormatError. It does not check the rest of the body.
    """
    if match := _ONE_SUBJECT.search(body, max(0, len(body) - 128)):
        return (subject_tag(a2b_base64(match[1]), int(match[2])),)
    return Body.from_bytes(body).tags()


class Head(NamedTuple):
    """One state of the log: how many entries, and the root over them. `time` in milliseconds since 1970."""

    size: int
    prev_size: int
    root: bytes
    time: int


class TagRow(NamedTuple):
    """One tag and the entry that bears it."""

    tag: bytes
    entry: int


class CosignatureRow(NamedTuple):
    """A witness's signature line on the published checkpoint of this size; `time` in milliseconds since 1970."""

    size: int
    key_id: int
    line: str
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

    def entries_at(self, indexes: Sequence[int]) -> Sequence[EntryRow]:
        """Give the entries with these indexes, given in ascending order, those that exist."""

    def find_statements(self, keys: Iterable[int]) -> list[tuple[int, int]]:
        """Give (statement key, index) of every entry with one of these keys, in order of index."""

    def find_tags(self, tags: Sequence[bytes]) -> dict[bytes, int]:
        """Give the index of the entry that bears each of these tags, for those that exist."""

    def tile(self, level: int, index: int) -> bytes | None:
        """Give a full tile (8,192 bytes), None when it is not stored."""

    def tile_run(self, level: int, start: int, stop: int) -> list[bytes]:
        """Give the full tiles of a level from `start` up to, not including, `stop`, in order, those that exist."""

    def checkpoint(self) -> CheckpointRow | None:
        """Give the latest published checkpoint."""

    def checkpoint_of(self, size: int) -> CheckpointRow | None:
        """Give the published checkpoint of exactly this size, if there was one."""

    def checkpoints(self, limit: int) -> list[CheckpointRow]:
        """Give the latest published checkpoints, at most `limit`, newest first."""

    def cosignatures(self, size: int) -> list[str]:
        """Give the witnesses' signature lines on the published checkpoint of this size, in order of key id."""

    def frozen(self) -> bool:
        """Say whether the log has been frozen for ever."""


class LogWriter(LogReader, Protocol):
    """Reads and adds inside the exclusive transaction."""

    @property
    def connection(self) -> Connection:
        """The transaction's connection, on which callers of the log do their own part of it."""

    def keep(self) -> None:
        """Keep what was done in the transaction so far; `undo` can not reach behind it."""

    def undo(self) -> None:
        """Undo what was done since the last `keep`, also after an error of the database."""

    def add_entries(self, rows: Sequence[EntryRow]) -> None:
        """Add entries. They follow the head without a gap; the caller sees to it."""

    def add_tags(self, rows: Sequence[TagRow]) -> None:
        """Add the tags of entries; a tag that exists already is an error."""

    def add_cosignatures(self, rows: Sequence[CosignatureRow]) -> None:
        """Add witnesses' signature lines; those that are there already are left as they are."""

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
