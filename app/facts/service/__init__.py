"""Use cases of facts: record and read events, the states made from them, and the scans beside them."""

from app.facts.goods import Goods
from app.facts.scans.auditing import scan_check
from app.facts.scans.auditing_signed import signed_scan_check
from app.facts.scans.committing import regular_commitments
from app.facts.scans.redacting import ScansDiffer, redact_old_scans
from app.facts.service.auditing import SubjectsOf, event_check
from app.facts.service.erasing import EVENT_BODIES
from app.facts.service.events import (
    CommissionedBatch,
    Event,
    RecordedEvent,
    batch_history,
    commissioned_event,
    find_event,
    history,
    insert_event,
    readable_body,
    record_event,
)
from app.facts.service.projections import join_states, joined_state, read_states, rebuild_projections
from app.facts.service.speaking import CLOCK_TOLERANCE_MS, MAX_NOTE, MAX_UNITS

__all__ = [
    "CLOCK_TOLERANCE_MS",
    "EVENT_BODIES",
    "MAX_NOTE",
    "MAX_UNITS",
    "CommissionedBatch",
    "Event",
    "Goods",
    "RecordedEvent",
    "ScansDiffer",
    "SubjectsOf",
    "batch_history",
    "commissioned_event",
    "event_check",
    "find_event",
    "history",
    "insert_event",
    "join_states",
    "joined_state",
    "read_states",
    "readable_body",
    "rebuild_projections",
    "record_event",
    "redact_old_scans",
    "regular_commitments",
    "scan_check",
    "signed_scan_check",
]
