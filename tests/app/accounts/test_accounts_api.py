"""The accounts API from the outside: from sign-up to a working key, with nothing but HTTP."""

import hashlib

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import update
from sqlalchemy.orm import Session

from app.access import forget_machine
from app.access import service as access
from app.access.models import ApiKeyRow
from app.accounts import service as accounts
from app.accounts.vocabulary import OrganisationKind
from app.core.authorisation import Permission, Principal, Role
from app.core.clock import now_ms, to_iso
from app.core.database import write_session
from app.core.errors import Conflict, Forbidden, Invalid
from app.core.services import Services
from tests.builders import (
    ADMINISTRATOR,
    PASSWORD,
    YEAR_MS,
    api_key,
    bearer,
    gtin,
    make_approved,
    make_approved_firm,
    on_sqlite,
    principal,
)
from tests.letters import waiting_letters

pytestmark = on_sqlite

SIGN_UP = {
    "name": "Café de Altura",
    "country": "MX",
    "kind": "firm",
    "person_name": "Rosa Méndez",
    "email": "rosa@example.org",
    "password": PASSWORD,
    "locale": "es",
}


def test_a_firm_gets_from_sign_up_to_a_right_over_the_api(client: FlaskClient, services: Services) -> None:
    registry = bearer(api_key(services, Role.PLATFORM_ADMINISTRATOR))
    signed_up = client.post("/v1/organisations", json=SIGN_UP)
    assert signed_up.status_code == 202
    (letter,) = waiting_letters(services, to=str(SIGN_UP["email"]))
    token = letter.path.removeprefix("/sign-up/")
    issuer = accounts.confirm_application(services, token=token).organisation.issuer
    waiting = client.get("/v1/organisations?status=pending", headers=registry).get_json()
    assert [item["issuer"] for item in waiting["items"]] == [issuer]
    decided = client.post(
        f"/v1/organisations/{issuer}/decision", json={"decision": "approve", "reason": "Papers seen."}, headers=registry
    )
    assert decided.get_json()["status"] == "approved"
    with Session(services.engine) as session:
        firm = accounts.organisation_by_issuer(session, issuer)
    owner = bearer(api_key(services, Role.OWNER, organisation=firm))
    asked = client.post(
        "/v1/rights", json={"kind": "prefix", "value": "9521234", "evidence": "Certificate 7"}, headers=owner
    )
    assert asked.status_code == 201
    reference = asked.get_json()["reference"]
    requests = client.get("/v1/rights/requests", headers=registry).get_json()["items"]
    assert [(item["reference"], item["organisation"]) for item in requests] == [(reference, issuer)]
    granted = client.post(
        f"/v1/rights/{reference}/decision",
        json={"decision": "approve", "reason": "Seen.", "valid_until": to_iso(now_ms() + YEAR_MS)},
        headers=registry,
    )
    assert granted.get_json()["status"] == "approved"
    mine = client.get("/v1/rights", headers=owner).get_json()["items"]
    assert [(item["value"], item["status"]) for item in mine] == [("9521234", "approved")]


def test_public_keys_can_be_fetched_by_anybody(client: FlaskClient, services: Services) -> None:
    firm = make_approved_firm(services, prefix=None)
    answer = client.get(f"/v1/issuers/{firm.issuer}/keys").get_json()
    assert {key["purpose"] for key in answer["keys"]} == {"code", "statement"}
    assert len(answer["entries"]) == 2
    assert client.get("/v1/issuers/NOBODY/keys").status_code == 404


def test_a_delegation_over_the_api_names_both_sides(client: FlaskClient, services: Services) -> None:
    owner, maker = make_approved_firm(services), make_approved_firm(services, prefix=None)
    headers = bearer(api_key(services, Role.OWNER, organisation=owner))
    given = client.post(
        "/v1/rights/delegations",
        json={"gtin": gtin(1), "to": maker.issuer, "quota": 10, "valid_until": to_iso(now_ms() + YEAR_MS)},
        headers=headers,
    )
    assert given.status_code == 201
    assert (given.get_json()["organisation"], given.get_json()["granted_by"]) == (maker.issuer, owner.issuer)
    listed = client.get("/v1/rights/delegated", headers=headers).get_json()["items"]
    assert [item["reference"] for item in listed] == [given.get_json()["reference"]]
    naive = client.post(
        "/v1/rights/delegations",
        json={"gtin": gtin(1), "to": maker.issuer, "quota": 10, "valid_until": "2030-01-01T00:00:00"},
        headers=headers,
    )
    assert naive.status_code == 422  # a time without its offset from UTC means nothing


def test_keys_are_rotated_and_revoked_over_the_api(client: FlaskClient, services: Services) -> None:
    firm = make_approved_firm(services, prefix=None)
    headers = bearer(api_key(services, Role.OWNER, organisation=firm))
    keys = client.get("/v1/keys", headers=headers).get_json()["items"]
    code = next(key for key in keys if key["purpose"] == "code")
    assert client.post(f"/v1/keys/{code['key_id']}/rotation", headers=headers).status_code == 201
    revoked = client.post(f"/v1/keys/{code['key_id']}/revocation", json={"reason": "Stolen."}, headers=headers)
    assert revoked.get_json()["revoked_index"] > code["registered_index"]
    assert "private" not in revoked.text


def test_an_api_key_is_stored_as_a_hash_and_its_secret_shown_once(client: FlaskClient, services: Services) -> None:
    headers = bearer(api_key(services, Role.OWNER))
    made = client.post("/v1/api-keys", json={"name": "till", "role": "operator", "days": 7}, headers=headers).get_json()
    assert made["secret"].startswith(made["prefix"])
    listed = client.get("/v1/api-keys", headers=headers)
    assert made["secret"] not in listed.text
    with Session(services.engine) as session:
        hashes = {row.key_hash for row in session.query(ApiKeyRow)}
    assert hashlib.sha256(made["secret"].encode()).digest() in hashes


def test_a_revoked_key_stops_at_once_here(client: FlaskClient, services: Services) -> None:
    firm = make_approved_firm(services, prefix=None)
    owner = bearer(api_key(services, Role.OWNER, organisation=firm))
    secret = api_key(services, Role.OPERATOR, organisation=firm)
    assert client.get("/v1/organisation", headers=bearer(secret)).status_code == 200  # and now cached
    assert client.delete(f"/v1/api-keys/{secret[:12]}", headers=owner).get_json()["revoked_at"] is not None
    assert client.get("/v1/organisation", headers=bearer(secret)).status_code == 401


def test_an_expired_key_and_the_key_of_a_suspended_firm_open_nothing(app: Flask, services: Services) -> None:
    firm = make_approved_firm(services, prefix=None)
    secret = api_key(services, Role.OPERATOR, organisation=firm)
    client = app.test_client()
    with write_session(services.engine) as session:
        session.execute(update(ApiKeyRow).values(expires_at=now_ms() - 1))
    assert client.get("/v1/organisation", headers=bearer(secret)).status_code == 401
    with write_session(services.engine) as session:
        session.execute(update(ApiKeyRow).values(expires_at=now_ms() + YEAR_MS))
    assert client.get("/v1/organisation", headers=bearer(secret)).status_code == 200
    accounts.suspend_organisation(services, issuer=firm.issuer, decided_by=ADMINISTRATOR, reason="Complaint.")
    with Session(services.engine) as session:
        forget_machine(access.list_api_keys(session, organisation_id=firm.id)[0].machine)
    assert client.get("/v1/organisation", headers=bearer(secret)).status_code == 401


@pytest.mark.parametrize(
    ("kind", "role"),
    [
        (OrganisationKind.FIRM, Role.INSPECTOR),
        (OrganisationKind.FIRM, Role.PLATFORM_ADMINISTRATOR),
        (OrganisationKind.SHOP, Role.OPERATOR),
        (OrganisationKind.AUTHORITY, Role.PLATFORM_ADMINISTRATOR),
    ],
)
def test_no_machine_gets_a_role_that_its_organisation_cannot_give(
    services: Services, kind: OrganisationKind, role: Role
) -> None:
    organisation = make_approved(services, kind=kind)
    with pytest.raises(Invalid) as refused:
        access.create_api_key(services, principal=principal(organisation), name="x", role=role, scopes=None, days=1)
    assert refused.value.code == "role_not_of_kind"


def test_a_machine_cannot_make_a_machine_that_may_more(services: Services) -> None:
    firm = make_approved_firm(services, prefix=None)
    scopes = frozenset({Permission.ORGANISATION_MANAGE, Permission.PRODUCT_READ})
    machine = Principal(organisation_id=firm.id, role=Role.OWNER, machine="api-key:1", permissions=scopes)
    with pytest.raises(Forbidden):
        access.create_api_key(services, principal=machine, name="x", role=Role.OWNER, scopes=None, days=1)
    narrower = frozenset({Permission.PRODUCT_READ})
    key, _ = access.create_api_key(services, principal=machine, name="x", role=Role.OWNER, scopes=narrower, days=1)
    assert key.scopes == narrower


@pytest.mark.parametrize(
    ("days", "scopes"), [(0, None), (367, None), (1, frozenset({Permission.ORGANISATION_APPROVE}))]
)
def test_a_key_without_end_or_with_scopes_beyond_its_role_is_refused(
    services: Services, days: int, scopes: frozenset[Permission] | None
) -> None:
    firm = make_approved_firm(services, prefix=None)
    with pytest.raises(Invalid):
        access.create_api_key(
            services, principal=principal(firm), name="x", role=Role.OPERATOR, scopes=scopes, days=days
        )


def test_an_organisation_has_a_bounded_number_of_keys(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.access.service.granting.MAX_MACHINES", 2)
    firm = make_approved_firm(services, prefix=None)
    for _ in range(2):
        api_key(services, Role.OPERATOR, organisation=firm)
    with pytest.raises(Conflict):
        api_key(services, Role.OPERATOR, organisation=firm)
