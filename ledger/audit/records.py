"""The record of audits: when this log was audited, how, by whom, and what came of it.

A fault that was found is an alarm as well, raised in the same call.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine, Row, insert, select

from ledger.alarms import AlarmKind, raise_alarm
from ledger.audit.report import AuditReport
from ledger.storage.numbering import next_number
from ledger.storage.tables import ledger_audits


@dataclass(frozen=True, slots=True)
class AuditRecord:
    """One audit. time: when it ended, milliseconds since 1970. by: the command that ran it. size: the log's then."""

    number: int
    time: int
    mode: str
    size: int
    ok: bool
    by: str
    report: Mapping[str, Any]

    @property
    def entries(self) -> int:
        """How many entries it looked at."""
        return int(self.report.get("entries", 0))


def record_audit(
    engine: Engine, report: AuditReport, *, by: str, clock: Callable[[], float] = time.time
) -> AuditRecord:
    """Store what an audit found, and raise an alarm when it found a fault.

    Raises SQLAlchemyError when the database can not be written: show the report all the same.
    """
    members = report.to_members() | {"by": by}
    with next_number(engine, ledger_audits) as (connection, number):
        record = AuditRecord(number, int(clock() * 1000), report.mode, report.size, report.ok, by, members)
        row: dict[str, object] = {
            "number": number,
            "time": record.time,
            "mode": record.mode,
            "size": record.size,
            "ok": int(record.ok),
            "report": json.dumps(members),
        }
        connection.execute(insert(ledger_audits).values(row))
    if not report.ok:
        first = report.faults[0]
        # The place of the first fault is the evidence, not all that was found: each way to audit, and each sample,
        # finds the same thing with others around it, and would raise an alarm anew.
        evidence = json.dumps([first.code, first.where])
        detail = f"An audit found a fault at {first.where}: {first.message}"
        raise_alarm(engine, AlarmKind.AUDIT, detail=detail, evidence=evidence, clock=clock)
    return record


def last_audits(engine: Engine, *, limit: int = 10) -> list[AuditRecord]:
    """Give the latest audits, newest first."""
    query = select(ledger_audits).order_by(ledger_audits.c.number.desc()).limit(limit)
    with engine.connect() as connection:
        return [_record(row) for row in connection.execute(query)]


def last_audit_of(engine: Engine, *modes: str, ok: bool = False) -> AuditRecord | None:
    """Give the latest audit of one of these modes; with `ok` the latest that found nothing."""
    query = select(ledger_audits).where(ledger_audits.c.mode.in_(modes)).order_by(ledger_audits.c.number.desc())
    if ok:
        query = query.where(ledger_audits.c.ok == 1)
    with engine.connect() as connection:
        row = connection.execute(query.limit(1)).first()
    return None if row is None else _record(row)


def _record(row: Row[Any]) -> AuditRecord:
    members = json.loads(row.report)
    return AuditRecord(row.number, row.time, row.mode, row.size, bool(row.ok), str(members.get("by", "")), members)
