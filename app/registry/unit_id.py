"""The number of a unit: its batch and its position in the batch's tree, in one 64-bit integer.

Every table that speaks of units keeps this one column: 8 bytes instead of two columns and a wider index, and the
batch is found from it without another index.
"""

POSITION_BITS = 24
MAX_BATCH_SIZE = 5_000_000
"""Largest batch; far below 2**24, so that the position always fits."""


def pack(batch_id: int, position: int) -> int:
    """The unit's number from batch and position (0-based leaf index in the batch tree)."""
    if not 0 <= position < 1 << POSITION_BITS:
        raise ValueError(f"position {position} does not fit {POSITION_BITS} bits")
    return batch_id << POSITION_BITS | position


def batch_of(unit_id: int) -> int:
    """The batch that the unit belongs to."""
    return unit_id >> POSITION_BITS


def position_of(unit_id: int) -> int:
    """The unit's leaf index in its batch tree."""
    return unit_id & ((1 << POSITION_BITS) - 1)
