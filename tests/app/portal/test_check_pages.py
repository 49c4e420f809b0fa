"""The check page answers without recording."""

from __future__ import annotations

from io import BytesIO

import pytest
import qrcode
from flask import Flask
from flask.testing import FlaskClient

from app.core.services import Services
from app.portal.addresses import verify_path
from tests.app.portal.page_steps import TOKEN, made_codes, post_form
from tests.builders import on_sqlite

pytestmark = on_sqlite


@pytest.fixture
def codes(firm_client: FlaskClient, services: Services) -> list[str]:
    return made_codes(firm_client, services)


def test_a_pasted_code_is_answered(app: Flask, codes: list[str]) -> None:
    answer = post_form(app.test_client(), "/check", "/check", code=codes[0])
    assert answer.status_code == 200
    assert "Registered with this registry" in answer.text


def test_a_code_that_leads_elsewhere_is_told_so(app: Flask, codes: list[str]) -> None:
    foreign = codes[0].replace("HTTP://LOCALHOST", "HTTPS://MARCHAMO.EXAMPLE")
    answer = post_form(app.test_client(), "/check", "/check", code=foreign)
    assert "Not a code of this registry" in answer.text


def test_a_photo_with_several_codes_lists_them(app: Flask, codes: list[str]) -> None:
    sheet = qrcode.make(codes[0]).get_image()
    wide = sheet.resize((sheet.width * 2, sheet.height))
    wide.paste(sheet, (0, 0))
    wide.paste(qrcode.make(codes[1]).get_image().resize(sheet.size), (sheet.width, 0))
    photo = BytesIO()
    wide.save(photo, "PNG")
    photo.seek(0)
    answer = post_form(app.test_client(), "/check", "/check", photo=(photo, "labels.png"))
    assert "2 codes in your photo" in answer.text


@pytest.mark.parametrize(
    ("content", "sentence"),
    [(b"%PDF-1.7 ...", "This is a PDF"), (b"no picture", "The photo cannot be read."), (b"", "Choose a photo")],
)
def test_what_is_no_photo_is_refused(client: FlaskClient, content: bytes, sentence: str) -> None:
    fields: dict[str, object] = {"photo": (BytesIO(content), "photo.jpg")} if content else {}
    answer = post_form(client, "/check", "/check", **fields)
    assert answer.status_code == 422
    assert sentence in answer.text


def test_a_photo_may_be_larger_than_other_bodies_but_not_without_bound(client: FlaskClient) -> None:
    token = TOKEN.search(client.get("/check").text)
    assert token is not None

    def status_for(megabytes: int) -> int:
        # Written by hand: the test client's own encoder leaves its temporary file open.
        parts = (
            b'--x\r\nContent-Disposition: form-data; name="csrf_token"\r\n\r\n' + token[1].encode(),
            b'\r\n--x\r\nContent-Disposition: form-data; name="photo"; filename="photo.jpg"\r\n\r\n',
            bytes(megabytes * 1024 * 1024) + b"\r\n--x--\r\n",
        )
        return client.post("/check", data=b"".join(parts), content_type="multipart/form-data; boundary=x").status_code

    assert status_for(3) == 422  # read, and found to be no picture
    assert status_for(11) == 413


def test_the_address_of_a_code_is_that_of_its_page(app: Flask, codes: list[str]) -> None:
    answer = app.test_client().get(verify_path(codes[0]))
    assert answer.status_code == 200
    assert "Registered with this registry" in answer.text
