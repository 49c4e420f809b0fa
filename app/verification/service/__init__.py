"""Use cases of verification: ask about codes, and act on the goods that carry them."""

from app.verification.service.acting import act_on_batch, act_on_units, undo_event
from app.verification.service.proving import proof_bundle
from app.verification.service.verifying import BatchItem, close, look, verify, verify_batch

__all__ = [
    "BatchItem",
    "act_on_batch",
    "act_on_units",
    "close",
    "look",
    "proof_bundle",
    "undo_event",
    "verify",
    "verify_batch",
]
