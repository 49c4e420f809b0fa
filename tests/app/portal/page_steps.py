"""Steps that tests of pages take: forms sent as a page would, a product, codes of it."""

from __future__ import annotations

import re

from flask.testing import FlaskClient
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from app.core import jobs
from app.core.services import Services
from app.facts.scans.open import open_scan_store
from app.registry import service as registry
from app.registry.jobs import job_handlers
from tests.builders import gtin

TOKEN = re.compile(r'name="csrf_token" value="([^"]+)"')
ONCE = re.compile(r'name="once" value="([^"]+)"')


def post_form(client: FlaskClient, form_at: str, to: str, **fields: object) -> TestResponse:
    """Send a form as the page at `form_at` would, with its token."""
    token = TOKEN.search(client.get(form_at).text)
    assert token is not None
    return client.post(to, data={"csrf_token": token[1], **fields})


def work(services: Services) -> None:
    while jobs.run_next(services.engine, job_handlers(services)):
        pass


def scans_in(services: Services) -> int:
    store = open_scan_store(services.settings, services.engine)
    counted = store.count()
    store.close()
    return counted


def registered(client: FlaskClient, **more: str) -> TestResponse:
    entries = {
        "name": "Mezcal",
        "brand": "Tres Ríos",
        "gtin": gtin(),
        "item": "",
        "sector": "spirits",
        "description": "",
    }
    return post_form(client, "/products/new", "/products/new", **{**entries, **more})


def ordered(client: FlaskClient, **more: str) -> TestResponse:
    entries = {"product": gtin(), "quantity": "7", "lot": "L1", "expiry": "2028-12-31", "profile": "signed"}
    return post_form(client, "/batches/new", "/batches/new", **{**entries, **more})


def made_codes(client: FlaskClient, services: Services) -> list[str]:
    """The codes of a batch that the firm of this browser has ordered."""
    registered(client)
    ordered(client)
    work(services)
    with Session(services.engine) as session:
        organisation = registry.find_product(session, gtin()).organisation_id
        (batch,) = registry.list_batches(session, organisation_id=organisation).items
        stem = services.settings.code_stem
        return [code.text for code in registry.codes_of_batch(session, services.sealer, batch, stem=stem)]
