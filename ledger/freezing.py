"""The end of a log: its last entry says that it is the last, and the database takes no head after it.

A log that simply stops answering leaves everybody to guess whether it was lost, seized or is being rewritten. One that
is frozen ends in the open: whoever keeps the last checkpoint and an export can check every proof for ever, without us.
Its last subject map holds every entry but the last one: an entry beyond it could never be shown to be the latest.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from sqlalchemy import Connection, insert

from ledger.checkpoint import SignedCheckpoint
from ledger.errors import LogFrozen, StateRefused
from ledger.log import Log
from ledger.map.keeper import SubjectMap
from ledger.own import OwnKind, StatementSigner
from ledger.storage.map_sql import MapReader
from ledger.storage.tables import ledger_freezes

MAX_REASON = 500

ATTEMPTS = 5
"""So often a map is made when entries come in between it and the end."""


class MapBehind(StateRefused):
    """The log was not frozen: entries came that its last subject map does not hold."""

    code = "ledger.map_behind"


@dataclass(frozen=True, slots=True)
class Frozen:
    """The entry that ended the log, and the last checkpoint, published, which covers it."""

    entry: int
    checkpoint: SignedCheckpoint


def freeze(
    log: Log,
    subject_map: SubjectMap,
    *,
    reason: str,
    signer: StatementSigner,
    clock: Callable[[], float] = time.time,
) -> Frozen:
    """Publish the last map, append the last entry, close the log for good and publish the last checkpoint.

    Entry and closing are one transaction, which checks that the map holds all before; a crash before the checkpoint is
    published leaves a frozen log, which can still publish it. Raises LogFrozen when the log was frozen before,
    MapBehind while others append too fast, and what `Log.append` and `SubjectMap.publish` raise.
    """
    if not 1 <= len(reason) <= MAX_REASON:
        raise ValueError(f"the reason has 1 to {MAX_REASON} characters")
    for _ in range(ATTEMPTS - 1):
        with suppress(MapBehind):
            return _freeze(log, subject_map, reason, signer, clock)
    return _freeze(log, subject_map, reason, signer, clock)


def _freeze(
    log: Log, subject_map: SubjectMap, reason: str, signer: StatementSigner, clock: Callable[[], float]
) -> Frozen:
    subject_map.publish()
    now = int(clock() * 1000)

    def close(connection: Connection, index: int) -> None:
        _require_map(connection, index)
        connection.execute(insert(ledger_freezes).values(entry=index, time=now))

    entry = signer.entry(OwnKind.FROZEN, {"origin": log.origin, "reason": reason}, at_ms=now)
    appended = log.append_last(entry, close)
    if appended.duplicate:
        raise LogFrozen("this log has been frozen before")
    return Frozen(appended.index, log.checkpoint(at_least=appended.index + 1))


def _require_map(connection: Connection, size: int) -> None:
    """Raise MapBehind unless the latest map holds the first `size` entries, save those that state a map."""
    reader = MapReader(connection)
    head = reader.head()
    held = 0 if head is None else head.size
    if size - held > reader.heads_stated(held, size):
        raise MapBehind(
            f"the log has {size} entries, its subject map holds {held}: nothing was frozen",
            fix="Stop what appends to the log, then freeze it again.",
        )
