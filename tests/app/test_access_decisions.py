"""Every route tried by every role, as a person and as a machine, in every standing of the organisation.

What is asked here is the decision before the view, so that all of them can be tried: tens of thousands. What views let
out, and whose records, is tried in the matrix of routes.
"""

from __future__ import annotations

from enum import StrEnum

import pytest
from flask import Flask
from sqlalchemy import update
from sqlalchemy.orm import Session

from app.access import remembered
from app.access import service as access
from app.accounts import service as accounts
from app.accounts.models import OrganisationRow
from app.accounts.vocabulary import ROLES_OF_KIND, WHILE_WAITING, OrganisationKind, OrganisationStatus, permissions_in
from app.core.authorisation import Role
from app.core.database import write_session
from app.core.errors import AppError, Forbidden, NotSignedIn
from app.core.services import Services
from tests.app.test_authorisation_matrix import Route, routes_of
from tests.builders import add_person, api_key, bearer, make_approved, make_registry, on_sqlite

pytestmark = on_sqlite

PLACES = [(kind, role) for kind in OrganisationKind for role in Role if role in ROLES_OF_KIND[kind]]
"""Every role in every kind of organisation that gives it."""


def standings_of(role: Role) -> list[OrganisationStatus]:
    """The standings in which a role is tried: who was refused may do what those who wait may, so owners try it."""
    left_out = set() if role is Role.OWNER else {OrganisationStatus.REFUSED}
    return [standing for standing in OrganisationStatus if standing not in left_out]


class Decision(StrEnum):
    LET_IN = "let in"
    SIGN_IN = "asked to sign in"
    FORBIDDEN = "forbidden"


class Caller(StrEnum):
    PERSON = "person"
    MACHINE = "machine"


def decide(app: Flask, route: Route, headers: dict[str, str]) -> Decision:
    """What stands before the view decides on one request."""
    with app.test_request_context(path_of(route), method=route.method, headers=headers):
        try:
            answer = app.preprocess_request()
        except NotSignedIn:
            return Decision.SIGN_IN
        except Forbidden:
            return Decision.FORBIDDEN
        except AppError as error:
            raise AssertionError(f"{route.method} {route.rule}: {error.code}") from error
        assert answer is None, (route.method, route.rule)
        return Decision.LET_IN


def cookie(app: Flask, token: str) -> dict[str, str]:
    """The header of a browser with this session."""
    signer = app.session_interface.get_signing_serializer(app)  # type: ignore[attr-defined]
    return {"Cookie": f"{app.config['SESSION_COOKIE_NAME']}={signer.dumps({'token': token})}"}


def path_of(route: Route) -> str:
    """An address of the route."""
    parts = ("1" if part.startswith("<") else part for part in route.rule.split("/"))
    return "/".join(parts)


def expected(
    route: Route, caller: Caller, kind: OrganisationKind, role: Role, standing: OrganisationStatus
) -> Decision:
    """What service.md says of this route, caller and standing."""
    is_open = route.permission is None
    if caller is Caller.MACHINE:
        if not route.is_api:  # pages do not look at the header
            return Decision.LET_IN if is_open else Decision.SIGN_IN
        if standing is not OrganisationStatus.APPROVED:  # a credential that does not work is told so everywhere
            return Decision.SIGN_IN
        allowed = permissions_in(kind, role)
    else:
        if is_open:
            return Decision.LET_IN
        # The API does not look at the cookie, and nobody acts for an organisation that is suspended.
        if route.is_api or standing is OrganisationStatus.SUSPENDED:
            return Decision.SIGN_IN
        allowed = permissions_in(kind, role)
        if standing is not OrganisationStatus.APPROVED:
            allowed &= WHILE_WAITING
    return Decision.LET_IN if is_open or route.permission in allowed else Decision.FORBIDDEN


def organisation_of(services: Services, kind: OrganisationKind) -> accounts.Organisation:
    return make_registry(services) if kind is OrganisationKind.REGISTRY else make_approved(services, kind=kind)


def put(services: Services, organisation: accounts.Organisation, standing: OrganisationStatus) -> None:
    """Put the organisation into a standing, as its row says it to whoever decides on access."""
    remembered._cache.clear()
    with write_session(services.engine) as session:
        session.execute(
            update(OrganisationRow).where(OrganisationRow.id == organisation.id).values(status=standing.value)
        )


@pytest.mark.parametrize(("kind", "role"), PLACES)
def test_every_route_decides_as_the_table_says(
    app: Flask, services: Services, kind: OrganisationKind, role: Role
) -> None:
    app.config["WTF_CSRF_METHODS"] = []
    organisation = organisation_of(services, kind)
    key = bearer(api_key(services, role, organisation=organisation))
    with Session(services.engine) as session:
        person = accounts.find_person(session, email=add_person(services, organisation, role))
    assert person is not None
    token = access.start_session_for(services, person_id=person.id, organisation_id=organisation.id)
    headers = {Caller.PERSON: cookie(app, token), Caller.MACHINE: key}
    wrong, tried = [], 0
    routes = routes_of(app)
    for standing in standings_of(role):
        put(services, organisation, standing)
        for caller in Caller:
            for route in routes:
                found = decide(app, route, headers[caller])
                tried += 1
                if found is not (should := expected(route, caller, kind, role, standing)):
                    wrong.append((standing, caller, route.method, route.rule, f"{found}, not {should}"))
    assert wrong == []
    assert tried == len(standings_of(role)) * len(Caller) * len(routes)


def test_the_number_of_decisions_is_what_is_published(app: Flask) -> None:
    """Printed with `pytest -s`: places x standings x callers x routes."""
    tried = sum(len(standings_of(role)) for _kind, role in PLACES) * len(Caller) * len(routes_of(app))
    print(f"{len(PLACES)} roles in kinds, {len(routes_of(app))} routes, {tried:,} decisions")
    assert tried > 10_000


def test_a_session_that_ended_or_is_made_up_lets_nobody_in(app: Flask, services: Services) -> None:
    app.config["WTF_CSRF_METHODS"] = []
    organisation = organisation_of(services, OrganisationKind.FIRM)
    with Session(services.engine) as session:
        person = accounts.find_person(session, email=add_person(services, organisation, Role.OWNER))
    assert person is not None
    ended = access.start_session_for(services, person_id=person.id)
    access.sign_out(services, token=ended)
    for route in routes_of(app):
        for token in (ended, "x" * 43):
            should = Decision.LET_IN if route.permission is None else Decision.SIGN_IN
            assert decide(app, route, cookie(app, token)) is should, (route.method, route.rule)
