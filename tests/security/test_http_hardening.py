"""How the service speaks HTTP: headers, cookies, hosts, and how much it lets itself be told."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app import create_app
from app.core import http
from app.core.authorisation import Role
from app.core.config import Settings
from app.core.services import Services
from tests.app.conftest import close
from tests.app.verification.verdict_builders import make_world
from tests.builders import api_key, bearer, make_registry, on_sqlite, owner_email, signed_in

pytestmark = on_sqlite

PUBLIC_URL = "https://registry.example.org"


@pytest.fixture
def by_https(settings: Settings) -> Iterator[Flask]:
    """The application as it is behind a proxy that ends TLS."""
    behind = replace(
        settings,
        public_url=PUBLIC_URL,
        log_origin="localhost/log",
        code_url="https://q.example.org",
        trusted_hosts=("old.example.org:8443",),
        host="10.0.0.5",
        hsts_seconds=31_536_000,
        trust_proxy=True,
    )
    application = create_app(behind)
    yield application
    close(application)


def test_browsers_are_told_to_come_by_https_only_when_the_setting_says_so(by_https: Flask, client: FlaskClient) -> None:
    answer = by_https.test_client().get("/", base_url=PUBLIC_URL)
    assert answer.headers["Strict-Transport-Security"] == "max-age=31536000"
    assert "Strict-Transport-Security" not in client.get("/").headers


def test_the_session_cookie_can_be_set_by_no_other_host_and_read_by_no_script(by_https: Flask) -> None:
    page = by_https.test_client().get("/sign-in", base_url=PUBLIC_URL)
    (cookie,) = [value for value in page.headers.getlist("Set-Cookie") if "session" in value]
    assert cookie.startswith("__Host-session=")
    parts = {part.strip() for part in cookie.split(";")[1:]}
    assert {"Secure", "HttpOnly", "Path=/", "SameSite=Lax"} <= parts
    assert not any(part.startswith("Domain") for part in parts)


def test_every_answer_has_the_headers_that_shut_browsers_doors(client: FlaskClient) -> None:
    for path in ("/", "/health", "/v1/trust", "/static/style.css", "/nowhere", "/v1/nowhere", "/log/checkpoint"):
        with client.get(path) as answer:
            headers = answer.headers
        for name, value in http.SECURITY_HEADERS.items():
            assert headers[name] == value, (path, name)
        assert "'unsafe" not in headers["Content-Security-Policy"]
        assert "Server" not in headers or "Werkzeug" not in headers["Server"]


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("registry.example.org", 200),
        ("REGISTRY.example.org", 200),
        ("registry.example.org:443", 200),
        ("q.example.org", 200),
        ("old.example.org:8443", 200),
        ("old.example.org", 400),
        ("registry.example.org:8080", 400),
        ("evil.example.net", 400),
        ("registry.example.org.evil.example.net", 400),
        ("127.0.0.1:8000", 400),
        ("localhost", 400),
        ("", 400),
        ("registry.example.org@evil.example.net", 400),
        ("[::1]:8000", 400),
    ],
)
def test_a_request_for_a_host_that_is_not_ours_is_refused(by_https: Flask, host: str, status: int) -> None:
    client = by_https.test_client()
    assert client.get("/", base_url=PUBLIC_URL, headers={"Host": host}).status_code == status
    assert client.get("/health", base_url=PUBLIC_URL, headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    ("host", "status"),
    [("localhost", 200), ("localhost:8000", 200), ("127.0.0.1:8000", 200), ("[::1]:1", 200), ("evil.example.net", 400)],
)
def test_a_demo_on_this_machine_answers_to_the_machines_own_names_alone(
    client: FlaskClient, host: str, status: int
) -> None:
    assert client.get("/", headers={"Host": host}).status_code == status


def test_a_forwarded_host_is_not_believed(by_https: Flask) -> None:
    answer = by_https.test_client().get("/", base_url=PUBLIC_URL, headers={"X-Forwarded-Host": "evil.example.net"})
    assert answer.status_code == 200
    assert "evil.example.net" not in answer.text


def test_no_copy_is_kept_of_what_a_signed_in_person_sees(client: FlaskClient, services: Services) -> None:
    registry = make_registry(services)
    signed_in(client, services, owner_email(services, registry))
    for path in ("/dashboard", "/account", "/organisation", "/admin", "/transparency"):
        assert client.get(path).headers["Cache-Control"] == "no-store", path
    machine = bearer(api_key(services, Role.OWNER))
    assert client.get("/v1/products", headers=machine).headers["Cache-Control"] == "no-store"


# ---------------------------------------------------------------- no inline script or style on any page


class Inline(HTMLParser):
    """Finds what the content security policy would refuse to run, and what would call other hosts."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if (tag == "script" and "src" not in given and given.get("type") != "application/json") or tag == "style":
            self.found.append(f"<{tag}>")
        for name, value in given.items():
            if name.startswith("on") or name == "style" or value.strip().lower().startswith("javascript:"):
                self.found.append(f"<{tag} {name}>")
            if name == "src" and "://" in value:
                self.found.append(f"<{tag} src={value}>")


def test_no_page_has_inline_script_style_or_handlers(app: Flask, services: Services) -> None:
    world = make_world(services)
    registry = make_registry(services)
    visitors = [app.test_client() for _ in range(3)]
    signed_in(visitors[1], services, owner_email(services, world.firm.organisation))
    signed_in(visitors[2], services, owner_email(services, registry))
    values: dict[str, Any] = {
        "handle": world.batch.handle,
        "reference": world.firm.product.reference,
        "issuer": world.firm.organisation.issuer,
    }
    seen = set()
    for rule in app.url_map.iter_rules():
        if "GET" not in (rule.methods or set()) or rule.rule.startswith("/static"):
            continue
        path = rule.rule
        for part in rule.rule.split("/"):
            if part.startswith("<"):
                path = path.replace(part, str(values.get(part.strip("<>").rpartition(":")[2], "1")))
        for visitor in visitors:
            answer = visitor.get(path, headers={"Accept": "text/html"})
            if answer.mimetype != "text/html":
                continue
            seen.add((rule.rule, answer.status_code))
            parser = Inline()
            parser.feed(answer.text)
            assert parser.found == [], path
    verdict = visitors[0].get("/verify/" + world.codes[0].split("/", 3)[3])
    parser = Inline()
    parser.feed(verdict.text)
    assert parser.found == []
    assert len({rule for rule, status in seen if status == 200}) > 15, seen


# ---------------------------------------------------------------- how much the service lets itself be told


def operations(client: FlaskClient) -> list[tuple[str, str, list[str]]]:
    """Method, address and the names of the body's members, for each documented operation that takes JSON."""
    document = client.get("/v1/openapi.json").get_json()
    found = []
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            content = operation.get("requestBody", {}).get("content", {}) if isinstance(operation, dict) else {}
            if "application/json" not in content:
                continue
            schema = content["application/json"]["schema"]
            name = schema.get("$ref", "").rpartition("/")[2]
            members = (document["components"]["schemas"][name] if name else schema).get("properties", {})
            found.append((method.upper(), re.sub(r"{\w+}", "1", path), list(members)))
    return found


def test_no_body_breaks_a_route_by_its_depth_its_size_or_its_shape(client: FlaskClient, services: Services) -> None:
    owner = bearer(api_key(services, Role.OWNER))
    registry = bearer(api_key(services, Role.PLATFORM_ADMINISTRATOR))
    deep = "[" * 100 + "]" * 100
    routes = operations(client)
    assert len(routes) > 15
    for method, path, members in routes:
        odd = [
            *("[" * 100_000, '{"a":' * 100_000, deep, "{", "", "null", "[]", '"x"', "1e999", "NaN"),
            *('{"a":1,"a":2}', '{"\\ud800":1}', '{"x":"' + "y" * 100_000 + '"}', '{"x":' + "9" * 5_000 + "}"),
        ]
        odd += [f'{{"{member}":{value}}}' for member in members for value in (deep, '{"a":{"b":[{}]}}', "9" * 400)]
        for headers in (owner, registry):
            for body in odd:
                answer = client.open(path, method=method, data=body, content_type="application/json", headers=headers)
                assert 400 <= answer.status_code < 500, (method, path, body[:60], answer.status_code)
                assert answer.content_type == "application/problem+json"
        huge = b'{"x":"' + b"y" * http.MAX_BODY + b'"}'
        answer = client.open(path, method=method, data=huge, content_type="application/json", headers=owner)
        assert answer.status_code in (403, 404, 413, 422), (method, path, answer.status_code)


def test_an_address_with_a_query_without_end_is_refused(client: FlaskClient) -> None:
    assert client.get("/check?x=" + "y" * http.MAX_QUERY).status_code == 414
    assert client.get("/v1/log?x=" + "y" * http.MAX_QUERY).status_code == 414


def test_headers_without_end_are_refused(client: FlaskClient) -> None:
    assert client.get("/", headers={f"X-Long-{n}": "y" * 4_000 for n in range(10)}).status_code == 431


def test_a_form_of_thousands_of_parts_is_refused(client: FlaskClient) -> None:
    parts = {f"f{number}": "x" for number in range(http.MAX_FORM_PARTS + 1)}
    answer = client.post("/check", data=parts, content_type="multipart/form-data")
    assert answer.status_code == 413


def test_a_form_is_refused_without_its_token(client: FlaskClient) -> None:
    assert client.post("/sign-in", data={"email": "a@example.org", "password": "x"}).status_code == 400
