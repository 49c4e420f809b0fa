"""Use cases of transparency: proofs about the log itself, the memory of devices, and the log's health."""

from app.transparency.service.growing import Growth, growth
from app.transparency.service.health import Health, LedgerState, WitnessHealth, health
from app.transparency.service.proving import consistency, leaf_proof
from app.transparency.service.remembering import Memory, continuation, take_memory

__all__ = [
    "Growth",
    "Health",
    "LedgerState",
    "Memory",
    "WitnessHealth",
    "consistency",
    "continuation",
    "growth",
    "health",
    "leaf_proof",
    "take_memory",
]
