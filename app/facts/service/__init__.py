"""Use cases of facts: record and read events, the states made from them, and the scans beside them."""

from app.facts.scans.auditing import scan_check
from app.facts.scans.committing import regular_commitments
from app.facts.service.auditing import SubjectsOf, event_check
from app.facts.service.erasing import EVENT_BODIES
from app.facts.service.events import (
    CommissionedBatch,
    Event,
    Goods,
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

__all__ = [
    "EVENT_BODIES",
    "CommissionedBatch",
    "Event",
    "Goods",
    "RecordedEvent",
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
    "regular_commitments",
    "scan_check",
]
