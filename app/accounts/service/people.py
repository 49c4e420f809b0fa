"""People: what a form must say about them, and how they are added."""

import re
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from app.accounts.models import PersonRow
from app.accounts.passwords import MAX_PASSWORD, MIN_PASSWORD
from app.core.clock import now_ms
from app.core.errors import Conflict, Faults, NotFound
from app.core.i18n import LANGUAGES

MAX_EMAIL = 254  # RFC 5321, 4.5.3.1.3

# Deliberately simple: whether an address exists only a message to it can tell.
_EMAIL = re.compile(r"[^\s@\x00-\x1f\"(),:;<>\[\\\]]{1,64}@[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?\.[a-z0-9-]{2,63}")


@dataclass(frozen=True, slots=True)
class PersonEntry:
    """What a form said about a person, checked."""

    email: str
    name: str
    locale: str


@dataclass(frozen=True, slots=True)
class Person:
    """A person who can sign in, with the argon2 hash of the password."""

    id: int
    email: str
    name: str
    locale: str
    password_hash: str
    created_at: int


def normalise_email(text: str) -> str:
    """The address as it is stored and compared: trimmed, lower case."""
    return text.strip().lower()


def check_person(faults: Faults, *, email: str, name: str, password: str | None, locale: str) -> PersonEntry:
    """Note every fault of a person's entries; the value is usable only when there are none."""
    email = normalise_email(email)
    name = " ".join(name.split())
    if len(email) > MAX_EMAIL or not _EMAIL.fullmatch(email):
        faults.add("/email", "This is not an e-mail address.")
    if not 2 <= len(name) <= 200 or not name.isprintable():
        faults.add("/person_name", "The name has 2 to 200 characters.")
    if locale not in LANGUAGES:
        faults.add("/locale", "The language is en or es.")
    if password is not None:
        check_password(faults, password, email=email)
    return PersonEntry(email, name, locale)


def check_password(faults: Faults, password: str, *, email: str) -> None:
    """Note what is wrong with a new password: length, or nothing but one's own address (NIST SP 800-63B, 3.1.1.2)."""
    if not MIN_PASSWORD <= len(password) <= MAX_PASSWORD:
        faults.add("/password", "The password has 12 to 200 characters.")
    elif password.lower() in (email, email.partition("@")[0]) or len(set(password)) < 5:
        faults.add("/password", "This password is too easy to guess.")


def new_person(session: Session, entry: PersonEntry, password_hash: str) -> PersonRow:
    """Add a person in the session's transaction; raises Conflict when the e-mail address has an account."""
    row = PersonRow(
        email=entry.email, name=entry.name, locale=entry.locale, password_hash=password_hash, created_at=now_ms()
    )
    try:
        with session.begin_nested():
            session.add(row)
    except IntegrityError:
        raise Conflict(
            "This e-mail address has an account already.", code="email_taken", fix="Sign in with it instead."
        ) from None
    return row


def person_with_email(session: Session, email: str) -> PersonRow | None:
    """The person with this address, however it is written."""
    return session.scalar(select(PersonRow).where(PersonRow.email == normalise_email(email)))


def find_person(session: Session, *, email: str) -> Person | None:
    """The person with this address, however it is written; None when there is none."""
    row = person_with_email(session, email)
    return None if row is None else _person(row)


def person_by_id(session: Session, person_id: int) -> Person:
    """The person; raises NotFound."""
    row = session.get(PersonRow, person_id, populate_existing=True)
    if row is None:
        raise NotFound
    return _person(row)


def set_password_hash(session: Session, *, person_id: int, password_hash: str) -> None:
    """Replace the hash in the session's transaction; who may do so is the caller's to know."""
    session.get_one(PersonRow, person_id).password_hash = password_hash


def _person(row: PersonRow) -> Person:
    return Person(
        id=row.id,
        email=row.email,
        name=row.name,
        locale=row.locale,
        password_hash=row.password_hash,
        created_at=row.created_at,
    )
