"""What a shop, a consumer and a maker do with one unit, each with a phone."""

from __future__ import annotations

from pathlib import Path

import pytest
import qrcode
from playwright.sync_api import Browser

from app.accounts.vocabulary import OrganisationKind
from tests.builders import make_approved, owner_email
from tests.journeys.stories import Goods, make_goods
from tests.journeys.visiting import PHONE, Site, Visitor

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def goods(site: Site) -> Goods:
    return make_goods(site.services, prefix="9521111")


def test_a_camera_opens_the_printed_address_and_the_answer_is_a_shape_a_word_and_a_sentence(
    visitor: Visitor, goods: Goods
) -> None:
    printed = goods.codes[0].split("/", 3)[3]
    page = visitor.goes_to(f"/{printed}")
    assert page.url.startswith(visitor.address + "/verify/01/")
    assert page.get_by_role("heading", level=1).inner_text() == "Sin observaciones"
    assert page.locator("svg.shape.pass").is_visible()
    assert goods.product.name in page.get_by_role("main").inner_text()
    assert visitor.complaints == []


def test_looking_records_nothing_and_the_reader_can_record_what_they_saw(
    visitor: Visitor, goods: Goods, site: Site
) -> None:
    for _ in range(3):
        visitor.goes_to(goods.address(1))
    assert visitor.context.cookies() == []  # no session, no tracker
    button = visitor.page.get_by_role("button", name="Vi esta unidad")
    with visitor.page.expect_response("**/v1/public/scans") as answering:
        button.click()
    assert answering.value.ok
    visitor.page.get_by_text("Gracias, quedó registrado.").wait_for()
    assert button.is_hidden()


def test_a_forged_signature_stops_and_is_called_a_suspicion(visitor: Visitor, goods: Goods) -> None:
    address = goods.address(2)
    forged = address[:-1] + str((int(address[-1]) + 1) % 10)
    page = visitor.goes_to(forged)
    assert page.get_by_role("heading", level=1).inner_text() == "Alto"
    said = page.get_by_role("main").inner_text()
    assert "sospecha de posible falsificación" in said
    assert goods.product.name not in said


def test_a_shop_records_a_sale_in_one_tap_and_the_next_scan_tells(visitor: Visitor, goods: Goods, site: Site) -> None:
    shop = make_approved(site.services, kind=OrganisationKind.SHOP, name="Farmacia Sol")
    visitor.signs_in(owner_email(site.services, shop))
    page = visitor.goes_to(goods.address(3))
    page.get_by_role("button", name="Vender").click()
    page.get_by_text("Registrado: Vender").wait_for()
    page = visitor.goes_to(goods.address(3))
    assert "La unidad consta como vendida." in page.get_by_role("main").inner_text()
    assert visitor.complaints == []


def test_a_recall_reaches_everybody_at_once(visitor: Visitor, goods: Goods, browser: Browser) -> None:
    visitor.signs_in(goods.owner)
    page = visitor.goes_to(f"/batches/{goods.batch.handle}")
    page.get_by_label("Por qué").fill("Vidrio en la botella")
    page.get_by_role("button", name="Retirar toda la emisión").click()
    page.get_by_text("Registrado: Retirar del mercado").wait_for()
    stranger = Visitor(browser.new_context(viewport=PHONE, locale="en"), visitor.address)
    assert stranger.goes_to(goods.address(4)).get_by_role("heading", level=1).inner_text() == "Stop"
    stranger.context.close()
    page.get_by_label("Por qué").fill("Aclarado")
    page.get_by_role("button", name="Levantar el retiro").click()
    page.get_by_text("Registrado: Levantar el retiro").wait_for()


def test_a_photo_of_a_label_is_read_and_answered(visitor: Visitor, goods: Goods, tmp_path: Path) -> None:
    photo = tmp_path / "label.png"
    with photo.open("wb") as out:
        qrcode.make(goods.codes[5]).save(out)
    page = visitor.goes_to("/check")
    page.get_by_label("Foto").set_input_files(photo)
    page.get_by_role("button", name="Leer la foto").click()
    assert page.get_by_role("heading", level=1).inner_text() == "Sin observaciones"


def test_pasted_nonsense_is_refused_in_plain_words(visitor: Visitor) -> None:
    page = visitor.goes_to("/check")
    page.get_by_label("El texto del código").fill("esto no es un código")
    page.get_by_role("button", name="Revisar el texto").click()
    said = page.get_by_role("alert").inner_text()
    assert "no es un código que este registro pueda leer" in said


def test_a_choice_of_language_stays(visitor: Visitor) -> None:
    page = visitor.goes_to("/")
    page.get_by_role("link", name="English").click()
    assert page.locator("html").get_attribute("lang") == "en"
    assert visitor.goes_to("/check").get_by_role("heading", level=1).inner_text() == "Check a code"


def test_pages_work_without_script(browser: Browser, site: Site, goods: Goods) -> None:
    context = browser.new_context(viewport=PHONE, locale="es", java_script_enabled=False)
    visitor = Visitor(context, site.address)
    page = visitor.goes_to(goods.address(6))
    assert page.get_by_role("heading", level=1).inner_text() == "Sin observaciones"
    assert page.get_by_role("button", name="Vi esta unidad").is_hidden()
    page.locator("summary", has_text="Menú").click()
    page.get_by_role("navigation", name="Menú").get_by_role("link", name="Revisar un código").click()
    assert page.get_by_role("heading", level=1).inner_text() == "Revisar un código"
    context.close()
