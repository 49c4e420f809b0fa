"""The record of audits, and the alarm that a fault raises."""

from __future__ import annotations

from sqlalchemy import Engine

from ledger.alarms import list_alarms
from ledger.audit import audit
from ledger.audit.records import last_audit_of, last_audits, record_audit
from ledger.audit.report import AuditReport, FaultCode
from ledger.log import Log
from tests.log_builders import ORIGIN, Clock, new_entry


def a_report(*, mode: str = "full", faults: int = 0) -> AuditReport:
    report = AuditReport(mode, size=10, entries=7, seconds=0.25)
    for number in range(faults):
        report.add(FaultCode.ENTRY_CONTENT, f"ledger_entries {number}", "the leaf is another")
    return report


def test_an_audit_is_recorded_with_its_command_and_its_report(log: Log, engine: Engine, clock: Clock) -> None:
    log.append(new_entry(1))
    report = audit(engine, log.verifier, origin=ORIGIN)
    recorded = record_audit(engine, report, by="marchamo ledger audit", clock=clock)
    assert last_audits(engine) == [recorded]
    assert (recorded.mode, recorded.size, recorded.ok, recorded.by) == ("full", 1, True, "marchamo ledger audit")
    assert recorded.entries == 1
    assert list_alarms(engine) == []


def test_a_fault_is_an_alarm_and_the_same_fault_found_again_is_the_same_alarm(engine: Engine, clock: Clock) -> None:
    record_audit(engine, a_report(faults=2), by="worker", clock=clock)
    clock.now += 600
    record_audit(engine, a_report(mode="sample", faults=2), by="worker", clock=clock)
    [alarm] = list_alarms(engine)
    assert (alarm.kind, alarm.time) == ("audit", int((clock.now - 600) * 1000))
    assert "ledger_entries 0: the leaf is another" in alarm.detail
    assert [record.ok for record in last_audits(engine)] == [False, False]


def test_the_latest_audit_of_a_mode_is_found(engine: Engine) -> None:
    assert last_audit_of(engine, "full", "since") is None
    for mode in ("full", "sample", "since", "sample"):
        record_audit(engine, a_report(mode=mode), by="worker")
    found = last_audit_of(engine, "full", "since")
    assert found is not None
    assert (found.number, found.mode) == (3, "since")
    assert [record.number for record in last_audits(engine, limit=2)] == [4, 3]
