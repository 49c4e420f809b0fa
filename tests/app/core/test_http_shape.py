"""HTTP as the service speaks it: one shape of error, security headers, request ids, limits, languages."""

import json

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.exc import DataError
from structlog.testing import capture_logs

from app.core.authorisation import Role, public
from app.core.errors import TooMany
from app.core.http import MAX_BODY
from app.core.services import Services
from tests.builders import api_key, bearer, on_sqlite

pytestmark = on_sqlite


def test_an_error_of_the_api_is_a_problem_with_a_stable_code(client: FlaskClient) -> None:
    answer = client.get("/v1/organisation")
    problem = answer.get_json()
    assert answer.content_type == "application/problem+json"
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert problem["type"] == "urn:marchamo:problem:not_signed_in"
    assert problem["status"] == answer.status_code == 401
    assert problem["request_id"] == answer.headers["X-Request-Id"]


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", "/v1/nothing", 404), ("PATCH", "/v1/organisations", 405)]
)
def test_unknown_addresses_and_methods_have_the_same_shape(
    client: FlaskClient, method: str, path: str, status: int
) -> None:
    answer = client.open(path, method=method)
    assert answer.status_code == status
    assert answer.content_type == "application/problem+json"
    assert answer.get_json()["status"] == status


def test_a_page_that_is_not_there_is_a_page(client: FlaskClient) -> None:
    answer = client.get("/nothing", headers={"Accept": "text/html"})
    assert answer.status_code == 404
    assert answer.content_type.startswith("text/html")


def test_each_wrong_field_is_named_by_its_place(client: FlaskClient) -> None:
    answer = client.post("/v1/organisations", json={"name": "Firm", "country": "mexico", "surprise": 1})
    assert answer.status_code == 422
    places = {fault["where"] for fault in answer.get_json()["errors"]}
    assert {"/country", "/surprise", "/password", "/email", "/kind"} <= places
    assert "/name" not in places


@pytest.mark.parametrize(
    "body",
    [
        "",
        "{",
        "[]",
        '"text"',
        "null",
        '{"name": NaN}',
        '{"name": "a", "name": "b"}',
        "\xff",
        "[" * 2000,
        '{"a":' * 2000,
    ],
)
def test_a_body_that_is_no_json_object_is_refused_without_a_trace(client: FlaskClient, body: str) -> None:
    answer = client.post("/v1/organisations", data=body.encode("latin-1"), content_type="application/json")
    assert answer.status_code == 400
    assert answer.content_type == "application/problem+json"


def test_a_body_that_does_not_say_it_is_json_is_refused(client: FlaskClient) -> None:
    answer = client.post("/v1/organisations", data='{"name": "Firm"}', content_type="text/plain")
    assert answer.status_code == 400
    assert answer.get_json()["code"] == "content_type"


def test_a_body_above_the_limit_is_refused(client: FlaskClient) -> None:
    body = json.dumps({"name": "x" * MAX_BODY})
    answer = client.post("/v1/organisations", data=body, content_type="application/json")
    assert answer.status_code == 413
    assert answer.get_json()["status"] == 413


@pytest.mark.parametrize("path", ["/", "/v1/organisation", "/nothing", "/sign-in", "/v1/openapi.json"])
def test_every_answer_carries_the_security_headers(client: FlaskClient, path: str) -> None:
    headers = client.get(path).headers
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert "unsafe" not in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"


@pytest.mark.parametrize(
    ("given", "kept"),
    [("abcdef12", True), ("short", False), ("x" * 65, False), ("with space 1", False), ("é" * 8, False)],
)
def test_a_plain_request_id_is_kept_and_any_other_replaced(client: FlaskClient, given: str, kept: bool) -> None:
    answer = client.get("/v1/organisation", headers={"X-Request-Id": given.encode().decode("latin-1")})
    assert (answer.headers["X-Request-Id"] == given) is kept
    assert answer.headers["X-Request-Id"].isascii()


@pytest.mark.parametrize(
    "header",
    [
        "Basic YTpi",
        "Bearer",
        "Bearer ",
        "Bearer nonsense",
        "Bearer mch_",
        "Bearer mch_" + "x" * 43,
        "Bearer mch_" + "x" * 5000,
    ],
)
def test_a_header_that_is_no_api_key_of_ours_is_refused_and_not_treated_as_anonymous(
    client: FlaskClient, header: str
) -> None:
    answer = client.post("/v1/organisations", json={}, headers={"Authorization": header})
    assert answer.status_code == 401


def test_an_unexpected_error_tells_nothing_of_the_inside(app: Flask) -> None:
    @app.get("/v1/test-crash")
    @public
    def crash() -> str:
        raise RuntimeError("secret of the inside")

    app.testing = False
    answer = app.test_client().get("/v1/test-crash")
    assert answer.status_code == 500
    assert answer.get_json()["code"] == "internal_error"
    assert "secret" not in answer.text


def test_a_view_that_says_nothing_about_who_may_is_closed_to_everybody(app: Flask, services: Services) -> None:
    @app.get("/v1/test-unmarked")
    def unmarked() -> str:
        return "open"

    client = app.test_client()
    assert client.get("/v1/test-unmarked").status_code == 401
    for role in Role:
        assert client.get("/v1/test-unmarked", headers=bearer(api_key(services, role))).status_code == 403


def test_the_api_takes_no_cookies_and_pages_take_no_api_keys(client: FlaskClient, services: Services) -> None:
    secret = api_key(services, Role.OWNER)
    assert client.get("/organisation", headers=bearer(secret)).status_code == 303
    with client.session_transaction() as session:
        session["token"] = secret
    assert client.get("/v1/organisation").status_code == 401


@pytest.mark.parametrize(
    ("accept", "query", "language"),
    [
        ("es-MX,es;q=0.9", "", "es"),
        ("en-US", "", "en"),
        ("fr", "", "en"),
        ("en", "?lang=es", "es"),
        ("es", "?lang=xx", "es"),
    ],
)
def test_the_language_is_chosen_by_hand_else_by_the_browser(
    client: FlaskClient, accept: str, query: str, language: str
) -> None:
    page = client.get(f"/sign-in{query}", headers={"Accept-Language": accept}).text
    assert f'<html lang="{language}"' in page


def test_the_openapi_document_is_3_1_and_describes_every_operation(client: FlaskClient) -> None:
    document = client.get("/v1/openapi.json").get_json()
    assert document["openapi"].startswith("3.1")
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            if method in ("get", "post", "put", "patch", "delete"):
                assert operation.get("summary"), f"{method} {path} says nothing about itself"


def test_every_parameter_of_the_openapi_document_stands_where_openapi_3_allows_it(client: FlaskClient) -> None:
    paths = client.get("/v1/openapi.json").get_json()["paths"]
    placed = {
        parameter["in"]
        for operations in paths.values()
        for operation in operations.values()
        for parameter in (operation if isinstance(operation, list) else operation.get("parameters", ()))
    }
    assert placed <= {"query", "header", "path", "cookie"}
    upload = paths["/v1/imports"]["post"]["requestBody"]["content"]
    assert list(upload) == ["multipart/form-data"]


@pytest.mark.parametrize("address", ["/v1/batches/%00", "/v1/products?q=a%00b", "/jobs/%00", "/verify/01/%00"])
def test_an_address_with_a_nul_is_refused_before_any_database_is_asked(client: FlaskClient, address: str) -> None:
    refused = client.get(address, headers={"Accept": "application/json"})
    assert (refused.status_code, refused.get_json()["code"]) == (400, "unstorable")


def test_no_text_of_an_account_holds_a_nul(client: FlaskClient, services: Services) -> None:
    owner = bearer(api_key(services, Role.OWNER))
    for url, entry in (
        ("/v1/rights", {"kind": "prefix", "value": "95299", "evidence": "certi\0ficate"}),
        ("/v1/rights/delegations", {"gtin": "1", "to": "AB\0", "quota": 1, "valid_until": "2100-01-01T00:00:00Z"}),
        ("/v1/keys/7/revocation", {"reason": "lost\0"}),
    ):
        refused = client.post(url, json=entry, headers=owner)
        assert refused.status_code == 422
        assert "NUL" in refused.get_json()["errors"][0]["message"]


def test_a_value_that_only_the_database_refuses_is_the_callers_mistake(app: Flask) -> None:
    @public
    def refused_by_the_database() -> str:
        raise DataError("SELECT :name", {"name": "\0"}, ValueError("text fields cannot contain NUL"))

    app.add_url_rule("/v1/refused", view_func=refused_by_the_database)
    answer = app.test_client().get("/v1/refused")
    assert (answer.status_code, answer.get_json()["code"]) == (400, "unstorable")


@pytest.mark.parametrize("accept", ["application/json", "text/html"])
def test_who_asks_too_often_is_told_when_to_come_back(app: Flask, accept: str) -> None:
    @public
    def refused() -> str:
        raise TooMany("There were too many requests from your address. Wait a minute.", retry_after=60)

    app.add_url_rule("/too-often", view_func=refused)
    answer = app.test_client().get("/too-often", headers={"Accept": accept})
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "60")


def test_a_key_number_beyond_four_bytes_names_no_key(client: FlaskClient, services: Services) -> None:
    owner = bearer(api_key(services, Role.OWNER))
    for number in (2**32, 2**63, 10**30):
        assert client.post(f"/v1/keys/{number}/rotation", headers=owner).status_code == 404


def test_who_was_refused_what_is_logged_and_who_only_is_not_signed_in_is_not(
    client: FlaskClient, services: Services
) -> None:
    auditor = bearer(api_key(services, Role.AUDITOR))
    with capture_logs() as logs:
        client.get("/v1/api-keys")
        client.get("/v1/api-keys", headers=auditor)
        client.get("/v1/api-keys", headers=bearer("mch_made-up"))
    refused = [(entry["status"], entry["endpoint"], entry["actor"]) for entry in logs]
    assert [entry["event"] for entry in logs] == ["request refused"] * 2
    assert refused[0][:2] == (403, "access.list_api_keys")
    assert refused[0][2].startswith("api-key:")
    assert refused[1] == (401, "access.list_api_keys", "anonymous")


def test_true_and_false_are_written_as_json_has_them(client: FlaskClient) -> None:
    for lie in ("true", 1, 0, "yes", None):
        answer = client.post("/v1/verify", json={"code": "x", "offline": lie})
        assert answer.status_code == 422, lie
        assert answer.get_json()["errors"][0]["where"] == "/offline"
