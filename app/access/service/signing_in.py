"""Signing in and out with a password; answers have one shape and one duration, whatever was wrong."""

from sqlalchemy import delete
from sqlalchemy.orm import Session

from app.access.models import SignInSessionRow
from app.accounts import service as accounts
from app.accounts.passwords import MAX_PASSWORD, decoy_hash, hash_password, needs_rehash, password_matches
from app.core.attempts import Limits, count_attempt, forgive_attempt
from app.core.clock import now_ms
from app.core.database import write_session
from app.core.errors import Faults, NotFound, NotSignedIn
from app.core.services import Services
from app.core.tokens import new_token, token_hash

SESSION_MS = 12 * 3600 * 1000
"""How long a browser stays signed in."""
GUESSES_OF_PAIR = 10
"""Guesses from one network address at one account in 15 minutes."""
GUESSES_OF_ADDRESS = 60
GUESSES_OF_ACCOUNT = 100
"""Guesses at one account from everywhere: high, so that a stranger can hardly lock the owner out."""

_REFUSAL = "The e-mail address or the password is not right."


def sign_in(services: Services, *, email: str, password: str, remote_address: str) -> str:
    """The token of a new session; raises NotSignedIn (one shape for every cause) or TooMany."""
    email = accounts.normalise_email(email)[:300]
    limits = _limits(email, remote_address)
    count_attempt(services, limits)
    with Session(services.engine) as session:
        person = accounts.find_person(session, email=email)
        known_hash = person.password_hash if person else decoy_hash()
        matches = password_matches(known_hash, password[: MAX_PASSWORD + 1])
        if person is None or not matches:
            raise NotSignedIn(_REFUSAL, code="sign_in_refused")
        membership = accounts.first_membership(session, person_id=person.id)
    if membership is None:
        raise NotSignedIn(_REFUSAL, code="sign_in_refused")
    forgive_attempt(services, limits)
    token = new_token()
    stronger = hash_password(password) if needs_rehash(known_hash) else None
    now = now_ms()
    with write_session(services.engine) as session:
        session.execute(delete(SignInSessionRow).where(SignInSessionRow.expires_at <= now))
        session.add(
            SignInSessionRow(
                token_hash=token_hash(token),
                person_id=person.id,
                organisation_id=membership.organisation.id,
                created_at=now,
                expires_at=now + SESSION_MS,
            )
        )
        if stronger is not None:
            accounts.set_password_hash(session, person_id=person.id, password_hash=stronger)
    return token


def sign_out(services: Services, *, token: str) -> None:
    """End the session; nothing happens when it has ended already."""
    with write_session(services.engine) as session:
        session.execute(delete(SignInSessionRow).where(SignInSessionRow.token_hash == token_hash(token)))


def switch_organisation(services: Services, *, token: str, issuer: str) -> None:
    """Let the signed-in person act for another of its organisations; raises NotSignedIn, NotFound."""
    with write_session(services.engine) as session:
        row = session.get(SignInSessionRow, token_hash(token))
        if row is None or row.expires_at <= now_ms():
            raise NotSignedIn
        organisations = {
            membership.organisation.issuer: membership.organisation.id
            for membership in accounts.memberships_of(session, person_id=row.person_id)
        }
        if issuer not in organisations:
            raise NotFound
        row.organisation_id = organisations[issuer]


def change_password(services: Services, *, person_id: int, current: str, new: str, remote_address: str) -> None:
    """Replace a person's password and end all of its sessions; raises NotSignedIn, Invalid, TooMany."""
    with Session(services.engine) as session:
        person = accounts.person_by_id(session, person_id)
    limits = _limits(person.email, remote_address)
    count_attempt(services, limits)
    if not password_matches(person.password_hash, current[: MAX_PASSWORD + 1]):
        raise NotSignedIn("The present password is not right.", code="sign_in_refused")
    forgive_attempt(services, limits)
    faults = Faults()
    accounts.check_password(faults, new, email=person.email)
    faults.refuse_if_any("This password can not be used.")
    password_hash = hash_password(new)
    with write_session(services.engine) as session:
        accounts.set_password_hash(session, person_id=person_id, password_hash=password_hash)
        session.execute(delete(SignInSessionRow).where(SignInSessionRow.person_id == person_id))


def _limits(email: str, remote_address: str) -> Limits:
    return {
        f"sign-in pair:{remote_address} {email}": GUESSES_OF_PAIR,
        f"sign-in address:{remote_address}": GUESSES_OF_ADDRESS,
        f"sign-in account:{email}": GUESSES_OF_ACCOUNT,
    }
