"""The end of a log: its last entry says that it is the last, and the database takes no head after it.

A log that simply stops answering leaves everybody to guess whether it was lost, seized or is being rewritten. One that
is frozen ends in the open: whoever keeps the last checkpoint and an export can check every proof for ever, without us.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Connection, insert

from ledger.checkpoint import SignedCheckpoint
from ledger.errors import LogFrozen
from ledger.log import Log
from ledger.own import OwnKind, StatementSigner
from ledger.storage.tables import ledger_freezes

MAX_REASON = 500


@dataclass(frozen=True, slots=True)
class Frozen:
    """The entry that ended the log, and the last checkpoint, published, which covers it."""

    entry: int
    checkpoint: SignedCheckpoint


def freeze(log: Log, *, reason: str, signer: StatementSigner, clock: Callable[[], float] = time.time) -> Frozen:
    """Append the last entry, close the log for good and publish the last checkpoint.

    Entry and closing are one transaction; a crash before the checkpoint is published leaves a frozen log, which can
    still publish it. Raises LogFrozen when the log was frozen before, and what `Log.append` raises.
    """
    if not 1 <= len(reason) <= MAX_REASON:
        raise ValueError(f"the reason has 1 to {MAX_REASON} characters")
    now = int(clock() * 1000)

    def close(connection: Connection, index: int) -> None:
        connection.execute(insert(ledger_freezes).values(entry=index, time=now))

    entry = signer.entry(OwnKind.FROZEN, {"origin": log.origin, "reason": reason}, at_ms=now)
    appended = log.append_last(entry, close)
    if appended.duplicate:
        raise LogFrozen("this log has been frozen before")
    return Frozen(appended.index, log.checkpoint(at_least=appended.index + 1))
