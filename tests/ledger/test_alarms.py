"""Alarms are kept once, in order, bounded, and can not be removed."""

from __future__ import annotations

import threading

import pytest
from sqlalchemy import Engine, delete, update
from sqlalchemy.exc import DBAPIError

from ledger.alarms import AlarmKind, count_alarms, list_alarms, raise_alarm
from ledger.storage.engine import begin_write
from ledger.storage.tables import ledger_alarms
from tests.log_builders import Clock


def test_an_alarm_is_kept_with_its_evidence(engine: Engine, clock: Clock) -> None:
    alarm = raise_alarm(engine, AlarmKind.FORK, detail="Two histories.", evidence="the note", clock=clock)
    assert list_alarms(engine) == [alarm]
    assert (alarm.number, alarm.kind, alarm.detail, alarm.evidence) == (1, "fork", "Two histories.", "the note")
    assert alarm.time == int(clock.now * 1000)
    assert count_alarms(engine) == 1


def test_the_same_evidence_raises_one_alarm_however_often_it_comes(engine: Engine) -> None:
    first = raise_alarm(engine, AlarmKind.FORK, detail="Two histories.", evidence="the note")
    assert raise_alarm(engine, AlarmKind.FORK, detail="Other words.", evidence="the note") == first
    raise_alarm(engine, AlarmKind.WITNESS, detail="A witness refuses.", evidence="the note")
    assert [alarm.number for alarm in list_alarms(engine)] == [2, 1]


def test_each_kind_has_a_limit_and_does_not_take_the_place_of_others(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ledger.alarms.MAX_ALARMS", 3)
    for number in range(6):
        last = raise_alarm(engine, AlarmKind.FORK, detail="Two histories.", evidence=f"note {number}")
    assert last.number == 3
    assert raise_alarm(engine, AlarmKind.AUDIT, detail="A fault.", evidence="row 5").number == 4
    assert count_alarms(engine) == 4


def test_what_is_too_long_is_cut(engine: Engine) -> None:
    alarm = raise_alarm(engine, AlarmKind.FORK, detail="d" * 5_000, evidence="e" * 100_000)
    assert (len(alarm.detail), len(alarm.evidence)) == (1_000, 65_536)
    assert raise_alarm(engine, AlarmKind.FORK, detail="d", evidence="e" * 100_000) == alarm


def test_threads_that_raise_alarms_at_once_lose_none(engine: Engine) -> None:
    def work(name: int) -> None:
        for number in range(4):
            raise_alarm(engine, AlarmKind.FORK, detail="Two histories.", evidence=f"{name} {number}")
            raise_alarm(engine, AlarmKind.FORK, detail="Two histories.", evidence=f"shared {number}")

    threads = [threading.Thread(target=work, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    alarms = list_alarms(engine, limit=100)
    assert sorted(alarm.number for alarm in alarms) == list(range(1, len(alarms) + 1))
    evidence = [alarm.evidence for alarm in alarms]
    assert len(evidence) == len(set(evidence)) == 20


@pytest.mark.parametrize("change", [update(ledger_alarms).values(detail="Nothing."), delete(ledger_alarms)])
def test_an_alarm_can_not_be_changed_or_removed(engine: Engine, change: object) -> None:
    raise_alarm(engine, AlarmKind.FORK, detail="Two histories.", evidence="the note")
    with pytest.raises(DBAPIError, match="append-only"), begin_write(engine) as connection:
        connection.execute(change)  # type: ignore[call-overload]
    assert list_alarms(engine)[0].detail == "Two histories."
