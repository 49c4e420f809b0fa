"""The registry decides on organisations: each decision has a reason, is on the ledger, and is told to its people."""

import secrets
from collections.abc import Collection

from sqlalchemy import Connection, select
from sqlalchemy.orm import Session

from app.accounts.models import OrganisationRow
from app.accounts.service import letters, records
from app.accounts.service.keys import forget_public_keys, issue_missing_keys
from app.accounts.service.organisations import check_country, check_name, check_reason
from app.accounts.service.people import managers_of, member_roles
from app.accounts.service.statements import organisation_subject, payload, registry_entry
from app.accounts.values import Organisation
from app.accounts.vocabulary import OrganisationKind, OrganisationStatus
from app.core.authorisation import Principal
from app.core.clock import now_ms
from app.core.database import session_on
from app.core.errors import Conflict, Faults, Invalid
from app.core.services import Services
from scanners.codes.code_lists import COUNTRIES_ALPHA2

_FROM = {
    OrganisationStatus.PENDING: {OrganisationStatus.REFUSED},
    OrganisationStatus.APPROVED: {OrganisationStatus.PENDING, OrganisationStatus.SUSPENDED},
    OrganisationStatus.REFUSED: {OrganisationStatus.PENDING},
    OrganisationStatus.SUSPENDED: {OrganisationStatus.APPROVED},
}
"""From which standing a decision may lead to another; to waiting leads an applicant who asks again."""

ASKED_AGAIN = "Asked again."
"""Reason of the entry that puts a refused organisation back into the queue; an applicant's own words stay outside."""


def approve_organisation(
    services: Services, *, issuer: str, decided_by: Principal, reason: str, jurisdiction: Collection[str] | None = None
) -> Organisation:
    """Approve or re-open, on the ledger, then give the organisation its keys.

    jurisdiction: ISO 3166-1 alpha-2 codes of the countries in which an authority may act, at least one; None leaves
    what was decided before, and is what all other kinds have. Called again after a stop between the two steps, it
    makes the keys that are missing. Raises NotFound, Invalid ("jurisdiction"), Conflict when another decision stands.
    """
    with Session(services.engine) as session:
        found = records.organisation_by_issuer(session, issuer)
    countries = _check_jurisdiction(found, jurisdiction)
    if found.status is not OrganisationStatus.APPROVED:
        found = _decide(
            services,
            found,
            OrganisationStatus.APPROVED,
            decided_by=decided_by,
            reason=reason,
            jurisdiction=countries,
        )
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


def apply_again(
    services: Services, *, organisation_id: int, by: Principal, name: str | None = None, country: str | None = None
) -> Organisation:
    """Put a refused organisation back into the registry's queue, its name and country corrected, on the ledger.

    Raises Invalid, Conflict when it was not refused.
    """
    with Session(services.engine) as session:
        found = records.organisation_by_id(session, organisation_id)
    faults = Faults()
    name = check_name(faults, found.name if name is None else name)
    country = check_country(faults, found.country if country is None else country)
    faults.refuse_if_any("Some of the entries can not be used.")
    return _decide(
        services, found, OrganisationStatus.PENDING, decided_by=by, reason=ASKED_AGAIN, name=name, country=country
    )


def recent_decisions(session: Session, *, limit: int = 20) -> list[Organisation]:
    """Organisations on which the ledger says something, the latest decision first."""
    rows = session.scalars(
        select(OrganisationRow)
        .where(OrganisationRow.log_index.is_not(None))
        .order_by(OrganisationRow.log_index.desc())
        .limit(limit)
    )
    return [records.organisation(row) for row in rows]


def _check_jurisdiction(found: Organisation, given: Collection[str] | None) -> frozenset[str]:
    if found.kind is not OrganisationKind.AUTHORITY:
        if given:
            raise Invalid("Only a public authority has a jurisdiction.", code="jurisdiction")
        return frozenset()
    countries = found.jurisdiction if given is None else frozenset(given)
    unknown = sorted(countries - COUNTRIES_ALPHA2)
    if unknown:
        raise Invalid("%(country)s is no country code of ISO 3166-1.", code="jurisdiction", country=unknown[0][:20])
    if not countries:
        raise Invalid(
            "Name the countries in which this authority may act.",
            code="jurisdiction",
            fix="Write their two-letter ISO 3166-1 codes, such as MX or US.",
        )
    return countries


def _decide(
    services: Services,
    found: Organisation,
    status: OrganisationStatus,
    *,
    decided_by: Principal,
    reason: str,
    jurisdiction: frozenset[str] | None = None,
    name: str | None = None,
    country: str | None = None,
) -> Organisation:
    reason = check_reason(reason)
    if found.kind is OrganisationKind.REGISTRY and found.status is OrganisationStatus.APPROVED:
        raise Conflict("The registry does not decide on itself.", code="registry_itself")
    now = now_ms()
    name, country = name or found.name, country or found.country
    countries = " ".join(sorted(found.jurisdiction if jurisdiction is None else jurisdiction)) or None
    # From its first approval on, the people of an organisation are what this entry and the acts after it say.
    first = status is OrganisationStatus.APPROVED and found.status is OrganisationStatus.PENDING
    with Session(services.engine) as session:
        members = member_roles(session, found.id) if first else None
    statement = payload(
        kind="organisation",
        organisation=found.issuer,
        at_ms=now,
        name=name,
        country=country,
        organisation_kind=found.kind.value,
        status=status.value,
        jurisdiction=countries,
        reason=reason,
        members=members,
        by=decided_by.actor,
        nonce=secrets.token_hex(8),
    )

    def apply(connection: Connection, index: int) -> Organisation:
        with session_on(connection) as session:
            row = session.get_one(OrganisationRow, found.id)
            if OrganisationStatus(row.status) not in _FROM[status]:
                raise Conflict(
                    "Somebody has decided on this organisation already.",
                    code="already_decided",
                    fix="Read the latest decision on it first.",
                )
            if members is not None and member_roles(session, found.id) != members:
                raise Conflict("Its people have just changed. Decide again.", code="members_changed")
            row.status = status.value
            row.name = name
            row.country = country
            row.jurisdiction = countries
            row.decided_at = now
            row.decided_by = decided_by.actor
            row.decision_reason = reason
            row.log_index = index
            decided = records.organisation(row)
            if status is not OrganisationStatus.PENDING:
                for person in managers_of(session, found.id):
                    letters.organisation_decided(session, services, to=person, organisation=decided)
            return decided

    subject = organisation_subject(services.sealer, found.issuer)
    appended = services.log.append(registry_entry(services, subject, statement=statement), apply)
    assert appended.result is not None  # noqa: S101  the nonce makes the statement new: apply has run
    forget_public_keys(services.engine, organisation_id=found.id)
    return appended.result
