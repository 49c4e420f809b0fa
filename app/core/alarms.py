"""Security alarms of the registry: raised once for a thing that goes on, with a mail to its administrators.

An alarm names what is attacked or what attacks, never a person: an address stands there as a short keyed hash.
"""

from dataclasses import dataclass
from enum import StrEnum

import structlog
from sqlalchemy import Engine, Index, String, func, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from app.core.clock import now_ms
from app.core.database import Base, BigId, Milliseconds

GOES_ON_MS = 3_600_000
"""The same again within an hour is the same alarm; after a quiet hour it is a new one."""
LOUD = 5
"""New alarms in an hour that send a mail; the rest is on the page, in the log and in /health."""
DAY_MS = 24 * 3_600_000

logger = structlog.get_logger(__name__)


class AlarmKind(StrEnum):
    """What was noticed."""

    GUESSING_ADDRESS = "guessing.address"
    GUESSING_BATCH = "guessing.batch"
    GUESSING_PRODUCT = "guessing.product"
    GUESSING_EVERYWHERE = "guessing.everywhere"


class AlarmRow(Base):
    """One alarm; `amount` is the largest number seen in one window."""

    __tablename__ = "alarms"
    __table_args__ = (Index(None, "kind", "subject"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    kind: Mapped[str] = mapped_column(String(32))
    subject: Mapped[str] = mapped_column(String(120))
    amount: Mapped[int] = mapped_column(Milliseconds)
    raised_at: Mapped[int] = mapped_column(Milliseconds)
    last_at: Mapped[int] = mapped_column(Milliseconds, index=True)


@dataclass(frozen=True, slots=True)
class Alarm:
    """An alarm as administrators see it. amount: the most in one window. Times in milliseconds."""

    kind: AlarmKind
    subject: str
    amount: int
    raised_at: int
    last_at: int


def raise_alarm(session: Session, kind: AlarmKind, *, subject: str, amount: int) -> bool:
    """Raise an alarm in the session's transaction, or note that it goes on; says whether people should be told."""
    now = now_ms()
    row = session.scalar(
        select(AlarmRow)
        .where(AlarmRow.kind == kind.value, AlarmRow.subject == subject, AlarmRow.last_at > now - GOES_ON_MS)
        .limit(1)
    )
    if row is not None:
        row.last_at, row.amount = now, max(row.amount, amount)
        return False
    recent = session.scalar(select(func.count()).select_from(AlarmRow).where(AlarmRow.raised_at > now - GOES_ON_MS))
    session.add(AlarmRow(kind=kind.value, subject=subject, amount=amount, raised_at=now, last_at=now))
    session.flush()
    logger.error("alarm", kind=kind.value, subject=subject, amount=amount)
    return (recent or 0) < LOUD


def list_alarms(session: Session, *, limit: int = 200) -> list[Alarm]:
    """The newest alarms, the last first."""
    rows = session.scalars(select(AlarmRow).order_by(AlarmRow.last_at.desc(), AlarmRow.id.desc()).limit(limit))
    return [Alarm(AlarmKind(row.kind), row.subject, row.amount, row.raised_at, row.last_at) for row in rows]


def count_recent_alarms(engine: Engine) -> int:
    """How many alarms went on within a day."""
    with Session(engine) as session:
        query = select(func.count()).select_from(AlarmRow).where(AlarmRow.last_at > now_ms() - DAY_MS)
        return session.scalar(query) or 0
