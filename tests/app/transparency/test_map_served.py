"""The statements of the subject map as everybody gets them: enough to compute each map again, and safe to cache."""

from __future__ import annotations

import json

from flask import Flask
from flask.testing import FlaskClient

from app.accounts.service import payload, registry_entry
from app.core.clock import now_ms
from app.core.services import Services
from app.core.state_map import subject_map
from ledger.map.monitor import monitor
from ledger.strict import decode_base64
from scanners.trust import TrustList
from tests.builders import make_approved_firm, on_sqlite

pytestmark = on_sqlite


def record(services: Services) -> None:
    statement = payload(kind="test", organisation="TEST", at_ms=now_ms(), name=services.log.head()[0])
    services.log.append(registry_entry(services, bytes(32), statement=statement))


def publish(services: Services) -> int:
    head = subject_map(services).publish()
    assert head is not None
    services.log.checkpoint(at_least=head.entry + 1)
    return head.entry


def test_without_a_map_there_is_nothing_and_nobody_may_remember_that(client: FlaskClient) -> None:
    for path in ("/log/map", "/log/maps/0", "/log/maps/99999999999999999999"):
        answer = client.get(path)
        assert answer.status_code == 404
        assert answer.headers["Cache-Control"] == "no-store"


def test_the_latest_map_and_all_before_it_are_served_to_everybody(client: FlaskClient, services: Services) -> None:
    record(services)
    first = publish(services)
    record(services)
    second = publish(services)
    latest = client.get("/log/map")
    assert latest.get_json()["entry"]["index"] == second
    assert latest.headers["Access-Control-Allow-Origin"] == "*"
    assert client.get("/log/map", headers={"If-None-Match": latest.headers["ETag"]}).status_code == 304
    statements = client.get("/log/maps/0")
    assert statements.headers["Cache-Control"] == "no-cache"
    assert [json.loads(line)["index"] for line in statements.data.splitlines()] == [first, second]
    assert client.get("/log/maps/1").status_code == 404


def test_an_outsider_with_the_trust_list_finds_the_service_honest(
    app: Flask, client: FlaskClient, services: Services
) -> None:
    make_approved_firm(services)
    publish(services)
    trust = TrustList.from_json(client.get("/v1/trust").data)
    own = {name: key for name, key in trust.statement_keys.items() if not name.startswith("org:")}

    def fetch(path: str) -> bytes:
        answer = client.get(f"/log/{path}")
        assert answer.status_code == 200, path
        return bytes(answer.data)

    report = monitor(fetch, log_keys=trust.log_keys, map_keys=own)
    assert (report.faults, report.maps) == ((), 1)
    assert report.latest is not None
    assert len(decode_base64(json.loads(fetch("map"))["entry"]["prev"])) == 32
