"""A thousand and more credentials that are forged, old, replayed, downgraded or broken: one refusal, nothing logged.

Each kind starts from a credential that works, which is shown first: a refusal then is about what was changed. Numbers
are drawn with a fixed seed, so that a failure can be repeated.
"""

from __future__ import annotations

import base64
import json
import logging
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import update
from werkzeug.test import TestResponse

from app import create_app
from app.access import forget_machine
from app.access import service as access
from app.access.machine_models import AccessTokenRow
from app.access.models import ApiKeyRow
from app.core.authorisation import Role
from app.core.clock import now_ms
from app.core.config import Settings
from app.core.database import write_session
from app.core.services import Services
from tests.app.access.forged_assertions import changed, forged_assertions
from tests.app.access.machine_builders import (
    ClientKey,
    ask_with_assertion,
    ask_with_basic,
    certificate,
    claims_of,
    ed25519_key,
    p256_key,
    signed,
)
from tests.app.conftest import close
from tests.builders import bearer, make_approved_firm, on_sqlite, principal

pytestmark = on_sqlite

ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
HEADER = "Client-Cert"
COUNTED = {"bearer": 700, "assertions": 600, "secrets": 120, "certificates": 200}
"""At least so many of each are tried; together more than a thousand."""

_WITH_TIME = ("request_id",)


@pytest.fixture
def draw() -> random.Random:
    return random.Random(4)  # noqa: S311  it draws what to break, not secrets


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> Callable[[], str]:
    """Everything that was written into logs and to the outputs, also by libraries that are told to say all."""
    caplog.set_level(logging.DEBUG)
    return lambda: caplog.text + "".join(capfd.readouterr())


def shape(answer: TestResponse) -> tuple[int, str]:
    """Status and body without what differs between any two answers."""
    body = {name: value for name, value in (answer.get_json() or {}).items() if name not in _WITH_TIME}
    return answer.status_code, json.dumps(body, sort_keys=True)


# --- bearer tokens: API keys and access tokens ----------------------------------------------------------------------


@dataclass(frozen=True)
class Bearers:
    """A key and a token that work."""

    key: str
    token: str
    machine: str


@pytest.fixture
def bearers(client: FlaskClient, services: Services) -> Bearers:
    firm = make_approved_firm(services, prefix=None)
    key, secret = access.create_api_key(
        services, principal=principal(firm), name="till", role=Role.OPERATOR, scopes=None, days=9
    )
    record, client_secret = access.create_oauth_client(
        services, principal=principal(firm), name="system", role=Role.OPERATOR, scopes=None, days=9
    )
    assert client_secret is not None
    token = ask_with_basic(client, record.client_id, client_secret).get_json()["access_token"]
    for good in (secret, token):
        assert client.get("/v1/organisation", headers=bearer(good)).status_code == 200
    return Bearers(secret, token, key.machine)


def forged_bearers(draw: random.Random, good: Bearers) -> Iterator[str]:
    for secret in (good.key, good.token):
        prefix, body = secret[:4], secret[4:]
        for _ in range(250):
            yield changed(draw, secret, start=4)
        for length in range(len(secret) - 1, 4, -1):
            yield secret[:length]
        for more in ("A", "=", ".", "%00", "é", "\t", secret):
            yield secret + more
        yield prefix + body[::-1]
        yield prefix + body.swapcase()
        yield ("mct_" if prefix == "mch_" else "mch_") + body  # one kind of credential taken for the other
        for _ in range(60):
            yield prefix + "".join(draw.choices(ALPHABET, k=43))
        yield signed(ed25519_key(), claims_of("mcc_0000000000000000"))  # a JWT is no token here
        yield prefix


def test_no_forged_key_or_token_opens_anything(
    app: Flask,
    draw: random.Random,
    bearers: Bearers,
    logged: Callable[[], str],
) -> None:
    client = app.test_client()
    forged = list(forged_bearers(draw, bearers))
    shapes = set()
    for token in forged:
        answer = client.get("/v1/organisation", headers={"Authorization": f"Bearer {token}".encode().decode("latin-1")})
        assert answer.status_code == 401, token
        assert answer.headers["WWW-Authenticate"] == "Bearer"
        shapes.add(tuple(sorted(answer.get_json().keys())))
        assert answer.get_json()["code"] == "not_signed_in"
    assert len(forged) >= COUNTED["bearer"]
    assert len(shapes) == 1
    written = logged()
    assert not any(token in written for token in forged if len(token) > 20)
    assert client.get("/v1/organisation", headers=bearer(bearers.key)).status_code == 200


def test_other_schemes_and_odd_headers_open_nothing(client: FlaskClient, bearers: Bearers) -> None:
    basic = base64.b64encode(f"{bearers.key}:".encode()).decode()
    odd = [
        "",
        "Bearer",
        "Bearer ",
        f"Bearer  {bearers.key}",
        f"Token {bearers.key}",
        f"Basic {basic}",
        bearers.key,
        f"Bearer\t{bearers.key}",
        f"Bearer {bearers.key}, Bearer {bearers.token}",
        f'Bearer token="{bearers.key}"',
    ]
    for header in odd:
        answer = client.get("/v1/organisation", headers={"Authorization": header})
        assert (answer.status_code, answer.get_json()["code"]) == (401, "not_signed_in"), header
    for place in (f"/v1/organisation?access_token={bearers.key}", f"/v1/organisation?api_key={bearers.token}"):
        assert client.get(place).status_code == 401  # RFC 6750 section 2.3: never in the address
    assert client.get("/v1/organisation", headers={"Cookie": f"token={bearers.key}"}).status_code == 401


def test_expired_keys_and_tokens_look_like_unknown_ones(
    client: FlaskClient, services: Services, bearers: Bearers
) -> None:
    unknown = shape(client.get("/v1/organisation", headers=bearer("mch_" + "A" * 43)))
    with write_session(services.engine) as session:
        session.execute(update(ApiKeyRow).values(expires_at=now_ms() - 1))
        session.execute(update(AccessTokenRow).values(expires_at=now_ms() - 1))
    forget_machine(bearers.machine)
    assert shape(client.get("/v1/organisation", headers=bearer(bearers.key))) == unknown
    fresh_process = create_app(services.settings).test_client()
    assert shape(fresh_process.get("/v1/organisation", headers=bearer(bearers.key))) == unknown
    close(fresh_process.application)


# --- client assertions ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("make_key", [ed25519_key, p256_key])
def test_no_forged_assertion_gets_a_token(
    app: Flask,
    services: Services,
    draw: random.Random,
    make_key: Callable[..., ClientKey],
    logged: Callable[[], str],
) -> None:
    client, key = app.test_client(), make_key(kid="warehouse")
    firm = make_approved_firm(services, prefix=None)
    made, other = (
        access.create_oauth_client(
            services,
            principal=principal(firm),
            name="system",
            role=Role.OPERATOR,
            scopes=None,
            days=9,
            public_jwk=one.jwk,
        )[0]
        for one in (key, make_key())
    )
    good = signed(key, claims_of(made.client_id), kid="warehouse")
    accepted = ask_with_assertion(client, good)
    assert accepted.status_code == 200
    forged = [good, *forged_assertions(draw, made.client_id, key, other.client_id)]  # the first one is a replay
    wrong = [text for text in forged if ask_with_assertion(client, text).status_code != 401]
    assert wrong == []
    shapes = {shape(ask_with_assertion(client, text)) for text in forged[::7]}
    assert len(shapes) == 1
    assert next(iter(shapes))[1].count("invalid_client") == 1
    assert len(forged) >= COUNTED["assertions"]
    written = logged()
    assert accepted.get_json()["access_token"] not in written
    assert not any(text in written for text in forged if len(text) > 20)
    assert ask_with_assertion(client, signed(key, claims_of(made.client_id))).status_code == 200


def test_an_assertion_with_another_type_beside_it_is_refused(client: FlaskClient, services: Services) -> None:
    key, firm = ed25519_key(), make_approved_firm(services, prefix=None)
    made, _ = access.create_oauth_client(
        services, principal=principal(firm), name="s", role=Role.OPERATOR, scopes=None, days=9, public_jwk=key.jwk
    )
    for kind in ("", "urn:ietf:params:oauth:client-assertion-type:saml2-bearer", "jwt-bearer"):
        answer = ask_with_assertion(client, signed(key, claims_of(made.client_id)), client_assertion_type=kind)
        assert (answer.status_code, answer.get_json()["error"]) == (401, "invalid_client")


def test_no_forged_client_secret_gets_a_token(client: FlaskClient, services: Services, draw: random.Random) -> None:
    firm = make_approved_firm(services, prefix=None)
    made, secret = access.create_oauth_client(
        services, principal=principal(firm), name="s", role=Role.OPERATOR, scopes=None, days=9
    )
    assert secret is not None
    assert ask_with_basic(client, made.client_id, secret).status_code == 200
    forged = [changed(draw, secret, start=0) for _ in range(100)]
    forged += [secret[:length] for length in range(0, len(secret), 2)]
    forged += [secret + more for more in ("A", "=", " ", "\x00", "é", secret * 9)]
    shapes = {shape(ask_with_basic(client, made.client_id, text)) for text in forged}
    shapes |= {shape(ask_with_basic(client, name, secret)) for name in ("", "mcc_0", made.client_id[:-1], "é", "\x00")}
    assert len(forged) + 5 >= COUNTED["secrets"]
    assert len(shapes) == 1
    assert next(iter(shapes))[0] == 401


# --- certificates ---------------------------------------------------------------------------------------------------


@pytest.fixture
def proxied(settings: Settings) -> Iterator[Flask]:
    application = create_app(replace(settings, trust_proxy=True, client_certificate_header=HEADER))
    application.testing = True
    yield application
    close(application)


def test_no_forged_certificate_opens_anything(proxied: Flask, draw: random.Random) -> None:
    services: Services = proxied.extensions["marchamo"]
    shown, client = certificate(), proxied.test_client()
    access.register_certificate(
        services,
        principal=principal(make_approved_firm(services, prefix=None)),
        name="gate",
        role=Role.OPERATOR,
        scopes=None,
        days=9,
        certificate=shown.pem,
    )
    assert client.get("/v1/organisation", headers={HEADER: shown.header}).status_code == 200
    flipped = []
    for _ in range(150):
        at, bit = draw.randrange(len(shown.der)), draw.randrange(8)
        der = bytearray(shown.der)
        der[at] ^= 1 << bit
        flipped.append(f":{base64.b64encode(der).decode()}:")
    cut = [f":{base64.b64encode(shown.der[:length]).decode()}:" for length in range(3, len(shown.der), 9)]
    odd = [shown.header + ";a=1", shown.header[1:], shown.pem.replace("\n", ""), f"::{shown.header}", shown.thumbprint]
    others = [certificate().header for _ in range(10)]  # the same names in it, another key
    forged = flipped + cut + odd + others
    answers = [client.get("/v1/organisation", headers={HEADER: header}) for header in forged]
    assert {shape(answer) for answer in answers} == {shape(answers[0])}
    assert answers[0].status_code == 401
    assert len(forged) >= COUNTED["certificates"]
