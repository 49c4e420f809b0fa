"""What the script of a batch's page is given and hands in: the use cases of the API, with the browser's session."""

from __future__ import annotations

import re
from base64 import b64encode

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from app.accounts import service as accounts
from app.core.authorisation import Role
from app.core.services import Services
from app.registry import service as registry
from scanners.codes.key_messages import seal_message
from tests.app.registry.registry_builders import commissioned, make_product
from tests.builders import add_person, api_key, bearer, gtin, make_approved_firm, on_sqlite, owner_email, signed_in
from tests.firm_keys import register_firm_key, signatures_of

pytestmark = on_sqlite

OCTETS = "application/octet-stream"


@pytest.fixture
def firm(services: Services) -> accounts.Organisation:
    return make_approved_firm(services)


@pytest.fixture
def key(services: Services, firm: accounts.Organisation) -> Ed25519PrivateKey:
    return register_firm_key(services, firm)[1]


@pytest.fixture
def batch(services: Services, firm: accounts.Organisation, key: Ed25519PrivateKey) -> registry.Batch:
    product = make_product(services, firm, gtin=gtin(1))
    return commissioned(services, firm, registry.CommissionRequest(product=product.reference, quantity=600, lot="L-1"))


@pytest.fixture
def owner(client: FlaskClient, services: Services, firm: accounts.Organisation) -> FlaskClient:
    return signed_in(client, services, owner_email(services, firm))


def token(client: FlaskClient, batch: registry.Batch) -> dict[str, str]:
    found = re.search(r'name="csrf_token" value="([^"]+)"', client.get(f"/batches/{batch.handle}").text)
    assert found is not None
    return {"X-CSRFToken": found[1], "Accept": "application/json"}


def test_the_page_of_a_batch_offers_the_signing_to_whoever_may(
    owner: FlaskClient, services: Services, firm: accounts.Organisation, batch: registry.Batch
) -> None:
    assert "Sign 600 codes in this browser" in owner.get(f"/batches/{batch.handle}").text
    analyst = signed_in(owner, services, add_person(services, firm, Role.ANALYST))
    page = analyst.get(f"/batches/{batch.handle}").text
    assert "Your role does not sign codes." in page
    assert "sign_batch.js" not in page


def test_the_script_is_given_what_the_api_gives(
    owner: FlaskClient, services: Services, firm: accounts.Organisation, batch: registry.Batch
) -> None:
    machine = bearer(api_key(services, Role.OWNER, organisation=firm))
    for query in ("", "?from=512", "?from=512&after=" + serial_at(services, batch, 511)):
        asked = owner.get(f"/batches/{batch.handle}/signing.json{query}")
        assert asked.get_json() == owner.get(f"/v1/batches/{batch.handle}/signing{query}", headers=machine).get_json()
        assert asked.headers["Cache-Control"] == "no-store"


def serial_at(services: Services, batch: registry.Batch, position: int) -> str:
    with Session(services.engine) as session:
        return registry.serial_at(session, batch, position)


def test_a_place_that_is_none_is_refused(owner: FlaskClient, batch: registry.Batch) -> None:
    for query in ("?from=-1", "?from=x", "?from=99999999999", "?after=", "?after=" + "A" * 21):
        assert owner.get(f"/batches/{batch.handle}/signing.json{query}").status_code == 400, query


def test_signatures_go_in_and_the_seal_closes_the_batch(
    owner: FlaskClient, services: Services, batch: registry.Batch, key: Ed25519PrivateKey
) -> None:
    path, headers = f"/batches/{batch.handle}", token(owner, batch)
    made = signatures_of(services, batch, key)
    seal = b64encode(key.sign(seal_message(key_id=batch.key_id, root=batch.root, count=600))).decode()
    early = owner.post(f"{path}/seal", data={"seal": seal}, headers=headers | {"Accept-Language": "es"})
    assert (early.status_code, early.get_json()["code"]) == (409, "signatures_missing")
    assert early.get_json()["sentence"] != early.get_json()["detail"]
    for start in (0, 512):
        part = made[start * 64 : (start + 512) * 64]
        state = owner.put(f"{path}/signatures?from={start}", data=part, content_type=OCTETS, headers=headers)
        assert state.status_code == 200, state.text
    assert state.get_json()["first_unsigned"] is None
    closed = owner.post(f"{path}/seal", data={"seal": seal}, headers=headers)
    assert closed.get_json()["log_index"] is not None
    assert "Sign 600 codes" not in owner.get(path).text


def test_a_signature_that_does_not_fit_names_its_position(
    owner: FlaskClient, services: Services, batch: registry.Batch, key: Ed25519PrivateKey
) -> None:
    made = bytearray(signatures_of(services, batch, key)[: 512 * 64])
    made[64 * 17] ^= 1
    path = f"/batches/{batch.handle}/signatures?from=0"
    refused = owner.put(path, data=bytes(made), content_type=OCTETS, headers=token(owner, batch))
    assert (refused.status_code, refused.get_json()["code"]) == (422, "signature_wrong")
    assert "17" in refused.get_json()["sentence"]


def test_signatures_without_the_token_of_the_page_or_as_something_else_are_refused(
    owner: FlaskClient, batch: registry.Batch
) -> None:
    path = f"/batches/{batch.handle}/signatures"
    bare = owner.put(path, data=bytes(64), content_type=OCTETS, headers={"Accept": "application/json"})
    assert bare.get_json()["code"] == "csrf"
    form = owner.put(path, data={"a": "b"}, headers=token(owner, batch))
    assert form.get_json()["code"] == "content_type"


def test_another_firm_finds_no_such_batch(client: FlaskClient, services: Services, batch: registry.Batch) -> None:
    stranger = signed_in(client, services, owner_email(services, make_approved_firm(services, prefix=None)))
    assert stranger.get(f"/batches/{batch.handle}/signing.json").status_code == 404
