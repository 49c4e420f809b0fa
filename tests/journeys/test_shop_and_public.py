"""What a shop, a consumer and a maker do with one unit, each with a phone."""

from __future__ import annotations

from pathlib import Path

import pytest
import qrcode
from playwright.sync_api import Browser

from app.accounts.vocabulary import OrganisationKind
from tests.builders import make_approved, owner_email
from tests.journeys.stories import Goods, make_goods, scans_of
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


NOTED = "Esta consulta quedó anotada, sin nombre ni cuenta, para detectar copias."


def test_a_page_that_is_really_seen_notes_it_once_and_the_reader_can_add_roughly_where(
    visitor: Visitor, goods: Goods, site: Site
) -> None:
    visitor.context.grant_permissions(["geolocation"])
    visitor.context.set_geolocation({"latitude": 19.432608, "longitude": -99.133209})
    page = visitor.goes_to(goods.address(1))
    page.get_by_text(NOTED).wait_for()
    assert visitor.context.cookies() == []  # no session, no tracker
    assert page.get_by_role("button", name="Vi esta unidad").is_hidden()
    (look,) = scans_of(site, goods, 1)
    assert (look.role, look.latitude) == ("public", None)
    page.get_by_role("button", name="Agregar dónde estoy").click()
    page.get_by_text("Gracias, el lugar aproximado también quedó anotado.").wait_for()
    placed, first = scans_of(site, goods, 1)
    assert first == look
    assert placed.device == look.device, "one person, whoever counts"
    assert (placed.latitude, placed.longitude, placed.accuracy) == (19_400_000, -99_100_000, 11_000)
    assert visitor.complaints == []


def test_without_leave_to_know_the_place_none_is_added(visitor: Visitor, goods: Goods, site: Site) -> None:
    page = visitor.goes_to(goods.address(7))
    page.get_by_role("button", name="Agregar dónde estoy").click()
    page.get_by_text("El navegador no dio el lugar").wait_for()
    assert len(scans_of(site, goods, 7)) == 1


@pytest.mark.parametrize(
    ("unit", "way"),
    [
        (8, ("visibilityState", "'hidden'", "'visible'", "visibilitychange")),
        (9, ("prerendering", "true", "false", "prerenderingchange")),
    ],
    ids=["in the background", "prerendered"],
)
def test_a_page_that_nobody_sees_notes_nothing_until_somebody_does(
    visitor: Visitor, goods: Goods, site: Site, unit: int, way: tuple[str, str, str, str]
) -> None:
    state, unseen, seen, event = way
    visitor.page.add_init_script(
        f"let state = {unseen}; Object.defineProperty(document, '{state}', {{ get: () => state }});"
        f"window.comeToFront = () => {{ state = {seen}; document.dispatchEvent(new Event('{event}')); }};"
    )
    page = visitor.goes_to(goods.address(unit))
    page.wait_for_load_state("networkidle")
    assert scans_of(site, goods, unit) == []
    page.evaluate("comeToFront()")
    page.get_by_text(NOTED).wait_for()
    page.evaluate("comeToFront()")
    page.wait_for_load_state("networkidle")
    assert len(scans_of(site, goods, unit)) == 1


def test_when_noting_fails_the_reader_is_told_and_has_the_button(visitor: Visitor, goods: Goods, site: Site) -> None:
    visitor.page.route("**/v1/public/scans", lambda route: route.abort())
    page = visitor.goes_to(goods.address(5))
    page.get_by_text("Esta consulta no se pudo anotar.").wait_for()
    page.get_by_role("button", name="Vi esta unidad").click()
    page.get_by_text(NOTED).wait_for()
    assert len(scans_of(site, goods, 5)) == 1


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
    page.locator("#f-note").fill("Vidrio en la botella")
    page.get_by_role("button", name="Retirar toda la emisión").click()
    page.get_by_text("Registrado: Retirar del mercado").wait_for()
    stranger = Visitor(browser.new_context(viewport=PHONE, locale="en"), visitor.address)
    assert stranger.goes_to(goods.address(4)).get_by_role("heading", level=1).inner_text() == "Stop"
    stranger.context.close()
    page.locator("#f-note").fill("Aclarado")
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
    page.get_by_role("button", name="Vi esta unidad").click()
    page.get_by_text(NOTED).wait_for()
    assert page.get_by_role("button", name="Agregar dónde estoy").is_hidden()
    assert len(scans_of(site, goods, 6)) == 1
    page.locator("summary", has_text="Menú").click()
    page.get_by_role("navigation", name="Menú").get_by_role("link", name="Revisar un código").click()
    assert page.get_by_role("heading", level=1).inner_text() == "Revisar un código"
    context.close()
