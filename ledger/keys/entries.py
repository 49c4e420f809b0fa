"""What the log says about its own keys: entries of kind ``ledger.key``, and the history read from them.

Their subject is no secret (`ledger.own`): anybody who holds the leaves finds them all, and sees that none was left
out. That a key was made the next one is proved inside the entry by the
succession, which the old key and the new one sign; who ordered it, by the statement's signature.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from ledger.errors import LedgerError, LogKeyError
from ledger.keys.log_keys import LogKeys, read_succession
from ledger.leaf import Body, subject_tag
from ledger.note import NoteVerifier
from ledger.own import OwnKind, own_subject
from ledger.statement import STATEMENT_TYPE, read_unverified
from ledger.storage.interface import LogReader

STATEMENT_VERSION = 1
_TIME = "%Y-%m-%dT%H:%M:%S.%fZ"
_MEMBERS = {
    "rotate": frozenset({"v", "kind", "time", "origin", "action", "old", "new", "succession"}),
    "retire": frozenset({"v", "kind", "time", "origin", "action", "old", "new"}),
}


class KeyAction(StrEnum):
    """What an entry does to the log's keys."""

    ROTATE = "rotate"
    """`new` signs beside `old` every checkpoint that covers this entry."""
    RETIRE = "retire"
    """`old` signs no checkpoint that covers this entry; `new` signs alone."""


@dataclass(frozen=True, slots=True)
class KeyEntry:
    """One entry about the log's keys. time in milliseconds since 1970; succession is None when a key is retired."""

    index: int
    action: KeyAction
    time: int
    old: NoteVerifier
    new: NoteVerifier
    succession: str | None = None

    def follow(self, keys: LogKeys | None) -> LogKeys:
        """Give the log's keys after this entry; `keys` are those before it, None at the first. Raises LogKeyError."""
        before = LogKeys.of(self.old) if keys is None else keys
        if before.current[0].verifier != self.old:
            raise LogKeyError(f"entry {self.index} names another key as the log's than the entries before it")
        if self.succession is not None:
            return before.rotated(self.succession, self.index)
        after = before.retired(self.old, self.index)
        if after.current[0].verifier != self.new:
            raise LogKeyError(f"entry {self.index} leaves the log another key than the one it names")
        return after


def rotation(old: NoteVerifier, new: NoteVerifier, succession: str) -> dict[str, Any]:
    """Word the statement that makes `new` sign beside `old`; kind and time are put in by the signer."""
    return {**_statement(KeyAction.ROTATE, old, new), "succession": succession}


def retirement(old: NoteVerifier, new: NoteVerifier) -> dict[str, Any]:
    """Word the statement that leaves the signing to `new`; kind and time are put in by the signer."""
    return _statement(KeyAction.RETIRE, old, new)


def _statement(action: KeyAction, old: NoteVerifier, new: NoteVerifier) -> dict[str, Any]:
    return {"origin": old.name, "action": action.value, "old": old.to_text(), "new": new.to_text()}


def read_key_entry(index: int, body: bytes) -> KeyEntry:
    """Read the entry at `index` from its body. Raises LogKeyError.

    The succession is verified, the statement's own signature is not: its key belongs to the product.
    """
    try:
        statement = read_unverified(Body.from_bytes(body).statement)
        entry = _read(index, statement.payload)
        follows = None if entry.succession is None else read_succession(entry.succession, entry.old)
    except (LedgerError, ValueError) as error:
        reason = error.message if isinstance(error, LedgerError) else "a member is missing or not of its format"
        raise LogKeyError(f"entry {index} about the log's keys is malformed: {reason}") from None
    if statement.typ != STATEMENT_TYPE or follows not in (None, entry.new):
        raise LogKeyError(f"entry {index} about the log's keys is no statement, or names another key than its proof")
    return entry


def _read(index: int, payload: Mapping[str, Any]) -> KeyEntry:
    """Read the members; ValueError for those that are not as they should be."""
    action = KeyAction(str(payload.get("action")))
    if payload.keys() != _MEMBERS[action] or type(payload["v"]) is not int or payload["v"] != STATEMENT_VERSION:
        raise ValueError("members")
    if not all(isinstance(payload[name], str) for name in _MEMBERS[action] - {"v"}) or payload["kind"] != OwnKind.KEY:
        raise ValueError("type")
    old, new = NoteVerifier.from_text(payload["old"]), NoteVerifier.from_text(payload["new"])
    if not payload["origin"] == old.name == new.name:
        raise ValueError("origin")
    moment = datetime.strptime(payload["time"], _TIME).replace(tzinfo=UTC)
    if moment.strftime(_TIME)[:-4] + "Z" != payload["time"]:  # six digits of a second are printed, three are written
        raise ValueError("time")
    return KeyEntry(index, action, round(moment.timestamp() * 1000), old, new, payload.get("succession"))


class LogKeyHistory:
    """The keys of one log as its own entries tell them. What was read is remembered, for entries never change.

    `known` is the one key that the reader brings along. It has to be one of the log's: those before it are vouched for
    by its signature on the tree that holds their entries, those after it by the successions.
    """

    def __init__(self, known: NoteVerifier) -> None:
        self._known = known
        self._read: tuple[LogKeys, tuple[KeyEntry, ...]] = LogKeys.of(known), ()

    @property
    def keys(self) -> LogKeys:
        """The keys as last read."""
        return self._read[0]

    @property
    def entries(self) -> tuple[KeyEntry, ...]:
        """The entries about the keys as last read."""
        return self._read[1]

    def read(self, reader: LogReader) -> LogKeys:
        """Give the keys as of what `reader` sees. One look-up when nothing has changed. Raises LogKeyError."""
        keys, entries = self._read
        while True:
            tag = subject_tag(own_subject(OwnKind.KEY), len(entries))
            index = reader.find_tags([tag]).get(tag)
            if index is None:
                break
            rows = reader.entries(index, index + 1)
            if not rows or rows[0].erased:
                raise LogKeyError(f"entry {index} about the log's keys is missing or was erased")
            entry = read_key_entry(index, rows[0].body)
            keys = entry.follow(keys if entries else None)
            entries = (*entries, entry)
        if self._known not in keys.verifiers:
            raise LogKeyError("the key that is known of this log is none of those that its entries name")
        self._read = keys, entries
        return keys
