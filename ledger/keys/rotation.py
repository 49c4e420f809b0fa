"""Changing the log's key: in the log, with an overlap in which both keys sign.

The ledger words the entries and keeps the order; the product keeps the private keys (`KeyKeeper`), in the database
whose transaction records the entry, so that the entry and the key it speaks of come into being together or not at all.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Protocol

from sqlalchemy import Connection

from ledger.checkpoint import SignedCheckpoint, open_checkpoint
from ledger.errors import LogKeyError
from ledger.keys.entries import retirement, rotation
from ledger.keys.log_keys import LogKeys, sign_succession
from ledger.log import Log, NewEntry
from ledger.note import NoteSigner, NoteVerifier
from ledger.own import OwnKind, StatementSigner

MIN_OVERLAP_DAYS = 30
"""How long both keys sign unless somebody insists: the time in which readers renew their trust lists."""

DAY_MS = 86_400_000


class KeyKeeper(Protocol):
    """Keeps the private keys of the log; the product's part of a rotation."""

    def signers(self, connection: Connection, size: int) -> Sequence[NoteSigner]:
        """Give the keys that sign a checkpoint of this size (see `ledger.keys.signers.Signers`)."""

    def current(self) -> Sequence[NoteSigner]:
        """Give the keys that nothing has retired, the older first."""

    def add(self, connection: Connection, signer: NoteSigner, first_size: int) -> None:
        """Keep a new key, which signs from this size on."""

    def retire(self, connection: Connection, verifier: NoteVerifier, last_size: int) -> None:
        """Let a key sign no size above this one, and forget its private half."""

    def sweep(self) -> str | None:
        """Overwrite what the database keeps of private halves forgotten; returns what stood in the way, or None."""


@dataclass(frozen=True, slots=True)
class KeyChange:
    """A change of the log's keys: the entry that says so, the keys from then on, and a checkpoint that covers it.

    kept: what kept the database from overwriting a forgotten private half at once; None when nothing is left of one.
    """

    index: int
    keys: LogKeys
    checkpoint: SignedCheckpoint
    kept: str | None = None


class OverlapNotOver(LogKeyError):
    """Both keys have not signed long enough for everybody to have learnt of the new one."""

    code = "ledger.overlap"


def rotate_key(
    log: Log, keeper: KeyKeeper, statement_signer: StatementSigner, *, clock: Callable[[], float] = time.time
) -> KeyChange:
    """Give the log a new key, which from now on signs beside the old one. Raises LogKeyError while two sign already."""
    current = keeper.current()
    if len(current) != 1:
        raise LogKeyError(
            "the log has two keys already: an earlier change of keys is not finished",
            fix="Finish it with: marchamo ledger retire-key",
        )
    [old] = current
    new = NoteSigner.generate(old.name)
    payload = rotation(old.verifier, new.verifier, sign_succession(old, new))

    def keep_new(connection: Connection, index: int) -> None:
        # Under the log's lock: another command may have changed the keys since we looked.
        _require_signers(keeper, connection, index + 1, [old.verifier])
        keeper.add(connection, new, index + 1)

    return _record(log, statement_signer.entry(OwnKind.KEY, payload, at_ms=int(clock() * 1000)), keep_new)


def retire_key(
    log: Log,
    keeper: KeyKeeper,
    statement_signer: StatementSigner,
    *,
    at_once: bool = False,
    min_overlap_days: int = MIN_OVERLAP_DAYS,
    clock: Callable[[], float] = time.time,
) -> KeyChange:
    """End the overlap: the old key signs nothing any more and its private half is forgotten.

    Raises OverlapNotOver before `min_overlap_days` have passed since the rotation, unless `at_once`; LogKeyError when
    only one key signs.
    """
    keys = log.keys()
    if len(keys.current) != 2:
        raise LogKeyError(
            "the log has only one key: it can not be retired before it has a successor",
            fix="Make one with: marchamo ledger rotate-key",
        )
    old, new = keys.current
    now, since = int(clock() * 1000), rotated_at(log)
    if now < (end := since + min_overlap_days * DAY_MS) and not at_once:
        raise OverlapNotOver(
            f"both keys have signed since {moment_text(since)}, and shall do so until {moment_text(end)}",
            fix="Whoever fetched the trust list before could not verify this log any more. Wait, or insist with --now.",
        )
    # The old key must have signed a published tree that holds its successor's entry: this is what readers go by.
    open_checkpoint(log.checkpoint(at_least=new.first_size).note_text, keys, by_all=True)
    payload = retirement(old.verifier, new.verifier)

    def forget_old(connection: Connection, index: int) -> None:
        _require_signers(keeper, connection, index + 1, [old.verifier, new.verifier])
        keeper.retire(connection, old.verifier, index)

    change = _record(log, statement_signer.entry(OwnKind.KEY, payload, at_ms=now), forget_old)
    return replace(change, kept=keeper.sweep())


def rotated_at(log: Log) -> int:
    """Give when the log's newest key was made, in milliseconds since 1970. The log has had a rotation."""
    return max(entry.time for entry in log.key_entries() if entry.succession is not None)


def moment_text(milliseconds: int) -> str:
    """Give a time for people."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")


def _record(log: Log, entry: NewEntry, apply: Callable[[Connection, int], None]) -> KeyChange:
    appended = log.append(entry, apply)
    published = log.checkpoint(at_least=appended.index + 1)
    keys = log.keys()
    return KeyChange(appended.index, keys, open_checkpoint(published.note_text, keys, by_all=True))


def _require_signers(keeper: KeyKeeper, connection: Connection, size: int, expected: Sequence[NoteVerifier]) -> None:
    if [signer.verifier for signer in keeper.signers(connection, size)] != list(expected):
        raise LogKeyError("the log's keys were changed by somebody else in this moment; nothing was done")
