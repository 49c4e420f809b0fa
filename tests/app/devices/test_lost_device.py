"""Drills over HTTP: a lost device, a copied key, an organisation that wants signatures, evidence and its audit."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from app.access import remembered
from app.access import service as access
from app.accounts.vocabulary import OrganisationKind
from app.core.authorisation import Role
from app.core.clock import now_ms, to_iso
from app.core.database import create_database_engine
from app.core.notices import NoticeRow
from app.core.services import Services
from app.devices import service as devices
from app.devices.service import requiring
from app.facts.scans import Scan
from app.facts.scans.committing import commit_new_scans, scan_content
from app.facts.scans.open import open_scan_store
from scanners.signed_scans import scan_digest, sign_assertion
from tests.app.devices.device_builders import Hand, make_hand, owner_of, person_of
from tests.app.transparency.product_story import audit_with_product
from tests.app.verification.verdict_builders import World, make_world
from tests.builders import bearer, on_sqlite

ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


@pytest.fixture
def world(services: Services) -> World:
    return make_world(services)


@pytest.fixture
def hand(services: Services, world: World) -> Hand:
    return make_hand(services)


def ask_for_token(client: FlaskClient, hand: Hand, nonce: str) -> Any:
    assertion = sign_assertion(
        hand.key,
        device_id=hand.device.id,
        endpoint="http://localhost/oauth/token",
        now=int(time.time()),
        nonce=nonce * 16,
    )
    form = {
        "grant_type": "client_credentials",
        "client_assertion_type": ASSERTION,
        "client_assertion": assertion,
    }
    return client.post("/oauth/token", data=form)


def token(client: FlaskClient, hand: Hand) -> dict[str, str]:
    answer = ask_for_token(client, hand, "n")
    assert answer.status_code == 200, answer.text
    return bearer(answer.get_json()["access_token"])


def verify(client: FlaskClient, headers: dict[str, str], code: str, statement: str | None, **more: Any) -> Any:
    signed = {} if statement is None else {"device_statement": statement}
    return client.post("/v1/verify", json={"code": code, **signed, **more}, headers=headers)


def stored(services: Services) -> list[Scan]:
    store = open_scan_store(services.settings, services.engine)
    try:
        return [scan for part in range(16) for _, scan in store.arrived(part, 0, 10_000)]
    finally:
        store.close()


def faults(services: Services) -> set[str]:
    """The codes of what an audit finds."""
    return {str(fault.code) for fault in audit_with_product(services, services.engine).faults}


def faults_after(services: Services, change: str, folder: Path) -> set[str]:
    """The same for a copy of the SQLite database that somebody changed."""
    copy = folder / "changed.db"
    copy.unlink(missing_ok=True)
    source = sqlite3.connect(services.settings.database_url.removeprefix("sqlite:///"))
    source.execute("VACUUM INTO ?", (str(copy),))
    source.close()
    changing = sqlite3.connect(copy)  # whose foreign keys are not enforced
    changing.execute(change)
    changing.commit()
    changing.close()
    engine = create_database_engine(f"sqlite:///{copy}")
    try:
        return {str(fault.code) for fault in audit_with_product(services, engine).faults}
    finally:
        engine.dispose()


def test_a_device_gets_a_token_for_its_key_and_verifies_with_it(client: FlaskClient, world: World, hand: Hand) -> None:
    statement = hand.signs(world.codes[0], action="inspect")
    answer = verify(client, token(client, hand), world.codes[0], statement, action="inspect")
    assert answer.status_code == 200, answer.text
    assert answer.get_json()["scan"]["device_signature"] == "good"
    assert "earlier_scans" in answer.get_json(), "as a professional"
    [scan] = stored(hand.services)
    assert (scan.role, scan.organisation_id, scan.action) == ("inspector", hand.organisation.id, "inspect")
    assert scan.device == f"{hand.organisation.id}:device:{hand.device.id}"
    assert scan.statement == scan_digest(statement)


def test_a_lost_device_is_shut_out_and_what_it_did_before_stands(
    client: FlaskClient, world: World, hand: Hand, monkeypatch: pytest.MonkeyPatch
) -> None:
    services, headers = hand.services, token(client, hand)
    assert verify(client, headers, world.codes[0], hand.signs(world.codes[0])).status_code == 200
    before = stored(services)
    hand.is_lost()
    assert verify(client, headers, world.codes[0], hand.signs(world.codes[0])).status_code == 401, "in this process"
    assert ask_for_token(client, hand, "m").status_code == 401
    assert remembered.CACHE_SECONDS <= 5.0, "in every other process"
    # Its thief hands in what it signs without a token: it is the public, whatever the device was.
    late = verify(client, {}, world.codes[0], hand.signs(world.codes[0]))
    assert late.status_code == 200, late.text
    assert late.get_json()["scan"]["device_signature"] == "revoked"
    assert "earlier_scans" not in late.get_json()
    [kept] = [scan for scan in stored(services) if scan not in before]
    assert (kept.role, kept.organisation_id) == ("public", None)
    assert kept.device.startswith("p:")
    assert before[0] in stored(services)
    assert faults(services) == set()


@on_sqlite
def test_another_process_stops_a_token_when_its_memory_of_five_seconds_ends(
    client: FlaskClient, world: World, hand: Hand, monkeypatch: pytest.MonkeyPatch
) -> None:
    headers = token(client, hand)
    assert verify(client, headers, world.codes[0], None).status_code == 200
    monkeypatch.setattr("app.devices.service.ending.forget_machine", lambda _machine: None)
    hand.is_lost()
    assert verify(client, headers, world.codes[0], None).status_code == 200
    present = time.monotonic()
    monkeypatch.setattr("app.access.remembered.time.monotonic", lambda: present + remembered.CACHE_SECONDS + 0.01)
    assert verify(client, headers, world.codes[0], None).status_code == 401


@on_sqlite
def test_two_devices_with_one_key_are_noticed(client: FlaskClient, world: World, hand: Hand) -> None:
    headers = token(client, hand)
    own, copied = hand.signs(world.codes[0], seq=1), hand.signs(world.codes[1], seq=1)
    assert verify(client, headers, world.codes[0], own).status_code == 200
    answer = verify(client, headers, world.codes[1], copied)
    assert (answer.status_code, answer.get_json()["code"]) == (409, "device_sequence")
    with Session(hand.services.engine) as session:
        assert "device.conflict" in [notice.kind for notice in session.scalars(select(NoticeRow))]
        assert devices.find_device_for(session, hand.who, hand.device.id).counts.conflicts == 1
    assert len(stored(hand.services)) == 1


@on_sqlite
def test_a_revoked_device_acts_on_nothing_and_its_attempt_is_kept(
    client: FlaskClient, services: Services, world: World
) -> None:
    hand = make_hand(services, Role.RETAILER, OrganisationKind.SHOP)
    owner = make_hand(services, Role.OWNER, OrganisationKind.SHOP, hand.organisation)
    size, headers = services.log.head()[0], token(client, owner)
    devices.revoke_device(services, principal=hand.who, device_id=hand.device.id, reason="Lost.")
    statement = hand.signs(world.codes[0], action="sell")
    _, key = access.create_api_key(
        services, principal=owner_of(hand.organisation), name="gateway", role=Role.OWNER, scopes=None, days=1
    )
    answer = verify(client, bearer(key), world.codes[0], statement, action="sell")
    assert (answer.status_code, answer.get_json()["code"]) == (403, "device_not_trusted")
    assert verify(client, headers, world.codes[0], statement, action="sell").status_code == 403
    assert stored(services) == []
    with Session(services.engine) as session:
        assert devices.find_device_for(session, hand.who, hand.device.id).counts.received == 1
    assert services.log.head()[0] - size <= 2, "the revocation and the key, no sale"


@on_sqlite
def test_a_device_sells_for_its_shop(client: FlaskClient, services: Services, world: World) -> None:
    hand = make_hand(services, Role.RETAILER, OrganisationKind.SHOP)
    statement = hand.signs(world.codes[0], action="sell")
    answer = verify(client, token(client, hand), world.codes[0], statement, action="sell").get_json()
    assert answer["action"]["recorded"]
    with services.engine.connect() as connection:
        [actor] = connection.execute(text("SELECT actor FROM events WHERE kind = 'sold'")).scalars()
    assert actor == f"device:{hand.device.id}"
    again = verify(client, {}, world.codes[0], statement, action="sell")
    assert again.status_code == 403, "the signature alone opens nothing"


@on_sqlite
def test_signed_acts_that_are_handed_in_twice_are_recorded_once(
    client: FlaskClient, services: Services, world: World
) -> None:
    hand = make_hand(services, Role.RETAILER, OrganisationKind.SHOP)
    codes, headers = world.codes[:3], token(client, hand)
    statements = [hand.signs(code, action="sell") for code in codes]
    body = {"codes": codes, "device_statements": statements, "action": "sell"}
    for replayed in (False, True):
        items = client.post("/v1/units/actions", json=body, headers=headers).get_json()["items"]
        assert [item["verdict"]["action"]["replayed"] for item in items] == [replayed] * 3
    with services.engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM events WHERE kind = 'sold'")).scalar_one() == 1


@on_sqlite
def test_what_the_request_says_has_to_be_what_was_signed(client: FlaskClient, world: World, hand: Hand) -> None:
    headers, code, at = token(client, hand), world.codes[0], now_ms()
    statement = hand.signs(code, key="k1", scanned_at=at, operator_saw="CHECK", offline=True)
    place = {"latitude": 19.4, "longitude": -99.1}
    different: list[dict[str, Any]] = [
        {"action": "inspect"},
        {"device": "till-1"},
        {"device_time": to_iso(at + 1)},
        {"key": "k2"},
        {"operator_saw": "PASS"},
        {"place": place},
    ]
    for said in different:
        answer = verify(client, headers, code, statement, **said)
        assert (answer.status_code, answer.get_json()["code"]) == (422, "statement_differs"), said
    assert verify(client, headers, world.codes[1], statement).get_json()["code"] == "statement_differs"
    same = {"device_time": to_iso(at), "key": "k1", "operator_saw": "CHECK", "offline": True}
    assert verify(client, headers, code, statement, **same).status_code == 200
    [scan] = stored(hand.services)
    assert (scan.key, scan.scanned_at, scan.operator_saw, bool(scan.offline)) == ("k1", at, "CHECK", True)


@on_sqlite
def test_a_queue_comes_in_as_a_batch_and_each_scan_keeps_its_own_circumstances(
    client: FlaskClient, world: World, hand: Hand
) -> None:
    headers, started = token(client, hand), now_ms()
    codes = [*world.codes[:3], "nonsense"]
    statements = [hand.signs(code, scanned_at=started - n, offline=True) for n, code in enumerate(codes)]
    statements[1] = "x" + statements[1]
    body = {"codes": codes, "device_statements": statements}
    answer = client.post("/v1/verify/batch", json=body, headers=headers)
    assert answer.status_code == 200, answer.text
    items = answer.get_json()["items"]
    assert [item["error"] and item["error"]["code"] for item in items][:3] == [None, "device_statement", None]
    assert items[3]["error"] is not None
    assert {scan.scanned_at for scan in stored(hand.services)} == {started, started - 2}
    again = client.post("/v1/verify/batch", json=body, headers=headers).get_json()["items"]
    assert again[0]["verdict"]["scan"]["replayed"]
    assert len(stored(hand.services)) == 2
    short = client.post("/v1/verify/batch", json=body | {"device_statements": statements[:2]}, headers=headers)
    assert (short.status_code, short.get_json()["code"]) == (400, "statement_count")


@on_sqlite
def test_an_organisation_can_want_every_inspector_to_sign(
    client: FlaskClient, services: Services, world: World, hand: Hand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(requiring, "CACHE_SECONDS", 0.0)
    _, colleague = person_of(services, hand.organisation, Role.INSPECTOR)
    headers = token(client, hand)
    assert world.ask(world.codes[0], colleague).scan_id
    devices.require_devices(services, principal=owner_of(hand.organisation), required=True)
    with pytest.raises(Exception, match="enrolled device"):
        world.ask(world.codes[0], colleague)
    unsigned = verify(client, headers, world.codes[0], None)
    assert (unsigned.status_code, unsigned.get_json()["code"]) == (403, "device_required")
    assert "fix" in unsigned.get_json()
    batch = client.post("/v1/verify/batch", json={"codes": world.codes[:2]}, headers=headers)
    assert batch.get_json()["code"] == "device_required"
    assert verify(client, headers, world.codes[0], hand.signs(world.codes[0])).status_code == 200
    devices.require_devices(services, principal=owner_of(hand.organisation), required=False)
    assert world.ask(world.codes[0], colleague).scan_id


@on_sqlite
def test_the_ledger_commits_to_what_the_device_signed_and_the_audit_checks_it(
    client: FlaskClient, world: World, hand: Hand, tmp_path: Path
) -> None:
    services = hand.services
    verify(client, token(client, hand), world.codes[0], hand.signs(world.codes[0]))
    world.ask(world.codes[1], hand.who)
    signed, plain = sorted(stored(services), key=lambda scan: scan.statement is None)
    assert f'"statement":"{signed.statement}"'.encode() in scan_content(signed, 1)
    assert b'"statement"' not in scan_content(plain, 1)
    store = open_scan_store(services.settings, services.engine)
    commit_new_scans(services, store)
    store.close()
    assert faults(services) == set()
    for change, code in (
        ("UPDATE device_statements SET statement = statement || 'A'", "scan.statement"),
        ("UPDATE device_statements SET standing = 'revoked'", "scan.standing"),
        ("UPDATE devices SET role = 'owner'", "device.enrolment"),
        ("UPDATE devices SET public_key = zeroblob(32)", "device.enrolment"),
        ("UPDATE devices SET revoked_at = 1, revoked_from = 1", "device.end"),
        ("DELETE FROM device_statements", "scan.statement"),
        ("DELETE FROM devices", "device.missing"),
    ):
        assert code in faults_after(services, change, tmp_path), change


@on_sqlite
def test_a_device_of_another_organisation_or_a_rule_that_nobody_decided_is_named(hand: Hand, tmp_path: Path) -> None:
    services = hand.services
    other = make_hand(services)
    devices.require_devices(services, principal=owner_of(hand.organisation), required=True)
    devices.require_devices(services, principal=owner_of(other.organisation), required=True)
    devices.require_devices(services, principal=owner_of(other.organisation), required=False)
    assert faults(services) == set()
    for change, code in (
        ("UPDATE devices SET organisation_id = (SELECT max(organisation_id) FROM devices)", "device.enrolment"),
        ("UPDATE device_rules SET required = 0", "device.rule"),
        ("UPDATE device_rules SET required = 1", "device.rule"),
        ("DELETE FROM device_rules", "device.rule"),
    ):
        assert faults_after(services, change, tmp_path) == {code}, change


def test_what_was_signed_is_let_go_when_its_time_is_over(client: FlaskClient, world: World, hand: Hand) -> None:
    services, headers = hand.services, token(client, hand)
    statement = hand.signs(world.codes[0])
    verify(client, headers, world.codes[0], statement)
    assert devices.forget_statements(services.engine, before=now_ms() - 60_000) == 0
    assert devices.forget_statements(services.engine, before=now_ms() + 1000) == 1
    with services.engine.connect() as connection:
        assert connection.execute(text("SELECT statement FROM device_statements")).scalars().all() == [None]
    assert faults(services) == set(), "the digest stays, and the ledger's commitment with it"
    assert verify(client, headers, world.codes[0], statement).get_json()["scan"]["replayed"]
