"""Codes from an app as a second factor: TOTP (RFC 6238), six digits, thirty seconds, SHA-1 as every app has it."""

import hmac
from dataclasses import dataclass

import pyotp
from sqlalchemy import delete, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from app.access.models import CodeAppRow
from app.access.service.factors import tidy_after_removal
from app.access.service.history import SecurityEvent, note_event
from app.access.service.letters import Letter, send_letter
from app.access.service.sessions import renewed
from app.access.visitors import Visitor
from app.accounts import service as accounts
from app.core.attempts import Limits, count_attempt, forgive_attempt
from app.core.clock import now_ms
from app.core.database import write_session
from app.core.errors import Conflict, Invalid, NotFound
from app.core.services import Services

STEP_SECONDS = 30
DRIFT = 1
"""Time steps by which an app's clock may be off, before and after (RFC 6238, 5.2)."""
GUESSES = 10
"""Codes that may be tried for one person in 15 minutes: three right ones in a million, so 1 in 30,000."""

_CONTEXT = "code app"


@dataclass(frozen=True, slots=True)
class NewCodeApp:
    """What an app needs to make codes: the secret in base32, and the same as an ``otpauth://`` address."""

    secret: str
    address: str


def begin_code_app(services: Services, *, person_id: int) -> NewCodeApp:
    """A new secret for an app; it counts for nothing until `confirm_code_app`. Raises Conflict when there is an app."""
    secret = pyotp.random_base32(32)
    insert = postgresql.insert if services.engine.dialect.name == "postgresql" else sqlite.insert
    with write_session(services.engine) as session:
        person = accounts.person_by_id(session, person_id)
        fresh = {
            "sealed_secret": services.sealer.seal(secret.encode(), f"{_CONTEXT} of person {person_id}"),
            "last_step": 0,
            "created_at": now_ms(),
        }
        # One statement: of two requests at once none meets the other's row.
        begun = session.scalars(
            insert(CodeAppRow)
            .values(person_id=person_id, **fresh)
            .on_conflict_do_update(
                index_elements=[CodeAppRow.person_id], set_=fresh, where=CodeAppRow.confirmed_at.is_(None)
            )
            .returning(CodeAppRow.person_id)
        ).all()
        if not begun:
            raise Conflict(
                "There is an app already.", code="code_app_exists", fix="Remove it before you set another up."
            )
    return _new(services, secret, person.email)


def pending_code_app(session: Session, services: Services, *, person_id: int) -> NewCodeApp | None:
    """The app that waits for its first code; None when there is none."""
    row = session.get(CodeAppRow, person_id)
    if row is None or row.confirmed_at is not None:
        return None
    return _new(services, _secret(services, row), accounts.person_by_id(session, person_id).email)


def confirm_code_app(services: Services, *, person_id: int, token: str, code: str, visitor: Visitor) -> str:
    """Let the app count from now on, because it gave the right code; gives the new token of the person's session.

    Raises NotFound when no app waits, Invalid for a wrong code, TooMany.
    """
    limits = code_limits(person_id)
    count_attempt(services, limits)
    with write_session(services.engine) as session:
        row = session.get(CodeAppRow, person_id)
        if row is None or row.confirmed_at is not None:
            raise NotFound
        if not use_code(session, services, person_id=person_id, code=code, confirmed=False):
            raise Invalid(
                "This is not the app's code of this moment.",
                code="wrong_code",
                fix="Wait for the next code; when it is refused too, set the clock of your telephone.",
            )
        row.confirmed_at = now_ms()
        note_event(session, person_id=person_id, kind=SecurityEvent.CODE_APP_ADDED, visitor=visitor)
        new_token = renewed(session, token, strong=True)
    forgive_attempt(services, limits)
    return new_token


def remove_code_app(services: Services, *, person_id: int, visitor: Visitor) -> None:
    """Remove the app, and tell its person by mail; raises NotFound."""
    with write_session(services.engine) as session:
        removed = session.scalars(
            delete(CodeAppRow).where(CodeAppRow.person_id == person_id).returning(CodeAppRow.confirmed_at)
        ).all()
        if not removed:
            raise NotFound
        if removed[0] is None:
            return
        note_event(session, person_id=person_id, kind=SecurityEvent.CODE_APP_REMOVED, visitor=visitor)
        send_letter(session, services, Letter.FACTOR_REMOVED, person_id=person_id)
        tidy_after_removal(session, person_id=person_id)


def code_limits(person_id: int) -> Limits:
    """The brake on guessing a person's codes: from everywhere together, since the password was right already."""
    return {f"second factor:{person_id}": GUESSES}


def use_code(session: Session, services: Services, *, person_id: int, code: str, confirmed: bool = True) -> bool:
    """Whether `code` is the app's code of now, or of a step beside; no step is accepted twice, nor one before it."""
    row = session.get(CodeAppRow, person_id)
    digits = "".join(code.split())
    if row is None or (row.confirmed_at is not None) is not confirmed or not (digits.isascii() and digits.isdigit()):
        return False
    totp = pyotp.TOTP(_secret(services, row), interval=STEP_SECONDS)
    now = now_ms() // 1000 // STEP_SECONDS
    matching = [
        step for step in range(now - DRIFT, now + DRIFT + 1) if hmac.compare_digest(totp.generate_otp(step), digits)
    ]
    if not matching:
        return False
    # The database decides: of two requests with one code, one finds the step used.
    taken = session.scalars(
        update(CodeAppRow)
        .where(CodeAppRow.person_id == person_id, CodeAppRow.last_step < max(matching))
        .values(last_step=max(matching))
        .returning(CodeAppRow.person_id)
    ).all()
    return bool(taken)


def _secret(services: Services, row: CodeAppRow) -> str:
    return services.sealer.open(row.sealed_secret, f"{_CONTEXT} of person {row.person_id}").decode()


def _new(services: Services, secret: str, email: str) -> NewCodeApp:
    totp = pyotp.TOTP(secret, interval=STEP_SECONDS)
    return NewCodeApp(secret, totp.provisioning_uri(name=email, issuer_name=services.settings.registry_name))
