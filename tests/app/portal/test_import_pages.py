"""A file is shown before it is made, and only to its own firm."""

from __future__ import annotations

import re
from io import BytesIO

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app.core.services import Services
from tests.app.portal.page_steps import post_form, registered, work
from tests.builders import gtin, make_approved_firm, on_sqlite, owner_email, signed_in

pytestmark = on_sqlite


def _previewed(client: FlaskClient, content: str) -> TestResponse:
    return post_form(client, "/imports/new", "/imports/new", file=(BytesIO(content.encode()), "lots.csv"))


def test_a_preview_makes_nothing_and_its_confirmation_makes_what_was_shown(
    firm_client: FlaskClient, services: Services
) -> None:
    registered(firm_client)
    preview = _previewed(firm_client, f"gtin,lot,quantity\n{gtin()},LOT-ONE,3\n{gtin()},LOT-TWO,4\n")
    assert "Make 7 codes" in preview.text
    work(services)
    assert "LOT-ONE" not in firm_client.get("/batches").text
    upload = re.search(r'name="upload" value="([0-9a-f]{64})"', preview.text)
    assert upload is not None
    assert post_form(firm_client, "/imports/new", "/imports", upload=upload[1]).status_code == 303
    work(services)
    page = firm_client.get("/batches").text
    assert "LOT-ONE" in page
    assert "LOT-TWO" in page


def test_another_firm_can_not_confirm_it(firm_client: FlaskClient, app: Flask, services: Services) -> None:
    registered(firm_client)
    preview = _previewed(firm_client, f"gtin,quantity\n{gtin()},3\n")
    upload = re.search(r'name="upload" value="([0-9a-f]{64})"', preview.text)
    assert upload is not None
    other = signed_in(app.test_client(), services, owner_email(services, make_approved_firm(services, prefix=None)))
    answer = post_form(other, "/imports/new", "/imports", upload=upload[1])
    assert answer.status_code == 404


@pytest.mark.parametrize("upload", ["", "../../kek", "0" * 64, "a" * 63 + "/"])
def test_a_name_that_is_no_upload_opens_nothing(firm_client: FlaskClient, upload: str) -> None:
    assert post_form(firm_client, "/imports/new", "/imports", upload=upload).status_code == 404


def test_few_files_wait_at_a_time(firm_client: FlaskClient, services: Services) -> None:
    registered(firm_client)
    for quantity in range(1, 15):
        _previewed(firm_client, f"gtin,quantity\n{gtin()},{quantity}\n")
    (folder,) = (services.settings.data_dir / "uploads").iterdir()
    assert len(list(folder.iterdir())) == 10
