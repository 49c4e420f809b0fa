"""Use cases of verification: ask about codes, and act on the goods that carry them."""

from app.verification.service.acting import act_on_batch, act_on_units, undo_event, verify_and_act
from app.verification.service.counting import count_scans
from app.verification.service.proving import proof_bundle
from app.verification.service.stating import batch_state, organisation_state, unit_state
from app.verification.service.trusting import trust_list
from app.verification.service.verifying import BatchItem, look, verify, verify_batch

__all__ = [
    "BatchItem",
    "act_on_batch",
    "act_on_units",
    "batch_state",
    "count_scans",
    "look",
    "organisation_state",
    "proof_bundle",
    "trust_list",
    "undo_event",
    "unit_state",
    "verify",
    "verify_and_act",
    "verify_batch",
]
