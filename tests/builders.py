"""Builders: organisations, rights and keys in the state that a test starts from.

GTINs of examples use the GS1 prefix 952, which GS1 keeps for demonstrations.
"""

from __future__ import annotations

import itertools
from functools import cache
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from app.access import service as access
from app.accounts import passwords as account_passwords
from app.accounts import service as accounts
from app.accounts.models import MembershipRow, PersonRow
from app.accounts.vocabulary import OrganisationKind, RightKind
from app.core.authorisation import Permission, Principal, Role, permissions_of
from app.core.database import write_session
from app.core.services import Services
from scanners.codes.check_digits import check_digit

on_sqlite = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
"""Runs a test once, with SQLite: for what does not depend on the database."""

PASSWORD = "correct horse battery staple"
PREFIX = "9521234"
YEAR_MS = 366 * 24 * 3600 * 1000

ADMINISTRATOR = Principal(
    role=Role.PLATFORM_ADMINISTRATOR,
    person_id=0,
    permissions=permissions_of(Role.PLATFORM_ADMINISTRATOR),
    name="builder",
)

_numbers = itertools.count(1)

KIND_OF_ROLE = {
    Role.RETAILER: OrganisationKind.SHOP,
    Role.INSPECTOR: OrganisationKind.AUTHORITY,
    Role.CUSTOMS_CLIENT: OrganisationKind.AUTHORITY,
}
"""The kind of organisation in which `api_key` puts a role that a firm does not have."""


@cache
def _password_hash() -> str:
    return account_passwords.hash_password(PASSWORD)


def gtin(item: int = 1, *, prefix: str = PREFIX) -> str:
    """A valid GTIN-14 under the company prefix: item 1, 2, 3 ..."""
    body = ("0" + prefix + str(item).zfill(12 - len(prefix)))[:13]
    return body + check_digit(body)


def make_organisation(
    services: Services,
    *,
    kind: OrganisationKind = OrganisationKind.FIRM,
    name: str | None = None,
    email: str | None = None,
) -> accounts.Organisation:
    """A pending organisation; its owner signs in with `email` (default owner<n>@example.org) and PASSWORD."""
    number = next(_numbers)
    return accounts.register_organisation(
        services,
        name=name or f"Firm {number}",
        country="MX",
        kind=kind,
        person_name=f"Owner {number}",
        email=email or f"owner{number}@example.org",
        password=PASSWORD,
        locale="es",
    )


def make_approved(services: Services, *, kind: OrganisationKind, **more: Any) -> accounts.Organisation:
    """An approved organisation with its keys."""
    pending = make_organisation(services, kind=kind, **more)
    return accounts.approve_organisation(
        services,
        issuer=pending.issuer,
        decided_by=ADMINISTRATOR,
        reason="Papers are in order.",
        jurisdiction={"MX"} if kind is OrganisationKind.AUTHORITY else None,
    )


def make_approved_firm(services: Services, *, prefix: str | None = PREFIX, **more: Any) -> accounts.Organisation:
    """An approved firm with keys and an approved company prefix (none when `prefix` is None)."""
    firm = make_approved(services, kind=OrganisationKind.FIRM, **more)
    if prefix is not None:
        grant_right(services, firm, kind=RightKind.PREFIX, value=prefix)
    return firm


def grant_right(
    services: Services,
    organisation: accounts.Organisation,
    *,
    kind: RightKind,
    value: str,
    quota: int | None = None,
    valid_until: int | None = None,
) -> accounts.Right:
    """An approved right of the organisation."""
    asked = accounts.request_right(
        services, organisation_id=organisation.id, kind=kind, value=value, evidence="GS1 certificate", quota=quota
    )
    return accounts.decide_right(
        services,
        reference=asked.reference,
        approve=True,
        reason="Certificate seen.",
        decided_by=ADMINISTRATOR,
        valid_until=valid_until,
    )


def principal(organisation: accounts.Organisation, role: Role = Role.OWNER) -> Principal:
    """Somebody of the organisation, as use cases see the caller."""
    return Principal(
        organisation_id=organisation.id, role=role, person_id=1, permissions=permissions_of(role), name="builder"
    )


def api_key(
    services: Services,
    role: Role,
    *,
    organisation: accounts.Organisation | None = None,
    scopes: frozenset[Permission] | None = None,
) -> str:
    """The secret of an API key with this role, of a new organisation of the fitting kind unless one is given."""
    if role is Role.PLATFORM_ADMINISTRATOR:
        organisation = make_registry(services)
    organisation = organisation or make_approved(services, kind=KIND_OF_ROLE.get(role, OrganisationKind.FIRM))
    _, secret = access.create_api_key(
        services,
        principal=Principal(organisation_id=organisation.id, role=Role.OWNER, person_id=1),
        name=f"test {role}",
        role=role,
        scopes=scopes,
        days=30,
    )
    return secret


def bearer(secret: str) -> dict[str, str]:
    """The headers of a machine."""
    return {"Authorization": f"Bearer {secret}"}


def make_registry(services: Services, *, email: str | None = None) -> accounts.Organisation:
    """The registry's own organisation with one more administrator, who signs in with `email` and PASSWORD."""
    return accounts.create_platform_administrator(
        services, email=email or f"administrator{next(_numbers)}@example.org", password=PASSWORD, name="Registry"
    )


def add_person(services: Services, organisation: accounts.Organisation, role: Role) -> str:
    """A further member with PASSWORD; gives the e-mail address."""
    email = f"member{next(_numbers)}@example.org"
    with write_session(services.engine) as session:
        person = PersonRow(email=email, name="Member", password_hash=_password_hash(), locale="en", created_at=0)
        session.add(person)
        session.flush()
        number = person.id
    by = Principal(organisation_id=organisation.id, role=role, person_id=number)
    row = MembershipRow(person_id=number, organisation_id=organisation.id, role=role.value)
    accounts.perform(
        services,
        accounts.Act.MEMBER_JOINED,
        organisation_id=organisation.id,
        by=by,
        details={"person": by.actor, "role": role.value},
        apply=lambda session: session.add(row),
    )
    return email


def owner_email(services: Services, organisation: accounts.Organisation) -> str:
    """The e-mail address of the organisation's first member."""
    with Session(services.engine) as session:
        return accounts.list_members(session, organisation_id=organisation.id)[0].email


def signed_in(client: FlaskClient, services: Services, email: str) -> FlaskClient:
    """The client with a browser session of this person, who has shown a second factor."""
    with Session(services.engine) as session:
        person = accounts.find_person(session, email=email)
    assert person is not None
    token = access.start_session_for(services, person_id=person.id)
    with client.session_transaction() as session:
        session["token"] = token
    return client
