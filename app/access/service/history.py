"""What happened to a person's account, as its person reads it: coarse, and kept for 180 days."""

from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from app.access.models import SecurityEventRow
from app.access.visitors import Visitor
from app.core.clock import now_ms

KEPT_MS = 180 * 24 * 3600 * 1000
SHOWN = 50
HOUR_MS = 3600 * 1000


class SecurityEvent(StrEnum):
    """What happened."""

    SIGNED_IN_BY_PASSWORD = "signed_in_by_password"  # noqa: S105  a word, no secret
    SIGNED_IN_BY_CODE = "signed_in_by_code"
    SIGNED_IN_BY_PASSKEY = "signed_in_by_passkey"
    SIGNED_IN_BY_RECOVERY_CODE = "signed_in_by_recovery_code"
    PASSWORD_REFUSED = "password_refused"  # noqa: S105
    CODE_REFUSED = "code_refused"
    PASSKEY_REFUSED = "passkey_refused"
    PASSKEY_COUNTER_WENT_BACK = "passkey_counter_went_back"
    PASSWORD_CHANGED = "password_changed"  # noqa: S105
    RECOVERY_ASKED = "recovery_asked"
    PASSWORD_RECOVERED = "password_recovered"  # noqa: S105
    PASSKEY_ADDED = "passkey_added"
    PASSKEY_REMOVED = "passkey_removed"
    CODE_APP_ADDED = "code_app_added"
    CODE_APP_REMOVED = "code_app_removed"
    RECOVERY_CODES_MADE = "recovery_codes_made"
    SESSION_ENDED = "session_ended"
    RESET_ASKED = "reset_asked"
    RESET_REFUSED = "reset_refused"
    RESET_DONE = "reset_done"


@dataclass(frozen=True, slots=True)
class AccountEvent:
    """One line of the history; `times` is above one for failures of one hour."""

    kind: SecurityEvent
    times: int
    browser: str
    place: str
    at: int


def note_event(session: Session, *, person_id: int, kind: SecurityEvent, visitor: Visitor) -> None:
    """Write down what happened, in the session's transaction, and drop what is too old."""
    now = now_ms()
    session.execute(delete(SecurityEventRow).where(SecurityEventRow.at < now - KEPT_MS))
    session.add(_row(person_id, kind, visitor, now))


def note_failure(session: Session, *, person_id: int, kind: SecurityEvent, visitor: Visitor) -> int:
    """Write a failure down; gives how many of its kind there were in the hour, one line for all of them.

    A guesser must not be able to fill the history, or push the person's own visits out of sight.
    """
    now = now_ms()
    counted = session.scalar(
        update(SecurityEventRow)
        .where(
            SecurityEventRow.person_id == person_id,
            SecurityEventRow.kind == kind.value,
            SecurityEventRow.at > now - HOUR_MS,
        )
        .values(times=SecurityEventRow.times + 1)
        .returning(SecurityEventRow.times)
        .execution_options(synchronize_session=False)
    )
    if counted is not None:
        return int(counted)
    session.add(_row(person_id, kind, visitor, now))
    return 1


def list_events(session: Session, *, person_id: int) -> list[AccountEvent]:
    """The latest lines of the person's history, newest first."""
    rows = session.scalars(
        select(SecurityEventRow)
        .where(SecurityEventRow.person_id == person_id, SecurityEventRow.at >= now_ms() - KEPT_MS)
        .order_by(SecurityEventRow.at.desc(), SecurityEventRow.id.desc())
        .limit(SHOWN)
    )
    return [AccountEvent(SecurityEvent(row.kind), row.times, row.browser, row.place, row.at) for row in rows]


def _row(person_id: int, kind: SecurityEvent, visitor: Visitor, at: int) -> SecurityEventRow:
    return SecurityEventRow(
        person_id=person_id, kind=kind.value, times=1, browser=visitor.browser, place=visitor.place, at=at
    )
