"""Signing up: an application waits, sealed, until the link in a letter is used; nobody learns who has an account.

Known and unknown addresses get the same answer at the same cost: one password hash, one sealed application, one letter.
Only the letter differs, and only its reader sees that.
"""

from dataclasses import dataclass

import orjson
from sqlalchemy import delete
from sqlalchemy.orm import Session

from app.accounts.joining_models import ApplicationRow
from app.accounts.passwords import hash_password
from app.accounts.service import letters
from app.accounts.service.organisations import add_organisation, check_country, check_name
from app.accounts.service.people import PersonEntry, check_person, find_person, new_person
from app.accounts.values import Organisation
from app.accounts.vocabulary import KINDS_OPEN_TO_SIGN_UP, OrganisationKind
from app.core.attempts import count_attempt
from app.core.clock import now_ms
from app.core.database import write_session
from app.core.errors import Conflict, Faults, NotFound
from app.core.services import Services
from app.core.tokens import new_token, token_hash

SIGN_UPS_OF_ADDRESS = 10
"""Applications that one network address may send in 15 minutes."""
SIGN_UPS_OF_EMAIL = 3
"""Applications for one e-mail address in 15 minutes: nobody's inbox is filled from here."""
APPLICATION_MS = 24 * 3600 * 1000
"""How long the link in the letter works."""
_CONTEXT = "application"


@dataclass(frozen=True, slots=True)
class Application:
    """What a person confirms by the link in the letter."""

    name: str
    country: str
    kind: OrganisationKind
    person: PersonEntry
    password_hash: str


@dataclass(frozen=True, slots=True)
class Joined:
    """A person and the organisation that it now acts for; is_new: the person had no account before."""

    person_id: int
    organisation: Organisation
    is_new: bool


def ask_to_join(
    services: Services,
    *,
    name: str,
    country: str,
    kind: OrganisationKind,
    person_name: str,
    email: str,
    password: str,
    locale: str,
    remote_address: str,
) -> None:
    """Keep an application for a day and send the letter that confirms it; says nothing about accounts.

    Raises Invalid with every fault of the entries, TooMany.
    """
    faults = Faults()
    name = check_name(faults, name)
    check_country(faults, country)
    if kind not in KINDS_OPEN_TO_SIGN_UP:
        faults.add("/kind", "The kind is firm, shop or authority.")
    person = check_person(faults, email=email, name=person_name, password=password, locale=locale)
    faults.refuse_if_any("Some of the entries can not be used.")
    limits = {
        f"sign-up address:{remote_address}": SIGN_UPS_OF_ADDRESS,
        f"sign-up e-mail:{person.email}": SIGN_UPS_OF_EMAIL,
    }
    count_attempt(services, limits)
    application = {
        "name": name,
        "country": country,
        "kind": kind.value,
        "email": person.email,
        "person_name": person.name,
        "locale": person.locale,
        "password_hash": hash_password(password),  # slow on purpose, for known addresses too
    }
    token, now = new_token(), now_ms()
    with write_session(services.engine) as session:
        session.execute(delete(ApplicationRow).where(ApplicationRow.expires_at <= now))
        session.add(
            ApplicationRow(
                token_hash=token_hash(token),
                sealed=services.sealer.seal(orjson.dumps(application), _CONTEXT),
                expires_at=now + APPLICATION_MS,
            )
        )
        known = find_person(session, email=person.email)
        if known is None:
            letters.confirm_application(
                session, services, email=person.email, language=person.locale, organisation=name, token=token
            )
        else:
            # Its application is kept like any other and nobody has its link: the two cases must cost the same.
            letters.application_of_known(session, services, person=known, organisation=name)


def waiting_application(session: Session, services: Services, *, token: str) -> Application:
    """The application behind a letter's link; raises NotFound when it is used, too old or made up."""
    row = session.get(ApplicationRow, token_hash(token), populate_existing=True)
    if row is None or row.expires_at <= now_ms():
        raise _ended()
    said = orjson.loads(services.sealer.open(row.sealed, _CONTEXT))
    return Application(
        name=said["name"],
        country=said["country"],
        kind=OrganisationKind(said["kind"]),
        person=PersonEntry(said["email"], said["person_name"], said["locale"]),
        password_hash=said["password_hash"],
    )


def confirm_application(services: Services, *, token: str) -> Joined:
    """Add the person and the organisation, which now waits for the registry; the link has been used.

    Raises NotFound for a link that is used, too old or made up.
    """
    with write_session(services.engine) as session:
        application = waiting_application(session, services, token=token)
        session.delete(session.get_one(ApplicationRow, token_hash(token)))
        session.flush()
        try:
            owner = new_person(session, application.person, application.password_hash)
        except Conflict:
            # Two applications with one address, and the other was confirmed first. Whoever holds the link reads the
            # inbox, so this tells nothing that the inbox does not.
            raise _ended() from None
        organisation = add_organisation(
            session,
            name=application.name,
            country=application.country,
            kind=application.kind,
            owner_id=owner.id,
        )
        return Joined(owner.id, organisation, is_new=True)


def _ended() -> NotFound:
    return NotFound(
        "This link does not work any more.",
        code="link_ended",
        fix="Links work once and for a day. If you have used it already, sign in; else send the form again.",
    )
