"""Organisations: how they are added, listed and found; what the registry decides is in `deciding`."""

import re
import secrets
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from app.accounts.models import MembershipRow, OrganisationRow
from app.accounts.passwords import hash_password
from app.accounts.service import records
from app.accounts.service.people import check_person, new_person
from app.accounts.values import Organisation
from app.accounts.vocabulary import KINDS_OPEN_TO_SIGN_UP, OrganisationKind, OrganisationStatus
from app.core.authorisation import Role
from app.core.clock import now_ms
from app.core.database import write_session
from app.core.errors import Faults, Malformed
from app.core.services import Services
from scanners.codes.code_lists import COUNTRIES_ALPHA2
from scanners.codes.serial import ALPHABET

ISSUER_LENGTH = 6
MAX_REASON = 2000
MAX_NAME = 200
PAGE = 50
_WEB_ADDRESS = re.compile(r"://|\bwww\.", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class OrganisationPage:
    """Some organisations, and the cursor of the next page if there is one."""

    items: list[Organisation]
    next_cursor: str | None


def register_organisation(
    services: Services,
    *,
    name: str,
    country: str,
    kind: OrganisationKind,
    person_name: str,
    email: str,
    password: str,
    locale: str,
) -> Organisation:
    """Add an organisation that waits for the registry's decision; the person becomes its owner.

    For the demonstration and tests: it says whether the address has an account, which `sign_up` tells nobody. Raises
    Invalid with every fault of the entries, Conflict when the e-mail address has an account.
    """
    faults = Faults()
    name = check_name(faults, name)
    check_country(faults, country)
    if kind not in KINDS_OPEN_TO_SIGN_UP:
        faults.add("/kind", "The kind is firm, shop or authority.")
    person = check_person(faults, email=email, name=person_name, password=password, locale=locale)
    faults.refuse_if_any("Some of the entries can not be used.")
    password_hash = hash_password(password)  # slow on purpose: before the transaction, not inside
    with write_session(services.engine) as session:
        owner = new_person(session, person, password_hash)
        return add_organisation(session, name=name, country=country, kind=kind, owner_id=owner.id)


def add_organisation(
    session: Session, *, name: str, country: str, kind: OrganisationKind, owner_id: int
) -> Organisation:
    """Add a pending organisation with its owner in the session's transaction; the entries are checked already."""
    row = new_organisation_row(session, name=name, country=country, kind=kind)
    session.add(MembershipRow(person_id=owner_id, organisation_id=row.id, role=Role.OWNER))
    return records.organisation(row)


def check_name(faults: Faults, name: str) -> str:
    """The name with single blanks; notes what is wrong with it."""
    name = " ".join(name.split())
    if not 2 <= len(name) <= MAX_NAME or not name.isprintable():
        faults.add("/name", "The name has 2 to 200 characters.")
    if _WEB_ADDRESS.search(name):
        # Letters to addresses that a stranger wrote down name the organisation: they must carry no link of his.
        faults.add("/name", "The name is not a web address.")
    return name


def check_country(faults: Faults, country: str) -> str:
    """The country, unchanged; notes when it is none."""
    if country not in COUNTRIES_ALPHA2:
        faults.add("/country", "The country is its two-letter ISO 3166-1 code, such as MX or US.")
    return country


def new_organisation_row(session: Session, *, name: str, country: str, kind: OrganisationKind) -> OrganisationRow:
    """Add a pending organisation under an issuer name of its own."""
    while True:
        row = OrganisationRow(
            issuer="".join(secrets.choice(ALPHABET) for _ in range(ISSUER_LENGTH)),
            name=name,
            country=country,
            kind=kind.value,
            status=OrganisationStatus.PENDING.value,
            created_at=now_ms(),
        )
        try:
            with session.begin_nested():
                session.add(row)
        except IntegrityError:
            continue  # one in a thousand million: the issuer name is taken
        return row


def list_organisations(
    session: Session,
    *,
    status: OrganisationStatus | None = None,
    text: str = "",
    cursor: str | None = None,
    limit: int = PAGE,
) -> OrganisationPage:
    """Organisations in order of arrival, `limit` a page; raises Malformed for a cursor that is none of ours.

    text: part of the name, in any case, or the whole name on the wire.
    """
    query = select(OrganisationRow).order_by(OrganisationRow.created_at, OrganisationRow.issuer)
    text = text.strip()
    if text:
        query = query.where(
            OrganisationRow.name.icontains(text, autoescape=True) | (OrganisationRow.issuer == text.upper())
        )
    if status is not None:
        query = query.where(OrganisationRow.status == status)
    if cursor is not None:
        created_at, issuer = _read_cursor(cursor)
        query = query.where(
            (OrganisationRow.created_at > created_at)
            | ((OrganisationRow.created_at == created_at) & (OrganisationRow.issuer > issuer))
        )
    rows = list(session.scalars(query.limit(limit + 1)))
    more = len(rows) > limit
    items = [records.organisation(row) for row in rows[:limit]]
    return OrganisationPage(items, f"{items[-1].created_at}-{items[-1].issuer}" if more else None)


def check_reason(reason: str) -> str:
    """The reason of a decision, trimmed; raises Invalid when it says nothing or too much."""
    reason = reason.strip()
    faults = Faults()
    if not 3 <= len(reason) <= MAX_REASON:
        faults.add("/reason", "A decision needs a reason of 3 to 2000 characters.")
    faults.refuse_if_any("A decision needs a reason of 3 to 2000 characters.")
    return reason


def _read_cursor(cursor: str) -> tuple[int, str]:
    created_at, dash, issuer = cursor.partition("-")
    if not dash or not (created_at.isascii() and created_at.isdigit()) or len(cursor) > 40:
        raise Malformed("This cursor does not come from this list.", code="cursor")
    return int(created_at), issuer
