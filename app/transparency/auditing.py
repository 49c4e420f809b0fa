"""Regular audits by the worker: a few entries drawn by lot every ten minutes, and once a day all that is new.

An audit that only runs when somebody thinks of it finds a fault when it is old. These find a change of the database
while yesterday's backup still shows what was there before. Results are recorded, a fault is an alarm.
"""

import threading
from contextlib import AbstractContextManager

import structlog

from app.core.clock import now_ms
from app.core.rounds import regularly
from app.core.services import Services
from app.transparency.service.product import product_checks
from ledger.audit import audit
from ledger.audit.records import AuditRecord, last_audit_of, record_audit

SAMPLE = 1_000
"""Entries of one sample: of a log in which one entry in a hundred was changed, it finds one all but surely."""
LOOK_SECONDS = 15.0
"""How often it is looked whether an audit is due."""
STOP_SECONDS = 2.0
BY = "marchamo worker"
_MINUTE_MS = 60_000
_HOUR_MS = 60 * _MINUTE_MS

logger = structlog.get_logger(__name__)


def regular_audits(services: Services) -> AbstractContextManager[None]:
    """Audit in a thread of its own for the length of the block; an audit that runs at its end is abandoned."""

    def look(_stopping: threading.Event) -> None:
        run_due_audits(services, now=now_ms())

    return regularly("audits", look, seconds=LOOK_SECONDS, stop_seconds=STOP_SECONDS)


def run_due_audits(services: Services, *, now: int) -> list[AuditRecord]:
    """Run and record the audits whose time has come. now: ms."""
    settings = services.settings
    done = []
    if _is_due(services, now, settings.audit_sample_minutes * _MINUTE_MS, "sample"):
        done.append(_run(services, sample=SAMPLE))
    if _is_due(services, now, settings.audit_since_hours * _HOUR_MS, "since", "full"):
        # Before the last audit that found nothing, all was well; one that found something proves nothing.
        sound = last_audit_of(services.engine, "since", "full", ok=True)
        done.append(_run(services, since=0 if sound is None else sound.size))
    return done


def _is_due(services: Services, now: int, interval: int, *modes: str) -> bool:
    if interval <= 0:
        return False
    last = last_audit_of(services.engine, *modes)
    return last is None or abs(now - last.time) >= interval


def _run(services: Services, *, sample: int | None = None, since: int | None = None) -> AuditRecord:
    report = audit(
        services.engine,
        services.log.verifier,
        origin=services.log.origin,
        sample=sample,
        since=since,
        extra_checks=product_checks(services.settings, services.engine, services.sealer),
    )
    recorded = record_audit(services.engine, report, by=BY)
    if report.ok:
        logger.info("ledger audited", mode=report.mode, entries=report.entries, seconds=round(report.seconds, 3))
    else:
        first = report.faults[0]
        logger.critical("ledger audit found faults", count=len(report.faults), where=first.where, fault=first.code)
    return recorded
