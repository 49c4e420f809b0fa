"""The worker's broom: once a day what has been kept long enough goes, a little at a time.

Each task is gone through in small transactions that are timed, and the next one is smaller when the last took long:
nobody who writes waits for it. A round that is cut off begins again at the task it had not finished, and finds there
only what is left.
"""

import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial

import structlog
from sqlalchemy import Engine, Table, delete, func, select, tuple_
from sqlalchemy.dialects import postgresql, sqlite

from app.core.clock import now_ms
from app.core.daily_salts import DailySaltRow, daily_salts
from app.core.database import write_session
from app.core.rounds import regularly
from app.core.services import Services
from app.devices import service as devices
from app.facts import service as facts
from app.migrations.tables import metadata
from app.privacy.models import RetentionRoundRow
from app.privacy.retention_rules import DAY_MS, LABEL_FILES_MS, RULES, Rule
from ledger.storage.engine import begin_write
from ledger.storage.sweeping import overwrite_freed_rows

LOOK_SECONDS = 60.0
STOP_SECONDS = 5.0
FIRST_CHUNK = 100
LARGEST_CHUNK = 2_000
GOAL_S = 0.02
"""How long one transaction should take."""
PAUSE_S = 0.06
"""Between two transactions: SQLite lets whoever waits try again after up to 50 ms, and must find the way free then."""

logger = structlog.get_logger(__name__)
Stopping = Callable[[], bool]


def regular_retention(services: Services) -> AbstractContextManager[None]:
    """Do what is due in a thread of its own for the length of the block."""

    def look(stopping: threading.Event) -> None:
        run_due_tasks(services, now=now_ms(), stopping=stopping.is_set)

    return regularly("retention", look, seconds=LOOK_SECONDS, stop_seconds=STOP_SECONDS)


def run_due_tasks(services: Services, *, now: int, stopping: Stopping = lambda: False) -> dict[str, int]:
    """Go through the tasks that were not finished within the last day; gives how much each removed.

    now: ms. The salts of days that are over are destroyed at every call.
    """
    _destroy_salts(services, now)
    finished = _finished(services.engine)
    done: dict[str, int] = {}
    for task, run in _tasks(services, now, stopping).items():
        if stopping():
            break
        if abs(now - finished.get(task, -DAY_MS)) < DAY_MS:
            continue
        removed = run()
        if stopping():
            break  # it may have been left half-way
        _note(services.engine, task, now, removed)
        done[task] = removed
        if removed:
            logger.info("retention", task=task, removed=removed)
    return done


def _tasks(services: Services, now: int, stopping: Stopping) -> dict[str, Callable[[], int]]:
    tasks: dict[str, Callable[[], int]] = {
        rule.task: partial(remove_old_rows, services.engine, rule, now=now, stopping=stopping) for rule in RULES
    }
    kept_ms = services.settings.scan_retention_days * DAY_MS
    tasks["label files"] = lambda: remove_label_files(services, now=now)
    tasks["device_statements"] = lambda: devices.forget_statements(services.engine, before=now - kept_ms)
    tasks["scans"] = lambda: _redact(services, now, stopping)
    return tasks


def remove_old_rows(engine: Engine, rule: Rule, *, now: int, stopping: Stopping = lambda: False) -> int:
    """Remove the rows of a table whose time is over; returns how many. now: ms."""
    table: Table = metadata.tables[rule.table]
    keys = list(table.primary_key)
    old = select(*keys).where(table.c[rule.column] <= now - rule.kept_ms)
    chunk, removed = FIRST_CHUNK, 0
    while not stopping():
        started = time.monotonic()
        with begin_write(engine) as connection:
            overwrite_freed_rows(connection)
            found = connection.execute(old.limit(chunk)).all()
            if found:
                connection.execute(delete(table).where(tuple_(*keys).in_([tuple(row) for row in found])))
        removed += len(found)
        if len(found) < chunk:
            break
        took = time.monotonic() - started
        time.sleep(PAUSE_S)
        chunk = max(1, chunk // 2) if took > GOAL_S else min(LARGEST_CHUNK, chunk * 2) if took < GOAL_S / 2 else chunk
    return removed


def remove_label_files(services: Services, *, now: int) -> int:
    """Remove label sheets that were made long ago; returns how many. They can be made again."""
    folder = services.settings.data_dir / "labels"
    removed = 0
    for path in folder.iterdir() if folder.is_dir() else ():
        if path.is_file() and now - path.stat().st_mtime_ns // 1_000_000 > LABEL_FILES_MS:
            path.unlink(missing_ok=True)
            removed += 1
    return removed


def _redact(services: Services, now: int, stopping: Stopping) -> int:
    try:
        return facts.redact_old_scans(services, now=now, stopping=stopping)
    except facts.ScansDiffer as difference:
        # Nothing is removed that an audit would name: it says which scans they are, and when that is clear it goes on.
        logger.error("scans are not redacted", reason=str(difference))  # noqa: TRY400  a finding, not a crash
        return 0


def _destroy_salts(services: Services, now: int) -> None:
    with services.engine.connect() as connection:
        past = select(func.count()).select_from(DailySaltRow).where(DailySaltRow.day < now // DAY_MS)
        if not connection.scalar(past):
            return
    daily_salts(services).destroy_past(now)
    logger.info("the salt of a day that is over was destroyed")


def _finished(engine: Engine) -> dict[str, int]:
    with engine.connect() as connection:
        rows = connection.execute(select(RetentionRoundRow.task, RetentionRoundRow.finished_at))
        return {task: finished_at for task, finished_at in rows}  # noqa: C416  dict(rows) has no types


def _note(engine: Engine, task: str, now: int, removed: int) -> None:
    insert = postgresql.insert if engine.dialect.name == "postgresql" else sqlite.insert
    noted = {"finished_at": now, "removed": removed}
    with write_session(engine) as session:
        statement = insert(RetentionRoundRow).values(task=task, **noted)
        session.execute(statement.on_conflict_do_update(index_elements=[RetentionRoundRow.task], set_=noted))
