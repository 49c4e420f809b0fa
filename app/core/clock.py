"""Time as the product keeps it: whole milliseconds since 1970 in UTC."""

import time
from datetime import UTC, datetime


def now_ms() -> int:
    """Milliseconds since 1970-01-01T00:00:00Z."""
    return time.time_ns() // 1_000_000


def to_iso(milliseconds: int) -> str:
    """RFC 3339 text in UTC with milliseconds, e.g. ``2026-11-24T06:38:06.123Z``."""
    moment = datetime.fromtimestamp(milliseconds / 1000, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def from_datetime(moment: datetime) -> int:
    """Milliseconds of an aware datetime; raises ValueError for a naive one."""
    if moment.tzinfo is None:
        raise ValueError("a time needs its offset from UTC")
    return int(moment.timestamp() * 1000)


def now() -> datetime:
    """This moment in UTC."""
    return datetime.now(UTC)
