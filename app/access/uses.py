"""When a machine was last used, to the day: written at most once a day by each process, beside the request's work."""

from collections.abc import Collection
from threading import Lock

import structlog
from sqlalchemy import select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from app.access.machine_models import MachineUseRow
from app.core.authorisation import Principal
from app.core.clock import now_ms
from app.core.database import write_session
from app.core.services import Services

DAY_MS = 24 * 3600 * 1000
_MOST_NOTED = 100_000

logger = structlog.get_logger(__name__)


class NotedUses:
    """The days that this process has written already."""

    def __init__(self) -> None:
        self.days: dict[str, int] = {}
        self.lock = Lock()


def note_use(services: Services, principal: Principal) -> None:
    """Write that the machine called today, unless this process did so before. A database that can not write is borne.

    Called when a credential had to be looked up, never for one that is remembered.
    """
    machine, today = principal.machine, now_ms() // DAY_MS
    noted: NotedUses = services.features.setdefault(NotedUses, NotedUses())
    with noted.lock:
        if machine is None or noted.days.get(machine) == today:
            return
        if len(noted.days) >= _MOST_NOTED:
            noted.days.clear()
        noted.days[machine] = today
    insert = postgresql.insert if services.engine.dialect.name == "postgresql" else sqlite.insert
    statement = insert(MachineUseRow).values(machine=machine, day=today)
    try:
        with write_session(services.engine) as session:
            session.execute(
                statement.on_conflict_do_update(
                    index_elements=[MachineUseRow.machine],
                    set_={"day": statement.excluded.day},
                    where=MachineUseRow.day < statement.excluded.day,
                )
            )
    except OperationalError as error:
        logger.warning("the use of a machine was not noted", machine=machine, error=type(error.orig).__name__)


def last_days(session: Session, machines: Collection[str]) -> dict[str, int]:
    """The last day of use of each machine that was used: the beginning of the day in UTC, in milliseconds."""
    rows = session.execute(select(MachineUseRow.machine, MachineUseRow.day).where(MachineUseRow.machine.in_(machines)))
    return {machine: day * DAY_MS for machine, day in rows}
