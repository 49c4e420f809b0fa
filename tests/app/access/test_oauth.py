"""OAuth 2.0 client credentials: three ways to prove who one is, short tokens, one refusal for whatever is wrong."""

import base64
from dataclasses import replace

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import update
from sqlalchemy.orm import Session

from app.access import forget_machine
from app.access import service as access
from app.access.machine_models import AccessTokenRow, OAuthClientRow
from app.access.oauth import OAuthClient, clients, register_client_source
from app.access.oauth.keys import signature_fits
from app.access.oauth.tokens import LIFE_SECONDS
from app.access.values import ClientRecord
from app.accounts import service as accounts
from app.accounts.vocabulary import OrganisationKind
from app.core.authorisation import Permission, Role
from app.core.clock import now_ms
from app.core.database import write_session
from app.core.errors import Conflict, Forbidden, Invalid
from app.core.services import Services
from app.core.tokens import token_hash
from tests.app.access.machine_builders import (
    AUDIENCE,
    ClientKey,
    ask_with_assertion,
    ask_with_basic,
    claims_of,
    ed25519_key,
    p256_key,
    signed,
)
from tests.builders import (
    ADMINISTRATOR,
    api_key,
    bearer,
    make_approved,
    make_approved_firm,
    on_sqlite,
    owner_email,
    principal,
    signed_in,
)


def make_client(
    services: Services,
    firm: accounts.Organisation | None = None,
    *,
    key: ClientKey | None = None,
    role: Role = Role.OPERATOR,
    scopes: frozenset[Permission] | None = None,
) -> tuple[ClientRecord, str | None]:
    return access.create_oauth_client(
        services,
        principal=principal(firm or make_approved_firm(services, prefix=None)),
        name="warehouse",
        role=role,
        scopes=scopes,
        days=30,
        public_jwk=None if key is None else key.jwk,
    )


def with_secret(services: Services, firm: accounts.Organisation | None = None) -> tuple[str, str]:
    client, secret = make_client(services, firm)
    assert secret is not None
    return client.client_id, secret


def test_a_client_with_a_secret_gets_a_token_that_opens_the_api(client: FlaskClient, services: Services) -> None:
    client_id, secret = with_secret(services)
    answer = ask_with_basic(client, client_id, secret)
    assert answer.status_code == 200, answer.text
    assert answer.headers["Cache-Control"] == "no-store"
    token = answer.get_json()
    assert token["token_type"] == "Bearer"
    assert token["expires_in"] == LIFE_SECONDS == 1800
    assert token["access_token"].startswith("mct_")
    assert "refresh_token" not in token
    assert client.get("/v1/organisation", headers=bearer(token["access_token"])).status_code == 200
    with Session(services.engine) as session:
        rows = session.query(AccessTokenRow).all()
    assert [row.token_hash for row in rows] == [token_hash(token["access_token"])]


@pytest.mark.parametrize("make_key", [ed25519_key, p256_key])
def test_a_client_that_signs_gets_a_token_and_no_assertion_counts_twice(
    client: FlaskClient, services: Services, make_key: type[ClientKey]
) -> None:
    key = make_key()  # type: ignore[call-arg]
    record, secret = make_client(services, key=key)
    assert secret is None
    assertion = signed(key, claims_of(record.client_id))
    first = ask_with_assertion(client, assertion)
    assert first.status_code == 200, first.text
    assert client.get("/v1/organisation", headers=bearer(first.get_json()["access_token"])).status_code == 200
    again = ask_with_assertion(client, assertion)
    assert (again.status_code, again.get_json()["error"]) == (401, "invalid_client")


@on_sqlite
def test_secret_in_the_body_is_taken_too(client: FlaskClient, services: Services) -> None:
    client_id, secret = with_secret(services)
    form = {"grant_type": "client_credentials", "client_id": client_id, "client_secret": secret}
    assert client.post("/oauth/token", data=form).status_code == 200


@on_sqlite
@pytest.mark.parametrize(
    ("claims", "header"),
    [
        ({"aud": [AUDIENCE]}, {}),
        ({}, {"typ": "JWT"}),
        ({}, {"typ": "client-authentication+jwt"}),
        ({"nbf": 1}, {}),
        ({}, {"kid": "warehouse-1"}),
    ],
)
def test_other_spellings_that_the_standards_allow_are_taken(
    client: FlaskClient, services: Services, claims: dict[str, object], header: dict[str, object]
) -> None:
    key = ed25519_key(kid="warehouse-1")
    record, _ = make_client(services, key=key)
    answer = ask_with_assertion(client, signed(key, claims_of(record.client_id, **claims), **header))
    assert answer.status_code == 200, answer.text


@on_sqlite
def test_a_token_has_the_scopes_that_were_asked_for_and_never_more_than_the_client(
    client: FlaskClient, services: Services
) -> None:
    firm = make_approved_firm(services)
    scopes = frozenset({Permission.PRODUCT_READ, Permission.JOB_READ, Permission.ORGANISATION_READ})
    record, secret = make_client(services, firm, scopes=scopes)
    assert secret is not None
    everything = ask_with_basic(client, record.client_id, secret).get_json()
    assert everything["scope"] == "job.read organisation.read product.read"
    narrow = ask_with_basic(client, record.client_id, secret, scope="product.read").get_json()
    assert narrow["scope"] == "product.read"
    headers = bearer(narrow["access_token"])
    assert client.get("/v1/products", headers=headers).status_code == 200
    assert client.get("/v1/organisation", headers=headers).status_code == 403
    for scope in ("batch.commission", "product.read batch.commission", "nonsense", "product.read  job.read", ""):
        refused = ask_with_basic(client, record.client_id, secret, scope=scope)
        if scope:
            assert (refused.status_code, refused.get_json()["error"]) == (400, "invalid_scope"), scope


@on_sqlite
@pytest.mark.parametrize(
    ("form", "error"),
    [
        ({}, "invalid_request"),
        ({"grant_type": "password", "username": "a", "password": "b"}, "unsupported_grant_type"),
        ({"grant_type": 'client_credentials"\x00'}, "unsupported_grant_type"),
        ({"grant_type": "authorization_code", "code": "x"}, "unsupported_grant_type"),
    ],
)
def test_malformed_requests_are_refused_in_the_shape_of_the_standard(
    client: FlaskClient, services: Services, form: dict[str, str], error: str
) -> None:
    client_id, secret = with_secret(services)
    header = {"Authorization": "Basic " + base64.b64encode(f"{client_id}:{secret}".encode()).decode()}
    answer = client.post("/oauth/token", data=form, headers=header)
    assert answer.status_code == 400
    assert answer.content_type == "application/json"
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.get_json()["error"] == error
    assert answer.get_json().keys() <= {"error", "error_description"}


@on_sqlite
def test_parameters_twice_or_in_the_address_or_two_ways_at_once_are_refused(
    client: FlaskClient, services: Services
) -> None:
    client_id, secret = with_secret(services)
    both = ask_with_basic(client, client_id, secret, client_id=client_id, client_secret=secret)
    form = {"grant_type": "client_credentials", "client_id": client_id, "client_secret": secret}
    twice = client.post("/oauth/token", data={**form, "scope": ["job.read", "job.read"]})
    address = client.post("/oauth/token?scope=job.read", data=form)
    as_json = client.post("/oauth/token", json=form)
    large = client.post("/oauth/token", data={**form, "padding": "x" * 20_000})
    for answer in (both, twice, address, as_json, large):
        assert (answer.status_code, answer.get_json()["error"]) == (400, "invalid_request"), answer.text
    assert client.get("/oauth/token").status_code == 405


@on_sqlite
def test_whoever_does_not_prove_who_it_is_gets_one_answer(client: FlaskClient, services: Services) -> None:
    client_id, secret = with_secret(services)
    key = ed25519_key()
    signing, _ = make_client(services, key=key)
    answers = [
        ask_with_basic(client, client_id, "mcs_wrong"),
        ask_with_basic(client, "mcc_unknown", secret),
        ask_with_basic(client, "", ""),
        ask_with_basic(client, signing.client_id, ""),
        ask_with_basic(client, client_id, secret, client_id="mcc_other"),
        client.post("/oauth/token", data={"grant_type": "client_credentials"}),
        client.post("/oauth/token", data={"grant_type": "client_credentials", "client_id": client_id}),
        ask_with_assertion(client, "not.an.assertion"),
        ask_with_assertion(client, signed(key, claims_of(client_id))),
        ask_with_assertion(client, signed(key, claims_of("mcc_unknown"))),
        ask_with_assertion(client, signed(key, claims_of(signing.client_id)), client_id=client_id),
    ]
    assert {(answer.status_code, answer.text) for answer in answers} == {(401, answers[0].text)}
    assert answers[0].get_json()["error"] == "invalid_client"
    assert all(answer.headers["WWW-Authenticate"].startswith("Basic") for answer in answers)


@on_sqlite
def test_a_revoked_client_gets_no_token_and_those_it_has_stop(client: FlaskClient, services: Services) -> None:
    firm = make_approved_firm(services, prefix=None)
    client_id, secret = with_secret(services, firm)
    headers = bearer(ask_with_basic(client, client_id, secret).get_json()["access_token"])
    assert client.get("/v1/organisation", headers=headers).status_code == 200  # and now remembered
    owner = bearer(api_key(services, Role.OWNER, organisation=firm))
    assert client.delete(f"/v1/oauth-clients/{client_id}", headers=owner).get_json()["revoked_at"] is not None
    assert client.get("/v1/organisation", headers=headers).status_code == 401
    assert ask_with_basic(client, client_id, secret).status_code == 401
    assert client.delete(f"/v1/oauth-clients/{client_id}", headers=owner).status_code == 200  # and again: no error


@on_sqlite
def test_tokens_and_clients_end(client: FlaskClient, services: Services) -> None:
    client_id, secret = with_secret(services)
    headers = bearer(ask_with_basic(client, client_id, secret).get_json()["access_token"])
    with write_session(services.engine) as session:
        session.execute(update(AccessTokenRow).values(expires_at=now_ms() - 1))
    assert client.get("/v1/organisation", headers=headers).status_code == 401
    headers = bearer(ask_with_basic(client, client_id, secret).get_json()["access_token"])
    with write_session(services.engine) as session:
        session.execute(update(OAuthClientRow).values(expires_at=now_ms() - 1))
    assert client.get("/v1/organisation", headers=headers).status_code == 401
    assert ask_with_basic(client, client_id, secret).status_code == 401


@on_sqlite
def test_a_suspended_organisation_gets_no_tokens(client: FlaskClient, services: Services) -> None:
    firm = make_approved_firm(services, prefix=None)
    client_id, secret = with_secret(services, firm)
    headers = bearer(ask_with_basic(client, client_id, secret).get_json()["access_token"])
    accounts.suspend_organisation(services, issuer=firm.issuer, decided_by=ADMINISTRATOR, reason="Complaint.")
    assert client.get("/v1/organisation", headers=headers).status_code == 401
    assert ask_with_basic(client, client_id, secret).status_code == 401


@on_sqlite
def test_guessing_is_braked_and_a_good_request_is_not_counted(limited_app: Flask) -> None:
    services: Services = limited_app.extensions["marchamo"]
    client = limited_app.test_client()
    client_id, secret = with_secret(services)
    for _ in range(32):
        assert ask_with_basic(client, client_id, secret).status_code == 200
    for _ in range(30):
        assert ask_with_basic(client, client_id, "wrong").status_code == 401
    braked = ask_with_basic(client, client_id, secret)
    assert braked.status_code == 429
    assert int(braked.headers["Retry-After"]) > 0
    assert braked.headers["Cache-Control"] == "no-store"
    assert braked.get_json()["error"] == "temporarily_unavailable"


@on_sqlite
def test_a_client_can_not_fill_the_registry_with_tokens(limited_app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.access.oauth.server.TOKENS_OF_CLIENT", 3)
    services: Services = limited_app.extensions["marchamo"]
    client_id, secret = with_secret(services)
    answers = [ask_with_basic(limited_app.test_client(), client_id, secret).status_code for _ in range(4)]
    assert answers == [200, 200, 200, 429]


@on_sqlite
def test_another_feature_can_bring_clients_of_its_own(
    client: FlaskClient, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clients, "_sources", list(clients._sources))
    office = make_approved(services, kind=OrganisationKind.AUTHORITY)
    key = ed25519_key(kid="device:d1")
    device = OAuthClient(
        client_id="device:d1",
        organisation_id=office.id,
        role=Role.INSPECTOR,
        machine="device:d1",
        name="Phone of the post",
        public_jwk=key.jwk,
    )
    known = [device]
    register_client_source(lambda _session, client_id: known[0] if client_id == "device:d1" else None)
    answer = ask_with_assertion(client, signed(key, claims_of("device:d1"), kid="device:d1"))
    headers = bearer(answer.get_json()["access_token"])
    assert client.get("/v1/organisation", headers=headers).status_code == 200
    known[0] = replace(device, role=Role.AUDITOR)  # the person behind it may do less now, and so may its token
    forget_machine("device:d1")
    assert client.post("/v1/verify/batch", json={"codes": ["x"]}, headers=headers).status_code == 403
    known[0] = replace(device, valid=False)
    forget_machine("device:d1")
    assert client.get("/v1/organisation", headers=headers).status_code == 401
    assert ask_with_assertion(client, signed(key, claims_of("device:d1"))).status_code == 401


@on_sqlite
def test_every_source_is_asked_whoever_knows_the_client(
    client: FlaskClient, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def further(_session: Session, client_id: str) -> None:
        asked.append(client_id)

    monkeypatch.setattr(clients, "_sources", [*clients._sources, further])
    client_id, secret = with_secret(services)
    ask_with_basic(client, client_id, secret)
    ask_with_basic(client, "mcc_unknown", secret)
    assert {"mcc_unknown", client_id} == set(asked)


@on_sqlite
def test_the_signature_is_computed_for_an_unknown_client_too(
    client: FlaskClient, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked: list[bool] = []

    def count(*arguments: object) -> bool:
        checked.append(True)
        return signature_fits(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr("app.access.oauth.assertions.signature_fits", count)
    for key in (ed25519_key(), p256_key()):
        ask_with_assertion(client, signed(key, claims_of("mcc_unknown")))
    record, _ = make_client(services)  # known, but it has a secret and no key
    ask_with_assertion(client, signed(ed25519_key(), claims_of(record.client_id)))
    assert len(checked) == 3


def test_clients_are_made_listed_and_ended_over_the_api(client: FlaskClient, services: Services) -> None:
    firm = make_approved_firm(services, prefix=None)
    owner = bearer(api_key(services, Role.OWNER, organisation=firm))
    key = ed25519_key()
    entry = {"name": "warehouse", "role": "operator", "scopes": ["product.read"], "public_jwk": key.jwk}
    made = client.post("/v1/oauth-clients", json=entry, headers=owner)
    assert made.status_code == 201, made.text
    assert made.get_json()["client_secret"] is None
    secret = client.post("/v1/oauth-clients", json={"name": "till", "role": "operator"}, headers=owner).get_json()
    assert secret["client_secret"].startswith("mcs_")
    listed = client.get("/v1/oauth-clients", headers=owner)
    assert [item["name"] for item in listed.get_json()["items"]] == ["till", "warehouse"]
    assert secret["client_secret"] not in listed.text
    assert listed.get_json()["items"][1]["public_jwk"] == key.jwk
    with Session(services.engine) as session:
        acts = accounts.list_acts(session, organisation_id=firm.id)
    assert [act.act for act in acts][:2] == [accounts.Act.CLIENT_CREATED, accounts.Act.CLIENT_CREATED]
    assert acts[1].details["scopes"] == "product.read"
    assert secret["client_secret"] not in str(acts)


@on_sqlite
@pytest.mark.parametrize(
    "jwk",
    [
        {"kty": "oct", "k": "c2VjcmV0"},
        ed25519_key().jwk | {"d": "c2VjcmV0"},
        ed25519_key().jwk | {"crv": "X25519"},
        ed25519_key().jwk | {"x": "AQ" + "A" * 41},  # small order: one signature would fit everything
        ed25519_key().jwk | {"y": p256_key().jwk["y"]},
        p256_key().jwk | {"y": p256_key().jwk["y"]},  # not on the curve
        p256_key().jwk | {"x": p256_key().jwk["x"] + "="},
        p256_key().jwk | {"alg": "EdDSA"},
        p256_key().jwk | {"use": "enc"},
        p256_key().jwk | {"x5u": "https://example.org/key"},
        {"kty": "RSA", "n": "AQAB", "e": "AQAB"},
        {"kty": ["OKP"], "crv": {}},
        {},
    ],
)
def test_only_public_keys_of_the_two_kinds_are_registered(services: Services, jwk: dict[str, str]) -> None:
    with pytest.raises(Invalid):
        make_client(services, key=ClientKey(ed25519_key().private, jwk))


@on_sqlite
def test_a_machine_makes_no_client_that_may_do_more_than_itself(services: Services) -> None:
    firm = make_approved_firm(services, prefix=None)
    machine = replace(
        principal(firm), person_id=None, machine="api-key:1", permissions=frozenset({Permission.MACHINE_MANAGE})
    )
    with pytest.raises(Forbidden):
        access.create_oauth_client(services, principal=machine, name="x", role=Role.OWNER, scopes=None, days=1)


@on_sqlite
def test_an_organisation_has_a_bounded_number_of_clients(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.access.service.granting.MAX_MACHINES", 2)
    firm = make_approved_firm(services, prefix=None)
    for _ in range(2):
        make_client(services, firm)
    with pytest.raises(Conflict):
        make_client(services, firm)


@on_sqlite
def test_programs_find_the_endpoint_by_its_description(client: FlaskClient) -> None:
    answer = client.get("/.well-known/oauth-authorization-server")
    described = answer.get_json()
    assert described["issuer"] == "http://localhost"
    assert described["token_endpoint"] == AUDIENCE
    assert described["grant_types_supported"] == ["client_credentials"]
    assert described["response_types_supported"] == []
    assert set(described["token_endpoint_auth_methods_supported"]) == {
        "client_secret_basic",
        "client_secret_post",
        "private_key_jwt",
    }
    assert "none" not in answer.text
    assert "batch.commission" in described["scopes_supported"]


@on_sqlite
def test_clients_are_made_and_ended_on_the_page(app: Flask, services: Services) -> None:
    app.config["WTF_CSRF_METHODS"] = []
    firm = make_approved_firm(services, prefix=None)
    browser = signed_in(app.test_client(), services, owner_email(services, firm))
    form = {"name": "warehouse", "role": "operator", "days": "30", "scopes": ["product.read", "job.read"]}
    page = browser.post("/organisation/oauth-clients", data=form)
    assert page.status_code == 200, page.text
    assert page.headers["Cache-Control"] == "no-store"
    assert "mcs_" in page.text
    with Session(services.engine) as session:
        made = access.list_oauth_clients(session, organisation_id=firm.id)[0]
    assert made.scopes == frozenset({Permission.PRODUCT_READ, Permission.JOB_READ})
    assert "mcs_" not in browser.get("/organisation/machines").text
    wrong = browser.post("/organisation/oauth-clients", data=form | {"public_jwk": '{"kty": "OKP"'})
    assert wrong.status_code == 422
    assert browser.post(f"/organisation/oauth-clients/{made.client_id}/revocation").status_code == 303
    with Session(services.engine) as session:
        assert access.list_oauth_clients(session, organisation_id=firm.id)[0].revoked_at is not None
