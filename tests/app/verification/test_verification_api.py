"""Verification over HTTP: shapes, refusals, roles, pages, proofs and the public log."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import quote, urlsplit

import pytest
from flask.testing import FlaskClient

from app.core.authorisation import Role
from app.core.service_keys import KeyPurpose
from app.core.services import Services
from app.registry.vocabulary import Profile
from app.verification.parts import close_parts
from ledger.proof import UnitProof, verify_unit_proof
from ledger.statement import RECEIPT_TYPE, verify_statement
from ledger.strict import decode_base64
from scanners.trust import TrustList
from tests.app.verification.verdict_builders import World, make_world
from tests.builders import api_key, bearer, on_sqlite

pytestmark = on_sqlite


@pytest.fixture
def world(services: Services) -> Iterator[World]:
    yield make_world(services)
    close_parts(services)


def path_of(code: str) -> str:
    parts = urlsplit(code)
    return f"{parts.path}?{parts.query}"


def test_anybody_verifies_a_code(client: FlaskClient, world: World) -> None:
    answer = client.post("/v1/verify", json={"code": world.codes[0], "corrUUID": "0" * 32})
    body = answer.get_json()
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "no-store"
    assert body["data"] == {"verified": True}
    assert body["corrUUID"] == "00000000-0000-0000-0000-000000000000"
    assert body["summary"] == "PASS"
    assert body["status"] == ["ACTIVE"]
    assert body["not_part_of_this_answer"] == ["labour"]
    assert body["product"]["name"] == world.firm.product.name
    assert "earlier_scans" not in body
    assert "evidence" not in body
    receipt = verify_statement(
        body["receipt"], public_key=world.services.keys[KeyPurpose.RECEIPT].public_key, typ=RECEIPT_TYPE
    )
    assert receipt.payload["scan"] == body["scan"]["id"]


def test_the_answer_is_what_the_documentation_says(client: FlaskClient, world: World) -> None:
    from app.verification.schemas import VerdictSchema

    secret = api_key(world.services, Role.RETAILER)
    for headers in ({}, bearer(secret)):
        body = client.post("/v1/verify", json={"code": world.codes[0]}, headers=headers).get_json()
        assert not VerdictSchema().validate(body)
    schema = client.get("/v1/openapi.json").get_json()
    content = schema["paths"]["/v1/verify"]["post"]["requestBody"]["content"]
    assert content["application/json"]["schema"]["$ref"].endswith("/Verify")


def test_a_failed_verification_uses_the_words_of_the_standard(client: FlaskClient, world: World) -> None:
    bad = world.codes[0][:-1] + ("1" if world.codes[0][-1] != "1" else "2")
    body = client.post("/v1/verify", json={"code": bad}).get_json()
    assert body["data"] == {"verified": False, "verificationFailureReason": "No_reason_provided"}
    assert body["product"] is None
    assert body["proof_url"] is None


def test_malformed_text_is_400_and_a_wrong_shape_422(client: FlaskClient, world: World) -> None:
    refused = client.post("/v1/verify", json={"code": "https://localhost/01/123/21/X"})
    assert refused.status_code == 400
    assert refused.get_json()["code"]
    shapes: list[object] = [{}, {"code": 7}, {"code": ""}, {"code": "x", "surprise": 1}, {"code": "x" * 2049}, []]
    for body in shapes:
        assert client.post("/v1/verify", json=body).status_code == 422, body
    assert client.post("/v1/verify", data="{", content_type="application/json").status_code == 400
    assert client.post("/v1/verify", data="{}").status_code == 400


@pytest.mark.parametrize(
    ("path", "query", "reason"),
    [
        ("/10/L9", "", "lot_differs"),
        ("/10/L1", "?17=281231", "expiry_differs"),
    ],
)
def test_a_compact_code_with_another_lot_or_expiry_is_never_a_pass(
    client: FlaskClient, services: Services, path: str, query: str, reason: str
) -> None:
    world = make_world(services, lot="L1", expiry="271231", profile=Profile.COMPACT)
    true = world.codes[0].replace("/21/", "/10/L1/21/") + "?17=271231"
    altered = world.codes[0].replace("/21/", f"{path}/21/") + query
    shop = bearer(api_key(world.services, Role.RETAILER))
    page = f"/verify{path_of(altered)}".rstrip("?")
    for headers in ({}, shop):
        assert client.post("/v1/verify", json={"code": true}, headers=headers).get_json()["summary"] == "PASS"
        body = client.post("/v1/verify", json={"code": altered}, headers=headers).get_json()
        assert (body["summary"], body["risk"]) == ("CHECK", "REVIEW")
        assert reason in body["reasons"]
        assert "is not the registered one" in body["advice"]
        assert client.get(page, headers={**headers, "Accept": "application/json"}).get_json()["summary"] == "CHECK"
    assert body["evidence"] == [{"reason": reason, "weight": 0.6}]
    close_parts(services)


def test_a_key_in_the_header_is_kept_whole_or_refused(client: FlaskClient, world: World) -> None:
    owner = bearer(api_key(world.services, Role.OWNER, organisation=world.firm.organisation))
    requests = (
        ("/v1/verify", {"code": world.codes[0]}),
        (f"/v1/batches/{world.batch.handle}/actions", {"action": "recall"}),
    )
    for url, body in requests:
        for key in ("x" * 65, "a b", ""):
            refused = client.post(url, json=body, headers={**owner, "Idempotency-Key": key})
            assert (refused.status_code, refused.get_json()["code"]) == (422, "idempotency_key")
        assert client.post(url, json=body, headers={**owner, "Idempotency-Key": "x" * 64}).status_code in (200, 201)


def test_acts_need_a_role(client: FlaskClient, world: World) -> None:
    sale = {"code": world.codes[0], "action": "sell"}
    assert client.post("/v1/verify", json=sale).status_code == 403
    carrier = bearer(api_key(world.services, Role.CARRIER))
    assert client.post("/v1/verify", json=sale, headers=carrier).status_code == 403
    shop = bearer(api_key(world.services, Role.RETAILER))
    body = client.post("/v1/verify", json=sale, headers={**shop, "Idempotency-Key": "abc"}).get_json()
    assert body["action"]["recorded"] is True
    again = client.post("/v1/verify", json=sale, headers={**shop, "Idempotency-Key": "abc"}).get_json()
    assert again["scan"]["replayed"] is True
    assert again["action"]["replayed"] is True
    assert "sold_twice" not in again["reasons"], "a request sent again is no second sale"
    undone = client.post(f"/v1/events/{body['action']['event_id']}/undo", json={}, headers=shop)
    assert undone.status_code == 201
    assert client.post("/v1/verify", json={"code": world.codes[0]}).get_json()["status"] == ["ACTIVE"]


def test_a_batch_answers_each_code(client: FlaskClient, world: World) -> None:
    body = {"codes": [world.codes[0], "nonsense", world.codes[1]]}
    assert client.post("/v1/verify/batch", json=body).status_code == 401
    shop = bearer(api_key(world.services, Role.RETAILER))
    answer = client.post("/v1/verify/batch", json=body, headers=shop).get_json()
    assert [item["error"] is None for item in answer["items"]] == [True, False, True]
    assert answer["summary"] == {"PASS": 2, "UNREADABLE": 1}
    assert client.post("/v1/verify/batch", json={"codes": ["x"] * 1001}, headers=shop).status_code == 422


def test_a_whole_batch_is_recalled_by_its_issuer_only(client: FlaskClient, world: World) -> None:
    url = f"/v1/batches/{world.batch.handle}/actions"
    other = bearer(api_key(world.services, Role.OWNER))
    assert client.post(url, json={"action": "recall"}, headers=other).status_code == 403
    owner = bearer(api_key(world.services, Role.OWNER, organisation=world.firm.organisation))
    first = client.post(url, json={"action": "recall", "key": "r1"}, headers=owner)
    assert first.status_code == 201
    assert client.post(url, json={"action": "recall", "key": "r1"}, headers=owner).get_json()["replayed"] is True
    body = client.post("/v1/verify", json={"code": world.codes[0]}).get_json()
    assert body["summary"] == "STOP"
    assert body["data"]["additionalInfo"] == "Recalled"


def test_a_printed_address_leads_to_the_verdict_and_records_nothing(client: FlaskClient, world: World) -> None:
    printed = path_of(world.codes[0])
    redirect = client.get(printed)
    assert redirect.status_code == 307
    assert redirect.headers["Location"] == f"/verify{printed}"
    body = client.get(redirect.headers["Location"], headers={"Accept": "application/json"}).get_json()
    assert body["summary"] == "PASS"
    assert body["scan"] is None
    assert client.head(printed).status_code == 307
    shop = bearer(api_key(world.services, Role.RETAILER))
    scanned = client.post("/v1/verify", json={"code": world.codes[0]}, headers=shop).get_json()
    assert scanned["earlier_scans"] == 0


def test_the_page_reports_a_scan_as_the_public_with_a_coarse_place(client: FlaskClient, world: World) -> None:
    shop = bearer(api_key(world.services, Role.RETAILER))
    report = {"code": world.codes[0], "place": {"latitude": 19.432608, "longitude": -99.133209, "accuracy": 5}}
    answer = client.post("/v1/public/scans", json=report, headers=shop)
    assert answer.status_code == 200
    assert "earlier_scans" not in answer.get_json()
    from app.verification.parts import parts

    desk = parts(world.services).desk
    unit = desk.look(world_identity(world))
    assert unit is not None
    recorded = desk._store.recent(unit.unit_id)[0]  # type: ignore[attr-defined]
    assert (recorded.latitude, recorded.longitude, recorded.accuracy) == (19_400_000, -99_100_000, 7_905)
    assert recorded.organisation_id is None


def world_identity(world: World):  # type: ignore[no-untyped-def]
    from scanners.codes.reader import read_code

    return read_code(world.codes[0], trusted_hosts={"localhost"}).identity


@pytest.mark.parametrize("serial", ["50%/OFF-7Q2K9ZX1", "7Q2K9ZX1?S=1&B=2", "7Q2K9ZX1+%2F+8Z"])
def test_the_proof_s_address_holds_any_serial_that_gs1_allows(
    client: FlaskClient, services: Services, serial: str
) -> None:
    world = make_world(services, quantity=None, serials=(serial,))
    url = client.post("/v1/verify", json={"code": world.codes[0]}).get_json()["proof_url"]
    signature = re.search(r"S=([0-9]{167})$", world.codes[0])
    assert signature is not None
    bundle = client.get(f"{url}?S={signature[1]}").get_json()
    assert bundle["uri"].endswith(f"/21/{quote(serial, safe='')}")


def test_the_proof_linked_on_the_page_of_a_scanned_label_opens_for_a_stranger(
    client: FlaskClient, world: World
) -> None:
    page = client.get(f"/verify{path_of(world.codes[0])}", headers={"Accept": "text/html"})
    link = re.search(r'href="(/v1/proofs/[^"]+)"', page.text)
    assert link is not None
    bundle = client.get(link[1])
    assert bundle.status_code == 200, link[1]
    assert world.codes[0].endswith(f"S={bundle.get_json()['signature']}")


def test_who_holds_the_code_gets_a_proof_that_outsiders_can_check(client: FlaskClient, world: World) -> None:
    url = client.post("/v1/verify", json={"code": world.codes[0]}).get_json()["proof_url"]
    assert client.get(url).status_code == 404, "a handle and a serial alone are not the code"
    signature = re.search(r"S=([0-9]{167})", world.codes[0])
    assert signature is not None
    bundle = client.get(f"{url}?S={signature[1]}").get_json()
    verified = verify_unit_proof(
        UnitProof.from_members(bundle["unit_proof"]),
        content=decode_base64(bundle["content"]),
        log_verifier=world.services.log.verifier,
        statement_key=None,
    )
    assert verified.kind == "batch"
    other = signature[1][:-1] + ("1" if signature[1][-1] != "1" else "2")
    assert client.get(f"{url}?S={other}").status_code == 404
    inspector = bearer(api_key(world.services, Role.INSPECTOR))
    assert client.get(url, headers=inspector).status_code == 200


def test_the_trust_list_is_what_scanners_read(client: FlaskClient, world: World) -> None:
    trust = TrustList.from_json(client.get("/v1/trust").data)
    assert world.batch.key_id in trust.code_keys
    assert "localhost" in trust.hosts


def test_the_public_is_slowed_down(limited_app, services: Services) -> None:  # type: ignore[no-untyped-def]
    from app.verification.limits import REQUESTS

    client = limited_app.test_client()
    statuses = {client.post("/v1/public/scans", json={"code": "x"}).status_code for _ in range(REQUESTS)}
    assert statuses == {400}
    assert client.post("/v1/public/scans", json={"code": "x"}).status_code == 429
