"""The write path: what happens between a statement's arrival and its acknowledgement.

An acknowledgement means three things at once: the entry is on disk, it is in the tree, and a signed checkpoint covers
it. There is no promise of later inclusion. Each step below says what a crash there would mean.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable

from sqlalchemy import Connection

from ledger.checkpoint import Checkpoint, SignedCheckpoint, sign_checkpoint
from ledger.collecting import collect, find_recorded
from ledger.edge import Edge
from ledger.errors import LedgerError, LogFrozen, LogUnavailable, NoteError
from ledger.group import GroupQueue
from ledger.keys.signers import Signers
from ledger.mark.guard import MarkGuard
from ledger.note import open_note
from ledger.storage.interface import CheckpointRow, Head, LogStorage, LogWriter
from ledger.subjects import Counts
from ledger.submission import MAX_GROUP, Outcome, Submission

MAX_ENTRIES_A_CALL = 4_096
"""Entries one call may bring."""

PUBLISH_INTERVAL_MS = 1_000
"""A checkpoint is published at most this often."""


class Committer:
    """Appends for one log; safe for threads, and for other processes that do the same to the same database."""

    def __init__(
        self,
        storage: LogStorage,
        *,
        origin: str,
        signers: Signers,
        clock: Callable[[], float],
        mark: MarkGuard,
    ) -> None:
        self._storage = storage
        self._mark = mark
        self._origin = origin
        self._signers = signers
        self._clock = clock
        self._queue = GroupQueue(self._run, limit=MAX_GROUP)
        self._edge_lock = threading.Lock()
        self._edge = Edge.empty()
        self._counts = Counts()
        self._published_at = 0
        os.register_at_fork(after_in_child=self._renew_lock)

    @property
    def edge(self) -> Edge:
        """The latest state of the log that this process knows to be committed."""
        return self._edge

    def refresh(self) -> Edge:
        """Read what other processes have appended and give the edge there."""
        with self._storage.reading() as reader:
            edge = self._edge.advanced(reader, reader.head())
        self._advance_to(edge)
        return edge

    def submit(self, submission: Submission) -> None:
        """Record the entries of a submission, or raise what stands against it."""
        self._queue.submit(submission)
        if submission.error is not None:
            raise submission.error

    def sign(self, edge: Edge, connection: Connection) -> SignedCheckpoint:
        """Sign the checkpoint of an edge. Nothing signed may leave this process before its head is committed.

        It is read back as its receiver would: by the signature of every key.
        """
        signers = self._signers(connection, edge.size)
        signed = sign_checkpoint(Checkpoint(self._origin, edge.size, edge.root), *signers)
        note, signed_by = open_note(signed.note_text, [signer.verifier for signer in signers])
        if len(signed_by) != len(signers):
            raise NoteError("a key of the log did not sign the checkpoint")
        return SignedCheckpoint(Checkpoint.from_text(note.text), signed.note_text)

    def _run(self, group: list[Submission]) -> None:
        try:
            try:
                self._write(group)
            except Exception as error:  # whatever it was, each caller must learn what became of its entry
                self._recover(group, error)
        except BaseException:
            self._edge = Edge.empty()
            _refuse(group, _outcome_unknown())
            raise

    def _write(self, group: list[Submission]) -> None:
        with self._storage.writing() as writer:
            # A crash up to COMMIT loses nothing: no row is visible and nobody was told anything.
            head = writer.head()
            before = self._edge.advanced(writer, head)
            self._mark.begin(before, writer)
            edge = before.copy()
            frozen = writer.frozen()  # asked before the group can freeze it
            additions = collect(writer, group, edge.size, self._counts)
            now = int(self._clock() * 1000)
            if additions.rows:
                if frozen:
                    raise LogFrozen("this log has been frozen: it takes no more entries")
                leaves = edge.extend(additions.contents)
                writer.add_entries(additions.rows)
                writer.add_tags(additions.tags)
                writer.add_tiles(edge.take_full())
                writer.add_head(Head(edge.size, additions.base, edge.root, now))
            checkpoint = self.sign(edge, writer.connection)
            if additions.rows:
                # What is about to be acknowledged is proved first, as its receiver would: by signature and path.
                before.prove_growth(leaves, checkpoint.checkpoint.root, writer)
            published = self._publish(writer, checkpoint, now, force=any(ticket.publish for ticket in group))
            # A crash while the block ends is the one moment of doubt: COMMIT may or may not have reached the disk.
            # The caller was not told; when it asks again, the statement's key finds the entry or the way is free.
        # From here on the group is durable. A crash now loses only the answers; asking again gives them.
        self._advance_to(edge)
        try:
            self._mark.acknowledge(edge)
        except LogUnavailable as error:
            raise _not_marked(error) from error
        # A crash here loses answers as well; the mark knows of entries that nobody was told of, which does no harm.
        self._counts.remember(additions.counts)
        if published:
            self._published_at = now
        for submission in group:
            submission.checkpoint = checkpoint

    def _publish(self, writer: LogWriter, checkpoint: SignedCheckpoint, now: int, *, force: bool) -> bool:
        """Add the checkpoint to those published, if one is due. A clock set back makes one due as well."""
        if not force and abs(now - self._published_at) < PUBLISH_INTERVAL_MS:
            return False
        size, latest = checkpoint.checkpoint.size, writer.checkpoint()
        if latest is not None:
            self._published_at = latest.time
            if size <= latest.size or (not force and abs(now - latest.time) < PUBLISH_INTERVAL_MS):
                return False
        writer.add_checkpoint(CheckpointRow(size, checkpoint.note_text, now))
        return True

    def _recover(self, group: list[Submission], cause: Exception) -> None:
        """Find out what became of a group whose transaction failed; guess nothing.

        Memory is dropped and read again. Taking the write lock first waits for a COMMIT that may still be on its way.
        """
        self._edge = Edge.empty()
        try:
            with self._storage.writing() as writer:
                edge = Edge.load(writer, writer.head())
                self._mark.begin(edge, writer)
                known = find_recorded(writer, group, edge.size)
                checkpoint = self.sign(edge, writer.connection)
                if any(ticket.publish for ticket in group):
                    self._publish(writer, checkpoint, int(self._clock() * 1000), force=True)
            self._mark.acknowledge(edge)
        except Exception:  # the database is out of reach; the first cause is the one to tell
            # Our own errors are raised before COMMIT, so they leave no doubt.
            _refuse(group, cause if isinstance(cause, LedgerError) else _outcome_unknown(), cause)
            return
        self._advance_to(edge)
        for submission in group:
            rows = [known[entry.statement] for entry in submission.entries if entry.statement in known]
            if submission.error is None and len(rows) == len(submission.entries):
                outcomes = zip(rows, submission.salts, submission.outcomes, strict=False)
                ours = len(submission.outcomes) == len(rows) and all(
                    row.entry == outcome.index and (outcome.duplicate or row.salt == salt)
                    for row, salt, outcome in outcomes
                )
                if not ours:  # recorded by another call, not by the group that failed
                    submission.outcomes = [Outcome(row.entry, duplicate=True) for row in rows]
                submission.checkpoint = checkpoint
            else:
                _refuse([submission], cause if isinstance(cause, LedgerError) else _not_recorded(), cause)

    def _advance_to(self, edge: Edge) -> None:
        with self._edge_lock:
            if edge.size > self._edge.size:
                self._edge = edge

    def _renew_lock(self) -> None:
        self._edge_lock = threading.Lock()


def _refuse(group: list[Submission], error: LedgerError, cause: Exception | None = None) -> None:
    """Give each submission that has no error of its own a copy of this one (a traceback belongs to one thread)."""
    for submission in group:
        if submission.error is None:
            submission.error = type(error)(error.message, fix=error.fix)
            submission.error.__cause__ = cause


def _not_recorded() -> LogUnavailable:
    return LogUnavailable("the log could not be written; nothing was recorded", fix="Submit the same statement again.")


def _not_marked(error: LogUnavailable) -> LogUnavailable:
    return LogUnavailable(
        f"{error.message}; the statement is recorded",
        fix="Submit the same statement again when the mark can be written: it gives its place.",
    )


def _outcome_unknown() -> LogUnavailable:
    return LogUnavailable(
        "the log's database went away; whether the statement was recorded is not known",
        fix="Submit the same statement again: it is recorded at most once.",
    )
