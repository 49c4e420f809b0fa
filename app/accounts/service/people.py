"""People: what a form must say about them, and how they are added."""

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from flask_babel import gettext
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from app.accounts.models import MembershipRow, PersonRow
from app.accounts.password_strength import is_easy_to_guess
from app.accounts.passwords import MAX_PASSWORD, MIN_PASSWORD
from app.core.authorisation import Role
from app.core.clock import now_ms
from app.core.errors import Conflict, Faults, NotFound
from app.core.i18n import LANGUAGES

MANAGING = (Role.OWNER, Role.PLATFORM_ADMINISTRATOR)
"""Roles that look after an organisation: it always has somebody with one of them."""
MAX_EMAIL = 254  # RFC 5321, 4.5.3.1.3

# Whether an address exists only a message to it can tell. ASCII, as mail servers take it without more ado; no question
# mark, since =?utf-8?q?...?= in a header is read as other text than it is, and the letter would go to somebody else.
_EMAIL = re.compile(r"[a-z0-9!#$%&'*+/=^_`{|}~.-]{1,64}@[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?\.[a-z0-9-]{2,63}")


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
        check_password(faults, password, email=email, known=(name,))
    return PersonEntry(email, name, locale)


def check_password(faults: Faults, password: str, *, email: str, known: Iterable[str] = ()) -> None:
    """Note what is wrong with a new password: its length, or that it is soon guessed (NIST SP 800-63B-4, 3.1.1.2).

    known: names of the person and the organisation, which a guesser tries first.
    """
    if not MIN_PASSWORD <= len(password) <= MAX_PASSWORD:
        faults.add("/password", "The password has 12 to 200 characters.")
    elif is_easy_to_guess(password, (email, *known)):
        faults.add(
            "/password",
            "This password is too easy to guess. Four words that nobody else would put together are a good one.",
        )


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


def managers_of(session: Session, organisation_id: int) -> list[Person]:
    """The people who look after an organisation."""
    rows = session.scalars(
        select(PersonRow)
        .join(MembershipRow, MembershipRow.person_id == PersonRow.id)
        .where(MembershipRow.organisation_id == organisation_id, MembershipRow.role.in_(MANAGING))
        .order_by(PersonRow.id)
    )
    return [_person(row) for row in rows]


def member_roles(session: Session, organisation_id: int) -> dict[str, str]:
    """The role of each member, under the name that records have for the person: ``person:7``."""
    found = session.execute(
        select(MembershipRow.person_id, MembershipRow.role)
        .where(MembershipRow.organisation_id == organisation_id)
        .order_by(MembershipRow.person_id)
    )
    return {f"person:{number}": role for number, role in found}


def person_names(session: Session, ids: Collection[int]) -> dict[int, str]:
    """Names by id, in the reader's language for those who were erased; unknown ids are left out."""
    found = session.execute(select(PersonRow.id, PersonRow.name).where(PersonRow.id.in_(ids)))
    return {number: name or gettext("erased person") for number, name in found}


def holds_password(session: Session, *, person_id: int, password_hash: str) -> bool:
    """Whether this is still the person's password hash; if so, it is until the session's transaction ends."""
    asked = select(PersonRow.password_hash).where(PersonRow.id == person_id)
    return session.scalar(asked.with_for_update(read=True)) == password_hash


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
