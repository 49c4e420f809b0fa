"""The worker's audits: when they are due, what they look at, and that a fault becomes an alarm."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest
from sqlalchemy import text

from app.core.clock import now_ms
from app.core.services import Services
from app.transparency import auditing
from app.transparency.auditing import regular_audits, run_due_audits
from ledger.alarms import list_alarms
from ledger.audit.records import AuditRecord, last_audits
from ledger.storage.engine import begin_write
from tests.app.verification.verdict_builders import make_world
from tests.builders import on_sqlite
from tests.guards import without_guards
from tests.log_builders import new_entry

MINUTE = 60_000
DAY = 24 * 60 * MINUTE


@pytest.fixture
def only_the_log(monkeypatch: pytest.MonkeyPatch) -> None:
    """The entries of these tests are no records of the product: its own checks would name each of them."""
    monkeypatch.setattr(auditing, "product_checks", lambda *_arguments: ())


def grow(services: Services, start: int, stop: int) -> None:
    services.log.append_many([new_entry(number) for number in range(start, stop)])


def kinds(records: list[AuditRecord]) -> list[tuple[str, int]]:
    return [(record.mode, record.entries) for record in records]


def damage(services: Services, entry: int) -> None:
    """Change a salt behind the back of the guards, as somebody with the database file could."""
    with begin_write(services.engine) as connection, without_guards(connection):
        connection.execute(text('UPDATE ledger_entries SET salt = :salt WHERE "index" = :entry'),
                           {"salt": bytes(32), "entry": entry})  # fmt: skip


def test_samples_come_every_ten_minutes_and_once_a_day_all_that_is_new(services: Services, only_the_log: None) -> None:
    grow(services, 0, 512)
    now = now_ms()
    assert kinds(run_due_audits(services, now=now)) == [("sample", 512), ("since", 512)]
    assert run_due_audits(services, now=now + 5 * MINUTE) == []
    grow(services, 512, 517)
    assert kinds(run_due_audits(services, now=now + 11 * MINUTE)) == [("sample", 517)]
    assert kinds(run_due_audits(services, now=now + DAY + MINUTE)) == [("sample", 517), ("since", 5)]
    assert {record.by for record in last_audits(services.engine)} == {"marchamo worker"}
    assert all(record.ok for record in last_audits(services.engine))


def test_a_fault_is_an_alarm_and_what_is_not_sound_is_looked_at_again(services: Services, only_the_log: None) -> None:
    grow(services, 0, 256)
    now = now_ms()
    run_due_audits(services, now=now)
    grow(services, 256, 266)
    damage(services, 260)
    found = run_due_audits(services, now=now + DAY + MINUTE)
    assert [record.ok for record in found] == [False, False]
    [alarm] = list_alarms(services.engine)
    assert alarm.kind == "audit"
    assert alarm.detail.startswith("An audit found a fault at ledger_heads 266: ")
    again = run_due_audits(services, now=now + 2 * DAY + MINUTE * 2)
    assert kinds(again)[1] == ("since", 10)
    assert list_alarms(services.engine) == [alarm]


def test_the_products_own_records_are_looked_at_too(services: Services) -> None:
    make_world(services)
    assert [record.ok for record in run_due_audits(services, now=now_ms())] == [True, True]
    grow(services, 0, 1)  # signed by no key that the registry knows
    later = run_due_audits(services, now=now_ms() + DAY + MINUTE)
    assert [record.ok for record in later] == [False, False]


@on_sqlite
def test_audits_can_be_switched_off(services: Services) -> None:
    settings = replace(services.settings, audit_sample_minutes=0, audit_since_hours=0)
    assert run_due_audits(replace(services, settings=settings), now=now_ms()) == []


@on_sqlite
def test_the_thread_audits_and_ends_with_its_block(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auditing, "LOOK_SECONDS", 0.01)
    grow(services, 0, 3)
    with regular_audits(services):
        deadline = time.monotonic() + 10
        while len(last_audits(services.engine)) < 2 and time.monotonic() < deadline:
            time.sleep(0.02)
    assert {record.mode for record in last_audits(services.engine)} == {"sample", "since"}
