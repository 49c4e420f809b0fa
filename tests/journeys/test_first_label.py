"""A small firm, on a phone and in Spanish: from sign-up to a printed label, in one sitting."""

from __future__ import annotations

import re

import pytest
from sqlalchemy.orm import Session

from app.accounts import service as accounts
from app.accounts.vocabulary import OrganisationStatus, RightKind
from scanners.images import read_symbols
from tests.builders import ADMINISTRATOR, PREFIX, grant_right, gtin
from tests.journeys.visiting import Site, Visitor
from tests.letters import waiting_letters

pytestmark = pytest.mark.browser

PASSWORD = "cuatro palabras nada comunes"


def test_a_firm_signs_up_registers_makes_codes_and_prints(visitor: Visitor, site: Site) -> None:
    page = visitor.goes_to("/")
    page.get_by_role("main").get_by_role("link", name="Registrar una empresa").click()
    page.get_by_label("Nombre de la organización").fill("Mezcal Tres Ríos")
    page.get_by_label("País").fill("MX")
    page.get_by_label("Su nombre").fill("Ana Ríos")
    page.get_by_label("Correo electrónico").fill("ana@tresrios.example")
    page.get_by_label("Contraseña").fill(PASSWORD)
    page.get_by_role("button", name="Enviar la solicitud").click()
    page.get_by_text("ana@tresrios.example").wait_for()
    (letter,) = waiting_letters(site.services, to="ana@tresrios.example")
    page.goto(site.address + letter.path)
    page.locator("main form button").click()
    page.wait_for_url("**/organisation")
    firm = _approve(site)

    page.goto(site.address + "/dashboard")
    page.get_by_role("link", name="Registrar un producto").click()
    page.get_by_label("Nombre", exact=True).fill("Mezcal espadín 750 ml")
    page.get_by_label("Número del código de barras (GTIN)").fill(gtin()[:-1] + str((int(gtin()[-1]) + 1) % 10))
    page.get_by_role("button", name="Registrar el producto").click()
    assert "tendría que ser" in page.get_by_role("alert").inner_text()
    page.get_by_label("Número del código de barras (GTIN)").fill(gtin())
    page.get_by_role("button", name="Registrar el producto").click()

    page.wait_for_url("**/batches/new?product=*")
    page.get_by_label("Cuántas unidades").fill("12")
    page.get_by_label("Lote").fill("L-2401")
    page.get_by_role("button", name="Emitir los códigos").click()
    page.wait_for_url("**/jobs/*")
    page.get_by_role("link", name=re.compile("Ver la emisión")).click()

    page.get_by_role("button", name="Generar las etiquetas").click()
    page.wait_for_url("**/jobs/*")
    with page.expect_download() as downloading:
        page.get_by_role("link", name="Descargar las etiquetas (PDF)").click()
    symbols = read_symbols(downloading.value.path())
    assert len(symbols) == 12
    assert all(symbol.text.startswith(site.address.upper()) for symbol in symbols)
    assert all(f"/01/{gtin()}/10/L-2401/21/" in symbol.text for symbol in symbols)

    page.get_by_role("link", name=re.compile("Ver la emisión")).click()
    page.get_by_role("button", name="Poner en circulación toda la emisión").click()
    page.get_by_text("Registrado: Poner en circulación").wait_for()
    page.get_by_role("link", name=re.compile("^[0-9A-Z]{17}$")).first.click()
    assert page.get_by_role("heading", level=1).inner_text() == "Sin observaciones"
    assert firm.name in page.get_by_role("main").inner_text()
    assert [complaint for complaint in visitor.complaints if "422" not in complaint] == []  # 422: the wrong digit


def _approve(site: Site) -> accounts.Organisation:
    """Do the registry's part, which has pages of its own."""
    with Session(site.services.engine) as session:
        (waiting,) = accounts.list_organisations(session, status=OrganisationStatus.PENDING).items
    firm = accounts.approve_organisation(
        site.services, issuer=waiting.issuer, decided_by=ADMINISTRATOR, reason="Papers are in order."
    )
    grant_right(site.services, firm, kind=RightKind.PREFIX, value=PREFIX)
    return firm
