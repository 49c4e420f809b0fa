"""Counts of what comes often, shared by all processes at the price of a dictionary entry.

A request only adds to a dictionary of its process. At most once a second a thread of its own carries what was added
into the database and learns what the other processes counted. So a limit may be passed by what all processes take in
within one round, and no request waits for a disk because somebody else floods.
"""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import structlog
from sqlalchemy import delete
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Mapped, Session, mapped_column

from app.core.clock import now_ms
from app.core.daily_salts import daily_salts
from app.core.database import Base, Bytes, Milliseconds, write_session
from app.core.services import Services

ROUND_SECONDS = 1.0
"""How old what a process knows of the others may be."""
MAX_SUBJECTS = 50_000
"""Subjects that a process keeps; when there are more it forgets what it has carried into the database already."""

logger = structlog.get_logger(__name__)


class TallyRow(Base):
    """How often one subject (its mark of the day) came in one window; deleted soon after the window."""

    __tablename__ = "tallies"

    subject: Mapped[bytes] = mapped_column(Bytes, primary_key=True)
    starts_at: Mapped[int] = mapped_column(Milliseconds, primary_key=True, autoincrement=False)
    ends_at: Mapped[int] = mapped_column(Milliseconds, index=True)
    amount: Mapped[int] = mapped_column(Milliseconds)


@dataclass(slots=True)
class _Count:
    shared: int = 0  # what the database had at the last round
    new: int = 0  # what came since


@dataclass(frozen=True, slots=True)
class Counted:
    """A subject that came since the last round. mark: the hash as which it is stored, the same for a day."""

    subject: str
    mark: bytes
    total: int


Watcher = Callable[[Session, Sequence[Counted]], None]
"""Told in the round's transaction how often the subjects that came since the last round have come in all."""


class Tallies:
    """Counts by subject in fixed windows of `window_ms`; the same window has the same bounds in every process."""

    def __init__(self, services: Services, name: str, *, window_ms: int, watcher: Watcher | None = None) -> None:
        self._services = services
        self._name = name
        self._window_ms = window_ms
        self._watcher = watcher
        self._lock = threading.Lock()
        self._round = threading.Lock()
        self._counts: dict[str, _Count] = {}
        self._starts_at = 0
        self._next_round = time.monotonic() + ROUND_SECONDS
        self._thread: threading.Thread | None = None

    def add(self, *subjects: str) -> int:
        """Count each subject once; gives how often the first of them has come in this window, as far as is known."""
        with self._lock:
            self._turn_the_page()
            for subject in subjects:
                count = self._counts.get(subject)
                if count is None:
                    count = self._counts[subject] = _Count()
                count.new += 1
            first = self._counts[subjects[0]]
            total = first.shared + first.new
            due = time.monotonic() >= self._next_round
            if due:
                self._next_round = time.monotonic() + ROUND_SECONDS
        if due:
            self._thread = threading.Thread(target=self._carry_quietly, name=f"tallies {self._name}", daemon=True)
            self._thread.start()
        return total

    def carry(self) -> None:
        """Carry what was counted into the database, and learn what others counted."""
        with self._round:
            with self._lock:
                self._turn_the_page()
                starts_at = self._starts_at
                fresh = {subject: count.new for subject, count in self._counts.items() if count.new}
            if not fresh:
                return
            totals = self._write(starts_at, fresh)
            with self._lock:
                if self._starts_at != starts_at:
                    return
                for subject, total in totals.items():
                    count = self._counts[subject]
                    count.shared, count.new = total, count.new - fresh[subject]
                if len(self._counts) > MAX_SUBJECTS:
                    self._counts = {subject: count for subject, count in self._counts.items() if count.new}

    def close(self) -> None:
        """Wait for a round that is under way."""
        if self._thread is not None:
            self._thread.join()

    def _turn_the_page(self) -> None:
        now = now_ms()
        starts_at = now - now % self._window_ms
        if starts_at != self._starts_at:
            # What came in the last second of a window is not carried any more: it would change nothing.
            self._counts, self._starts_at = {}, starts_at

    def _write(self, starts_at: int, fresh: Mapping[str, int]) -> dict[str, int]:
        engine, salts = self._services.engine, daily_salts(self._services)
        insert = postgresql.insert if engine.dialect.name == "postgresql" else sqlite.insert
        # In one order everywhere: two transactions never wait for each other's row.
        marks = sorted((salts.mark(f"{self._name} {subject}", starts_at), subject) for subject in fresh)
        with write_session(engine) as session:
            session.execute(delete(TallyRow).where(TallyRow.ends_at <= now_ms()))
            counted: list[Counted] = []
            for mark, subject in marks:
                statement = insert(TallyRow).values(
                    subject=mark, starts_at=starts_at, ends_at=starts_at + self._window_ms, amount=fresh[subject]
                )
                added = statement.on_conflict_do_update(
                    index_elements=[TallyRow.subject, TallyRow.starts_at],
                    set_={"amount": TallyRow.amount + statement.excluded.amount},
                )
                total = session.scalar(added.returning(TallyRow.amount))
                counted.append(Counted(subject, mark, total or fresh[subject]))
            if self._watcher is not None:
                self._watcher(session, counted)
        return {one.subject: one.total for one in counted}

    def _carry_quietly(self) -> None:
        try:
            self.carry()
        except SQLAlchemyError as error:
            # Counting must never be the reason why nobody is answered; the counts stay and go with the next round.
            logger.warning("counts could not be shared", name=self._name, error=type(error).__name__)
