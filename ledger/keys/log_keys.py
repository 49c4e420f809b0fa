"""The log's keys, and which of them sign a checkpoint of which size.

A log outlives its keys. What keeps a change of keys free of doubt is one rule: **which keys sign a checkpoint depends
on its size alone**. The entry that names a new key, at index i, makes it sign from size i + 1 on, beside the old key.
The entry that retires the old key, at index j, makes size j its last. Between the two every checkpoint bears both
signatures, so whoever knows only one of the keys loses nothing.

The new key is vouched for by the old one twice: it signed the succession (a note that both keys sign, part of the
entry), and every checkpoint of the overlap, whose tree holds the entry.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from itertools import pairwise

from ledger.errors import LogKeyError, NoteError, UnknownKey
from ledger.note import NoteSigner, NoteVerifier, open_note, parse_note, sign_note
from ledger.strict import MAX_INTEGER

SUCCESSION_HEADER = "marchamo log key succession v1"
"""First line of a succession; a key name holds no spaces, so no checkpoint of any log starts with it."""

MAX_LOG_KEYS = 1_000


@dataclass(frozen=True, slots=True)
class LogKey:
    """One key of the log and the sizes of the checkpoints it signs: first_size to last_size, both included.

    last_size is None while nothing retires the key. succession is the signed note by which the key before made this
    one its successor; None for the log's first key.
    """

    verifier: NoteVerifier
    first_size: int = 0
    last_size: int | None = None
    succession: str | None = None

    def signs(self, size: int) -> bool:
        """Say whether a checkpoint of this size bears the signature of this key."""
        return self.first_size <= size and (self.last_size is None or size <= self.last_size)


@dataclass(frozen=True, slots=True)
class LogKeys:
    """All keys that one log ever had, oldest first. Raises LogKeyError when they are no possible history.

    Each key follows the one before it with an overlap of at least one size, and no three sign at once.
    """

    keys: tuple[LogKey, ...]

    def __post_init__(self) -> None:
        keys = self.keys
        if not 1 <= len(keys) <= MAX_LOG_KEYS:
            raise LogKeyError(f"a log has 1 to {MAX_LOG_KEYS} keys")
        if len({key.verifier.name for key in keys}) != 1:
            raise LogKeyError("the keys of a log all bear its name")
        if len({key.verifier.key_id for key in keys}) != len(keys):
            raise LogKeyError("a key of the log is there twice")
        _check_spans(keys)

    @classmethod
    def of(cls, verifier: NoteVerifier) -> LogKeys:
        """Give the keys of a log that never changed its key."""
        return cls((LogKey(verifier),))

    @property
    def origin(self) -> str:
        """The name of the log, which all its keys bear."""
        return self.keys[0].verifier.name

    @property
    def verifiers(self) -> tuple[NoteVerifier, ...]:
        """The verifier keys, oldest first."""
        return tuple(key.verifier for key in self.keys)

    @property
    def current(self) -> tuple[LogKey, ...]:
        """The keys that nothing has retired: one, or two in an overlap, the older first."""
        return tuple(key for key in self.keys if key.last_size is None)

    def at(self, size: int) -> tuple[NoteVerifier, ...]:
        """Give the keys that sign a checkpoint of this size: one or two, the older first."""
        return tuple(key.verifier for key in self.keys if key.signs(size))

    def rotated(self, succession: str, index: int) -> LogKeys:
        """Give the keys after the entry at `index` has named the newest key's successor. Raises LogKeyError."""
        if len(self.current) != 1:
            raise LogKeyError("the log's key was changed again before the old one was retired")
        verifier = read_succession(succession, self.current[0].verifier)
        return LogKeys((*self.keys, LogKey(verifier, index + 1, None, succession)))

    def retired(self, verifier: NoteVerifier, index: int) -> LogKeys:
        """Give the keys after the entry at `index` has retired the older of two. Raises LogKeyError."""
        if len(self.current) != 2 or self.current[0].verifier != verifier:
            raise LogKeyError("an entry retires a key of the log that has no successor, or is none of its keys")
        changed = replace(self.current[0], last_size=index)
        return LogKeys(tuple(changed if key.verifier == verifier else key for key in self.keys))

    def require_any(self, size: int, signed_by: Iterable[NoteVerifier]) -> None:
        """Refuse with NoteError a checkpoint of this size that no key in its time has signed."""
        allowed = self.at(size)
        if not any(verifier in allowed for verifier in signed_by):
            raise NoteError(
                f"this checkpoint of size {size} is signed by a key of the log that does not sign that size",
                fix="A key that was retired, or is not yet in use, proves nothing. Report it: somebody may hold it.",
            )

    def require_all(self, size: int, signed_by: Sequence[NoteVerifier]) -> None:
        """Refuse with LogKeyError a checkpoint of this size not signed by exactly the keys that sign that size."""
        allowed = self.at(size)
        for verifier in signed_by:
            if verifier not in allowed:
                raise LogKeyError(f"signed by {label(verifier)}, a key of the log that does not sign size {size}")
        for verifier in allowed:
            if verifier not in signed_by:
                raise LogKeyError(f"not signed by {label(verifier)}, a key of the log that has to sign size {size}")


def _check_spans(keys: Sequence[LogKey]) -> None:
    """Refuse spans of sizes that no series of rotations could have made."""
    if keys[0].first_size != 0 or keys[0].succession is not None:
        raise LogKeyError("the log's first key signs from the start, and follows no other")
    if keys[-1].last_size is not None:
        raise LogKeyError("the log's newest key is retired: nothing signs")
    for key in keys:
        last = MAX_INTEGER if key.last_size is None else key.last_size
        if not 0 <= key.first_size <= last <= MAX_INTEGER:
            raise LogKeyError("a key of the log has an impossible span of sizes")
    for earlier, later in pairwise(keys):
        if later.first_size <= earlier.first_size:
            raise LogKeyError("the keys of the log are not in order")
        if earlier.last_size is not None and earlier.last_size < later.first_size:
            raise LogKeyError("a key of the log was retired before its successor signed beside it")
    for first, third in zip(keys, keys[2:], strict=False):
        if first.last_size is None or first.last_size >= third.first_size:
            raise LogKeyError("three keys of the log sign at once")


def label(verifier: NoteVerifier) -> str:
    """Name a key shortly: its name and key id, as in a signature line's verifier key."""
    return f"{verifier.name}+{verifier.key_id:08x}"


def fingerprint(verifier: NoteVerifier) -> str:
    """Give what two people compare by voice: SHA-256 of the verifier key's text, 128 bits in groups of four digits."""
    digits = sha256(verifier.to_text().encode()).hexdigest()[:32]
    return " ".join(digits[at : at + 4] for at in range(0, len(digits), 4))


def sign_succession(old: NoteSigner, new: NoteSigner) -> str:
    """Write the note by which the old key makes the new one its successor, signed by both."""
    return sign_note(_succession_text(old.verifier, new.verifier), (old, new))


def read_succession(note_text: str, old: NoteVerifier) -> NoteVerifier:
    """Give the key that `old` made its successor. Raises LogKeyError unless both have signed."""
    try:
        # The text names the new key; what it says counts only once both keys have been found to have signed it.
        new = NoteVerifier.from_text(parse_note(note_text).text.splitlines()[-1])
        note, signed_by = open_note(note_text, (old, new))
    except UnknownKey:
        raise LogKeyError("a succession of the log's keys is not signed by the keys that it names") from None
    except NoteError as error:
        raise LogKeyError(f"a succession of the log's keys is malformed: {error.message}") from None
    if note.text != _succession_text(old, new) or new.name != old.name:
        raise LogKeyError("a succession of the log's keys names another log or another key than it should")
    if old == new or len(signed_by) != 2:
        raise LogKeyError("a succession of the log's keys is not signed by both of them")
    return new


def _succession_text(old: NoteVerifier, new: NoteVerifier) -> str:
    return f"{SUCCESSION_HEADER}\n{old.name}\n{old.to_text()}\n{new.to_text()}\n"
