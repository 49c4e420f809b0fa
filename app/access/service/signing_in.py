"""Signing in with a password, and the second step; answers have one shape and one duration, whatever was wrong."""

import sys
from dataclasses import dataclass

from sqlalchemy import delete
from sqlalchemy.orm import Session

from app.access.models import RecoveryLinkRow, SignInStepRow
from app.access.service.code_apps import code_limits, use_code
from app.access.service.factors import factors_of, use_recovery_code
from app.access.service.history import SecurityEvent, note_event, note_failure
from app.access.service.letters import Letter, address_of, send_letter
from app.access.service.resets import do_due_reset, refuse_reset_of
from app.access.service.sessions import end_sessions, live_session_of, new_session, renewed
from app.access.visitors import Visitor
from app.accounts import service as accounts
from app.accounts.passwords import MAX_PASSWORD, decoy_hash, hash_password, needs_rehash, password_matches
from app.core.attempts import Limits, count_attempt, forgive_attempt
from app.core.clock import now_ms
from app.core.database import write_session
from app.core.errors import Faults, Invalid, NotSignedIn
from app.core.services import Services
from app.core.tokens import new_token, token_hash

GUESSES_OF_PAIR = 10
"""Guesses from one network address at one account in 15 minutes."""
GUESSES_OF_ADDRESS = 60
GUESSES_OF_ACCOUNT = 100
"""Guesses at one account from everywhere: high, so that a stranger can hardly lock the owner out."""
STEP_MS = 10 * 60 * 1000
"""How long the second step may take."""
REFUSALS_BEFORE_LETTER = 5
"""Wrong codes after a right password in an hour, before the person is told that the password is known."""


@dataclass(frozen=True, slots=True)
class SignedIn:
    """The sign-in is complete: the token of the new session."""

    token: str


@dataclass(frozen=True, slots=True)
class FactorOwed:
    """The password was right and a second factor is owed: the token with which this browser goes on."""

    step: str


@dataclass(frozen=True, slots=True)
class SecondStep:
    """What the second step of a browser can be done with."""

    person_id: int
    passkeys: bool
    code_app: bool


def sign_in(services: Services, *, email: str, password: str, visitor: Visitor) -> SignedIn | FactorOwed:
    """Judge a password; raises NotSignedIn or TooMany.

    The refusal has one shape for every cause; only whoever gave the right password learns that no organisation is left.
    """
    email = accounts.normalise_email(email)[:300]
    limits = _limits(email, visitor)
    count_attempt(services, limits)
    with Session(services.engine) as session:
        person = accounts.find_person(session, email=email)
        known_hash = person.password_hash if person else decoy_hash()
        matches = password_matches(known_hash, password[: MAX_PASSWORD + 1])
        memberships = accounts.memberships_of(session, person_id=person.id if person else 0)
        membership = accounts.first_membership(session, person_id=person.id if person else 0)
    if person is None or not matches:
        _note_refusal(services, person.id if person else None, visitor)
        raise _refusal()
    if membership is None:
        _note_refusal(services, person.id, visitor)
        raise _closed() if memberships else _belongs_nowhere()
    forgive_attempt(services, limits)
    do_due_reset(services, person_id=person.id, visitor=visitor)
    stronger = hash_password(password) if needs_rehash(known_hash) else None
    with write_session(services.engine) as session:
        if not accounts.holds_password(session, person_id=person.id, password_hash=known_hash):
            raise _refusal()  # it was changed since it was compared
        if stronger is not None:
            accounts.set_password_hash(session, person_id=person.id, password_hash=stronger)
        if factors_of(session, person_id=person.id).any:
            return FactorOwed(_new_step(session, person.id))
        note_event(session, person_id=person.id, kind=SecurityEvent.SIGNED_IN_BY_PASSWORD, visitor=visitor)
        return SignedIn(new_session(session, person_id=person.id, strong=False, visitor=visitor))


def _closed() -> NotSignedIn:
    return NotSignedIn(
        "The registry has suspended your organisation: nobody can sign in for it.",
        code="sign_in_refused",
        fix="The message about it says why. Write to the registry.",
    )


def _belongs_nowhere() -> NotSignedIn:
    return NotSignedIn(
        "You belong to no organisation any more.",
        code="sign_in_refused",
        fix="Ask somebody who manages one to invite you again.",
    )


def _refusal() -> NotSignedIn:
    """One answer, whoever asked and whatever was wrong."""
    return NotSignedIn("The e-mail address or the password is not right.", code="sign_in_refused")


def second_step(session: Session, *, step: str) -> SecondStep:
    """What the browser with this step can go on with; raises NotSignedIn when it took too long."""
    row = _live_step(session, step)
    factors = factors_of(session, person_id=row.person_id)
    return SecondStep(row.person_id, factors.passkeys > 0, factors.code_app)


def finish_with_code(services: Services, *, step: str, code: str, visitor: Visitor) -> str:
    """The token of a new session, for a code of the app or a recovery code; raises NotSignedIn, TooMany."""
    with Session(services.engine) as session:
        person_id = _live_step(session, step).person_id
    limits = code_limits(person_id)
    count_attempt(services, limits)
    with write_session(services.engine) as session:
        kind = None
        if use_code(session, services, person_id=person_id, code=code):
            kind = SecurityEvent.SIGNED_IN_BY_CODE
        elif use_recovery_code(session, services, person_id=person_id, code=code):
            kind = SecurityEvent.SIGNED_IN_BY_RECOVERY_CODE
        if kind is None:
            _note_wrong_code(session, services, person_id, visitor)
        else:
            token = finish_step(session, step=step, kind=kind, visitor=visitor)
    if kind is None:
        raise NotSignedIn("This code is not right.", code="code_refused")
    forgive_attempt(services, limits)
    refuse_reset_of(services, person_id=person_id, visitor=visitor)
    return token


def finish_step(session: Session, *, step: str, kind: SecurityEvent, visitor: Visitor) -> str:
    """Turn a second step that was done into a session, in the database session's transaction; raises NotSignedIn.

    A step is used once: of two requests with one step, the second finds it gone.
    """
    done = session.scalars(
        delete(SignInStepRow)
        .where(SignInStepRow.token_hash == token_hash(step), SignInStepRow.expires_at > now_ms())
        .returning(SignInStepRow.person_id)
    ).all()
    if not done:
        raise _step_is_over()
    note_event(session, person_id=done[0], kind=kind, visitor=visitor)
    return new_session(session, person_id=done[0], strong=True, visitor=visitor)


def confirm_with_password(services: Services, *, token: str, password: str, visitor: Visitor) -> str:
    """The new token of a session whose person gave the password once more; raises NotSignedIn, Invalid, TooMany."""
    with Session(services.engine) as session:
        person_id = live_session_of(session, token).person_id
    _refuse_wrong_password(services, person_id=person_id, password=password, visitor=visitor)
    with write_session(services.engine) as session:
        return renewed(session, token)


def change_password(services: Services, *, person_id: int, token: str, current: str, new: str, visitor: Visitor) -> str:
    """Replace a person's password, end all other sessions, and give the new token of this one.

    Raises NotSignedIn, Invalid, TooMany.
    """
    _refuse_wrong_password(services, person_id=person_id, password=current, visitor=visitor)
    password_hash = hash_of_new_password(services, person_id=person_id, new=new)
    with write_session(services.engine) as session:
        set_password(session, services, person_id=person_id, password_hash=password_hash)
        note_event(session, person_id=person_id, kind=SecurityEvent.PASSWORD_CHANGED, visitor=visitor)
        end_sessions(session, person_id=person_id, but=token)
        return renewed(session, token)


def hash_of_new_password(services: Services, *, person_id: int, new: str) -> str:
    """Judge a new password and give its hash: slow on purpose, so before any transaction; raises Invalid."""
    with Session(services.engine) as session:
        person = accounts.person_by_id(session, person_id)
        firms = [found.organisation.name for found in accounts.memberships_of(session, person_id=person_id)]
    faults = Faults()
    accounts.check_password(faults, new, email=person.email, known=(person.name, *firms))
    faults.refuse_if_any("This password can not be used.")
    return hash_password(new)


def set_password(session: Session, services: Services, *, person_id: int, password_hash: str) -> None:
    """Store a new password and tell its person, in the session's transaction.

    Links that were mailed for the old one, and sign-ins that were begun with it, lead nowhere any more.
    """
    accounts.set_password_hash(session, person_id=person_id, password_hash=password_hash)
    session.flush()
    session.execute(delete(RecoveryLinkRow).where(RecoveryLinkRow.person_id == person_id))
    session.execute(delete(SignInStepRow).where(SignInStepRow.person_id == person_id))
    address = address_of(services, "/recover")
    send_letter(session, services, Letter.PASSWORD_CHANGED, person_id=person_id, address=address)


def _refuse_wrong_password(services: Services, *, person_id: int, password: str, visitor: Visitor) -> None:
    with Session(services.engine) as session:
        person = accounts.person_by_id(session, person_id)
    limits = _limits(person.email, visitor)
    count_attempt(services, limits)
    if not password_matches(person.password_hash, password[: MAX_PASSWORD + 1]):
        _note_refusal(services, person_id, visitor)
        raise Invalid("The present password is not right.", code="password_refused")
    forgive_attempt(services, limits)


def _note_refusal(services: Services, person_id: int | None, visitor: Visitor) -> None:
    """Write down that a password was refused; for nobody in particular as much is written, so that it takes as long."""
    if person_id is None:
        count_attempt(services, {"sign-in of nobody": sys.maxsize})
        return
    with write_session(services.engine) as session:
        note_failure(session, person_id=person_id, kind=SecurityEvent.PASSWORD_REFUSED, visitor=visitor)


def _note_wrong_code(session: Session, services: Services, person_id: int, visitor: Visitor) -> None:
    times = note_failure(session, person_id=person_id, kind=SecurityEvent.CODE_REFUSED, visitor=visitor)
    if times == REFUSALS_BEFORE_LETTER:
        address = address_of(services, "/recover")
        send_letter(session, services, Letter.CODES_REFUSED, person_id=person_id, address=address)


def _new_step(session: Session, person_id: int) -> str:
    token, now = new_token(), now_ms()
    session.execute(delete(SignInStepRow).where(SignInStepRow.expires_at <= now))
    session.add(SignInStepRow(token_hash=token_hash(token), person_id=person_id, expires_at=now + STEP_MS))
    return token


def _live_step(session: Session, step: str) -> SignInStepRow:
    row = session.get(SignInStepRow, token_hash(step), populate_existing=True)
    if row is None or row.expires_at <= now_ms():
        raise _step_is_over()
    return row


def _step_is_over() -> NotSignedIn:
    return NotSignedIn("The second step took too long. Begin again with your password.", code="step_over")


def _limits(email: str, visitor: Visitor) -> Limits:
    return {
        f"sign-in pair:{visitor.address} {email}": GUESSES_OF_PAIR,
        f"sign-in address:{visitor.address}": GUESSES_OF_ADDRESS,
        f"sign-in account:{email}": GUESSES_OF_ACCOUNT,
    }
