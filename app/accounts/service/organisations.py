"""Organisations: they sign up, the registry decides, and every decision is on the ledger."""

import secrets
from dataclasses import dataclass

from sqlalchemy import Connection, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from app.accounts.models import MembershipRow, OrganisationRow
from app.accounts.passwords import hash_password
from app.accounts.service import records
from app.accounts.service.keys import issue_missing_keys
from app.accounts.service.people import check_person, new_person
from app.accounts.service.statements import organisation_subject, payload, registry_entry
from app.accounts.values import Organisation
from app.accounts.vocabulary import KINDS_OPEN_TO_SIGN_UP, OrganisationKind, OrganisationStatus
from app.core.attempts import count_attempt
from app.core.authorisation import Principal, Role
from app.core.clock import now_ms
from app.core.database import session_on, write_session
from app.core.errors import Conflict, Faults, Malformed
from app.core.services import Services
from scanners.codes.code_lists import COUNTRIES_ALPHA2
from scanners.codes.serial import ALPHABET

ISSUER_LENGTH = 6
SIGN_UPS_OF_ADDRESS = 10
"""Sign-ups that one network address may try in 15 minutes."""
MAX_REASON = 2000
MAX_NAME = 200
PAGE = 50


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
    remote_address: str | None = None,
) -> Organisation:
    """Add an organisation that waits for the registry's decision; the person becomes its owner.

    Raises Invalid with every fault of the form, Conflict when the e-mail address has an account, TooMany.
    """
    faults = Faults()
    name = " ".join(name.split())
    if not 2 <= len(name) <= MAX_NAME or not name.isprintable():
        faults.add("/name", "The name has 2 to 200 characters.")
    if country not in COUNTRIES_ALPHA2:
        faults.add("/country", "The country is its two-letter ISO 3166-1 code, such as MX or US.")
    if kind not in KINDS_OPEN_TO_SIGN_UP:
        faults.add("/kind", "The kind is firm, shop or authority.")
    person = check_person(faults, email=email, name=person_name, password=password, locale=locale)
    faults.refuse_if_any("Some of the entries can not be used.")
    if remote_address is not None:
        count_attempt(services, {f"sign-up:{remote_address}": SIGN_UPS_OF_ADDRESS})
    password_hash = hash_password(password)  # slow on purpose: before the transaction, not inside
    with write_session(services.engine) as session:
        owner = new_person(session, person, password_hash)
        row = new_organisation_row(session, name=name, country=country, kind=kind)
        session.add(MembershipRow(person_id=owner.id, organisation_id=row.id, role=Role.OWNER))
        return records.organisation(row)


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


def approve_organisation(services: Services, *, issuer: str, decided_by: Principal, reason: str) -> Organisation:
    """Approve, on the ledger, then give the organisation its keys.

    Called again after a stop between the two steps, it makes the keys that are missing. Raises NotFound, Conflict
    when another decision stands.
    """
    with Session(services.engine) as session:
        found = records.organisation_by_issuer(session, issuer)
    if found.status is not OrganisationStatus.APPROVED:
        found = _decide(services, found, OrganisationStatus.APPROVED, decided_by=decided_by, reason=reason)
    elif not issue_missing_keys(services, found):
        raise Conflict("This organisation is approved already.", code="already_decided")
    issue_missing_keys(services, found)
    return found


def refuse_organisation(services: Services, *, issuer: str, decided_by: Principal, reason: str) -> Organisation:
    """Refuse an application, on the ledger. Raises NotFound, Conflict when another decision stands."""
    with Session(services.engine) as session:
        found = records.organisation_by_issuer(session, issuer)
    return _decide(services, found, OrganisationStatus.REFUSED, decided_by=decided_by, reason=reason)


def suspend_organisation(services: Services, *, issuer: str, decided_by: Principal, reason: str) -> Organisation:
    """Close an approved organisation's access, on the ledger; its keys stay as they are (revoke them one by one)."""
    with Session(services.engine) as session:
        found = records.organisation_by_issuer(session, issuer)
    return _decide(services, found, OrganisationStatus.SUSPENDED, decided_by=decided_by, reason=reason)


_FROM = {
    OrganisationStatus.APPROVED: {OrganisationStatus.PENDING, OrganisationStatus.SUSPENDED},
    OrganisationStatus.REFUSED: {OrganisationStatus.PENDING},
    OrganisationStatus.SUSPENDED: {OrganisationStatus.APPROVED},
}
"""From which standing a decision may lead to another."""


def _decide(
    services: Services, found: Organisation, status: OrganisationStatus, *, decided_by: Principal, reason: str
) -> Organisation:
    reason = check_reason(reason)
    if found.kind is OrganisationKind.REGISTRY and found.status is OrganisationStatus.APPROVED:
        raise Conflict("The registry does not decide on itself.", code="registry_itself")
    now = now_ms()
    statement = payload(
        kind="organisation",
        organisation=found.issuer,
        at_ms=now,
        name=found.name,
        country=found.country,
        organisation_kind=found.kind.value,
        status=status.value,
        reason=reason,
        nonce=secrets.token_hex(8),
    )

    def apply(connection: Connection, index: int) -> Organisation:
        with session_on(connection) as session:
            row = session.get_one(OrganisationRow, found.id)
            if OrganisationStatus(row.status) not in _FROM[status]:
                raise Conflict("This organisation is %(status)s already.", code="already_decided", status=row.status)
            row.status = status.value
            row.decided_at = now
            row.decided_by = decided_by.actor
            row.decision_reason = reason
            row.log_index = index
            return records.organisation(row)

    subject = organisation_subject(services.sealer, found.issuer)
    appended = services.log.append(registry_entry(services, subject, statement=statement), apply)
    assert appended.result is not None  # noqa: S101  the nonce makes the statement new: apply has run
    return appended.result


def list_organisations(
    session: Session, *, status: OrganisationStatus | None = None, cursor: str | None = None, limit: int = PAGE
) -> OrganisationPage:
    """Organisations in order of arrival, `limit` a page; raises Malformed for a cursor that is none of ours."""
    query = select(OrganisationRow).order_by(OrganisationRow.created_at, OrganisationRow.issuer)
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


def create_platform_administrator(services: Services, *, email: str, password: str, name: str) -> Organisation:
    """Add a person who decides for the registry; the registry's own organisation is made at the first one."""
    faults = Faults()
    person = check_person(faults, email=email, name=name, password=password, locale="en")
    faults.refuse_if_any("Some of the entries can not be used.")
    password_hash = hash_password(password)
    with write_session(services.engine) as session:
        administrator = new_person(session, person, password_hash)
        row = session.scalar(select(OrganisationRow).where(OrganisationRow.kind == OrganisationKind.REGISTRY))
        if row is None:
            row = new_organisation_row(
                session, name=services.settings.registry_name, country="ZZ", kind=OrganisationKind.REGISTRY
            )
        session.add(MembershipRow(person_id=administrator.id, organisation_id=row.id, role=Role.PLATFORM_ADMINISTRATOR))
        registry = records.organisation(row)
        actor = Principal(person_id=administrator.id, role=Role.PLATFORM_ADMINISTRATOR)
    if registry.status is OrganisationStatus.PENDING:
        return approve_organisation(
            services, issuer=registry.issuer, decided_by=actor, reason="The registry's own organisation."
        )
    return registry


def _read_cursor(cursor: str) -> tuple[int, str]:
    created_at, dash, issuer = cursor.partition("-")
    if not dash or not (created_at.isascii() and created_at.isdigit()) or len(cursor) > 40:
        raise Malformed("This cursor does not come from this list.", code="cursor")
    return int(created_at), issuer
