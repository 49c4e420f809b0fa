"""Signing in and out with a password; answers have one shape and one duration, whatever was wrong."""

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from app.accounts.models import MembershipRow, OrganisationRow, PersonRow, SignInSessionRow
from app.accounts.secrets import (
    MAX_PASSWORD,
    decoy_hash,
    hash_password,
    needs_rehash,
    new_token,
    password_matches,
    token_hash,
)
from app.accounts.service import records
from app.accounts.service.attempts import Limits, count_attempt, forgive_attempt
from app.accounts.service.people import check_password, normalise_email, person_with_email
from app.accounts.values import Membership
from app.accounts.vocabulary import OrganisationStatus
from app.core.authorisation import Role
from app.core.clock import now_ms
from app.core.database import write_session
from app.core.errors import Faults, NotFound, NotSignedIn
from app.core.services import Services

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
    email = normalise_email(email)[:300]
    limits = _limits(email, remote_address)
    count_attempt(services, limits)
    with Session(services.engine) as session:
        person = person_with_email(session, email)
        known_hash = person.password_hash if person else decoy_hash()
        matches = password_matches(known_hash, password[: MAX_PASSWORD + 1])
        if person is None or not matches:
            raise NotSignedIn(_REFUSAL, code="sign_in_refused")
        membership = session.scalars(
            select(MembershipRow)
            .join(OrganisationRow, OrganisationRow.id == MembershipRow.organisation_id)
            .where(MembershipRow.person_id == person.id, OrganisationRow.status != OrganisationStatus.SUSPENDED.value)
            .order_by(OrganisationRow.status != OrganisationStatus.APPROVED.value, MembershipRow.organisation_id)
            .limit(1)
        ).first()
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
                organisation_id=membership.organisation_id,
                created_at=now,
                expires_at=now + SESSION_MS,
            )
        )
        if stronger is not None:
            session.get_one(PersonRow, person.id).password_hash = stronger
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
        organisation_id = session.scalar(
            select(OrganisationRow.id)
            .join(MembershipRow, MembershipRow.organisation_id == OrganisationRow.id)
            .where(MembershipRow.person_id == row.person_id, OrganisationRow.issuer == issuer)
        )
        if organisation_id is None:
            raise NotFound
        row.organisation_id = organisation_id


def memberships_of(session: Session, *, person_id: int) -> list[Membership]:
    """The organisations for which a person can act, by name."""
    found = session.execute(
        select(OrganisationRow, MembershipRow.role)
        .join(MembershipRow, MembershipRow.organisation_id == OrganisationRow.id)
        .where(MembershipRow.person_id == person_id)
        .order_by(OrganisationRow.name, OrganisationRow.id)
    )
    return [Membership(records.organisation(row), Role(role)) for row, role in found]


def change_password(services: Services, *, person_id: int, current: str, new: str, remote_address: str) -> None:
    """Replace a person's password and end all of its sessions; raises NotSignedIn, Invalid, TooMany."""
    with Session(services.engine) as session:
        person = session.get_one(PersonRow, person_id)
    limits = _limits(person.email, remote_address)
    count_attempt(services, limits)
    if not password_matches(person.password_hash, current[: MAX_PASSWORD + 1]):
        raise NotSignedIn("The present password is not right.", code="sign_in_refused")
    forgive_attempt(services, limits)
    faults = Faults()
    check_password(faults, new, email=person.email)
    faults.refuse_if_any("This password can not be used.")
    password_hash = hash_password(new)
    with write_session(services.engine) as session:
        session.get_one(PersonRow, person_id).password_hash = password_hash
        session.execute(delete(SignInSessionRow).where(SignInSessionRow.person_id == person_id))


def _limits(email: str, remote_address: str) -> Limits:
    return {
        f"sign-in pair:{remote_address} {email}": GUESSES_OF_PAIR,
        f"sign-in address:{remote_address}": GUESSES_OF_ADDRESS,
        f"sign-in account:{email}": GUESSES_OF_ACCOUNT,
    }
