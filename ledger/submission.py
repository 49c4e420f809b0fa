"""What a caller hands to the committer, and what comes back: the entries of one call, and where each ended up."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from sqlalchemy import Connection

from ledger.checkpoint import SignedCheckpoint
from ledger.errors import FormatError
from ledger.group import Ticket
from ledger.leaf import MAX_BODY_SIZE, SALT_SIZE, NewEntry, body_start, check_subjects
from ledger.strict import encode_base64

MAX_GROUP = 256
"""Entries in one transaction, unless a single call brings more."""

MAX_SUBJECT_TEXT = 68
"""Bytes that a subject takes in a body at most: 44 of base64, the number of the entry and punctuation."""

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


def _body_start(entry: NewEntry) -> bytes:
    check_subjects(entry.subjects)
    start = body_start(entry.kind, entry.statement, entry.key_id)
    if len(start) + MAX_SUBJECT_TEXT * len(entry.subjects) > MAX_BODY_SIZE:
        raise FormatError(f"a body has at most {MAX_BODY_SIZE} bytes")
    return start
