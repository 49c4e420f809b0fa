"""Pages of the portal as a browser without script sees them."""

from __future__ import annotations

import re
from io import BytesIO

import pytest
import qrcode
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from app.accounts.vocabulary import OrganisationKind
from app.core import jobs
from app.core.authorisation import Role
from app.core.services import Services
from app.facts.scans import scan as scan_module
from app.facts.scans.open import open_scan_store
from app.portal.addresses import verify_path
from app.registry import service as registry
from app.registry.jobs import job_handlers
from scanners.codes.reader import read_code
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
TOKEN = re.compile(r'name="csrf_token" value="([^"]+)"')
ONCE = re.compile(r'name="once" value="([^"]+)"')


def _post(client: FlaskClient, form_at: str, to: str, **fields: object) -> TestResponse:
    """Send a form as the page at `form_at` would, with its token."""
    token = TOKEN.search(client.get(form_at).text)
    assert token is not None
    return client.post(to, data={"csrf_token": token[1], **fields})


def _work(services: Services) -> None:
    while jobs.run_next(services.engine, job_handlers(services)):
        pass


def scans_in(services: Services) -> int:
    store = open_scan_store(services.settings, services.engine)
    counted = store.count()
    store.close()
    return counted


@pytest.fixture
def firm_client(client: FlaskClient, services: Services) -> FlaskClient:
    firm = make_approved_firm(services, name="Destilería")
    return signed_in(client, services, owner_email(services, firm))


def _registered(client: FlaskClient, **more: str) -> TestResponse:
    entries = {
        "name": "Mezcal",
        "brand": "Tres Ríos",
        "gtin": gtin(),
        "item": "",
        "sector": "spirits",
        "description": "",
    }
    return _post(client, "/products/new", "/products/new", **{**entries, **more})


def _ordered(client: FlaskClient, **more: str) -> TestResponse:
    entries = {"product": gtin(), "quantity": "7", "lot": "L1", "expiry": "2028-12-31", "profile": "signed"}
    return _post(client, "/batches/new", "/batches/new", **{**entries, **more})


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
    answer = _registered(firm_client, gtin=wrong)
    assert answer.status_code == 422
    assert f"would have to be {gtin()[-1]}" in answer.text
    assert f'value="{wrong}"' in answer.text
    assert 'value="Tres Ríos"' in answer.text


def test_codes_are_made_once_however_often_the_form_is_sent(firm_client: FlaskClient, services: Services) -> None:
    assert _registered(firm_client).location == f"/batches/new?product={gtin()}"
    once = ONCE.search(firm_client.get("/batches/new").text)
    assert once is not None
    first, second = _ordered(firm_client, once=once[1]), _ordered(firm_client, once=once[1])
    assert first.status_code == 303
    assert first.location == second.location
    _work(services)
    assert "7 units" in firm_client.get(first.location).text
    assert firm_client.get("/batches").text.count("/batches/") >= 1


def test_the_state_of_a_job_is_told_to_its_page_only(firm_client: FlaskClient, app: Flask, services: Services) -> None:
    _registered(firm_client)
    address = _ordered(firm_client).location
    assert 'http-equiv="refresh"' in firm_client.get(address).text  # for browsers without script
    assert firm_client.get(address + "/state").get_json()["finished"] is False
    _work(services)
    state = firm_client.get(address + "/state").get_json()
    assert (state["done"], state["total"], state["state"], state["finished"]) == (7, 7, "done", True)
    stranger = signed_in(app.test_client(), services, owner_email(services, make_approved_firm(services, prefix=None)))
    assert stranger.get(address).status_code == 404
    assert stranger.get(address + "/state").status_code == 404


def test_own_serials_and_a_quantity_together_are_refused(firm_client: FlaskClient) -> None:
    _registered(firm_client)
    answer = _ordered(firm_client, serials="A-1\nA-2")
    assert answer.status_code == 422
    assert "Give either the number of units or your own serial numbers." in answer.text


def test_a_serial_given_twice_is_named_with_its_line(firm_client: FlaskClient) -> None:
    _registered(firm_client)
    answer = _ordered(firm_client, quantity="", serials="A-1\n\nA-2\nA-1")
    assert answer.status_code == 422
    assert "line 4" in answer.text


def test_a_batch_is_put_into_trade_recalled_and_released_on_its_page(
    firm_client: FlaskClient, services: Services
) -> None:
    _registered(firm_client)
    job = _ordered(firm_client).location
    _work(services)
    handle = re.search(r"/batches/([0-9A-Z]{5})", firm_client.get(job).text)
    assert handle is not None
    page = f"/batches/{handle[1]}"
    for action, word in (("activate", "In trade"), ("recall", "Recalled"), ("lift_recall", "In trade")):
        assert _post(firm_client, page, f"{page}/acts", action=action, note="a reason").status_code == 303
        assert word in firm_client.get(page).text
    assert _post(firm_client, page, f"{page}/acts", action="seize").status_code == 422


def test_a_batch_of_another_firm_is_nobody_elses(firm_client: FlaskClient, app: Flask, services: Services) -> None:
    _registered(firm_client)
    job = _ordered(firm_client).location
    _work(services)
    handle = re.search(r"/batches/([0-9A-Z]{5})", firm_client.get(job).text)
    assert handle is not None
    other = signed_in(app.test_client(), services, owner_email(services, make_approved_firm(services, prefix=None)))
    assert other.get(f"/batches/{handle[1]}").status_code == 404
    assert (
        _post(other, "/products/new", f"/batches/{handle[1]}/acts", action="recall", note="mine now").status_code == 404
    )
    assert _post(other, "/products/new", f"/batches/{handle[1]}/labels", layout="letter-3x10").status_code == 404


def test_an_operator_makes_codes_but_recalls_nothing(firm_client: FlaskClient, app: Flask, services: Services) -> None:
    firm = make_approved_firm(services, prefix="9527777")
    client = signed_in(app.test_client(), services, add_person(services, firm, Role.OPERATOR))
    assert _registered(client, gtin=gtin(prefix="9527777")).status_code == 303
    job = _ordered(client, product=gtin(prefix="9527777")).location
    _work(services)
    handle = re.search(r"/batches/([0-9A-Z]{5})", client.get(job).text)
    assert handle is not None
    page = f"/batches/{handle[1]}"
    assert 'value="recall"' not in client.get(page).text
    assert _post(client, page, f"{page}/acts", action="recall", note="no").status_code == 403


def test_a_form_without_its_token_does_nothing(firm_client: FlaskClient) -> None:
    answer = firm_client.post("/products/new", data={"name": "Mezcal", "gtin": gtin(), "sector": "other"})
    assert answer.status_code == 400
    assert gtin() not in firm_client.get("/products").text


def test_the_job_page_tells_a_refusal_in_the_readers_language(firm_client: FlaskClient, services: Services) -> None:
    _registered(firm_client)
    first = _ordered(firm_client, quantity="", serials="A-1")
    second = _ordered(firm_client, quantity="", serials="A-1\nA-2")
    _work(services)
    assert first.status_code == second.status_code == 303
    page = firm_client.get(f"{second.location}?lang=es").text
    assert "1 de las series ya existen en este producto; no se guardó nada." in page


class TestChecking:
    """The check page answers without recording."""

    @pytest.fixture
    def codes(self, firm_client: FlaskClient, services: Services) -> list[str]:
        _registered(firm_client)
        _ordered(firm_client)
        _work(services)
        with Session(services.engine) as session:
            organisation = registry.find_product(session, gtin()).organisation_id
            (batch,) = registry.list_batches(session, organisation_id=organisation).items
            stem = services.settings.code_stem
            return [code.text for code in registry.codes_of_batch(session, services.sealer, batch, stem=stem)]

    def test_a_pasted_code_is_answered(self, app: Flask, codes: list[str]) -> None:
        answer = _post(app.test_client(), "/check", "/check", code=codes[0])
        assert answer.status_code == 200
        assert "Registered with this registry" in answer.text

    def test_a_code_that_leads_elsewhere_is_told_so(self, app: Flask, codes: list[str]) -> None:
        foreign = codes[0].replace("HTTP://LOCALHOST", "HTTPS://MARCHAMO.EXAMPLE")
        answer = _post(app.test_client(), "/check", "/check", code=foreign)
        assert "Not a code of this registry" in answer.text

    def test_a_photo_with_several_codes_lists_them(self, app: Flask, codes: list[str]) -> None:
        sheet = qrcode.make(codes[0]).get_image()
        wide = sheet.resize((sheet.width * 2, sheet.height))
        wide.paste(sheet, (0, 0))
        wide.paste(qrcode.make(codes[1]).get_image().resize(sheet.size), (sheet.width, 0))
        photo = BytesIO()
        wide.save(photo, "PNG")
        photo.seek(0)
        answer = _post(app.test_client(), "/check", "/check", photo=(photo, "labels.png"))
        assert "2 codes in your photo" in answer.text

    @pytest.mark.parametrize(
        ("content", "sentence"),
        [(b"%PDF-1.7 ...", "This is a PDF"), (b"no picture", "The photo cannot be read."), (b"", "Choose a photo")],
    )
    def test_what_is_no_photo_is_refused(self, client: FlaskClient, content: bytes, sentence: str) -> None:
        fields: dict[str, object] = {"photo": (BytesIO(content), "photo.jpg")} if content else {}
        answer = _post(client, "/check", "/check", **fields)
        assert answer.status_code == 422
        assert sentence in answer.text

    def test_a_photo_may_be_larger_than_other_bodies_but_not_without_bound(self, client: FlaskClient) -> None:
        token = TOKEN.search(client.get("/check").text)
        assert token is not None

        def status_for(megabytes: int) -> int:
            # Written by hand: the test client's own encoder leaves its temporary file open.
            parts = (
                b'--x\r\nContent-Disposition: form-data; name="csrf_token"\r\n\r\n' + token[1].encode(),
                b'\r\n--x\r\nContent-Disposition: form-data; name="photo"; filename="photo.jpg"\r\n\r\n',
                bytes(megabytes * 1024 * 1024) + b"\r\n--x--\r\n",
            )
            return client.post(
                "/check", data=b"".join(parts), content_type="multipart/form-data; boundary=x"
            ).status_code

        assert status_for(3) == 422  # read, and found to be no picture
        assert status_for(11) == 413

    def test_the_address_of_a_code_is_that_of_its_page(self, app: Flask, codes: list[str]) -> None:
        answer = app.test_client().get(verify_path(codes[0]))
        assert answer.status_code == 200
        assert "Registered with this registry" in answer.text


def test_the_overview_counts_the_scans_of_the_firms_units_of_this_week(
    firm_client: FlaskClient, app: Flask, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    _registered(firm_client)
    _ordered(firm_client)
    _work(services)
    with Session(services.engine) as session:
        organisation = registry.find_product(session, gtin()).organisation_id
        (batch,) = registry.list_batches(session, organisation_id=organisation).items
        codes = [
            code.text for code in registry.codes_of_batch(session, services.sealer, batch, stem="HTTP://LOCALHOST")
        ]

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


class TestSeeing:
    """The page of a unit and what it records."""

    @pytest.fixture
    def code(self, firm_client: FlaskClient, services: Services) -> str:
        _registered(firm_client)
        _ordered(firm_client)
        _work(services)
        with Session(services.engine) as session:
            organisation = registry.find_product(session, gtin()).organisation_id
            (batch,) = registry.list_batches(session, organisation_id=organisation).items
            stem = services.settings.code_stem
            return next(registry.codes_of_batch(session, services.sealer, batch, stem=stem)).text

    def test_looking_by_whatever_means_records_nothing(self, app: Flask, services: Services, code: str) -> None:
        stranger, address = app.test_client(), verify_path(code)
        for headers in ({}, {"Purpose": "prefetch"}, {"Sec-Purpose": "prefetch;prerender"}, {"User-Agent": "Preview"}):
            assert stranger.get(address, headers=headers).status_code == 200
            assert stranger.head(address, headers=headers).status_code == 200
            assert stranger.get(address.removeprefix("/verify"), headers=headers).status_code == 307
        assert scans_in(services) == 0

    def test_looking_at_a_unit_that_is_not_in_trade_yet_is_no_sign_of_a_copy_but_a_recorded_scan_is(
        self, app: Flask, code: str
    ) -> None:
        stranger, address = app.test_client(), verify_path(code)
        seen_early = "The unit was scanned or sold in public before its maker put it into trade."
        first = [stranger.get(address).text for _ in range(2)][-1]
        assert "Not in trade yet" in first or "not yet" in first.lower()
        assert seen_early not in first
        assert stranger.post("/v1/public/scans", json={"code": code}).status_code == 200
        assert seen_early in stranger.get(address).text

    def test_without_script_one_button_records_once_however_often_it_is_sent(
        self, app: Flask, services: Services, code: str
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
        self, firm_client: FlaskClient, services: Services, code: str
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

    def test_a_page_elsewhere_can_not_make_its_visitors_send_it(
        self, app: Flask, services: Services, code: str
    ) -> None:
        for site in ("cross-site", "same-site"):
            refused = app.test_client().post("/seen", data={"code": code}, headers={"Sec-Fetch-Site": site})
            assert refused.status_code == 400
        assert scans_in(services) == 0

    def test_nonsense_is_refused(self, app: Flask) -> None:
        assert app.test_client().post("/seen", data={"code": "nonsense"}).status_code == 400
        assert app.test_client().post("/seen").status_code == 400


class TestImporting:
    """A file is shown before it is made, and only to its own firm."""

    def _previewed(self, client: FlaskClient, content: str) -> TestResponse:
        return _post(client, "/imports/new", "/imports/new", file=(BytesIO(content.encode()), "lots.csv"))

    def test_a_preview_makes_nothing_and_its_confirmation_makes_what_was_shown(
        self, firm_client: FlaskClient, services: Services
    ) -> None:
        _registered(firm_client)
        preview = self._previewed(firm_client, f"gtin,lot,quantity\n{gtin()},LOT-ONE,3\n{gtin()},LOT-TWO,4\n")
        assert "Make 7 codes" in preview.text
        _work(services)
        assert "LOT-ONE" not in firm_client.get("/batches").text
        upload = re.search(r'name="upload" value="([0-9a-f]{64})"', preview.text)
        assert upload is not None
        assert _post(firm_client, "/imports/new", "/imports", upload=upload[1]).status_code == 303
        _work(services)
        page = firm_client.get("/batches").text
        assert "LOT-ONE" in page
        assert "LOT-TWO" in page

    def test_another_firm_can_not_confirm_it(self, firm_client: FlaskClient, app: Flask, services: Services) -> None:
        _registered(firm_client)
        preview = self._previewed(firm_client, f"gtin,quantity\n{gtin()},3\n")
        upload = re.search(r'name="upload" value="([0-9a-f]{64})"', preview.text)
        assert upload is not None
        other = signed_in(app.test_client(), services, owner_email(services, make_approved_firm(services, prefix=None)))
        answer = _post(other, "/imports/new", "/imports", upload=upload[1])
        assert answer.status_code == 404

    @pytest.mark.parametrize("upload", ["", "../../kek", "0" * 64, "a" * 63 + "/"])
    def test_a_name_that_is_no_upload_opens_nothing(self, firm_client: FlaskClient, upload: str) -> None:
        assert _post(firm_client, "/imports/new", "/imports", upload=upload).status_code == 404

    def test_few_files_wait_at_a_time(self, firm_client: FlaskClient, services: Services) -> None:
        _registered(firm_client)
        for quantity in range(1, 15):
            self._previewed(firm_client, f"gtin,quantity\n{gtin()},{quantity}\n")
        (folder,) = (services.settings.data_dir / "uploads").iterdir()
        assert len(list(folder.iterdir())) == 10


def test_an_address_of_elsewhere_never_becomes_a_link(client: FlaskClient) -> None:
    page = client.get("//elsewhere.example/x", headers={"Accept": "text/html"})
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
    for address in ("/", "/nowhere", "//elsewhere.example/x"):
        assert 'href="/sign-in"' in client.get(address, headers={"Accept": "text/html"}).text, address


def test_who_was_signed_out_while_filling_a_form_comes_back_to_it(client: FlaskClient, app: Flask) -> None:
    app.config["WTF_CSRF_METHODS"] = []
    answer = client.post("/products/new?from=mail", data={"name": "Mezcal"})
    assert answer.status_code == 401
    assert answer.text.count('href="/sign-in?next=/products/new%3Ffrom%3Dmail"') >= 2
    assert 'href="/sign-in"' in client.post("/batches/ABCDE/acts").text, "a form's address that is no page"
