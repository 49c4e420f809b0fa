"""Requests at a constant rate, each timed from the moment it should have been sent.

A generator that waits for slow answers before it sends the next request hides exactly the slow answers; timing from
the planned moment does not ("coordinated omission").
"""

import http.client
import queue
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

THREADS = 24


@dataclass(frozen=True, slots=True)
class RateResult:
    """Times in milliseconds from the planned sending moment to the last byte of the answer."""

    sent: int
    errors: int
    p50_ms: float
    p95_ms: float
    p99_ms: float
    max_ms: float


def post_at_rate(
    url: str,
    bodies: Sequence[bytes],
    *,
    per_second: float,
    seconds: float,
    headers: dict[str, str] | None = None,
    until: threading.Event | None = None,
) -> RateResult:
    """POST the bodies in turn at `per_second` for `seconds` (or until the event is set, whichever is first)."""
    plan: queue.SimpleQueue[tuple[float, bytes] | None] = queue.SimpleQueue()
    times: list[float] = []
    errors: list[int] = []
    target = urlsplit(url)
    all_headers = {"Content-Type": "application/json"} | (headers or {})

    def send() -> None:
        connection = http.client.HTTPConnection(target.netloc, timeout=30)
        while (item := plan.get()) is not None:
            planned, body = item
            try:
                connection.request("POST", target.path, body, all_headers)
                answer = connection.getresponse()
                answer.read()
                if answer.status != 200:
                    errors.append(answer.status)
            except (OSError, http.client.HTTPException):
                errors.append(0)
                connection.close()
            times.append((time.perf_counter() - planned) * 1000)
        connection.close()

    threads = [threading.Thread(target=send, daemon=True) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    start = time.perf_counter()
    count = 0
    while count < per_second * seconds and not (until is not None and until.is_set()):
        planned = start + count / per_second
        pause = planned - time.perf_counter()
        if pause > 0:
            time.sleep(pause)
        plan.put((planned, bodies[count % len(bodies)]))
        count += 1
    for _ in threads:
        plan.put(None)
    for thread in threads:
        thread.join(60)
    times.sort()
    return RateResult(count, len(errors), *(_within(times, share) for share in (0.5, 0.95, 0.99, 1.0)))


def _within(times: Sequence[float], share: float) -> float:
    return round(times[min(len(times) - 1, int(len(times) * share))], 2) if times else 0.0
