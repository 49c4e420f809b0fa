"""The audit notices that a guard is gone, and that rows which nobody may remove are numbered with a gap."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine, text

from ledger.alarms import AlarmKind, raise_alarm
from ledger.audit import audit
from ledger.audit.records import record_audit
from ledger.log import Log
from ledger.note import NoteSigner
from ledger.storage.engine import begin_write
from ledger.storage.tables import APPEND_ONLY_TABLES, guard_triggers
from tests.guards import without_guards
from tests.log_builders import new_entry


def faults(engine: Engine, signer: NoteSigner, sample: int | None = None) -> list[tuple[str, str]]:
    return [(fault.code, fault.where) for fault in audit(engine, signer.verifier, sample=sample).faults]


def run(engine: Engine, *statements: str) -> None:
    with begin_write(engine) as connection:
        for statement in statements:
            connection.execute(text(statement))


@pytest.mark.parametrize("dialect", ["sqlite", "postgresql"])
def test_every_table_that_grows_has_a_guard_that_is_looked_for(dialect: str) -> None:
    assert {table for table, _ in guard_triggers(dialect)} == set(APPEND_ONLY_TABLES)


def test_a_guard_that_is_gone_is_named_by_every_audit(log: Log, engine: Engine, signer: NoteSigner) -> None:
    log.append(new_entry(1))
    assert faults(engine, signer) == []
    for table, name in guard_triggers(engine.dialect.name):
        on = "" if engine.dialect.name == "sqlite" else f" ON {table}"
        run(engine, f"DROP TRIGGER {name}{on}")
        assert ("guard.missing", f"{table} {name}") in faults(engine, signer, sample=1)
    assert len(faults(engine, signer)) == len(guard_triggers(engine.dialect.name))


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_a_guard_of_sqlite_that_guards_nothing_is_named(log: Log, engine: Engine, signer: NoteSigner) -> None:
    empty = "CREATE TRIGGER ledger_heads_no_update BEFORE UPDATE ON ledger_heads WHEN 0 BEGIN SELECT 1; END"
    run(engine, "DROP TRIGGER ledger_heads_no_update", empty)
    assert faults(engine, signer) == [("guard.missing", "ledger_heads ledger_heads_no_update")]


@pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True)
@pytest.mark.parametrize(
    "change",
    [
        "ALTER TABLE ledger_heads DISABLE TRIGGER ledger_heads_frozen",
        "ALTER TABLE ledger_heads ENABLE REPLICA TRIGGER ledger_heads_frozen",
        "CREATE OR REPLACE FUNCTION ledger_refuse_head() RETURNS trigger AS 'BEGIN RETURN NEW; END' LANGUAGE plpgsql",
        "CREATE OR REPLACE TRIGGER ledger_heads_frozen BEFORE INSERT ON ledger_heads FOR EACH ROW WHEN (false) {runs}",
    ],
)
def test_a_guard_of_postgresql_that_does_nothing_is_named(
    log: Log, engine: Engine, signer: NoteSigner, change: str
) -> None:
    run(engine, change.format(runs="EXECUTE FUNCTION ledger_refuse_head()"))
    assert faults(engine, signer) == [("guard.missing", "ledger_heads ledger_heads_frozen")]


@pytest.mark.parametrize("kind", ["alarms", "audits"])
@pytest.mark.parametrize("removed", [1, 2])
def test_a_row_that_was_removed_leaves_a_gap(
    log: Log, engine: Engine, signer: NoteSigner, kind: str, removed: int
) -> None:
    for number in range(3):
        raise_alarm(engine, AlarmKind.FORK, detail="-", evidence=str(number))
        record_audit(engine, audit(engine, signer.verifier), by="test")
    assert faults(engine, signer) == []
    with begin_write(engine) as connection, without_guards(connection):
        connection.execute(text(f"DELETE FROM ledger_{kind} WHERE number = {removed}"))  # noqa: S608 -- names of this test
    assert faults(engine, signer) == [(f"{kind}.gap", f"ledger_{kind}")]
