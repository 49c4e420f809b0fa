"""The accounts pages: what a person sees and does in a browser."""

import re
from html import unescape

import pytest
from flask.testing import FlaskClient
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from app.access import service as access
from app.accounts import service as accounts
from app.accounts.vocabulary import OrganisationKind, OrganisationStatus, RightKind, RightStatus
from app.core.authorisation import Role
from app.core.services import Services
from tests.builders import (
    PASSWORD,
    add_person,
    make_approved,
    make_approved_firm,
    make_organisation,
    make_registry,
    on_sqlite,
    owner_email,
    signed_in,
)

pytestmark = on_sqlite


def post(client: FlaskClient, path: str, page: str, **entries: str) -> TestResponse:
    """Load `page`, then post the form as a browser does, with the token that the page carries."""
    loaded = client.get(page)
    found = re.search(r'name="csrf_token" value="([^"]+)"', loaded.text)
    assert found is not None, f"{page} carries no token: {loaded.status}"
    return client.post(path, data={"csrf_token": found[1], **entries})


SIGN_UP = {
    "name": "Mezcal Doña Luz",
    "kind": "firm",
    "country": "mx",
    "person_name": "Luz Martínez",
    "email": "Luz@Example.org",
    "password": PASSWORD,
}


def test_a_firm_signs_up_asks_for_its_number_and_sees_it_waiting(client: FlaskClient) -> None:
    assert post(client, "/sign-up", "/sign-up", **SIGN_UP).headers["Location"] == "/organisation"
    page = client.get("/organisation").text
    assert "Mezcal Doña Luz" in page
    assert "Waiting for the registry" in page
    asked = post(
        client, "/organisation/rights", "/organisation", kind="prefix", value="952 1234", evidence="GS1 Mexico, no. 7"
    )
    assert asked.status_code == 303
    assert "9521234" in client.get("/organisation").text


def test_a_bad_sign_up_is_shown_again_with_what_was_typed_but_not_the_password(client: FlaskClient) -> None:
    answer = post(client, "/sign-up", "/sign-up", **{**SIGN_UP, "email": "luz at example", "password": "x" * 12})
    assert answer.status_code == 422
    assert "This is not an e-mail address." in answer.text
    assert "too easy to guess" in answer.text
    assert "Mezcal Doña Luz" in answer.text
    assert "x" * 12 not in answer.text


def test_signing_in_leads_where_the_person_wanted_to_go(client: FlaskClient, services: Services) -> None:
    firm = make_approved_firm(services)
    wanted = client.get("/organisation/keys?lang=es")
    assert wanted.status_code == 303
    form = wanted.headers["Location"]
    assert form == "/sign-in?next=/organisation/keys%3Flang%3Des"
    answer = post(
        client,
        "/sign-in",
        form,
        email=owner_email(services, firm),
        password=PASSWORD,
        next="/organisation/keys?lang=es",
    )
    assert answer.headers["Location"] == "/organisation/keys?lang=es"


@pytest.mark.parametrize("goal", ["//evil.example", "https://evil.example", "/\\evil.example", "evil", "/a\nb"])
def test_signing_in_never_leads_to_another_site(client: FlaskClient, services: Services, goal: str) -> None:
    firm = make_approved_firm(services, prefix=None)
    answer = post(client, "/sign-in", "/sign-in", email=owner_email(services, firm), password=PASSWORD, next=goal)
    assert answer.headers["Location"] == "/dashboard"


def test_a_wrong_password_and_an_unknown_person_look_the_same(client: FlaskClient, services: Services) -> None:
    firm = make_organisation(services)
    wrong = post(client, "/sign-in", "/sign-in", email=owner_email(services, firm), password="wrong password 1")
    unknown = post(client, "/sign-in", "/sign-in", email="nobody@example.org", password="wrong password 1")
    assert wrong.status_code == unknown.status_code == 401

    def shape(answer: TestResponse) -> str:
        return re.sub(r'value="[^"]*"', "", answer.text)

    assert shape(wrong) == shape(unknown)


def test_a_form_without_our_token_changes_nothing(client: FlaskClient, services: Services) -> None:
    firm = make_approved_firm(services, prefix=None)
    signed_in(client, services, owner_email(services, firm))
    answer = client.post("/organisation/api-keys", data={"name": "till", "role": "operator", "days": "30"})
    assert answer.status_code == 400
    with Session(services.engine) as session:
        assert access.list_api_keys(session, organisation_id=firm.id) == []


def test_a_machines_key_is_shown_once_and_kept_by_no_cache(client: FlaskClient, services: Services) -> None:
    firm = make_approved_firm(services, prefix=None)
    signed_in(client, services, owner_email(services, firm))
    made = post(client, "/organisation/api-keys", "/organisation/keys", name="till 2", role="operator", days="30")
    secret = re.search(r"mch_[\w-]{43}", made.text)
    assert secret is not None
    assert made.headers["Cache-Control"] == "no-store"
    assert secret[0] not in client.get("/organisation/keys").text
    answer = client.get("/v1/organisation", headers={"Authorization": f"Bearer {secret[0]}"})
    assert answer.get_json()["issuer"] == firm.issuer


def test_an_owner_adds_a_person_who_signs_in_with_the_temporary_password(
    client: FlaskClient, services: Services
) -> None:
    firm = make_approved_firm(services, prefix=None)
    signed_in(client, services, owner_email(services, firm))
    added = post(
        client,
        "/organisation/people",
        "/organisation/people",
        person_name="Ana Ruiz",
        email="ana@example.org",
        role="operator",
    )
    password = re.search(r"[0-9A-Z]{4}(?:-[0-9A-Z]{4}){3}", unescape(added.text))
    assert password is not None
    assert access.sign_in(services, email="ana@example.org", password=password[0], remote_address="192.0.2.1")


def test_the_last_owner_cannot_be_removed(client: FlaskClient, services: Services) -> None:
    firm = make_approved_firm(services, prefix=None)
    email = owner_email(services, firm)
    signed_in(client, services, email)
    answer = post(client, "/organisation/people/removal", "/organisation/people", email=email)
    assert answer.status_code == 409
    assert "Somebody must be left" in answer.text


def test_an_operator_sees_the_numbers_but_not_the_keys(client: FlaskClient, services: Services) -> None:
    firm = make_approved_firm(services)
    signed_in(client, services, add_person(services, firm, Role.OPERATOR))
    assert "9521234" in client.get("/organisation").text
    assert client.get("/organisation/keys").status_code == 403
    assert client.get("/organisation/people").status_code == 403
    assert client.get("/admin").status_code == 403


def test_the_registry_decides_on_a_firm_and_then_on_its_number(client: FlaskClient, services: Services) -> None:
    firm = make_organisation(services, name="Cacao del Sur")
    right = accounts.request_right(
        services,
        organisation_id=firm.id,
        kind=RightKind.PREFIX,
        value="9521234",
        evidence="Certificate 7",
    )
    make_registry(services, email="registry@example.org")
    signed_in(client, services, "registry@example.org")
    desk = client.get("/admin").text
    assert "Cacao del Sur" in desk
    assert "Certificate 7" in desk
    early = post(client, f"/admin/rights/{right.reference}", "/admin", decision="approve", reason="Seen.")
    assert early.status_code == 409
    for path in (f"/admin/organisations/{firm.issuer}", f"/admin/rights/{right.reference}"):
        assert post(client, path, "/admin", decision="approve", reason="Papers seen.").status_code == 303
    assert "Cacao del Sur" not in client.get("/admin").text
    with Session(services.engine) as session:
        assert accounts.organisation_by_id(session, firm.id).status is OrganisationStatus.APPROVED
        assert accounts.list_rights(session, organisation_id=firm.id)[0].status is RightStatus.APPROVED


def test_a_person_of_two_organisations_acts_for_one_at_a_time(client: FlaskClient, services: Services) -> None:
    firm = make_approved_firm(services, name="First firm", prefix=None)
    shop = make_approved(services, kind=OrganisationKind.SHOP, name="Second shop")
    email = owner_email(services, firm)
    accounts.add_member(services, organisation_id=shop.id, email=email, name="Owner", role=Role.RETAILER, locale="en")
    signed_in(client, services, email)
    assert "First firm" in client.get("/organisation").text
    assert post(client, "/account/organisation", "/account", issuer=shop.issuer).status_code == 303
    assert "Second shop" in client.get("/organisation").text
    assert client.get("/organisation/keys").status_code == 403


def test_changing_the_password_ends_every_session(client: FlaskClient, services: Services) -> None:
    firm = make_approved_firm(services, prefix=None)
    email = owner_email(services, firm)
    signed_in(client, services, email)
    changed = post(client, "/account/password", "/account", current=PASSWORD, password="another long password")
    assert changed.headers["Location"] == "/sign-in"
    assert client.get("/organisation").status_code == 303
    assert access.sign_in(services, email=email, password="another long password", remote_address="192.0.2.1")


def test_signing_out_ends_the_session_on_the_server_too(client: FlaskClient, services: Services) -> None:
    firm = make_approved_firm(services, prefix=None)
    signed_in(client, services, owner_email(services, firm))
    with client.session_transaction() as session:
        token = session["token"]
    assert post(client, "/sign-out", "/organisation").status_code == 303
    with client.session_transaction() as session:
        session["token"] = token
    assert client.get("/organisation").status_code == 303
