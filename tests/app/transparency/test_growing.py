"""The size of the log at points in time, found among many heads without reading them all."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Engine, event, insert

from app.core.services import Services
from app.transparency.service.growing import DAY_MS, HOUR_MS, growth
from ledger.storage.engine import begin_write
from ledger.storage.tables import ledger_heads

NOW = 1_700_000_000_000


def add_heads(services: Services, heads: list[tuple[int, int]]) -> None:
    """Put heads (size, time) into the database, none of which the log would believe: only for reading here."""
    before = [services.log.head()[0], *(size for size, _ in heads)]
    rows = [
        {"size": size, "prev_size": previous, "root": bytes(32), "time": time}
        for previous, (size, time) in zip(before, heads, strict=False)
    ]
    with begin_write(services.engine) as connection:
        connection.execute(insert(ledger_heads), rows)


@contextmanager
def counted(engine: Engine) -> Iterator[list[int]]:
    seen: list[int] = []
    event.listen(engine, "before_cursor_execute", note := lambda *_arguments: seen.append(1))
    yield seen
    event.remove(engine, "before_cursor_execute", note)


def test_an_empty_log_has_not_grown(services: Services) -> None:
    found = growth(services, now=NOW)
    assert (found.size, found.last_hour, found.last_day) == (0, 0, 0)
    assert len(found.days) == 31
    assert {count for _, count in found.entries_per_day()} == {0}


def test_growth_is_what_the_heads_say(services: Services) -> None:
    rng = random.Random(7)  # noqa: S311
    heads, size, time = [], 0, NOW - 40 * DAY_MS
    while time < NOW:
        size += rng.randint(1, 300)
        heads.append((size, time))
        time += rng.randint(1, 4 * HOUR_MS)
    add_heads(services, heads)

    def size_at(moment: int) -> int:
        return max((size for size, time in heads if time <= moment), default=0)

    minute = NOW - NOW % 60_000
    found = growth(services, now=NOW)
    assert found.size == size
    assert found.last_hour == size - size_at(minute - HOUR_MS)
    assert found.last_day == size - size_at(minute - DAY_MS)
    assert found.days == (*((day, size_at(day)) for day, _ in found.days[:-1]), (NOW, size))
    assert all(day % DAY_MS == 0 for day, _ in found.days[:-1])
    assert sum(count for _, count in found.entries_per_day()) == size - found.days[0][1]


def test_the_past_is_looked_up_once(services: Services) -> None:
    add_heads(services, [(10 * number, NOW - 31 * DAY_MS + number * HOUR_MS) for number in range(1, 700)])
    with counted(services.engine) as first:
        growth(services, now=NOW)
    with counted(services.engine) as second:
        growth(services, now=NOW + 5_000)
    assert len(first) < 33 * 14
    assert len(second) <= 2  # BEGIN, and the size of now


def test_a_clock_that_went_backwards_stops_nothing(services: Services) -> None:
    add_heads(services, [(5, NOW - HOUR_MS), (9, NOW - 2 * DAY_MS), (12, NOW - 10), (14, NOW + DAY_MS)])
    found = growth(services, now=NOW)
    assert found.size == 14
    assert all(0 <= size <= 14 for _, size in found.days)
