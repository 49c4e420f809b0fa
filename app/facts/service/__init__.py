"""Use cases of facts: record and read events, the states made from them, and the scans beside them."""

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
    record_event,
)
from app.facts.service.projections import join_states, joined_state, read_states, rebuild_projections

__all__ = [
    "CommissionedBatch",
    "Event",
    "Goods",
    "RecordedEvent",
    "batch_history",
    "commissioned_event",
    "find_event",
    "history",
    "insert_event",
    "join_states",
    "joined_state",
    "read_states",
    "rebuild_projections",
    "record_event",
]
