"""The write path: what happens between a statement's arrival and its acknowledgement.

An acknowledgement means three things at once: the entry is on disk, it is in the tree, and a signed checkpoint covers
it. There is no promise of later inclusion. Each step below says what a crash there would mean.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from sqlalchemy import Connection

from ledger.checkpoint import Checkpoint, SignedCheckpoint, sign_checkpoint
from ledger.edge import Edge
from ledger.errors import ForkDetected, FormatError, LedgerError, LogFrozen, LogUnavailable, NoteError, StorageError
from ledger.group import GroupQueue, Ticket
from ledger.keys.signers import Signers
from ledger.leaf import (
    MAX_BODY_SIZE,
    SALT_SIZE,
    TAG_SIZE,
    Body,
    NewEntry,
    body_end,
    body_start,
    check_subjects,
    subject_tag,
)
from ledger.mark.guard import MarkGuard
from ledger.merkle import HASH_SIZE
from ledger.note import open_note
from ledger.storage.interface import CheckpointRow, EntryRow, Head, LogStorage, LogWriter, TagRow
from ledger.strict import encode_base64
from ledger.subjects import Counts

MAX_GROUP = 256
"""Entries in one transaction, unless a single call brings more."""

MAX_ENTRIES_A_CALL = 4_096
"""Entries one call may bring."""

MAX_SUBJECT_TEXT = 68
"""Bytes that a subject takes in a body at most: 44 of base64, the number of the entry and punctuation."""

PUBLISH_INTERVAL_MS = 1_000
"""A checkpoint is published at most this often."""

Apply = Callable[[Connection, int], Any]


def statement_key(statement: bytes) -> int:
    """Give the short key under which a statement is found again (signed 64-bit)."""
    return int.from_bytes(sha256(statement).digest()[:8], "big", signed=True)


@dataclass(slots=True)
class Outcome:
    """Where one entry ended up."""

    index: int
    duplicate: bool
    result: Any = None


class Submission(Ticket):
    """The entries of one call, with room for what became of them."""

    __slots__ = ("apply", "checkpoint", "entries", "error", "keys", "outcomes", "publish", "salts", "starts", "texts")

    def __init__(
        self,
        entries: Sequence[NewEntry],
        *,
        apply: Apply | None = None,
        publish: bool = False,
        alone: bool = False,
    ) -> None:
        """With `alone` it shares its transaction with no other call."""
        super().__init__(MAX_GROUP if alone else max(1, len(entries)))
        # All that needs no lock is done here, in the caller's own time: a malformed entry is refused at once.
        self.starts = [_body_start(entry) for entry in entries]
        self.texts = [[encode_base64(subject) for subject in entry.subjects] for entry in entries]
        self.entries = entries
        self.keys = [statement_key(entry.statement) for entry in entries]
        random = os.urandom(SALT_SIZE * len(entries))
        self.salts = [random[at : at + SALT_SIZE] for at in range(0, len(random), SALT_SIZE)]
        self.apply = apply
        self.publish = publish
        self.outcomes: list[Outcome] = []
        self.error: Exception | None = None
        self.checkpoint: SignedCheckpoint  # once the group is committed


@dataclass(slots=True)
class _Group:
    """What a group adds, collected before it is written."""

    base: int
    known: dict[bytes, int]
    """Statement -> index, of those recorded before and of those of this group so far."""
    counts: dict[bytes, int]
    """Subject -> how many entries there are about it."""
    doubtful: frozenset[bytes]
    """Subjects under which something is filed that no entry bears."""
    rows: list[EntryRow] = field(default_factory=list)
    contents: list[bytes] = field(default_factory=list)
    """Of each row, what its leaf says besides `prev`."""
    tags: list[TagRow] = field(default_factory=list)


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
            additions = self._collect(writer, group, edge.size)
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

    def _collect(self, writer: LogWriter, group: list[Submission], base: int) -> _Group:
        """Decide the index of each entry, run what its caller wants done with it, and build the rows."""
        subjects = {subject for ticket in group for entry in ticket.entries for subject in entry.subjects}
        recorded = _find(writer, {statement: key for ticket in group for statement, key in _statements(ticket)}, base)
        counts = self._counts.look_up(subjects, writer.find_tags)
        additions = _Group(
            base=base,
            known={statement: row.entry for statement, row in recorded.items()},
            counts=counts,
            doubtful=_doubtful(writer, counts, base),
        )
        if any(ticket.apply for ticket in group):
            writer.keep()
        for submission in group:
            submission.outcomes = []
            if any(subject in additions.doubtful for entry in submission.entries for subject in entry.subjects):
                submission.error = _wrongly_filed()
            elif submission.apply is None:
                submission.outcomes = [_add(submission, at, additions) for at in range(len(submission.entries))]
            elif (first := additions.known.get(submission.entries[0].statement)) is not None:
                submission.outcomes = [Outcome(first, duplicate=True)]
            else:
                _apply(writer, submission, submission.apply, additions)
        return additions

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
        statements = {statement: key for ticket in group for statement, key in _statements(ticket)}
        try:
            with self._storage.writing() as writer:
                edge = Edge.load(writer, writer.head())
                self._mark.begin(edge, writer)
                known = _find(writer, statements, edge.size)
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


def _apply(writer: LogWriter, submission: Submission, apply: Apply, additions: _Group) -> None:
    """Do the caller's part under a savepoint: if it fails, it fails alone."""
    try:
        result = apply(writer.connection, additions.base + len(additions.rows))
    except Exception as error:  # handed back to its caller as it is
        _require_transaction(writer)
        writer.undo()
        submission.error = error
        return
    _require_transaction(writer)
    writer.keep()
    outcome = _add(submission, 0, additions)
    outcome.result = result
    submission.outcomes = [outcome]


def _add(submission: Submission, at: int, additions: _Group) -> Outcome:
    """Give one entry its index, or find that it has one."""
    entry, key, salt = submission.entries[at], submission.keys[at], submission.salts[at]
    index = additions.base + len(additions.rows)
    first = additions.known.setdefault(entry.statement, index)
    if first != index:
        return Outcome(first, duplicate=True)
    counts, pairs, tags = additions.counts, [], []
    for subject, text in zip(entry.subjects, submission.texts[at], strict=True):
        sequence = counts[subject]
        counts[subject] = sequence + 1
        pairs.append((text, sequence))
        tags.append(subject_tag(subject, sequence))
    body = submission.starts[at] + body_end(pairs)
    additions.rows.append(EntryRow(index, key, salt, body))
    additions.contents.append(b"".join((sha256(salt + body).digest(), *tags)))
    additions.tags += [TagRow(tag, index) for tag in tags]
    return Outcome(index, duplicate=False)


def _body_start(entry: NewEntry) -> bytes:
    check_subjects(entry.subjects)
    start = body_start(entry.kind, entry.statement, entry.key_id)
    if len(start) + MAX_SUBJECT_TEXT * len(entry.subjects) > MAX_BODY_SIZE:
        raise FormatError(f"a body has at most {MAX_BODY_SIZE} bytes")
    return start


def _find(writer: LogWriter, statements: dict[bytes, int], size: int) -> dict[bytes, EntryRow]:
    """Give the entry of each statement that is recorded. Keys may collide, so the statements are compared.

    What lies beyond the head, at `size`, is no entry of the log, whoever put it there.
    """
    by_key: dict[int, list[bytes]] = {}
    for statement, key in statements.items():
        by_key.setdefault(key, []).append(statement)
    key_of = {index: key for key, index in writer.find_statements(by_key) if index < size}
    found: dict[bytes, EntryRow] = {}
    for row in writer.entries_at(sorted(key_of)):
        for statement in by_key[key_of[row.entry]]:
            # An erased body can no longer be compared; its key speaks for it.
            if row.erased or Body.from_bytes(row.body).statement == statement:
                found.setdefault(statement, row)
    return found


def _doubtful(writer: LogWriter, counts: Mapping[bytes, int], size: int) -> frozenset[bytes]:
    """Give the subjects whose last tag is filed under an entry that does not bear it.

    Whoever may add a tag to the database could else have a later entry counted past it, and left out of every answer.
    """
    last = {subject_tag(subject, count - 1): subject for subject, count in counts.items() if count}
    if not last:
        return frozenset()
    filed = writer.find_tags(list(last))
    if any(index >= size for index in filed.values()) and (head := writer.head()) and head.size > size:
        raise ForkDetected(
            f"another writer extended the log beyond size {size} while this one held its lock",
            fix="Look for a second service that writes to this database without the log's lock.",
        )
    rows = {row.entry: row for row in writer.entries_at(sorted({index for index in filed.values() if index < size}))}
    borne = {
        tag for tag, index in filed.items() if index in rows and tag in _tags_in(rows[index].content()[HASH_SIZE:])
    }
    return frozenset(subject for tag, subject in last.items() if tag not in borne)


def _tags_in(tags: bytes) -> Iterator[bytes]:
    return (tags[at : at + TAG_SIZE] for at in range(0, len(tags), TAG_SIZE))


def _wrongly_filed() -> StorageError:
    return StorageError(
        "something is filed about this subject that no entry says; nothing more is recorded about it",
        fix="Run `marchamo ledger audit --full`: a tag was added or moved in the database.",
    )


def _statements(submission: Submission) -> Iterable[tuple[bytes, int]]:
    for entry, key in zip(submission.entries, submission.keys, strict=True):
        yield entry.statement, key


def _require_transaction(writer: LogWriter) -> None:
    if not writer.connection.in_transaction():
        raise LogUnavailable(
            "the function given to append has ended the log's transaction",
            fix="It must neither commit nor roll back the connection it is given.",
        )


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
