"""How often one address of the public may ask: a fixed window in the memory of each process.

This bounds work, not guessing: guesses are counted in the database, for all processes together. With several server
processes an address has the allowance once in each.
"""

from threading import Lock
from time import monotonic

from app.core.errors import TooMany
from app.core.services import Services

WINDOW_SECONDS = 60.0
REQUESTS = 120
"""Requests of one address in a window."""
MAX_ADDRESSES = 50_000


class Flood:
    """Counts requests by address."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._counts: dict[str, int] = {}
        self._ends_at = 0.0

    def admit(self, address: str) -> bool:
        """Count one request; False when the address has had its share of this window."""
        now = monotonic()
        with self._lock:
            if now >= self._ends_at or len(self._counts) >= MAX_ADDRESSES:
                self._counts.clear()
                self._ends_at = now + WINDOW_SECONDS
            count = self._counts.get(address, 0) + 1
            self._counts[address] = count
        return count <= REQUESTS


def refuse_flood(services: Services, address: str | None) -> None:
    """Count a request of the public; raises TooMany."""
    if not services.settings.rate_limits:
        return
    flood: Flood = services.features.setdefault(Flood, Flood())
    if not flood.admit(address or ""):
        raise TooMany(
            "There were too many requests from your address. Wait a minute.",
            code="too_many_requests",
            retry_after=int(WINDOW_SECONDS),
        )
