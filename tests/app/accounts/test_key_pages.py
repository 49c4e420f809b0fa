"""The pages of keys: who holds them, and how a script of the page registers one that the firm holds."""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from app.accounts import service as accounts
from app.accounts.vocabulary import KeyHolder, OrganisationKeyPurpose, OrganisationKind
from app.core.authorisation import CONFIRMED_MS, Role
from app.core.clock import now_ms
from app.core.notices import NoticeKind, NoticeRow
from app.core.services import Services
from ledger.statement import read_unverified
from tests.builders import add_person, make_approved, make_approved_firm, on_sqlite, owner_email, signed_in
from tests.firm_keys import register_firm_key

pytestmark = on_sqlite

KEYS = "/organisation/keys"
SPANISH = {"Accept-Language": "es"}


@pytest.fixture
def firm(services: Services) -> accounts.Organisation:
    return make_approved_firm(services)


@pytest.fixture
def owner(client: FlaskClient, services: Services, firm: accounts.Organisation) -> FlaskClient:
    return signed_in(client, services, owner_email(services, firm))


def send(client: FlaskClient, path: str, headers: dict[str, str] | None = None, **entries: Any) -> TestResponse:
    """Post as the script does: the token of the page in a header."""
    token = re.search(r'name="csrf_token" value="([^"]+)"', client.get(f"{KEYS}/own").text)
    assert token is not None
    said = {"X-CSRFToken": token[1], "Accept": "application/json", **(headers or {})}
    return client.post(path, data=entries, headers=said)


def code_keys(services: Services, firm: accounts.Organisation) -> list[accounts.KeyRecord]:
    with Session(services.engine) as session:
        keys = accounts.list_keys(session, organisation_id=firm.id)
    return [key for key in keys if key.purpose is OrganisationKeyPurpose.CODE]


def members(key: Ed25519PrivateKey, waiting: dict[str, Any]) -> dict[str, Any]:
    possession = key.sign(b64decode(waiting["possession_message"]))
    public = b64encode(key.public_key().public_bytes_raw()).decode()
    return {"key_id": waiting["key_id"], "public_key": public, "possession": b64encode(possession).decode()}


def test_a_key_is_registered_in_two_steps_and_signs_from_then_on(
    owner: FlaskClient, services: Services, firm: accounts.Organisation
) -> None:
    key = Ed25519PrivateKey.generate()
    public = b64encode(key.public_key().public_bytes_raw()).decode()
    waiting = send(owner, f"{KEYS}/registrations", public_key=public).get_json()
    assert waiting["issuer"] == firm.issuer
    done = send(owner, KEYS, **members(key, waiting))
    assert done.status_code == 200
    newest = code_keys(services, firm)[0]
    assert (newest.key_id, newest.holder) == (waiting["key_id"], KeyHolder.FIRM)
    page = owner.get(KEYS).text
    assert "Your firm" in page
    assert f'data-public-key="{public.replace("+", "&#43;")}"' in page or f'data-public-key="{public}"' in page
    assert f'action="{KEYS}/{newest.key_id}/rotation"' in page  # to hand the signing back


def test_a_signature_of_another_key_registers_nothing_and_is_refused_in_the_readers_language(
    owner: FlaskClient, services: Services, firm: accounts.Organisation
) -> None:
    key = Ed25519PrivateKey.generate()
    public = b64encode(key.public_key().public_bytes_raw()).decode()
    waiting = send(owner, f"{KEYS}/registrations", public_key=public).get_json()
    wrong = members(key, waiting) | {"possession": b64encode(bytes(64)).decode()}
    refused = send(owner, KEYS, SPANISH, **wrong)
    assert refused.status_code == 422
    assert refused.content_type == "application/problem+json"
    answer = refused.get_json()
    assert answer["code"] == "possession"
    assert answer["sentence"] == "La firma no demuestra que usted tenga esta clave."
    assert answer["said_fix"] != answer["fix"]
    assert [key.holder for key in code_keys(services, firm)] == [KeyHolder.SERVICE]


def test_fields_that_are_missing_or_no_key_are_refused(owner: FlaskClient) -> None:
    faulty: tuple[dict[str, Any], ...] = ({}, {"public_key": "AAAA"}, {"public_key": "x" * 5000}, {"key_id": "seven"})
    for entries in faulty:
        for path in (KEYS, f"{KEYS}/registrations"):
            assert send(owner, path, **entries).status_code in (400, 422), (path, entries)


def test_a_request_without_the_token_of_the_page_is_refused(owner: FlaskClient) -> None:
    public = b64encode(Ed25519PrivateKey.generate().public_key().public_bytes_raw()).decode()
    answer = owner.post(f"{KEYS}/registrations", data={"public_key": public}, headers={"Accept": "application/json"})
    assert (answer.status_code, answer.get_json()["code"]) == (400, "csrf")


def test_whoever_signed_in_long_ago_confirms_before_the_page_is_shown(owner: FlaskClient, services: Services) -> None:
    with services.engine.begin() as connection:
        long_ago = now_ms() - CONFIRMED_MS - 1
        connection.exec_driver_sql(f"UPDATE sign_in_sessions SET confirmed_at = {long_ago}")  # noqa: S608
    assert owner.get(f"{KEYS}/own").headers["Location"] == f"/sign-in/again?next={KEYS}/own"
    assert owner.get(KEYS).status_code == 200


def test_the_signing_is_handed_back_only_when_the_form_says_so(
    owner: FlaskClient, services: Services, firm: accounts.Organisation
) -> None:
    held, _ = register_firm_key(services, firm)
    assert send(owner, f"{KEYS}/{held.key_id}/rotation", {"Accept": "text/html"}).status_code == 409
    answer = send(owner, f"{KEYS}/{held.key_id}/rotation", {"Accept": "text/html"}, holder="service")
    assert answer.headers["Location"] == KEYS
    assert code_keys(services, firm)[0].holder is KeyHolder.SERVICE


def test_who_registered_a_key_or_handed_it_back_stands_on_the_ledger_and_the_firm_is_told(
    owner: FlaskClient, services: Services, firm: accounts.Organisation
) -> None:
    key = Ed25519PrivateKey.generate()
    public = b64encode(key.public_key().public_bytes_raw()).decode()
    waiting = send(owner, f"{KEYS}/registrations", public_key=public).get_json()
    send(owner, KEYS, **members(key, waiting))
    send(owner, f"{KEYS}/{waiting['key_id']}/rotation", {"Accept": "text/html"}, holder="service")
    with Session(services.engine) as session:
        person = accounts.find_person(session, email=owner_email(services, firm))
        told = session.scalars(select(NoticeRow).where(NoticeRow.kind == NoticeKind.KEY_REGISTERED)).all()
    assert person is not None
    for record in code_keys(services, firm)[:2]:
        body = services.log.entry(record.registered_index).body
        assert body is not None
        assert (read_unverified(body.statement).payload or {})["by"] == f"person:{person.id}"
    assert [notice.organisation_id for notice in told] == [firm.id] * 2


def test_a_firm_whose_only_own_key_is_withdrawn_is_told_that_nothing_signs(
    owner: FlaskClient, services: Services, firm: accounts.Organisation
) -> None:
    held, _ = register_firm_key(services, firm)
    assert "No key signs now" not in owner.get(KEYS).text
    accounts.revoke_key(services, organisation_id=firm.id, key_id=held.key_id, reason="lost")
    assert "No key signs now" in owner.get(KEYS).text


def test_who_makes_no_codes_is_not_offered_a_key_for_them(client: FlaskClient, services: Services) -> None:
    shop = make_approved(services, kind=OrganisationKind.SHOP)
    browser = signed_in(client, services, owner_email(services, shop))
    assert f"{KEYS}/own" not in browser.get(KEYS).text


def test_an_operator_manages_no_keys(client: FlaskClient, services: Services, firm: accounts.Organisation) -> None:
    browser = signed_in(client, services, add_person(services, firm, Role.OPERATOR))
    for path in (KEYS, f"{KEYS}/own"):
        assert browser.get(path).status_code == 403
