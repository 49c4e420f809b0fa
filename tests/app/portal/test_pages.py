"""Pages of the portal as a browser without script sees them."""

from __future__ import annotations

import re

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app.accounts.vocabulary import OrganisationKind
from app.core.authorisation import Role
from app.core.services import Services
from app.facts.scans import scan as scan_module
from tests.app.portal.page_steps import ONCE, made_codes, ordered, post_form, registered, work
from tests.builders import (
    add_person,
    gtin,
    make_approved,
    make_approved_firm,
    make_organisation,
    on_sqlite,
    owner_email,
    signed_in,
)

pytestmark = on_sqlite


def test_the_start_page_is_in_the_language_that_the_browser_asks_for(client: FlaskClient) -> None:
    assert "Un código para cada unidad" in client.get("/", headers={"Accept-Language": "es-MX,es;q=0.9"}).text
    assert "A code for every unit" in client.get("/", headers={"Accept-Language": "de,en;q=0.5"}).text


def test_a_choice_of_language_is_remembered_and_an_unknown_one_is_not(client: FlaskClient) -> None:
    assert client.get("/?lang=xx").headers.get("Set-Cookie") is None
    client.get("/?lang=es")
    assert '<html lang="es">' in client.get("/check").text


def test_public_pages_set_no_cookie_and_load_nothing_from_elsewhere(client: FlaskClient) -> None:
    for path in ("/", "/transparency", "/ledger", "/v1/docs"):
        answer = client.get(path)
        assert answer.status_code == 200
        assert "Set-Cookie" not in answer.headers
        assert not re.search(r'(?:src|href)="https?://', answer.text)


def test_the_transparency_page_shows_the_checkpoint_and_the_key_that_signs_it(
    client: FlaskClient, services: Services
) -> None:
    page = client.get("/transparency").text
    assert services.log.checkpoint().note_text.splitlines()[2] in page
    assert services.log.verifier.to_text().replace("+", "&#43;") in page or services.log.verifier.to_text() in page


def test_figures_are_written_as_in_mexico(app: Flask) -> None:
    number = app.jinja_env.filters["number"]
    with app.test_request_context("/?lang=es"):
        assert number(1234567) == "1,234,567"


def test_pages_of_a_firm_ask_strangers_to_sign_in(client: FlaskClient) -> None:
    for path in ("/dashboard", "/products", "/batches", "/batches/new", "/imports/new", "/jobs/abc"):
        assert client.get(path).status_code in (302, 303, 401), path


def test_a_firm_that_waits_for_approval_sees_its_steps_and_no_products(client: FlaskClient, services: Services) -> None:
    signed_in(client, services, owner_email(services, make_organisation(services)))
    page = client.get("/dashboard?lang=es").text
    assert "El registro aprueba su organización" in page
    assert client.get("/products").status_code == 403


def test_a_wrong_check_digit_is_explained_and_what_was_typed_stays(firm_client: FlaskClient) -> None:
    wrong = gtin()[:-1] + str((int(gtin()[-1]) + 1) % 10)
    answer = registered(firm_client, gtin=wrong)
    assert answer.status_code == 422
    assert f"would have to be {gtin()[-1]}" in answer.text
    assert f'value="{wrong}"' in answer.text
    assert 'value="Tres Ríos"' in answer.text


def test_codes_are_made_once_however_often_the_form_is_sent(firm_client: FlaskClient, services: Services) -> None:
    assert registered(firm_client).location == f"/batches/new?product={gtin()}"
    once = ONCE.search(firm_client.get("/batches/new").text)
    assert once is not None
    first, second = ordered(firm_client, once=once[1]), ordered(firm_client, once=once[1])
    assert first.status_code == 303
    assert first.location == second.location
    work(services)
    assert "7 units" in firm_client.get(first.location).text
    assert firm_client.get("/batches").text.count("/batches/") >= 1


def test_the_state_of_a_job_is_told_to_its_page_only(firm_client: FlaskClient, app: Flask, services: Services) -> None:
    registered(firm_client)
    address = ordered(firm_client).location
    assert 'http-equiv="refresh"' in firm_client.get(address).text  # for browsers without script
    assert firm_client.get(address + "/state").get_json()["finished"] is False
    work(services)
    state = firm_client.get(address + "/state").get_json()
    assert (state["done"], state["total"], state["state"], state["finished"]) == (7, 7, "done", True)
    stranger = signed_in(app.test_client(), services, owner_email(services, make_approved_firm(services, prefix=None)))
    assert stranger.get(address).status_code == 404
    assert stranger.get(address + "/state").status_code == 404


def test_own_serials_and_a_quantity_together_are_refused(firm_client: FlaskClient) -> None:
    registered(firm_client)
    answer = ordered(firm_client, serials="A-1\nA-2")
    assert answer.status_code == 422
    assert "Give either the number of units or your own serial numbers." in answer.text


def test_a_serial_given_twice_is_named_with_its_line(firm_client: FlaskClient) -> None:
    registered(firm_client)
    answer = ordered(firm_client, quantity="", serials="A-1\n\nA-2\nA-1")
    assert answer.status_code == 422
    assert "line 4" in answer.text


def test_a_batch_is_put_into_trade_recalled_and_released_on_its_page(
    firm_client: FlaskClient, services: Services
) -> None:
    registered(firm_client)
    job = ordered(firm_client).location
    work(services)
    handle = re.search(r"/batches/([0-9A-Z]{5})", firm_client.get(job).text)
    assert handle is not None
    page = f"/batches/{handle[1]}"
    for action, word in (("activate", "In trade"), ("recall", "Recalled"), ("lift_recall", "In trade")):
        assert post_form(firm_client, page, f"{page}/acts", action=action, note="a reason").status_code == 303
        assert word in firm_client.get(page).text
    assert post_form(firm_client, page, f"{page}/acts", action="seize").status_code == 422


def test_a_batch_of_another_firm_is_nobody_elses(firm_client: FlaskClient, app: Flask, services: Services) -> None:
    registered(firm_client)
    job = ordered(firm_client).location
    work(services)
    handle = re.search(r"/batches/([0-9A-Z]{5})", firm_client.get(job).text)
    assert handle is not None
    other = signed_in(app.test_client(), services, owner_email(services, make_approved_firm(services, prefix=None)))
    assert other.get(f"/batches/{handle[1]}").status_code == 404
    assert (
        post_form(other, "/products/new", f"/batches/{handle[1]}/acts", action="recall", note="mine now").status_code
        == 404
    )
    assert post_form(other, "/products/new", f"/batches/{handle[1]}/labels", layout="letter-3x10").status_code == 404


def test_an_operator_makes_codes_but_recalls_nothing(firm_client: FlaskClient, app: Flask, services: Services) -> None:
    firm = make_approved_firm(services, prefix="9527777")
    client = signed_in(app.test_client(), services, add_person(services, firm, Role.OPERATOR))
    assert registered(client, gtin=gtin(prefix="9527777")).status_code == 303
    job = ordered(client, product=gtin(prefix="9527777")).location
    work(services)
    handle = re.search(r"/batches/([0-9A-Z]{5})", client.get(job).text)
    assert handle is not None
    page = f"/batches/{handle[1]}"
    assert 'value="recall"' not in client.get(page).text
    assert post_form(client, page, f"{page}/acts", action="recall", note="no").status_code == 403


def test_a_form_without_its_token_does_nothing(firm_client: FlaskClient) -> None:
    answer = firm_client.post("/products/new", data={"name": "Mezcal", "gtin": gtin(), "sector": "other"})
    assert answer.status_code == 400
    assert gtin() not in firm_client.get("/products").text


def test_the_job_page_tells_a_refusal_in_the_readers_language(firm_client: FlaskClient, services: Services) -> None:
    registered(firm_client)
    first = ordered(firm_client, quantity="", serials="A-1")
    second = ordered(firm_client, quantity="", serials="A-1\nA-2")
    work(services)
    assert first.status_code == second.status_code == 303
    page = firm_client.get(f"{second.location}?lang=es").text
    assert "1 de las series ya existen en este producto; no se guardó nada." in page


def test_the_overview_counts_the_scans_of_the_firms_units_of_this_week(
    firm_client: FlaskClient, app: Flask, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    codes = made_codes(firm_client, services)

    def figure(browser: FlaskClient) -> str:
        found = re.search(
            r'class="figure">([^<]+)</p><p class="figure-label">Scans in 7 days', browser.get("/dashboard").text
        )
        return found[1] if found else ""

    assert figure(firm_client) == "0"
    for code in codes[:3]:
        app.test_client().post("/v1/public/scans", json={"code": code})
    assert figure(firm_client) == "3"
    monkeypatch.setattr(scan_module, "MOST_COUNTED", 2)
    assert figure(firm_client) == "2+"
    other = signed_in(app.test_client(), services, owner_email(services, make_approved_firm(services, prefix=None)))
    assert figure(other) == ""


def elsewhere(client: FlaskClient) -> TestResponse:
    """Our own host asked for a path that a browser would take for another host."""
    return client.get("/", headers={"Accept": "text/html"}, environ_overrides={"PATH_INFO": "//elsewhere.example/x"})


def test_an_address_of_elsewhere_never_becomes_a_link(client: FlaskClient) -> None:
    page = elsewhere(client)
    assert page.status_code == 404
    assert "//elsewhere.example" not in page.text


def test_a_shop_is_told_how_to_record_a_sale_and_an_inspector_how_to_hold(app: Flask, services: Services) -> None:
    for role, kind, word in (
        (Role.RETAILER, OrganisationKind.SHOP, "Vender"),
        (Role.OWNER, OrganisationKind.SHOP, "Vender"),
        (Role.INSPECTOR, OrganisationKind.AUTHORITY, "Retener"),
    ):
        email = add_person(services, make_approved(services, kind=kind), role)
        browser = signed_in(app.test_client(), services, email)
        page = browser.get("/dashboard?lang=es").text
        assert word in page
        for address in ("/products", "/batches", "/batches/new", "/imports/new"):
            assert f'href="{address}"' not in page
            assert browser.get(address).status_code == 403


def test_an_address_that_leads_nowhere_is_told_in_the_readers_language(client: FlaskClient) -> None:
    answer = client.get("/nowhere?lang=es")
    assert answer.status_code == 404
    assert "Esta dirección no existe aquí." in answer.text


def test_signing_in_from_a_page_leads_back_to_it_with_its_query(client: FlaskClient) -> None:
    page = client.get("/transparency?lang=es&of=now").text
    assert 'href="/sign-in?next=/transparency%3Flang%3Des%26of%3Dnow"' in page
    refused = client.post("/check", data={})  # no token: a page all the same
    assert 'href="/sign-in?next=/check"' in refused.text
    answers = [client.get(address, headers={"Accept": "text/html"}) for address in ("/", "/nowhere")]
    for answer in (*answers, elsewhere(client)):
        assert 'href="/sign-in"' in answer.text, answer.request.path


def test_who_was_signed_out_while_filling_a_form_comes_back_to_it(client: FlaskClient, app: Flask) -> None:
    app.config["WTF_CSRF_METHODS"] = []
    answer = client.post("/products/new?from=mail", data={"name": "Mezcal"})
    assert answer.status_code == 401
    assert answer.text.count('href="/sign-in?next=/products/new%3Ffrom%3Dmail"') >= 2
    assert 'href="/sign-in"' in client.post("/batches/ABCDE/acts").text, "a form's address that is no page"
