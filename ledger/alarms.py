"""Alarms: what contradicts this log, kept with its evidence where nobody can quietly remove it.

The table is insert-only like the log's own. One piece of evidence raises one alarm, however often it comes in, and
each kind has a limit: who finds a way to raise alarms must not fill the disk with them.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from enum import StrEnum

from sqlalchemy import Connection, Engine, func, insert, select

from ledger.storage.numbering import next_number
from ledger.storage.tables import ledger_alarms

MAX_ALARMS = 1_000
"""Stored of each kind. The first ones matter: after so many nobody needs another to know that something is wrong."""
MAX_DETAIL = 1_000
MAX_EVIDENCE = 65_536


class AlarmKind(StrEnum):
    """What was noticed. The wire names are stable."""

    FORK = "fork"
    """A checkpoint with a valid signature of this log's key that this log contradicts."""
    AUDIT = "audit"
    """An audit found a fault."""
    WITNESS = "witness"
    """A witness refuses this log because it saw another history."""


@dataclass(frozen=True, slots=True)
class Alarm:
    """One alarm. time: milliseconds since 1970. detail: a sentence. evidence: such as the note that contradicts us."""

    number: int
    time: int
    kind: str
    detail: str
    evidence: str


def raise_alarm(
    engine: Engine, kind: AlarmKind, *, detail: str, evidence: str, clock: Callable[[], float] = time.time
) -> Alarm:
    """Store an alarm; gives the first one when this evidence raised one before, or the last when there is no room.

    Evidence longer than 65,536 characters is cut. Raises SQLAlchemyError when the database can not be written.
    """
    detail, evidence = detail[:MAX_DETAIL], evidence[:MAX_EVIDENCE]
    with next_number(engine, ledger_alarms) as (connection, number):
        known = _same_or_last(connection, kind, evidence)
        if known is not None:
            return known
        alarm = Alarm(number, int(clock() * 1000), kind.value, detail, evidence)
        connection.execute(insert(ledger_alarms).values(asdict(alarm)))
        return alarm


def list_alarms(engine: Engine, *, limit: int = 50) -> list[Alarm]:
    """Give the latest alarms, newest first."""
    query = select(ledger_alarms).order_by(ledger_alarms.c.number.desc()).limit(limit)
    with engine.connect() as connection:
        return [Alarm(*row) for row in connection.execute(query)]


def count_alarms(engine: Engine) -> int:
    """Count the alarms that are stored."""
    with engine.connect() as connection:
        # Numbers are given without a gap and no row is ever removed.
        return connection.execute(select(func.max(ledger_alarms.c.number))).scalar() or 0


def _same_or_last(connection: Connection, kind: AlarmKind, evidence: str) -> Alarm | None:
    stored = ledger_alarms.c
    of_kind = select(ledger_alarms).where(stored.kind == kind.value)
    same = connection.execute(of_kind.where(stored.evidence == evidence).order_by(stored.number).limit(1)).first()
    if same is not None:
        return Alarm(*same)
    count = connection.execute(select(func.count()).where(stored.kind == kind.value)).scalar_one()
    if count < MAX_ALARMS:
        return None
    return Alarm(*connection.execute(of_kind.order_by(stored.number.desc()).limit(1)).one())
