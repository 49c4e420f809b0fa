"""The page of a unit and what it records."""

from __future__ import annotations

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from app.core.services import Services
from app.facts.scans.open import open_scan_store
from app.portal.addresses import verify_path
from app.registry import service as registry
from scanners.codes.reader import read_code
from tests.app.portal.page_steps import ONCE, made_codes, scans_in
from tests.builders import on_sqlite

pytestmark = on_sqlite


@pytest.fixture
def code(firm_client: FlaskClient, services: Services) -> str:
    return made_codes(firm_client, services)[0]


def test_looking_by_whatever_means_records_nothing(app: Flask, services: Services, code: str) -> None:
    stranger, address = app.test_client(), verify_path(code)
    for headers in ({}, {"Purpose": "prefetch"}, {"Sec-Purpose": "prefetch;prerender"}, {"User-Agent": "Preview"}):
        assert stranger.get(address, headers=headers).status_code == 200
        assert stranger.head(address, headers=headers).status_code == 200
        assert stranger.get(address.removeprefix("/verify"), headers=headers).status_code == 307
    assert scans_in(services) == 0


def test_looking_at_a_unit_that_is_not_in_trade_yet_is_no_sign_of_a_copy_but_a_recorded_scan_is(
    app: Flask, code: str
) -> None:
    stranger, address = app.test_client(), verify_path(code)
    seen_early = "The unit was scanned or sold in public before its maker put it into trade."
    first = [stranger.get(address).text for _ in range(2)][-1]
    assert "Not in trade yet" in first or "not yet" in first.lower()
    assert seen_early not in first
    assert stranger.post("/v1/public/scans", json={"code": code}).status_code == 200
    assert seen_early in stranger.get(address).text


def test_without_script_one_button_records_once_however_often_it_is_sent(
    app: Flask, services: Services, code: str
) -> None:
    stranger = app.test_client()
    once = ONCE.search(stranger.get(verify_path(code)).text)
    assert once is not None
    for _ in range(2):
        answer = stranger.post("/seen", data={"code": code, "once": once[1]})
        assert "This look was noted" in answer.text
        assert "I saw this unit" not in answer.text
        assert "Set-Cookie" not in answer.headers
    assert scans_in(services) == 1
    # The page's script has the same key: whichever was first, the other is its repetition.
    assert stranger.post("/v1/public/scans", json={"code": code, "key": once[1]}).get_json()["scan"]["replayed"]


def test_it_is_the_public_who_saw_it_whoever_is_signed_in(
    firm_client: FlaskClient, services: Services, code: str
) -> None:
    assert firm_client.post("/seen", data={"code": code}).status_code == 200
    assert "This look was noted" not in firm_client.get(verify_path(code)).text
    scan = read_code(code, trusted_hosts=services.settings.code_hosts)
    assert scan.identity is not None
    with Session(services.engine) as session:
        unit = registry.find_unit(session, scan.identity)
    assert unit is not None
    store = open_scan_store(services.settings, services.engine)
    (recorded,) = store.recent(unit.unit_id)
    store.close()
    assert recorded.role == "public"
    assert recorded.organisation_id is None


def test_a_page_elsewhere_can_not_make_its_visitors_send_it(app: Flask, services: Services, code: str) -> None:
    for site in ("cross-site", "same-site"):
        refused = app.test_client().post("/seen", data={"code": code}, headers={"Sec-Fetch-Site": site})
        assert refused.status_code == 400
    assert scans_in(services) == 0


def test_nonsense_is_refused(app: Flask) -> None:
    assert app.test_client().post("/seen", data={"code": "nonsense"}).status_code == 400
    assert app.test_client().post("/seen").status_code == 400
