"""The pages of devices: a code that is shown once, what a person and a manager see, and the end of a device."""

from __future__ import annotations

import re

import pytest
from flask.testing import FlaskClient
from sqlalchemy import update
from sqlalchemy.orm import Session

from app.access.models import SignInSessionRow
from app.core.authorisation import CONFIRMED_MS, Role
from app.core.clock import now_ms
from app.core.database import write_session
from app.core.services import Services
from app.devices import service as devices
from app.devices.models import DeviceRow
from tests.app.devices.device_builders import Hand, make_hand, person_of
from tests.builders import on_sqlite, signed_in

pytestmark = on_sqlite


@pytest.fixture
def hand(services: Services) -> Hand:
    return make_hand(services)


@pytest.fixture
def inspector(client: FlaskClient, hand: Hand) -> FlaskClient:
    return signed_in(client, hand.services, hand.email)


@pytest.fixture
def owner(client: FlaskClient, hand: Hand) -> FlaskClient:
    email, _ = person_of(hand.services, hand.organisation, Role.OWNER)
    return signed_in(client, hand.services, email)


def post(client: FlaskClient, path: str, page: str = "/devices", **fields: str) -> str:
    """Send a form of the page and give what is shown then."""
    token = re.search(r'name="csrf_token" value="([^"]+)"', client.get(page).text)
    assert token is not None
    return client.post(path, data={"csrf_token": token[1], **fields}, follow_redirects=True).text


def test_a_code_is_shown_with_its_picture_and_kept_by_nobody(inspector: FlaskClient) -> None:
    shown = post(inspector, "/devices")
    code = re.search(r"[0-9A-HJKMNP-TV-Z]{5}-[0-9A-HJKMNP-TV-Z]{5}", shown)
    assert code is not None
    assert '<svg class="qr"' in shown
    assert code[0] not in inspector.get("/devices").text


def test_whoever_finds_a_browser_signed_in_gets_no_code_for_a_device(
    inspector: FlaskClient, services: Services
) -> None:
    with write_session(services.engine) as session:
        session.execute(update(SignInSessionRow).values(confirmed_at=now_ms() - CONFIRMED_MS - 1))
    token = re.search(r'name="csrf_token" value="([^"]+)"', inspector.get("/devices").text)
    assert token is not None
    answer = inspector.post("/devices", data={"csrf_token": token[1]})
    assert answer.headers["Location"].startswith("/sign-in/again?next=/devices&")


def test_a_page_with_a_code_is_not_stored(inspector: FlaskClient) -> None:
    token = re.search(r'name="csrf_token" value="([^"]+)"', inspector.get("/devices").text)
    assert token is not None
    answer = inspector.post("/devices", data={"csrf_token": token[1]})
    assert "no-store" in answer.headers["Cache-Control"]


def test_a_person_sees_her_own_devices_and_an_owner_all(inspector: FlaskClient, hand: Hand, services: Services) -> None:
    other = make_hand(services, organisation=hand.organisation)
    mine = inspector.get("/devices").text
    assert f"/devices/{hand.device.id}" in mine
    assert other.device.id not in mine
    assert "/devices/rule" not in mine
    assert inspector.get(f"/devices/{other.device.id}").status_code == 404


def test_an_owner_sees_all_and_sets_the_rule(owner: FlaskClient, hand: Hand, services: Services) -> None:
    assert f"/devices/{hand.device.id}" in owner.get("/devices").text
    assert "From now on" in post(owner, "/devices/rule", required="1")
    with Session(services.engine) as session:
        assert devices.devices_required(session, organisation_id=hand.organisation.id)
    assert "without an enrolled device again" in post(owner, "/devices/rule", required="0")


def test_a_device_is_revoked_on_its_page(inspector: FlaskClient, hand: Hand) -> None:
    page = f"/devices/{hand.device.id}"
    assert "1 to 500" in post(inspector, f"{page}/revocation", page, reason="")
    assert "such as 2027" in post(inspector, f"{page}/revocation", page, reason="Lost.", since="yesterday")
    shown = post(inspector, f"{page}/revocation", page, reason="Left in a taxi.")
    assert "Left in a taxi." in shown
    assert "Revoked" in shown
    assert f"{page}/revocation" not in shown


def test_a_lease_that_ended_can_be_renewed_by_the_owner(owner: FlaskClient, hand: Hand, services: Services) -> None:
    with write_session(services.engine) as session:
        session.execute(update(DeviceRow).values(lease_until=now_ms() - 1))
    page = f"/devices/{hand.device.id}"
    assert "Lease ended" in owner.get("/devices").text
    assert "The lease goes on." in post(owner, f"{page}/renewal", page)


def test_a_key_used_twice_is_said_on_the_page(inspector: FlaskClient, hand: Hand) -> None:
    code = "https://example.org/01/09521234567899/21/1"
    for _ in range(2):
        devices.take_scans(hand.services, [hand.signs(code, seq=1)], caller=hand.as_caller)
    assert "in two places" in inspector.get(f"/devices/{hand.device.id}").text
    assert "Key used twice" in inspector.get("/devices").text
