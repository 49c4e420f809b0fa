"""The audit: recompute everything the log claims from what its database holds, and name the first thing that is wrong.

It reads one snapshot and trusts nothing in it: leaves are hashed again from salts and bodies, the tree from leaves,
and every head and published checkpoint is compared with that tree. What a database can not show on its own is that its
newest part was cut off together with every trace: give `known_checkpoints` that somebody outside kept.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import lru_cache

from sqlalchemy import Connection, Engine, func, select
from sqlalchemy.exc import SQLAlchemyError

from ledger.audit.entries import check_bodies, check_duplicates, check_erasures, check_leaves, read_tiles
from ledger.audit.guards import check_guards, check_numbers
from ledger.audit.map import check_map, check_map_heads
from ledger.audit.report import AuditReport, AuditScope, Fault, FaultCode
from ledger.checkpoint import open_checkpoint
from ledger.edge import TILE_WIDTH, Edge, chain_hashes
from ledger.errors import EntryNotFound, LedgerError, LogKeyError, NoteError, ProofError
from ledger.keys.entries import LogKeyHistory
from ledger.keys.log_keys import LogKeys
from ledger.leaf import FIRST_PREV
from ledger.merkle import EMPTY_ROOT, HASH_SIZE, perfect_root, verify_inclusion
from ledger.note import NoteVerifier
from ledger.storage.sql import FROZEN_TAG, SqlLogStorage, SqlReader
from ledger.storage.tables import (
    ledger_checkpoints,
    ledger_entries,
    ledger_freezes,
    ledger_heads,
    ledger_tags,
    ledger_tiles,
)
from ledger.tiles import LOG_HEIGHT, TileBuilder, inclusion_path, tree_root

__all__ = ["AuditReport", "AuditScope", "Fault", "FaultCode", "audit"]

CHUNK = 16 * TILE_WIDTH
"""Entries read at once."""

KNOWN_CHECKPOINT = "known checkpoint"
"""Where a fault is that a checkpoint from outside of the database shows, followed by its number."""

CACHED_TILES = 256
"""Tiles kept for the proofs of one audit: 2 MiB."""

ExtraCheck = Callable[[Connection, AuditScope], Iterable[Fault]]
"""A check of the product's own (such as batch roots), run in the same snapshot, as far as the audit looks."""

Progress = Callable[[int, int], None]
"""Called with the entries checked so far and their total."""


def audit(
    engine: Engine,
    verifier: NoteVerifier,
    *,
    origin: str | None = None,
    since: int | None = None,
    sample: int | None = None,
    known_checkpoints: Sequence[str] = (),
    extra_checks: Sequence[ExtraCheck] = (),
    progress: Progress | None = None,
) -> AuditReport:
    """Audit the log in this database; never raises for what it finds there.

    `verifier` is one of the log's keys, known from elsewhere; the others, and which sizes of checkpoints each of them
    signs, are read from the log's own entries, and every checkpoint has to bear exactly the signatures due.

    All of it by default; with `since` the entries from that index on, believing the tiles to the left as far as the
    heads bear them out; with `sample` that many entries chosen at random, each proved up to the head. The statements'
    own signatures are for `extra_checks`: the ledger does not know the actors' keys.
    """
    mode = "sample" if sample is not None else "since" if since is not None else "full"
    report = AuditReport(mode)
    started = time.perf_counter()
    try:
        with SqlLogStorage(engine).reading() as reader:
            work = _Audit(reader, verifier, verifier.name if origin is None else origin, report)
            passes = _Passes(1 + len(extra_checks), progress)
            if sample is None:
                scope = work.check_from(0 if since is None else since, passes.told)
            else:
                scope = work.check_sample(sample)
            work.check_known(known_checkpoints)
            for check in extra_checks:
                for fault in check(reader.connection, passes.following(scope)):
                    report.add(fault.code, fault.where, fault.message)
            # Last: what was changed says more than that nothing stood in the way of changing it.
            check_guards(reader.connection, report)
            check_numbers(reader.connection, report)
    except SQLAlchemyError as error:
        cause = getattr(error, "orig", None) or error
        report.add(FaultCode.STORAGE_UNREADABLE, "database", f"the database could not be read: {cause}")
    report.seconds = time.perf_counter() - started
    return report


class _Passes:
    """Tells of the progress of several passes over the same entries as of one long one."""

    def __init__(self, passes: int, progress: Progress | None) -> None:
        self._passes = passes
        self._progress = progress
        self._passed = 0

    def told(self, done: int, total: int) -> None:
        """Tell of the pass that is under way."""
        if self._progress is not None:
            self._progress(self._passed * total + min(done, total), self._passes * total)

    def following(self, scope: AuditScope) -> AuditScope:
        """Begin the next pass, over what `scope` holds."""
        self._passed += 1
        done = 0

        def told(entries: int) -> None:
            nonlocal done
            done += entries
            self.told(done, scope.entries)

        return replace(scope, told=told)


class _Audit:
    """One audit of one snapshot."""

    def __init__(self, reader: SqlReader, verifier: NoteVerifier, origin: str, report: AuditReport) -> None:
        self._reader = reader
        self._connection = reader.connection
        self._origin = origin
        self._report = report
        self._keys = self._read_keys(verifier)
        self._cached_tile = lru_cache(CACHED_TILES)(self._read_tile_uncached)
        self._head = reader.head()
        self._size = 0 if self._head is None else self._head.size
        report.size = self._size
        report.root = (EMPTY_ROOT if self._head is None else self._head.root).hex()

    def _read_keys(self, verifier: NoteVerifier) -> LogKeys:
        """Read from the log's own entries which keys it had, and which sizes each of them signs."""
        try:
            return LogKeyHistory(verifier).read(self._reader)
        except LogKeyError as error:
            self._report.add(FaultCode.KEY_HISTORY, "ledger_entries", error.message)
            return LogKeys.of(verifier)

    def check_from(self, since: int, progress: Progress | None) -> AuditScope:
        """Check everything from the tile that holds entry `since` on; returns what that is."""
        start = min(since, self._size) // TILE_WIDTH * TILE_WIDTH
        self._check_entries_from(start, progress)
        return AuditScope(self._size, start)

    def _check_entries_from(self, start: int, progress: Progress | None) -> None:
        try:
            builder = TileBuilder.resume(LOG_HEIGHT, start, self._read_tile)
            last = self._read_tile(0, start // TILE_WIDTH - 1, TILE_WIDTH)[-HASH_SIZE:] if start else FIRST_PREV
        except (EntryNotFound, ProofError) as error:
            self._report.add(FaultCode.TILE_MISSING, "ledger_tiles", error.message)
            return
        previous_head = self._check_marks(builder, [], start - 1, start, None if start else 0)
        for at in range(start, self._size, CHUNK):
            stop = min(at + CHUNK, self._size)
            rows = self._reader.entries(at, stop)
            if missing := sorted(set(range(at, stop)) - {row.entry for row in rows}):
                message = f"missing, with {len(missing) - 1} more up to entry {stop}; what follows was not checked"
                self._report.add(FaultCode.ENTRY_MISSING, f"ledger_entries {missing[0]}", message)
                return
            contents = check_bodies(self._reader, rows, self._report)
            tiles = read_tiles(self._connection, 0, at // TILE_WIDTH, stop // TILE_WIDTH)
            hashes = check_leaves(last, at, contents, tiles, self._report)
            last = hashes[-1]
            previous_head = self._check_marks(builder, hashes, at, stop, previous_head)
            self._check_tiles_above(builder)
            self._report.entries += len(rows)
            if progress is not None:
                progress(stop - start, self._size - start)
        check_erasures(self._reader, start, self._report)
        check_map_heads(self._reader, start, self._size, self._report)
        if start == 0:
            check_map(self._reader, self._report)
        self._check_freeze()
        self._check_surplus(start)
        check_duplicates(self._connection, self._report)

    def check_sample(self, count: int) -> AuditScope:
        """Prove entries chosen at random up to the head, and the head up to the last checkpoint; returns which."""
        if self._head is None:
            return AuditScope(0, chosen=())
        chosen = tuple(sorted(random.SystemRandom().sample(range(self._size), min(count, self._size))))
        try:
            Edge.load(self._reader, self._head)
        except LedgerError as error:
            self._report.add(FaultCode.HEAD_ROOT, f"ledger_heads {self._size}", error.message)
        for index in chosen:
            self._check_one(index)
        row = self._reader.checkpoint()
        if row is not None:
            self._check_checkpoint(row.size, row.note, None)
        self._check_freeze()
        return AuditScope(self._size, chosen=chosen)

    def check_known(self, notes: Sequence[str]) -> None:
        """Check the log against checkpoints that somebody kept outside of this database."""
        for number, note in enumerate(notes, 1):
            self._check_checkpoint(None, note, None, where=f"{KNOWN_CHECKPOINT} {number}")

    def _check_marks(
        self, builder: TileBuilder, hashes: Sequence[bytes], after: int, upto: int, previous: int | None
    ) -> int | None:
        """Grow the tree by `hashes`, stopping at the size of every head and checkpoint to compare its root.

        Returns the size of the last head seen.
        """
        heads, checkpoints = ledger_heads.c, ledger_checkpoints.c
        head_rows = self._connection.execute(
            select(heads.size, heads.prev_size, heads.root).where(heads.size > after, heads.size <= upto)
        )
        note_rows = self._connection.execute(
            select(checkpoints.size, checkpoints.note).where(checkpoints.size > after, checkpoints.size <= upto)
        )
        stated = {size: (prev_size, root) for size, prev_size, root in head_rows}
        notes: dict[int, str] = {row[0]: row[1] for row in note_rows}
        base, taken = builder.size, 0
        for size in sorted(stated.keys() | notes.keys()):
            builder.extend(hashes[taken : size - base])
            taken = size - base
            if size in stated:
                self._check_head(size, *stated[size], builder.root(), previous)
                previous = size
            if size in notes:
                self._check_checkpoint(size, notes[size], builder.root())
        builder.extend(hashes[taken:])
        return previous

    def _check_head(self, size: int, prev_size: int, stated: bytes, root: bytes, previous: int | None) -> None:
        where = f"ledger_heads {size}"
        if previous is not None and prev_size != previous:
            self._report.add(
                FaultCode.HEAD_CHAIN, where, f"follows size {prev_size}, but the head before is {previous}"
            )
        if stated != root:
            self._report.add(FaultCode.HEAD_ROOT, where, "the root is not the one of the entries")
        self._report.heads += 1

    def _check_checkpoint(self, size: int | None, note: str, root: bytes | None, *, where: str | None = None) -> None:
        """Check a signed checkpoint; without `root` it is computed from the tiles."""
        where = f"ledger_checkpoints {size}" if where is None else where
        try:
            checkpoint = open_checkpoint(note, self._keys, origin=self._origin, by_all=True).checkpoint
        except LogKeyError as error:
            self._report.add(FaultCode.CHECKPOINT_KEY, where, error.message)
            return
        except NoteError as error:
            self._report.add(FaultCode.CHECKPOINT_SIGNATURE, where, error.message)
            return
        self._report.checkpoints += 1
        if size is not None and checkpoint.size != size:
            self._report.add(FaultCode.CHECKPOINT_SIZE, where, f"the note is for size {checkpoint.size}")
            return
        if checkpoint.size > self._size:
            message = f"size {checkpoint.size} was signed, but the log has only {self._size} entries: it was cut back"
            self._report.add(FaultCode.CHECKPOINT_AHEAD, where, message)
            return
        try:
            expected = tree_root(self._read_tile, LOG_HEIGHT, checkpoint.size) if root is None else root
        except LedgerError as error:
            self._report.add(FaultCode.TILE_MISSING, where, error.message)
            return
        if checkpoint.root != expected:
            message = "the signed root is not the one of the entries: the log was rewritten after it was signed"
            self._report.add(FaultCode.CHECKPOINT_ROOT, where, message)

    def _check_tiles_above(self, builder: TileBuilder) -> None:
        """Compare the tiles above the leaves that were completed just now."""
        for tile in builder.take_full():
            self._report.tiles += 1
            if tile.level > 0:
                stored = self._reader.tile(tile.level, tile.index)
                where = f"ledger_tiles {tile.level}/{tile.index}"
                if stored is None:
                    self._report.add(FaultCode.TILE_MISSING, where, "this full tile is not stored")
                elif stored != tile.data:
                    self._report.add(FaultCode.TILE_CONTENT, where, "the hashes are not those of the entries")

    def _check_surplus(self, start: int) -> None:
        """Look for rows beyond the head, and for tags that no entry from `start` on bears."""
        filed = self._connection.execute(select(func.count()).where(ledger_tags.c.index >= start)).scalar_one()
        if filed > self._report.tags:
            message = f"{filed} tags are filed, the entries bear {self._report.tags}"
            self._report.add(FaultCode.TAG_SURPLUS, "ledger_tags", message)
        entries, tiles = ledger_entries.c, ledger_tiles.c
        for condition in (entries.index >= self._size, entries.index < 0):
            index = self._connection.execute(select(func.min(entries.index)).where(condition)).scalar()
            if index is not None:
                message = f"an entry beyond the head of size {self._size}"
                self._report.add(FaultCode.ENTRY_SURPLUS, f"ledger_entries {index}", message)
        level_rows = self._connection.execute(
            select(tiles.level, func.count(), func.min(tiles.index), func.max(tiles.index)).group_by(tiles.level)
        )
        for level, count, least, greatest in level_rows:
            expected = self._size >> (LOG_HEIGHT * (level + 1)) if 0 <= level <= 6 else 0
            if count > expected or least < 0 or greatest >= expected:
                message = f"{count} tiles up to {greatest} are stored, a log of {self._size} entries has {expected}"
                self._report.add(FaultCode.TILE_SURPLUS, f"ledger_tiles {level}/{greatest}", message)
        for size in self._connection.execute(
            select(ledger_checkpoints.c.size).where(ledger_checkpoints.c.size > self._size)
        ).scalars():
            message = f"published, but the log has only {self._size} entries: it was cut back"
            self._report.add(FaultCode.CHECKPOINT_AHEAD, f"ledger_checkpoints {size}", message)

    def _check_freeze(self) -> None:
        """A frozen log ends with the entry that froze it, and a row keeps it closed."""
        closing = set(self._connection.execute(select(ledger_freezes.c.entry)).scalars())
        stating = set(self._reader.find_tags([FROZEN_TAG]).values())
        for entry in sorted(closing | stating):
            if entry != self._size - 1:
                message = f"the log was frozen with this entry, but has {self._size} entries"
                self._report.add(FaultCode.LOG_FROZEN, f"ledger_freezes {entry}", message)
            elif entry not in closing:
                message = "the log was frozen with this entry, but the row that keeps it closed is gone"
                self._report.add(FaultCode.LOG_FROZEN, f"ledger_freezes {entry}", message)

    def _check_one(self, index: int) -> None:
        """Check one entry: its body, its leaf in the tile, and the path up to the head."""
        rows = self._reader.entries(index, index + 1)
        if not rows:
            self._report.add(FaultCode.ENTRY_MISSING, f"ledger_entries {index}", "missing")
            return
        contents = check_bodies(self._reader, rows, self._report)
        where, root = f"ledger_entries {index}", bytes.fromhex(self._report.root)
        try:
            last = self._leaf_hash(index - 1) if index else FIRST_PREV
            [leaf] = chain_hashes(last, contents)
            path = inclusion_path(self._read_tile, LOG_HEIGHT, index, self._size)
            verify_inclusion(leaf=leaf, index=index, size=self._size, path=path, root=root)
        except LedgerError as error:
            self._report.add(FaultCode.ENTRY_CONTENT, where, f"not proved under the head: {error.message}")
        self._report.entries += 1

    def _leaf_hash(self, index: int) -> bytes:
        tile, offset = divmod(index, TILE_WIDTH)
        return self._read_tile(0, tile, min(TILE_WIDTH, self._size - tile * TILE_WIDTH))[offset * 32 : offset * 32 + 32]

    def _read_tile(self, level: int, index: int, width: int) -> bytes:
        return self._cached_tile(level, index, width)

    def _read_tile_uncached(self, level: int, index: int, width: int) -> bytes:
        """Read a tile for proofs. A partial one is made from the tiles or entries below it."""
        if width == TILE_WIDTH:
            data = self._reader.tile(level, index)
            if data is None:
                raise EntryNotFound(f"tile {level}/{index} is missing")
            return data
        start = index * TILE_WIDTH
        if level > 0:
            return b"".join(perfect_root(tile) for tile in self._reader.tile_run(level - 1, start, start + width))
        if (stored := self._reader.tile(0, index)) is not None:
            return stored[: width * HASH_SIZE]
        last = self._read_tile(0, index - 1, TILE_WIDTH)[-HASH_SIZE:] if index else FIRST_PREV
        rows = self._reader.entries(start, start + width)
        return b"".join(chain_hashes(last, [row.content() for row in rows]))
