"""A registered unit as the one look-up of a scan gives it: registry, batch and state in one row."""

import calendar
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
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


def full_year(two_digits: int, century_of: int) -> int:
    """Give the year of AI 17: within 49 years back and 50 ahead of `century_of` (GS1 General Specifications, 7.12)."""
    difference = two_digits - century_of % 100
    century = century_of // 100 + (-1 if difference >= 51 else 1 if difference <= -50 else 0)
    return century * 100 + two_digits


@lru_cache(maxsize=4096)
def expiry_end(expiry: str, century_of: int) -> int:
    """Give the end of the expiry day (AI 17, YYMMDD) in milliseconds, UTC; day 00 means the last of the month."""
    year, month, day = full_year(int(expiry[:2]), century_of), int(expiry[2:4]), int(expiry[4:])
    last = calendar.monthrange(year, month)[1]
    ends = datetime(year, month, day or last, tzinfo=UTC).timestamp() + 86_400
    return int(ends * 1000)


def has_expired(expiry: str | None, now: int) -> bool:
    """Tell whether the expiry day is over at `now` (ms)."""
    return expiry is not None and expiry_end(expiry, year_of(now)) <= now


def year_of(now: int) -> int:
    """Give the calendar year of a time in ms, to the day or so: enough to choose a century."""
    return 1970 + now // 31_556_952_000
