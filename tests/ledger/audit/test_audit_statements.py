"""What entries say, in stretches: each entry once, of the kinds asked for, and the erased ones known as such."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import ColumnClause, Engine, column, select, text

from ledger.audit import statements as audit_statements
from ledger.audit.report import AuditScope
from ledger.audit.statements import stretches
from ledger.erasure import erase
from ledger.log import Log, NewEntry
from ledger.own import StatementSigner
from tests.log_builders import new_entry
from tests.small_log import private_key

KINDS = ("batch", "event", "event.seen")
SIZE = 60


def entry(number: int) -> NewEntry:
    # A key may have a name that looks like a kind.
    return replace(new_entry(number), kind=KINDS[number % 3], key_id="kind:event")


@pytest.fixture
def filled(log: Log) -> Log:
    log.append_many([entry(number) for number in range(SIZE)])
    return log


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("step", [7, 1000])
def test_each_entry_of_a_kind_comes_once(
    filled: Log, engine: Engine, monkeypatch: pytest.MonkeyPatch, kind: str, step: int
) -> None:
    monkeypatch.setattr(audit_statements, "STRETCH", step)
    with engine.connect() as connection:
        parts = list(stretches(connection, AuditScope(SIZE), {kind}))
    found = [index for part in parts for index in part.entries]
    assert found == [index for index in range(SIZE) if KINDS[index % 3] == kind]
    assert {stated.kind for part in parts for stated in part.entries.values()} == {kind}
    assert [(part.start, part.stop) for part in parts] == [
        (start, min(start + step, SIZE)) for start in range(0, SIZE, step)
    ]


def test_all_kinds_and_several(filled: Log, engine: Engine) -> None:
    with engine.connect() as connection:
        [everything] = stretches(connection, AuditScope(SIZE), None)
        [two] = stretches(connection, AuditScope(SIZE), {"batch", "event"})
    assert list(everything.entries) == list(range(SIZE))
    assert len(two.entries) == SIZE * 2 // 3
    stated = everything.entries[5]
    assert (stated.key_id, stated.subjects) == ("kind:event", entry(5).subjects)
    assert stated.statement == entry(5).statement


def test_only_what_is_looked_at_is_read(filled: Log, engine: Engine) -> None:
    with engine.connect() as connection:
        [since] = stretches(connection, AuditScope(SIZE, since=50), None)
        [drawn] = stretches(connection, AuditScope(SIZE, chosen=(3, 8, 44)), {"event", "event.seen"})
        assert list(stretches(connection, AuditScope(0), None)) == []
        assert list(stretches(connection, AuditScope(0, chosen=()), None)) == []
    assert list(since.entries) == list(range(50, SIZE))
    assert list(drawn.entries) == [8, 44]
    number: ColumnClause[int] = column("n")
    rows = select(number).select_from(text("(SELECT 3 AS n UNION SELECT 4 UNION SELECT 55) AS r"))
    with engine.connect() as connection:
        assert connection.scalars(rows.where(drawn.holds(number))).all() == [3]
        assert connection.scalars(rows.where(since.holds(number))).all() == [55]


def test_an_erased_entry_is_known_whatever_its_kind_was(filled: Log, engine: Engine) -> None:
    erase(filled, engine, 4, reason="asked for", signer=StatementSigner("registry-1", private_key("registry")))
    with engine.connect() as connection:
        [part] = stretches(connection, AuditScope(SIZE), {"batch"})
    assert part.erased == {4}
    assert 4 not in part.entries


def test_only_an_audit_of_everything_is_whole() -> None:
    assert AuditScope(9).whole
    assert not AuditScope(9, since=1).whole
    assert not AuditScope(9, chosen=()).whole
