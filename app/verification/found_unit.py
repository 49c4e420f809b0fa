"""A registered unit as the one look-up of a scan gives it: registry, batch and state in one row."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from app.facts.lifecycle import UnitState
from app.facts.service import joined_state
from app.facts.service.projections import STATE_COLUMNS

UNIT_COLUMNS = (
    "unit_id",
    "batch_id",
    "handle",
    "profile",
    "key_id",
    "lot",
    "expiry",
    "quantity",
    "log_index",
    "published_at",
    "product_id",
    "product_name",
    "product_brand",
    "organisation_id",
)
"""Columns of `registry.lookup.unit_lookup`, in its order; those of `join_states` follow."""
COLUMNS = (*UNIT_COLUMNS, *STATE_COLUMNS)


@dataclass(frozen=True, slots=True)
class FoundUnit:
    """A unit of a published batch. `expiry` is YYMMDD; published_at in milliseconds; log_index of the batch's leaf."""

    unit_id: int
    batch_id: int
    handle: str
    profile: str
    key_id: int
    lot: str | None
    expiry: str | None
    quantity: int
    log_index: int
    published_at: int
    product_id: int
    product_name: str
    product_brand: str
    organisation_id: int
    state: UnitState


def found_unit(row: Sequence[Any]) -> FoundUnit:
    """Read a row of `COLUMNS`."""
    split = len(UNIT_COLUMNS)
    values = (*row[:split], joined_state(tuple(row[split:])))
    return FoundUnit(*values)
