"""The page of advice on keys is the guide, and each step of it has its place."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from app.core.services import Services
from app.portal import advice_pages
from tests.builders import make_approved_firm, on_sqlite, owner_email, signed_in

ROOT = Path(__file__).parents[3]
ADDRESS = "/organisation/keys/advice"


@pytest.mark.parametrize("language", ["en", "es"])
def test_the_page_and_the_guide_are_one_text(language: str) -> None:
    guide = ROOT / "docs" / "guides" / language / "keys.md"
    packaged = Path(advice_pages.__file__).parent / "guides" / language / "keys.md"
    assert packaged.read_bytes() == guide.read_bytes(), f"after changing the guide: cp {guide} {packaged}"


@on_sqlite
@pytest.mark.parametrize("language", ["en", "es"])
def test_every_heading_and_table_of_the_guide_is_on_the_page(
    client: FlaskClient, services: Services, language: str
) -> None:
    browser = signed_in(client, services, owner_email(services, make_approved_firm(services, prefix=None)))
    page = browser.get(f"{ADDRESS}?lang={language}").text
    guide = (ROOT / "docs" / "guides" / language / "keys.md").read_text("utf-8")
    headings = re.findall(r"^#+ (.+)$", guide, re.MULTILINE)
    assert len(headings) > 8
    for heading in headings:
        assert f">{heading}</h" in page
    assert page.count("<table>") == len(re.findall(r"^\|---", guide, re.MULTILINE))


@on_sqlite
def test_the_page_of_keys_leads_there(client: FlaskClient, services: Services) -> None:
    browser = signed_in(client, services, owner_email(services, make_approved_firm(services, prefix=None)))
    assert ADDRESS in browser.get("/organisation/keys").text
    assert ADDRESS in browser.get("/organisation/keys/own").text
