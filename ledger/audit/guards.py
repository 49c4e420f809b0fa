"""The audit's view of what protects the rows: the guards in the database, and the numbers of rows nobody may remove."""

from __future__ import annotations

from sqlalchemy import Connection, func, select, text

from ledger.audit.report import AuditReport, FaultCode
from ledger.storage.tables import guard_functions, guard_triggers, ledger_alarms, ledger_audits

_SQLITE_TRIGGERS = text("SELECT tbl_name, name, sql FROM sqlite_schema WHERE type = 'trigger'")
_POSTGRESQL_TRIGGERS = text(
    "SELECT c.relname, t.tgname, t.tgenabled, p.proname, p.prosrc, pg_get_triggerdef(t.oid) FROM pg_trigger t "
    "JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_proc p ON p.oid = t.tgfoid "
    "WHERE NOT t.tgisinternal AND c.relnamespace = current_schema()::regnamespace"
)
_ENABLED = frozenset({"O", "A"})
"""How PostgreSQL writes that a trigger fires in ordinary sessions, or always; others are disabled or of replicas."""


def check_guards(connection: Connection, report: AuditReport) -> None:
    """Check that each guard of the ledger's tables is there, enabled, and does what this program makes it do."""
    sqlite = connection.dialect.name == "sqlite"
    found = _sqlite_faults(connection) if sqlite else _postgresql_faults(connection)
    for table, trigger in guard_triggers(connection.dialect.name):
        if (what := found.get((table, trigger), "is not there")) is not None:
            message = f"the guard {trigger} {what}: rows can be changed or removed"
            report.add(FaultCode.GUARD_MISSING, f"{table} {trigger}", message)


def check_numbers(connection: Connection, report: AuditReport) -> None:
    """Check that alarms and audits are numbered from 1 without a gap: who removes one leaves its number out."""
    for table, code in ((ledger_alarms, FaultCode.ALARMS_GAP), (ledger_audits, FaultCode.AUDITS_GAP)):
        number = table.c.number
        count, least, greatest = connection.execute(select(func.count(), func.min(number), func.max(number))).one()
        if count and (least, greatest) != (1, count):
            message = f"{count} rows are numbered from {least} to {greatest}: some were removed"
            report.add(code, table.name, message)


def _sqlite_faults(connection: Connection) -> dict[tuple[str, str], str | None]:
    """Say of each trigger that exists what is wrong with it, None when nothing is."""
    wanted = guard_triggers("sqlite")
    return {
        (table, name): None if wanted.get((table, name)) == made else "is another than this program makes"
        for table, name, made in connection.execute(_SQLITE_TRIGGERS)
    }


def _postgresql_faults(connection: Connection) -> dict[tuple[str, str], str | None]:
    wanted, functions = guard_triggers("postgresql"), guard_functions()
    found: dict[tuple[str, str], str | None] = {}
    for table, name, enabled, function, source, made in connection.execute(_POSTGRESQL_TRIGGERS):
        statement = wanted.get((table, name), "")
        if enabled not in _ENABLED:
            found[table, name] = "is disabled"
        elif functions.get(function) != source or _words(made) != _words(statement):
            found[table, name] = "is another than this program makes"
        else:
            found[table, name] = None
    return found


def _words(statement: str) -> list[str]:
    """Give what a statement says however PostgreSQL words it: the order of the operations, and the schema's name."""
    return sorted(word.rpartition(".")[2] for word in statement.split())
