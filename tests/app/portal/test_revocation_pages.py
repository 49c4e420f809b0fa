"""The page on which a key is withdrawn: first what that would do, then the deed."""

from __future__ import annotations

import json
import re
from base64 import urlsafe_b64decode

import pytest
from flask.testing import FlaskClient
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from app.accounts import service as accounts
from app.accounts.vocabulary import OrganisationKeyPurpose
from app.core.services import Services
from app.registry import service as registry
from tests.app.registry.registry_builders import commissioned, make_product
from tests.builders import gtin, make_approved_firm, on_sqlite, owner_email, signed_in

pytestmark = on_sqlite


@pytest.fixture
def firm(services: Services) -> accounts.Organisation:
    return make_approved_firm(services)


@pytest.fixture
def batches(services: Services, firm: accounts.Organisation) -> list[registry.Batch]:
    product = make_product(services, firm, gtin=gtin(1))
    wanted = [registry.CommissionRequest(product=product.reference, quantity=count) for count in (3, 4)]
    return [commissioned(services, firm, one) for one in wanted]


@pytest.fixture
def owner(client: FlaskClient, services: Services, firm: accounts.Organisation) -> FlaskClient:
    return signed_in(client, services, owner_email(services, firm))


def key_for(
    services: Services,
    firm: accounts.Organisation,
    purpose: OrganisationKeyPurpose = OrganisationKeyPurpose.CODE,
    *,
    number: int | None = None,
) -> accounts.KeyRecord:
    with Session(services.engine) as session:
        keys = accounts.list_keys(session, organisation_id=firm.id)
    return next(key for key in keys if key.purpose is purpose and number in (None, key.key_id))


def figures(text: str) -> list[str]:
    return re.findall(r'<p class="figure">([^<]+)</p>', text)


def withdraw(client: FlaskClient, key: accounts.KeyRecord, **entries: str) -> TestResponse:
    page = f"/organisation/keys/{key.key_id}/revocation"
    token = re.search(r'name="csrf_token" value="([^"]+)"', client.get(page).text)
    assert token is not None
    return client.post(page, data={"csrf_token": token[1], **entries})


def test_the_page_says_how_much_stays_good_from_each_place(
    owner: FlaskClient, services: Services, firm: accounts.Organisation, batches: list[registry.Batch]
) -> None:
    page = f"/organisation/keys/{key_for(services, firm).key_id}/revocation"
    assert figures(owner.get(page).text) == ["7", "0"]
    assert figures(owner.get(f"{page}?from_index={batches[1].log_index}").text) == ["3", "4"]
    assert figures(owner.get(f"{page}?from_index={batches[0].log_index}").text) == ["0", "7"]
    assert batches[0].handle in owner.get(page).text


def test_a_place_that_cannot_be_is_refused_and_the_page_goes_on_with_now(
    owner: FlaskClient, services: Services, firm: accounts.Organisation, batches: list[registry.Batch]
) -> None:
    key = key_for(services, firm)
    for given in ("0", "99999999", "yesterday", "-1", "9" * 16):
        answer = owner.get(f"/organisation/keys/{key.key_id}/revocation?from_index={given}")
        assert (answer.status_code, figures(answer.text)) == (422, ["7", "0"]), given
        assert withdraw(owner, key, reason="stolen", from_index=given).status_code == 422, given
    assert key_for(services, firm).revoked_at is None


def test_a_key_is_withdrawn_from_a_batch_on_and_the_ledger_says_by_whom(
    owner: FlaskClient, services: Services, firm: accounts.Organisation, batches: list[registry.Batch]
) -> None:
    key = key_for(services, firm)
    done = withdraw(owner, key, reason="stolen", note=" a laptop ", from_index=str(batches[1].log_index))
    assert done.headers["Location"] == "/organisation/keys"
    known = key_for(services, firm, number=key.key_id)
    assert (known.revoked_from, known.revocation_reason) == (batches[1].log_index, "stolen: a laptop")
    page = owner.get(f"/organisation/keys/{key.key_id}/revocation").text
    assert "Its file was stolen, or somebody else signed with it: a laptop" in page
    assert "Withdraw the key" not in page
    history = accounts.key_history(services, issuer=firm.issuer)
    said = [json.loads(decoded(entry.body)) for entry in history.entries]
    (revoked,) = [one for one in said if one["action"] == "revoked"]
    assert revoked["by"].startswith("person:")


def decoded(body: str) -> str:
    """The statement inside a body of the ledger."""
    payload = json.loads(body)["statement"].split(".")[1]
    return urlsafe_b64decode(payload + "=" * (-len(payload) % 4)).decode()


def test_it_is_withdrawn_once(owner: FlaskClient, services: Services, firm: accounts.Organisation) -> None:
    key = key_for(services, firm)
    page = f"/organisation/keys/{key.key_id}/revocation"
    token = re.search(r'name="csrf_token" value="([^"]+)"', owner.get(page).text)
    assert token is not None
    entries = {"csrf_token": token[1], "reason": "lost"}
    assert owner.post(page, data=entries).status_code == 303
    assert owner.post(page, data=entries).status_code == 409


def test_a_reason_is_chosen_from_the_list(owner: FlaskClient, services: Services, firm: accounts.Organisation) -> None:
    key = key_for(services, firm)
    for reason in ("", "because", "STOLEN"):
        assert withdraw(owner, key, reason=reason).status_code == 400, reason
    assert key_for(services, firm).revoked_at is None


def test_a_key_for_records_is_withdrawn_from_now_on_only(
    owner: FlaskClient, services: Services, firm: accounts.Organisation
) -> None:
    key = key_for(services, firm, OrganisationKeyPurpose.STATEMENT)
    page = owner.get(f"/organisation/keys/{key.key_id}/revocation").text
    assert 'id="f-from_index"' not in page
    assert withdraw(owner, key, reason="other", from_index=str(key.registered_index + 1)).status_code == 422
    assert withdraw(owner, key, reason="other", from_index="").status_code == 303


def test_the_key_of_another_firm_is_not_found(
    client: FlaskClient, services: Services, firm: accounts.Organisation
) -> None:
    stranger = signed_in(client, services, owner_email(services, make_approved_firm(services, prefix=None)))
    assert stranger.get(f"/organisation/keys/{key_for(services, firm).key_id}/revocation").status_code == 404
