"""Every route tried by everybody: the public, each role, a firm that waits, and a stranger to the record.

The routes are read from the application, so a new one is in the matrix at once; only what is public, and what belongs
to everybody with the permission, has to be written down here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session
from werkzeug.routing import Rule
from werkzeug.test import TestResponse

from app.access import service as access
from app.accounts import service as accounts
from app.accounts.vocabulary import (
    KINDS_OPEN_TO_SIGN_UP,
    WHILE_WAITING,
    OrganisationKind,
    RightKind,
    permissions_in,
)
from app.core.authorisation import ROLE_PERMISSIONS, Permission, Role, permission_of_endpoint
from app.core.clock import now_ms
from app.core.services import Services
from app.registry import service as registry
from app.webhooks import service as webhooks
from tests.app.devices.device_builders import enrolled, person_of
from tests.app.registry.registry_builders import ask, commissioned, finished, make_product
from tests.builders import (
    YEAR_MS,
    add_person,
    api_key,
    bearer,
    gtin,
    make_approved,
    make_approved_firm,
    make_organisation,
    on_sqlite,
    owner_email,
    principal,
    signed_in,
)

pytestmark = on_sqlite

RESOLVER = ("/i/", "/verify/")
"""Codes that anybody may open; the GS1 paths (/01/..., /00/...) are told by their digits."""

PUBLIC = {
    ("GET", "/"),
    ("GET", "/.well-known/oauth-authorization-server"),
    ("GET", "/check"),
    ("POST", "/check"),
    ("POST", "/seen"),
    ("GET", "/health"),
    ("GET", "/ledger"),
    ("GET", "/log/checkpoint"),
    ("GET", "/log/map"),
    ("GET", "/log/maps/<int:number>"),
    ("GET", "/log/tile/<path:rest>"),
    ("POST", "/oauth/token"),
    ("GET", "/privacy"),
    ("GET", "/account-reset/<token>"),
    ("POST", "/account-reset/<token>"),
    ("GET", "/recover"),
    ("POST", "/recover"),
    ("GET", "/recover/<token>"),
    ("POST", "/recover/<token>"),
    ("GET", "/sign-in"),
    ("POST", "/sign-in"),
    ("POST", "/sign-in/passkey"),
    ("POST", "/sign-in/passkey/options"),
    ("GET", "/sign-in/second"),
    ("POST", "/sign-in/second"),
    ("POST", "/sign-in/second/passkey"),
    ("POST", "/sign-in/second/passkey/options"),
    ("POST", "/sign-out"),
    ("GET", "/sign-up"),
    ("POST", "/sign-up"),
    ("GET", "/sign-up/<token>"),
    ("POST", "/sign-up/<token>"),
    ("GET", "/join/<token>"),
    ("POST", "/join/<token>"),
    ("GET", "/static/<path:filename>"),
    ("GET", "/transparency"),
    ("GET", "/v1/docs"),
    ("GET", "/v1/issuers/<issuer>/keys"),
    ("GET", "/v1/log"),
    ("GET", "/v1/log/consistency"),
    ("GET", "/v1/log/entries/<int:index>/proof"),
    ("GET", "/v1/openapi.json"),
    ("POST", "/v1/organisations"),
    ("GET", "/v1/proofs/<handle>/<path:serial>"),
    ("POST", "/v1/public/scans"),
    ("GET", "/v1/trust"),
    ("POST", "/v1/devices/<device_id>/lease"),
    ("POST", "/v1/devices/enrolments"),
    ("POST", "/v1/verify"),
}
"""What needs no account. Whoever opens a route to the public has to add it here."""

FINER = {"goods_pages.act_on_batch"}
"""Where one address serves several acts, each with a permission of its own that the use case asks for."""

EVIDENCE = "/v1/states/"
"""What an approved authority may fetch of anybody: it is what it brings before a court."""

BODIES: dict[str, dict[str, object]] = {
    "devices.revoke_device": {"reason": "Test reason."},
    "accounts.revoke_key": {"reason": "Test reason."},
    "accounts.revoke_right": {"reason": "Test reason."},
    "registry.print_labels": {"count": 1},
    "registry.release_job": {"decision": "refuse", "reason": "Test reason."},
    "signing.close_signing": {"seal": "A" * 86 + "=="},
    "verification.act_on_batch": {"action": "recall"},
}
FORMS: dict[str, dict[str, str]] = {
    "device_pages.revoke_device": {"reason": "Test reason."},
    "revocation_pages.revoke_key": {"reason": "other"},
    "accounts_pages.revoke_right": {"reason": "Test reason."},
    "goods_pages.act_on_batch": {"action": "recall"},
    "job_pages.release": {"decision": "refuse", "reason": "Test reason."},
    "goods_pages.make_labels": {"layout": "avery-l7160"},
}


DOCUMENT = b"%PDF-1.7\n%%EOF\n"
UPLOADS = {"accounts.hand_in_evidence": "document", "accounts_pages.hand_in_evidence": "document"}
"""Routes that take a file, and the name of the part that it is in."""


@dataclass(frozen=True)
class Route:
    """One method of one address."""

    method: str
    rule: str
    endpoint: str
    permission: Permission | str | None
    arguments: frozenset[str]

    @property
    def is_api(self) -> bool:
        return self.rule.startswith("/v1/")

    @property
    def is_for_registry(self) -> bool:
        return self.permission is Permission.ORGANISATION_APPROVE


def routes_of(app: Flask) -> list[Route]:
    def methods(rule: Rule) -> Iterator[Route]:
        for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
            permission = permission_of_endpoint(rule.endpoint, method)
            yield Route(method, rule.rule, rule.endpoint, permission, frozenset(rule.arguments))

    with app.app_context():
        return [route for rule in app.url_map.iter_rules() for route in methods(rule)]


@pytest.fixture
def routes(app: Flask) -> list[Route]:
    return routes_of(app)


@pytest.fixture
def open_forms(app: Flask) -> None:
    """Let forms through without their token: it is checked elsewhere, and after the permission."""
    app.config["WTF_CSRF_METHODS"] = []


def call(
    client: FlaskClient, route: Route, values: dict[str, object], headers: dict[str, str] | None = None
) -> TestResponse:
    path = route.rule
    for part in route.rule.split("/"):
        if part.startswith("<"):
            name = part.strip("<>").rpartition(":")[2]
            path = path.replace(part, str(values.get(name, "1")))
    if route.method == "GET":
        return client.get(path, headers=headers)
    if route.endpoint in UPLOADS:
        file = (BytesIO(DOCUMENT), "document.pdf")
        return client.open(path, method=route.method, data={UPLOADS[route.endpoint]: file}, headers=headers)
    if route.is_api:
        body = None if route.method == "DELETE" else BODIES.get(route.endpoint, {})
        return client.open(path, method=route.method, json=body, headers=headers)
    return client.open(path, method=route.method, data=FORMS.get(route.endpoint, {}), headers=headers)


def asks_to_sign_in(answer: TestResponse) -> bool:
    return answer.status_code == 401 or answer.headers.get("Location", "").startswith("/sign-in?next=")


def test_every_route_says_who_may_use_it(routes: list[Route]) -> None:
    assert [route.rule for route in routes if route.permission == "unlisted"] == []


def test_nothing_is_public_but_what_is_meant_to_be(routes: list[Route]) -> None:
    def opens_a_code(route: Route) -> bool:
        first = route.rule.split("/")[1]
        return route.method == "GET" and (first.isdigit() or route.rule.startswith(RESOLVER))

    public = {(route.method, route.rule) for route in routes if route.permission is None and not opens_a_code(route)}
    assert public == PUBLIC


def test_the_public_is_let_in_where_it_may_and_asked_to_sign_in_elsewhere(
    client: FlaskClient, routes: list[Route], open_forms: None
) -> None:
    for route in routes:
        # A wrong password or passkey is answered with 401 too; everything else public must not ask for an account.
        expected = route.permission is not None
        if (route.method, route.rule) not in (("POST", "/sign-in"), ("POST", "/sign-in/passkey")):
            assert asks_to_sign_in(call(client, route, {})) is expected, (route.method, route.rule)


@pytest.mark.parametrize("role", list(Role))
def test_each_role_may_use_exactly_the_routes_of_its_permissions(
    app: Flask, services: Services, routes: list[Route], open_forms: None, role: Role
) -> None:
    machine, key = app.test_client(), bearer(api_key(services, role))
    home = make_approved_firm(services, prefix=None)
    email = add_person(services, home, role)
    for route in routes:
        if route.permission is None:
            continue
        if route.is_api:
            answer = call(machine, route, {}, key)
        else:
            # A browser of its own for each page: some of them end the session.
            answer = call(signed_in(app.test_client(), services, email), route, {})
        allowed = route.permission in ROLE_PERMISSIONS[role]
        where = (role, route.method, route.rule, answer.status_code)
        assert not asks_to_sign_in(answer), where
        if allowed:
            refused = answer.status_code == 403 and (not route.is_api or answer.get_json()["code"] == "forbidden")
            assert not refused or route.endpoint in FINER, where
        else:
            assert answer.status_code == 403, where
        assert answer.status_code != 500, where


def test_people_of_a_firm_that_waits_see_their_application_and_nothing_else(
    app: Flask, services: Services, routes: list[Route], open_forms: None
) -> None:
    email = owner_email(services, make_organisation(services))
    open_to_them = WHILE_WAITING
    for route in routes:
        if route.permission is None or route.is_api:
            continue
        answer = call(signed_in(app.test_client(), services, email), route, {})
        assert (answer.status_code == 403) is (route.permission not in open_to_them), (route.method, route.rule)


@dataclass(frozen=True)
class Records:
    """A firm and one record of each kind, under the names that addresses use for them.

    for_pages: records of their own for pages, where the API's routes end those in `values`. asked: a right that waits.
    webhooks: one for the API and one for pages.
    """

    firm: accounts.Organisation
    values: dict[str, object]
    for_pages: dict[str, object]
    asked: str
    webhooks: tuple[dict[str, object], dict[str, object]]


@pytest.fixture
def records(services: Services) -> Records:
    firm = make_approved_firm(services)
    product = make_product(services, firm, gtin=gtin(1))
    request = registry.CommissionRequest(product=product.reference, quantity=2)
    job = finished(services, ask(services, firm, request))
    batch = commissioned(services, firm, request)
    maker = make_approved_firm(services, prefix=None)
    right = accounts.delegate_gtin(
        services,
        owner_organisation_id=firm.id,
        gtin=gtin(1),
        to_issuer=maker.issuer,
        quota=5,
        valid_until=now_ms() + YEAR_MS,
        actor=principal(firm),
    )
    with services.engine.connect() as connection:
        event_id = connection.exec_driver_sql("SELECT event_id FROM events ORDER BY id DESC LIMIT 1").scalar_one()
        key_id = connection.exec_driver_sql(
            f"SELECT key_id FROM organisation_keys WHERE organisation_id = {firm.id} AND purpose = 'code'"  # noqa: S608
        ).scalar_one()
    with Session(services.engine) as session:
        serial = registry.serial_at(session, batch, 0)
    key, _ = access.create_api_key(
        services, principal=principal(firm), name="till", role=Role.OPERATOR, scopes=None, days=1
    )
    client, _ = access.create_oauth_client(
        services, principal=principal(firm), name="system", role=Role.OPERATOR, scopes=None, days=1
    )
    certificate = access.register_certificate(
        services, principal=principal(firm), name="gate", role=Role.OPERATOR, scopes=None, days=1, certificate="0" * 64
    )
    owner = person_of(services, firm, Role.OWNER)[1]
    invitations = [
        accounts.invite(
            services, by=principal(firm), email=f"invited{number}@example.org", role=Role.OPERATOR, locale="en"
        ).reference
        for number in range(2)
    ]
    asked = accounts.request_right(
        services, organisation_id=firm.id, kind=RightKind.GTIN, value=gtin(9), evidence="Certificate 7"
    )
    values: dict[str, object] = {
        "device_id": enrolled(services, owner)[0].id,
        "client_id": client.client_id,
        "thumbprint": certificate.thumbprint,
        "event_id": event_id,
        "handle": batch.handle,
        "invitation": invitations[0],
        "issuer": firm.issuer,
        "job_id": job.id,
        "key_id": key_id,
        "position": 0,
        "prefix": key.prefix,
        "reference": right.reference,
        "serial": serial,
    }
    hooks = webhook(services, firm), webhook(services, firm)
    return Records(firm, values, {"invitation": invitations[1]}, asked.reference, hooks)


def webhook(services: Services, firm: accounts.Organisation) -> dict[str, object]:
    """An address for notices, with a message that waits."""
    made, _secret = webhooks.create_webhook(services, principal=principal(firm), url="https://hooks.example.org/in")
    message = webhooks.send_test(services, organisation_id=firm.id, reference=made.reference)
    return {"reference": made.reference, "message_id": message.message_id}


def ends_a_record(route: Route) -> bool:
    """Whether the record is there no longer after the route: such routes come last."""
    return route.method == "DELETE" or route.endpoint.rpartition(".")[2].startswith(("remove_", "withdraw_", "revoke_"))


def values_for(route: Route, records: Records) -> dict[str, object]:
    values = records.values | ({} if route.is_api else records.for_pages)
    if "products" in route.rule:
        return {**values, "reference": gtin(1)}
    if route.rule.endswith("/evidence"):
        return {**values, "reference": records.asked}
    if "webhooks" in route.rule:
        return values | records.webhooks[0 if route.is_api else 1]
    return values


def test_a_stranger_of_any_role_reaches_no_record_of_another_firm(
    app: Flask, services: Services, routes: list[Route], records: Records, open_forms: None
) -> None:
    """Tried by whoever has the permission in an organisation of its own; all others are stopped before the view."""
    strangers = {kind: make_approved(services, kind=kind) for kind in KINDS_OPEN_TO_SIGN_UP}
    callers = [
        (kind, role, bearer(api_key(services, role, organisation=stranger)), add_person(services, stranger, role))
        for kind, stranger in strangers.items()
        for role in accounts.roles_for(kind)
    ]
    size = services.log.head()[0]
    for kind, role, key, email in callers:
        machine, browser = app.test_client(), signed_in(app.test_client(), services, email)
        allowed = permissions_in(kind, role)
        for route in routes:
            if route.permission not in allowed or not route.arguments:
                continue
            if kind is OrganisationKind.AUTHORITY and route.rule.startswith(EVIDENCE):
                continue  # tried with the evidence itself
            values = values_for(route, records)
            missing = route.arguments - values.keys()
            assert not missing, f"{route.rule}: say in Records what stands for its arguments"
            answer = call(machine, route, values, key) if route.is_api else call(browser, route, values)
            where = (role, route.method, route.rule, answer.status_code, answer.text[:300])
            assert answer.status_code in (403, 404), where
            assert services.log.head()[0] == size, where


def test_the_owner_reaches_those_same_records(
    app: Flask, services: Services, routes: list[Route], records: Records, open_forms: None
) -> None:
    """Without this the test before would also pass with addresses that lead nowhere."""
    machine, key = app.test_client(), bearer(api_key(services, Role.OWNER, organisation=records.firm))
    email = owner_email(services, records.firm)
    for route in sorted(routes, key=ends_a_record):
        if route.permission is None or not route.arguments or route.is_for_registry:
            continue
        values = values_for(route, records)
        if route.is_api:
            answer = call(machine, route, values, key)
        else:
            answer = call(signed_in(app.test_client(), services, email), route, values)
        no_file = route.rule.endswith("/file")  # a commission job has none
        undoing = route.endpoint == "verification.undo_event"  # commissioning is not taken back
        if not no_file and not undoing:
            assert answer.status_code not in (401, 403, 404), (route.method, route.rule, answer.text[:300])
        assert answer.status_code != 500, (route.method, route.rule)


def test_an_api_key_with_scopes_does_no_more_than_these(app: Flask, services: Services, routes: list[Route]) -> None:
    scopes = frozenset({Permission.PRODUCT_READ})
    key = bearer(api_key(services, Role.OWNER, scopes=scopes))
    client = app.test_client()
    for route in routes:
        if route.is_api and route.permission is not None:
            answer = call(client, route, {}, key)
            assert (answer.status_code == 403) is (route.permission not in scopes), (route.method, route.rule)
