"""The log: the one door for whoever appends to it, reads it or wants a proof from it.

    log = Log.open(engine, origin="marchamo.example/log", signer=signer)
    appended = log.append(NewEntry(kind, subject, statement, key_id), apply)
    text = log.prove(appended.index, checkpoint=appended.checkpoint)

`append` returns when the entry is on disk, in the tree and under a signed checkpoint. Threads and processes may share
a log; `append` groups their work (see `ledger.group`), and a fork is harmless.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Generic, TypeVar, overload

from sqlalchemy import Connection, Engine

from ledger.checkpoint import SignedCheckpoint, open_checkpoint
from ledger.committer import MAX_ENTRIES_A_CALL, PUBLISH_INTERVAL_MS, Committer
from ledger.edge import TILE_BYTES, TILE_WIDTH, Edge, chained_leaves
from ledger.errors import EntryNotFound, ForkDetected, LogKeyError, LogUnavailable, StorageError
from ledger.keys.entries import KeyEntry, LogKeyHistory
from ledger.keys.log_keys import LogKeys
from ledger.keys.signers import Signers, always
from ledger.leaf import FIRST_PREV, Body, Leaf, NewEntry, subject_tag
from ledger.mark.guard import MarkGuard
from ledger.mark.high_water import Finding, HighWaterMark
from ledger.merkle import EMPTY_ROOT, HASH_SIZE
from ledger.note import NoteSigner, NoteVerifier
from ledger.proof import format_proof
from ledger.storage.interface import EntryRow, LogStorage
from ledger.storage.sql import SqlLogStorage
from ledger.subjects import Counts
from ledger.submission import Outcome, Submission
from ledger.tiles import LOG_HEIGHT, consistency_path, format_entry_bundle, inclusion_path, tree_root

__all__ = ["Appended", "Log", "NewEntry", "StoredEntry"]

CACHED_TILES = 1_024
"""Full tiles kept in memory: 8 MiB."""

CACHED_PATHS = 8_192
"""Inclusion paths kept in memory, about 1 KiB each."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Appended(Generic[T]):
    """The acknowledgement of one entry.

    index: its position in the log. size: the log's size under `checkpoint`, which covers the entry and is signed but
    not necessarily published. duplicate: the statement was recorded before, at `index`; `apply` was not run and
    `result` is None.
    """

    index: int
    size: int
    duplicate: bool
    result: T | None
    checkpoint: SignedCheckpoint


@dataclass(frozen=True, slots=True)
class StoredEntry:
    """An entry as it is kept; body and salt (32 bytes) are None when the body was erased."""

    index: int
    leaf: Leaf
    body: Body | None
    salt: bytes | None


class Log:
    """One transparency log in one database."""

    def __init__(
        self,
        engine: Engine,
        *,
        origin: str,
        signer: NoteSigner,
        signers: Signers | None = None,
        high_water: HighWaterMark | None = None,
        clock: Callable[[], float] = time.time,
        storage: LogStorage | None = None,
    ) -> None:
        self.origin = origin
        self._key_history = LogKeyHistory(signer.verifier)
        self._clock = clock
        self._storage = storage if storage is not None else SqlLogStorage(engine)
        self._mark = MarkGuard(high_water, self._storage.reading, self._refresh)
        self._committer = Committer(
            self._storage,
            origin=origin,
            signers=always(signer) if signers is None else signers,
            clock=clock,
            mark=self._mark,
        )
        self._published: tuple[SignedCheckpoint, int] | None = None
        # Kept beside the lineage of the edge: a database that was exchanged is not answered from these.
        self._full_tile = lru_cache(CACHED_TILES)(self._read_full_tile)
        self._inclusion_path = lru_cache(CACHED_PATHS)(self._build_inclusion_path)

    @classmethod
    def open(
        cls,
        engine: Engine,
        *,
        origin: str,
        signer: NoteSigner,
        signers: Signers | None = None,
        high_water: HighWaterMark | None = None,
        clock: Callable[[], float] = time.time,
        storage: LogStorage | None = None,
    ) -> Log:
        """Open a log and check its head against its entries, tiles and last published checkpoint.

        `signer` is a key of the log, by which it is known again; it signs every checkpoint unless `signers` is given:
        the keys of a log that may change them. Raises StorageError, ForkDetected, LogKeyError or NoteError when they
        disagree: such a log must not sign anything. Needs the schema; an empty database is an empty log. A log whose
        `high_water` mark is missing or contradicts it opens, answers and proves, but takes no entries: see `finding`.
        """
        log = cls(
            engine, origin=origin, signer=signer, signers=signers, high_water=high_water, clock=clock, storage=storage
        )
        log.finding()  # an empty log gets its mark here, before anybody can have appended to it
        with log._storage.reading() as reader:
            row = reader.checkpoint()
            keys = log._key_history.read(reader)
        # Only now: other processes go on writing, and a checkpoint read after the head may well be beyond it.
        size, root = log.head()
        if signers is not None:
            log._require_signers(engine, signers, size)
        if row is None:
            return log
        known = open_checkpoint(row.note, keys, origin=origin).checkpoint
        if known.size > size:
            raise ForkDetected(
                f"a checkpoint of size {known.size} was published but the log has only {size} entries",
                fix="The database was rolled back. Restore the newer state; do not append to this one.",
            )
        if known.root != (root if known.size == size else log.root_at(known.size)):
            raise ForkDetected(f"the published checkpoint of size {known.size} does not fit the entries")
        return log

    @overload
    def append(self, entry: NewEntry) -> Appended[None]: ...

    @overload
    def append(self, entry: NewEntry, apply: Callable[[Connection, int], T]) -> Appended[T]: ...

    def append(self, entry: NewEntry, apply: Callable[[Connection, int], T] | None = None) -> Appended[T]:
        """Record a statement, and in the same transaction do what `apply(connection, index)` does.

        `apply` must neither commit nor roll back, must not call this log, and may run again in another transaction
        only if its caller calls `append` again. What it raises is raised here, and nothing is recorded. A statement
        recorded before gives its first index. Raises LogUnavailable when the database fails; the same statement may
        then be submitted again safely.
        """
        submission = Submission([entry], apply=apply)
        self._committer.submit(submission)
        return _acknowledge(submission, submission.outcomes[0])

    def append_last(self, entry: NewEntry, apply: Callable[[Connection, int], T]) -> Appended[T]:
        """Do what `append` does, with an entry that no other follows in its transaction: to freeze the log with it."""
        submission = Submission([entry], apply=apply, alone=True)
        self._committer.submit(submission)
        return _acknowledge(submission, submission.outcomes[0])

    def append_many(self, entries: Sequence[NewEntry]) -> list[Appended[None]]:
        """Record up to 4,096 statements in one transaction: all of them or, when it raises, none."""
        if len(entries) > MAX_ENTRIES_A_CALL:
            raise ValueError(f"at most {MAX_ENTRIES_A_CALL} entries a call")
        if not entries:
            return []
        submission = Submission(entries)
        self._committer.submit(submission)
        return [_acknowledge(submission, outcome) for outcome in submission.outcomes]

    @property
    def verifier(self) -> NoteVerifier:
        """The log's key as last read; while two sign side by side the older, which everybody knows."""
        return self._key_history.keys.current[0].verifier

    def keys(self) -> LogKeys:
        """Give all keys that the log ever had, as its entries name them now."""
        with self._storage.reading() as reader:
            return self._key_history.read(reader)

    def key_entries(self) -> tuple[KeyEntry, ...]:
        """Give the entries about the log's keys, in order."""
        self.keys()
        return self._key_history.entries

    def head(self) -> tuple[int, bytes]:
        """Give size and root of the log as it is in the database now."""
        edge = self._committer.refresh()
        return edge.size, edge.root

    def root_at(self, size: int) -> bytes:
        """Give the root (32 bytes) over the first `size` entries. Raises EntryNotFound when there are fewer."""
        if size:
            self._require_size(size)
        return tree_root(self.tile, LOG_HEIGHT, size) if size else EMPTY_ROOT

    def frozen(self) -> bool:
        """Say whether the log has ended: it takes no entries any more."""
        with self._storage.reading() as reader:
            return reader.frozen()

    def finding(self) -> Finding | None:
        """Say how the high-water mark and the log compare now; None for a log without a mark. Raises OSError."""
        return self._mark.look()

    def checkpoint(self, *, at_least: int = 0) -> SignedCheckpoint:
        """Give the latest published checkpoint, publishing a new one when the last is older than a second.

        With `at_least`, one is published at once unless the latest has that size. Raises EntryNotFound when the log
        has fewer entries.
        """
        now = int(self._clock() * 1000)
        if self._published is not None:
            signed, read_at = self._published
            if abs(now - read_at) < PUBLISH_INTERVAL_MS and signed.checkpoint.size >= at_least:
                return signed
        size, _ = self.head()
        if size < at_least:
            raise EntryNotFound(f"the log has {size} entries, fewer than {at_least}")
        with self._storage.reading() as reader:
            row = reader.checkpoint()
        stale = row is None or (row.size < size and abs(now - row.time) >= PUBLISH_INTERVAL_MS)
        covers = row is not None and row.size >= at_least
        if stale or not covers:
            try:
                self._committer.submit(Submission([], publish=True))
            except LogUnavailable:
                if not covers:
                    raise
                # A log that may not sign now still has what it has published.
            with self._storage.reading() as reader:
                row = reader.checkpoint()
        if row is None:
            raise StorageError("the checkpoint that was just published is gone")
        signed = open_checkpoint(row.note, self.keys(), origin=self.origin)
        self._mark.show(self._committer.edge, signed.checkpoint.size, signed.checkpoint.root)
        self._published = signed, now
        return signed

    def published(self) -> SignedCheckpoint | None:
        """Give the latest checkpoint that any process has published, read now; publishes none itself."""
        with self._storage.reading() as reader:
            row = reader.checkpoint()
        if row is None:
            return None
        if self._published is not None and self._published[0].note_text == row.note:
            return self._published[0]
        signed = open_checkpoint(row.note, self.keys(), origin=self.origin)
        self._mark.show(self._committer.edge, signed.checkpoint.size, signed.checkpoint.root)
        return signed

    def prove(self, index: int, size: int | None = None, *, checkpoint: SignedCheckpoint | None = None) -> str:
        """Give the tlog-proof text of entry `index`.

        Under `checkpoint` (such as an acknowledgement's) when given, else under the published one of exactly `size`,
        else under the latest published one, for which a new one is published if the entry is not yet covered. Raises
        EntryNotFound.
        """
        if checkpoint is None:
            checkpoint = self.checkpoint(at_least=index + 1) if size is None else self._checkpoint_of(size)
        path = self._inclusion_path(self._committer.edge.lineage, index, checkpoint.checkpoint.size)
        return format_proof(index, path, checkpoint.note_text)

    def inclusion_path(self, index: int, size: int) -> list[bytes]:
        """Give the audit path of entry `index` in the log of `size` entries."""
        return list(self._inclusion_path(self._committer.edge.lineage, index, size))

    def consistency_path(self, old_size: int, new_size: int) -> list[bytes]:
        """Give the proof that the log of new_size entries extends that of old_size."""
        self._require_size(new_size)
        return consistency_path(self.tile, LOG_HEIGHT, old_size, new_size)

    def entry(self, index: int) -> StoredEntry:
        """Give one entry. Raises EntryNotFound."""
        row = self._rows(index, index + 1)[0]
        [leaf] = chained_leaves(self._leaf_hash(index - 1), [row.content()])
        return StoredEntry(index, leaf, None if row.erased else Body.from_bytes(row.body), row.salt)

    def entries_of(self, subject: bytes) -> list[int]:
        """Give the indexes of all entries about a subject (32 bytes), in order."""
        with self._storage.reading() as reader:
            count = Counts().look_up([subject], reader.find_tags)[subject].count
            found = reader.find_tags([subject_tag(subject, number) for number in range(count)])
        return sorted(found.values())

    def tile(self, level: int, index: int, width: int) -> bytes:
        """Give the first `width` hashes (1 to 256) of a tile. Raises EntryNotFound when it has fewer."""
        if not 1 <= width <= TILE_WIDTH:
            raise ValueError(f"the width of a tile is from 1 to {TILE_WIDTH}")
        if width < TILE_WIDTH:
            for edge in (self._committer.edge, None):
                # The edge in memory may be behind another process: read on once before giving up.
                data = (edge or self._committer.refresh()).partial(level, index)
                if data is not None and len(data) >= width * HASH_SIZE:
                    return data[: width * HASH_SIZE]
        return self._full_tile(self._committer.edge.lineage, level, index)[: width * HASH_SIZE]

    def entry_bundle(self, index: int, width: int) -> bytes:
        """Give the leaves of level-0 tile `index`, each behind its length in two bytes (C2SP tlog-tiles)."""
        start = index * TILE_WIDTH
        rows = self._rows(start, start + width)
        leaves = chained_leaves(self._leaf_hash(start - 1), [row.content() for row in rows])
        return format_entry_bundle([leaf.to_bytes() for leaf in leaves])

    def _refresh(self) -> Edge:
        return self._committer.refresh()

    def _require_signers(self, engine: Engine, signers: Signers, size: int) -> None:
        """Refuse keys that are not those which the entries name. For a size that exists no later entry changes them."""
        with engine.connect() as connection:
            found = tuple(signer.verifier for signer in signers(connection, size))
        if found != self.keys().at(size):
            raise LogKeyError(
                "the keys that are kept to sign this log are not those that its entries name",
                fix="Entries and keys belong together: restore both from the same backup.",
            )

    def _checkpoint_of(self, size: int) -> SignedCheckpoint:
        with self._storage.reading() as reader:
            row = reader.checkpoint_of(size)
        if row is None:
            raise EntryNotFound(f"no checkpoint of size {size} was published")
        return open_checkpoint(row.note, self.keys(), origin=self.origin)

    def _build_inclusion_path(self, _lineage: object, index: int, size: int) -> tuple[bytes, ...]:
        self._require_size(size)
        if not 0 <= index < size:
            raise EntryNotFound(f"entry {index} is not among the first {size}")
        return tuple(inclusion_path(self.tile, LOG_HEIGHT, index, size))

    def _require_size(self, size: int) -> None:
        if size > self._committer.edge.size and size > self._committer.refresh().size:
            raise EntryNotFound(f"the log has fewer than {size} entries")

    def _leaf_hash(self, index: int) -> bytes:
        if index < 0:
            return FIRST_PREV
        tile, offset = divmod(index, TILE_WIDTH)
        return self.tile(0, tile, offset + 1)[-HASH_SIZE:]

    def _rows(self, start: int, stop: int) -> Sequence[EntryRow]:
        with self._storage.reading() as reader:
            rows = reader.entries(start, stop) if 0 <= start < stop else []
        if not rows or len(rows) != stop - start:
            raise EntryNotFound(f"the log does not have the entries {start} to {stop - 1}")
        return rows

    def _read_full_tile(self, _lineage: object, level: int, index: int) -> bytes:
        with self._storage.reading() as reader:
            data = reader.tile(level, index)
        if data is None:
            raise EntryNotFound(f"the log has no full tile {level}/{index}")
        if len(data) != TILE_BYTES:
            raise StorageError(f"tile {level}/{index} is damaged", fix="Run `marchamo ledger audit --full`.")
        return data


def _acknowledge(submission: Submission, outcome: Outcome) -> Appended[T]:
    size = submission.checkpoint.checkpoint.size
    return Appended(outcome.index, size, outcome.duplicate, outcome.result, submission.checkpoint)
