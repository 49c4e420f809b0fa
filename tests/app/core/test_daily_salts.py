"""Marks of addresses: the same within a day, in all processes, and nobody's to compute again afterwards."""

from __future__ import annotations

import threading

import pytest
from sqlalchemy import select

from app.core.attempts import AttemptRow, count_attempt
from app.core.clock import now_ms
from app.core.daily_salts import DAY_MS, DailySaltRow, DailySalts, daily_salts
from app.core.services import Services

DAY = 20_000 * DAY_MS


def fresh(services: Services) -> DailySalts:
    """Another process."""
    return DailySalts(services.engine, services.sealer)


def test_the_same_address_has_one_mark_in_all_processes_and_another_the_next_day(services: Services) -> None:
    first, second = fresh(services), fresh(services)
    assert first.mark("192.0.2.7", DAY) == second.mark("192.0.2.7", DAY + DAY_MS - 1)
    assert first.mark("192.0.2.7", DAY) != first.mark("192.0.2.8", DAY)
    assert first.mark("192.0.2.7", DAY + DAY_MS) != second.mark("192.0.2.7", DAY)


def test_processes_that_meet_at_midnight_agree_on_one_salt(services: Services) -> None:
    found: list[bytes] = []
    threads = [threading.Thread(target=lambda: found.append(fresh(services).at(DAY))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(found)) == 1


def test_yesterdays_marks_can_not_be_made_again_by_whoever_holds_every_key(services: Services) -> None:
    mark = fresh(services).mark("192.0.2.7", DAY)
    assert fresh(services).destroy_past(DAY + DAY_MS) == 1
    with services.engine.connect() as connection:
        assert connection.execute(select(DailySaltRow)).all() == []
    assert fresh(services).mark("192.0.2.7", DAY) != mark
    assert fresh(services).destroy_past(DAY) == 0


def test_attempts_are_counted_under_the_mark_of_the_day(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    object.__setattr__(services.settings, "rate_limits", True)
    count_attempt(services, {"address:192.0.2.7": 5})
    with services.engine.connect() as connection:
        [subject] = connection.scalars(select(AttemptRow.subject)).all()
    assert subject == daily_salts(services).mark("address:192.0.2.7", now_ms())
    assert b"192.0.2.7" not in subject
