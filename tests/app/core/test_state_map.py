"""The worker states the subject map when there is news, and spends no more than its share of time on it."""

from __future__ import annotations

from typing import Any

import pytest
from structlog.testing import capture_logs

from app.accounts.service import payload, registry_entry
from app.core.services import Services
from app.core.state_map import PUBLISH_SECONDS, MapPublisher, subject_map
from ledger.errors import LogFrozen, LogReadOnly, StorageError
from ledger.map.keeper import SubjectMap
from ledger.storage.map_sql import MapHead
from tests.builders import on_sqlite

pytestmark = on_sqlite


class Clock:
    """Seconds that the test moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def record(services: Services, number: int) -> None:
    statement = payload(kind="test", organisation="TEST", at_ms=number, name=str(number))
    services.log.append(registry_entry(services, bytes(32), statement=statement))


def test_the_map_is_stated_at_most_every_ten_seconds_and_only_with_news(services: Services) -> None:
    clock = Clock()
    publisher = MapPublisher(services, clock=clock)
    publisher.publish_when_due()
    assert subject_map(services).head() is None
    record(services, 1)
    publisher.publish_when_due()
    assert subject_map(services).head() is None
    clock.now += PUBLISH_SECONDS
    publisher.publish_when_due()
    head = subject_map(services).head()
    assert head is not None
    assert head.size == 1
    clock.now += PUBLISH_SECONDS
    publisher.publish_when_due()
    assert subject_map(services).head() == head
    assert services.log.head()[0] == 2


def test_a_map_that_takes_long_is_stated_more_rarely(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    publisher = MapPublisher(services, clock=clock)
    stated: list[float] = []

    class Slow:
        def publish(self) -> MapHead:
            stated.append(clock.now)
            clock.now += 8.0
            return MapHead(1, bytes(32), 1, 0)

    monkeypatch.setattr(publisher, "_map", Slow())
    while clock.now < 200.0:
        publisher.publish_when_due()
        clock.now += 1.0
    # 8 seconds of work are a fifth of the time when 40 seconds pass after them.
    assert stated == [100.0, 148.0, 196.0]


@pytest.mark.parametrize("refusal", [LogFrozen("the log has ended"), StorageError("tags were changed")])
def test_what_the_ledger_refuses_does_not_stop_the_worker(
    services: Services, monkeypatch: pytest.MonkeyPatch, refusal: Exception
) -> None:
    def refuse(*_: Any) -> None:
        raise refusal

    monkeypatch.setattr(SubjectMap, "publish", refuse)
    MapPublisher(services).publish_when_due()


def test_a_closed_ledger_is_said_once_without_a_trace_until_it_changes(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    publisher = MapPublisher(services, clock=clock)
    refusals: list[Exception] = [LogReadOnly("the mark is missing")] * 3 + [LogFrozen("the log has ended")] * 3

    def refuse(*_: Any) -> None:
        raise refusals.pop(0)

    monkeypatch.setattr(SubjectMap, "publish", refuse)
    with capture_logs() as logs:
        while refusals:
            publisher.publish_when_due()
            clock.now += PUBLISH_SECONDS
    said = [(line["log_level"], line["code"], "exc_info" in line) for line in logs]
    assert said == [("warning", "ledger.read_only", False), ("warning", "ledger.frozen", False)]
