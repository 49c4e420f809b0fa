"""What a group adds to the log: each entry's place, the part of its caller, the rows. Done under the log's lock."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256

from ledger.errors import ForkDetected, LogUnavailable, StorageError
from ledger.leaf import Body, body_end, split_tags, subject_tag
from ledger.merkle import HASH_SIZE
from ledger.storage.interface import EntryRow, LogWriter, TagRow
from ledger.subjects import Counts, Found
from ledger.submission import Apply, Outcome, Submission


@dataclass(slots=True)
class Group:
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


def collect(writer: LogWriter, group: Sequence[Submission], base: int, remembered: Counts) -> Group:
    """Decide the index of each entry, run what its caller wants done with it, and build the rows."""
    subjects = {subject for ticket in group for entry in ticket.entries for subject in entry.subjects}
    recorded = find_recorded(writer, group, base)
    found = remembered.look_up(subjects, writer.find_tags)
    additions = Group(
        base=base,
        known={statement: row.entry for statement, row in recorded.items()},
        counts={subject: one.count for subject, one in found.items()},
        doubtful=_doubtful(writer, found, base),
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


def _apply(writer: LogWriter, submission: Submission, apply: Apply, additions: Group) -> None:
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


def _add(submission: Submission, at: int, additions: Group) -> Outcome:
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


def find_recorded(writer: LogWriter, group: Sequence[Submission], size: int) -> dict[bytes, EntryRow]:
    """Give, by statement, the entry of each that is recorded. Keys may collide, so the statements are compared.

    What lies beyond the head, at `size`, is no entry of the log, whoever put it there.
    """
    by_key: dict[int, set[bytes]] = {}
    for submission in group:
        for entry, key in zip(submission.entries, submission.keys, strict=True):
            by_key.setdefault(key, set()).add(entry.statement)
    key_of = {index: key for key, index in writer.find_statements(by_key) if index < size}
    found: dict[bytes, EntryRow] = {}
    for row in writer.entries_at(sorted(key_of)):
        for statement in by_key[key_of[row.entry]]:
            # An erased body can no longer be compared; its key speaks for it.
            if row.erased or Body.from_bytes(row.body).statement == statement:
                found.setdefault(statement, row)
    return found


def _doubtful(writer: LogWriter, found: Mapping[bytes, Found], size: int) -> frozenset[bytes]:
    """Give the subjects whose last tag is filed under an entry that does not bear it.

    Whoever may add a tag to the database could else have a later entry counted past it, and left out of every answer.
    """
    filed = {subject: one.last for subject, one in found.items() if one.last is not None}
    if any(index >= size for index in filed.values()) and (head := writer.head()) and head.size > size:
        raise ForkDetected(
            f"another writer extended the log beyond size {size} while this one held its lock",
            fix="Look for a second service that writes to this database without the log's lock.",
        )
    rows = {row.entry: row for row in writer.entries_at(sorted({index for index in filed.values() if index < size}))}
    return frozenset(
        subject
        for subject, index in filed.items()
        if index not in rows
        or subject_tag(subject, found[subject].count - 1) not in split_tags(rows[index].content()[HASH_SIZE:])
    )


def _wrongly_filed() -> StorageError:
    return StorageError(
        "something is filed about this subject that no entry says; nothing more is recorded about it",
        fix="Run `marchamo ledger audit --full`: a tag was added or moved in the database.",
    )


def _require_transaction(writer: LogWriter) -> None:
    if not writer.connection.in_transaction():
        raise LogUnavailable(
            "the function given to append has ended the log's transaction",
            fix="It must neither commit nor roll back the connection it is given.",
        )
