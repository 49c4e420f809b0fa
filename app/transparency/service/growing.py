"""How the log grew: its size at points in time, found in the heads without reading them all.

Heads are many (one a group of entries) and have no index on time, but both their sizes and their times rise. So the
size at a moment is found by halving, some twenty look-ups by primary key, and for moments that are past it is found
once and kept.
"""

from dataclasses import dataclass

from sqlalchemy import Connection, func, select

from app.core.services import Services
from ledger.storage.tables import ledger_heads

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
DAYS = 30
SETTLED_MS = 10 * 60_000
"""A moment so long past gets no new heads any more, and its size can be kept."""
MAX_KEPT = 10_000


@dataclass(frozen=True, slots=True)
class Growth:
    """How the log grew up to `now` (ms). days: (end of the day, ms; size then), oldest first, the last being now."""

    now: int
    size: int
    last_hour: int
    last_day: int
    days: tuple[tuple[int, int], ...]

    def entries_per_day(self) -> list[tuple[int, int]]:
        """Give (start of the day, ms; entries of that day), oldest first; the first day has no day before it."""
        return [(start, after - before) for (start, before), (_, after) in zip(self.days, self.days[1:], strict=False)]


def growth(services: Services, *, now: int) -> Growth:
    """Give the growth of the last 30 days, by days of UTC."""
    kept: dict[int, int] = services.features.setdefault(_Sizes, {})
    today = now - now % DAY_MS
    moments = [today - DAY_MS * back for back in range(DAYS - 1, -1, -1)]
    with services.engine.connect() as connection:
        size = connection.execute(select(func.max(ledger_heads.c.size))).scalar() or 0

        def size_at(moment: int) -> int:
            if moment not in kept:
                found = _size_at(connection, moment, size)
                if now - moment < SETTLED_MS:
                    return found
                if len(kept) >= MAX_KEPT:
                    kept.clear()
                kept[moment] = found
            return kept[moment]

        days = tuple((moment, size_at(moment)) for moment in moments)
        # To the minute, so that pages that are opened often find these moments among the kept ones.
        minute = now - now % 60_000
        last_hour, last_day = size - size_at(minute - HOUR_MS), size - size_at(minute - DAY_MS)
    return Growth(now, size, last_hour, last_day, (*days, (now, size)))


class _Sizes:
    """Names the kept sizes among the features: moment (ms) -> size of the log then."""


def _size_at(connection: Connection, moment: int, size: int) -> int:
    """Give the size of the last head that was made up to `moment`; 0 when there is none."""
    low, high = 0, size  # the answer lies in [low, high]
    while low < high:
        middle = (low + high + 1) // 2
        # The first head that covers `middle` entries says when there were so many.
        head = connection.execute(
            select(ledger_heads.c.size, ledger_heads.c.time)
            .where(ledger_heads.c.size >= middle)
            .order_by(ledger_heads.c.size)
            .limit(1)
        ).one()
        if head.time <= moment:
            low = head.size
        else:
            high = middle - 1
    return low
