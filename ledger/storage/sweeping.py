"""Overwriting what the database keeps of rows that were changed: SQLite's write-ahead log, PostgreSQL's dead rows.

A change alone removes nothing: SQLite's log holds the old page until it is folded back, PostgreSQL's table the old row
until it is vacuumed. Neither can be done while somebody still reads the state from before.
"""

from __future__ import annotations

import random
import re
import time
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Engine, text

from ledger.errors import RoleRefused
from ledger.storage.engine import BUSY_TIMEOUT_MS

SWEEP_SECONDS = 10.0
"""How long a sweep waits for readers of the old state."""

PAUSE_S = (0.02, 0.08)
"""Between two attempts, at random: a waiting checkpoint of SQLite would hold up every writer."""

_MAY_SWEEP = text(
    "SELECT bool_and(pg_has_role(current_user, c.relowner, 'USAGE')) FROM pg_class c "
    "WHERE c.relnamespace = current_schema()::regnamespace AND c.relname = ANY(:tables)"
)
_KEPT = re.compile(r"(\d+) (?:are dead but not yet removable|dead row versions cannot be removed yet)")


def overwrite_freed_rows(connection: Connection) -> None:
    """Have SQLite overwrite with zeros what the changes on this connection free in its file."""
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("PRAGMA secure_delete = ON")


def require_sweeper(engine: Engine, tables: Sequence[str]) -> None:
    """Raise RoleRefused where another role owns these tables: PostgreSQL would skip the sweep with a notice."""
    if engine.dialect.name == "sqlite":
        return
    with engine.connect() as connection:
        may_sweep = connection.execute(_MAY_SWEEP, {"tables": list(tables)}).scalar()
    if not may_sweep:
        raise RoleRefused(
            "only the role that owns the tables can erase: this one can neither change an entry nor sweep the old row",
            fix="Run the command with the owner's MARCHAMO_DATABASE_URL, the one that `marchamo migrate` runs with.",
        )


def sweep(engine: Engine, tables: Sequence[str]) -> str | None:
    """Overwrite what is kept of old rows of these tables; returns what stood in the way, None when all is gone.

    Waits ten seconds for readers of an older state. Raises RoleRefused (see `require_sweeper`).
    """
    require_sweeper(engine, tables)
    deadline = time.monotonic() + SWEEP_SECONDS
    while (left := _sweep_once(engine, tables)) is not None and time.monotonic() < deadline:
        time.sleep(random.uniform(*PAUSE_S))  # noqa: S311 -- spreads the askers, no secret
    return left


def _sweep_once(engine: Engine, tables: Sequence[str]) -> str | None:
    with engine.connect() as connection:
        if connection.dialect.name == "sqlite":
            return _fold_back(connection)
        return _vacuum(connection, tables)


def _fold_back(connection: Connection) -> str | None:
    driver: Any = connection.connection.driver_connection
    driver.execute("PRAGMA busy_timeout = 0")
    try:
        busy, _, _ = driver.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    finally:
        driver.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
    return "somebody else is reading or writing: the write-ahead log holds the old row" if busy else None


def _vacuum(connection: Connection, tables: Sequence[str]) -> str | None:
    """Vacuum, and read in its report whether dead rows had to stay for a reader of an older state."""
    driver: Any = connection.connection.driver_connection
    told: list[str] = []

    def hear(notice: Any) -> None:
        told.append(str(notice.message_primary))

    driver.add_notice_handler(hear)
    try:
        plain = connection.execution_options(isolation_level="AUTOCOMMIT")
        plain.execute(text(f"VACUUM (VERBOSE) {', '.join(tables)}"))
    finally:
        driver.remove_notice_handler(hear)
    kept = [int(number) for line in told for number in _KEPT.findall(line)]
    if not kept:
        return "PostgreSQL did not report in English what it removed"
    return "somebody reads an older state: the old row is kept for him" if any(kept) else None
