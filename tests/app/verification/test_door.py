"""The fast door of POST /v1/verify: it says what the route says, and takes nothing that could have another answer."""

from __future__ import annotations

import time
from typing import Any

import pytest
from flask.testing import FlaskClient

from app.access import remembered_principal
from app.access.remembered import CACHE_SECONDS
from app.core.authorisation import Role
from app.core.http import SECURITY_HEADERS
from app.core.services import Services
from app.verification import service
from tests.app.verification.verdict_builders import World, make_world
from tests.builders import api_key, on_sqlite

THROUGH_THE_ROUTE = {"X-Request-Id": "routed00"}
CHANGES_EACH_TIME = {
    "as_of",
    "corrUUID",
    "data_age_seconds",
    "earlier_scans",
    "ledger",
    "receipt",
    "scan",
    "verificationTimestamp",
}


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the door answered itself."""
    texts: list[str] = []
    verify = service.verify

    def note(services: Services, *, text: str, **rest: Any) -> Any:
        answer = verify(services, text=text, **rest)
        texts.append(text)
        return answer

    monkeypatch.setattr(service, "verify", note)
    return texts


@pytest.fixture
def inspector(services: Services, client: FlaskClient) -> dict[str, str]:
    """The header of an inspector whose key this process knows already."""
    headers = {"Authorization": f"Bearer {api_key(services, Role.INSPECTOR)}"}
    client.get("/v1/organisation", headers=headers)
    return headers


def post(client: FlaskClient, body: dict[str, Any], headers: dict[str, str]) -> Any:
    return client.post("/v1/verify", json=body, headers=headers)


def bodies(world: World) -> dict[str, dict[str, Any]]:
    first, second = world.codes[0], world.codes[1]
    return {
        "registered": {"code": first},
        "with device and nonce": {"code": second, "device": "gate-1", "key": "k1", "nonce": "n"},
        "a digit changed": {"code": first[:-1] + ("1" if first[-1] != "1" else "2")},
        "without signature": {"code": first.split("?")[0]},
        "another host": {"code": "https://example.org/01/09521234000013/21/A"},
    }


def test_door_and_route_give_the_same_answer(
    services: Services, client: FlaskClient, inspector: dict[str, str], taken: list[str]
) -> None:
    world = make_world(services)
    for name, body in bodies(world).items():
        taken.clear()
        by_door = post(client, body, inspector)
        assert taken == [body["code"]], f"the door did not take: {name}"
        by_route = post(client, body, inspector | THROUGH_THE_ROUTE)
        assert by_door.status_code == by_route.status_code == 200
        differing = {
            member
            for member in by_door.json.keys() | by_route.json.keys()
            if by_door.json.get(member) != by_route.json.get(member)
        }
        assert differing <= CHANGES_EACH_TIME, name
        assert {header for header, _ in by_door.headers} == {header for header, _ in by_route.headers}


@on_sqlite
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{",
        b'{"code": 7}',
        b'{"code": ""}',
        b'{"code": "not a code"}',
        b'{"code": "HTTPS://LOCALHOST/01/09521234000014/21/A"}',
        b'{"code": "a", "code": "b"}',
        b'{"code": "a", "unknown": "b"}',
        b'{"code": "a", "nonce": "\\u0007"}',
        b'{"code": "' + b"a" * 9000 + b'"}',
        b'{"code": "\xff"}',
    ],
    ids=range(12),
)
def test_what_is_refused_is_refused_in_the_same_words(
    client: FlaskClient, inspector: dict[str, str], body: bytes
) -> None:
    problems: list[dict[str, Any]] = []
    for headers in (inspector, inspector | THROUGH_THE_ROUTE):
        answer = client.post("/v1/verify", headers=headers, data=body, content_type="application/json")
        assert answer.status_code >= 400
        assert answer.content_type == "application/problem+json"
        problems.append(answer.get_json())
    ids = [problem.pop("request_id") for problem in problems]
    assert ids[0] != ids[1] == "routed00"
    assert problems[0] == problems[1]


@on_sqlite
@pytest.mark.parametrize(
    "headers",
    [
        {"Accept-Language": "es"},
        {"Idempotency-Key": "k"},
        {"X-Request-Id": "abcdefgh"},
        {"Authorization": "Bearer mch_" + "x" * 43},
        {"Authorization": "Basic abc"},
    ],
)
def test_a_header_that_changes_the_answer_goes_through_the_route(
    services: Services, client: FlaskClient, inspector: dict[str, str], taken: list[str], headers: dict[str, str]
) -> None:
    code = make_world(services).codes[0]
    answer = post(client, {"code": code}, inspector | headers)
    assert not taken
    assert answer.status_code == (401 if "Authorization" in headers else 200)


@on_sqlite
def test_a_caller_with_a_cookie_goes_through_the_route(
    services: Services, client: FlaskClient, inspector: dict[str, str], taken: list[str]
) -> None:
    client.set_cookie("language", "es")
    answer = post(client, {"code": make_world(services).codes[0]}, inspector)
    assert not taken
    assert "código" in answer.json["advice"]


@on_sqlite
def test_an_act_goes_through_the_route(
    services: Services, client: FlaskClient, inspector: dict[str, str], taken: list[str]
) -> None:
    code = make_world(services).codes[0]
    assert post(client, {"code": code, "action": "inspect"}, inspector).json["authenticity"] == "REGISTERED"
    assert not taken


@on_sqlite
def test_an_anonymous_caller_goes_through_the_route(services: Services, client: FlaskClient, taken: list[str]) -> None:
    assert post(client, {"code": make_world(services).codes[0]}, {}).status_code == 200
    assert not taken


@on_sqlite
def test_the_door_sends_the_security_headers(
    services: Services, client: FlaskClient, inspector: dict[str, str], taken: list[str]
) -> None:
    answer = post(client, {"code": make_world(services).codes[0]}, inspector)
    assert taken
    for name, value in SECURITY_HEADERS.items():
        assert answer.headers.getlist(name) == [value]


@on_sqlite
def test_a_revoked_key_is_not_remembered_for_ever(inspector: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert remembered_principal(inspector["Authorization"]) is not None
    later = time.monotonic() + CACHE_SECONDS + 1
    monkeypatch.setattr("app.access.remembered.time.monotonic", lambda: later)
    assert remembered_principal(inspector["Authorization"]) is None
