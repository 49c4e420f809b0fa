"""A firm makes codes from a spreadsheet: every fault is named by the row that the spreadsheet shows."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.builders import gtin
from tests.journeys.stories import Goods, make_goods
from tests.journeys.visiting import Site, Visitor

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def goods(site: Site) -> Goods:
    return make_goods(site.services, prefix="9522222")


def test_a_faulty_file_is_explained_row_by_row_and_the_mended_one_is_made(
    visitor: Visitor, goods: Goods, tmp_path: Path
) -> None:
    number = gtin(prefix="9522222")
    faulty, mended = tmp_path / "faulty.csv", tmp_path / "mended.csv"
    faulty.write_text(f"gtin,lot,expiry,quantity\n{number},A1,2028-01-31,5\n{number},A2,2028-02-31,many\n")
    mended.write_text(f"gtin,lot,expiry,quantity\n{number},A1,2028-01-31,5\n{number},A2,2028-02-28,1200\n")
    visitor.signs_in(goods.owner)
    page = visitor.goes_to("/imports/new")
    page.get_by_label("Archivo").set_input_files(faulty)
    page.get_by_role("button", name="Ver la vista previa").click()
    faults = page.get_by_role("alert").inner_text()
    assert "fila 3, columna quantity" in faults
    assert "La cantidad es un número entero" in faults

    page.get_by_role("link", name="Elegir el archivo corregido").click()
    page.get_by_label("Archivo").set_input_files(mended)
    page.get_by_role("button", name="Ver la vista previa").click()
    page.get_by_role("button", name="Emitir 1,205 códigos").click()
    page.wait_for_url("**/jobs/*")
    page.get_by_role("link", name=re.compile("Ver la emisión")).first.wait_for()
    assert page.get_by_role("link", name=re.compile("Ver la emisión")).count() == 2
    assert visitor.complaints == []


def test_a_workbook_that_is_none_is_refused(visitor: Visitor, goods: Goods, tmp_path: Path) -> None:
    broken = tmp_path / "broken.xlsx"
    broken.write_bytes(b"PK\x03\x04 this is no workbook")
    visitor.signs_in(goods.owner)
    page = visitor.goes_to("/imports/new")
    page.get_by_label("Archivo").set_input_files(broken)
    page.get_by_role("button", name="Ver la vista previa").click()
    assert "no se puede leer como libro de Excel" in page.get_by_role("alert").inner_text()
