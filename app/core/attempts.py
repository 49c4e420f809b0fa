"""The brake on guessing and on mass sign-up: attempts counted in the database, so that all processes share it."""

from sqlalchemy import delete, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Mapped, mapped_column

from app.core.clock import now_ms
from app.core.daily_salts import address_mark, daily_salts
from app.core.database import Base, Bytes, Milliseconds, write_session
from app.core.errors import TooMany
from app.core.services import Services

WINDOW_MS = 15 * 60 * 1000
"""Attempts are forgotten this long after the first of them."""

Limits = dict[str, int]
"""Largest number of attempts in a window by subject, for instance ``{"address:192.0.2.7": 60}``."""


class AttemptRow(Base):
    """Attempts of one subject in its current window: the brake on guessing, shared by all processes.

    A subject is kept as its mark of the day: addresses and e-mails of people who failed are nobody's reading. At
    midnight UTC counting begins anew.
    """

    __tablename__ = "attempts"

    subject: Mapped[bytes] = mapped_column(Bytes, primary_key=True)
    attempts: Mapped[int] = mapped_column()
    window_ends_at: Mapped[int] = mapped_column(Milliseconds)


def count_attempt(services: Services, limits: Limits) -> None:
    """Count one attempt against each subject; raises TooMany when one of them has had its share.

    The attempt is counted before it is judged: a thousand guesses sent at once do not slip through together.
    """
    if not services.settings.rate_limits:
        return
    now = now_ms()
    # In one order everywhere: two transactions never wait for each other's row.
    subjects = [(daily_salts(services).mark(subject, now), subject) for subject in sorted(limits)]
    insert = postgresql.insert if services.engine.dialect.name == "postgresql" else sqlite.insert
    exceeded = False
    with write_session(services.engine) as session:
        session.execute(delete(AttemptRow).where(AttemptRow.window_ends_at <= now))
        for mark, subject in subjects:
            statement = insert(AttemptRow).values(subject=mark, attempts=1, window_ends_at=now + WINDOW_MS)
            statement = statement.on_conflict_do_update(
                index_elements=[AttemptRow.subject], set_={"attempts": AttemptRow.attempts + 1}
            )
            attempts = session.scalar(statement.returning(AttemptRow.attempts))
            exceeded = exceeded or (attempts or 0) > limits[subject]
    if exceeded:
        raise TooMany(
            "There were too many attempts. Wait 15 minutes, then try again.",
            code="too_many_attempts",
            retry_after=WINDOW_MS // 1000,
        )


def forgive_attempt(services: Services, limits: Limits) -> None:
    """Take one attempt back: it was no guess."""
    if not services.settings.rate_limits:
        return
    subjects = [address_mark(services, subject) for subject in sorted(limits)]
    with write_session(services.engine) as session:
        session.execute(
            update(AttemptRow)
            .where(AttemptRow.subject.in_(subjects), AttemptRow.attempts > 0)
            .values(attempts=AttemptRow.attempts - 1)
        )
