"""The accounts pages: what a person sees and does in a browser."""

import re
from dataclasses import replace

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from app.access import service as access
from app.accounts import service as accounts
from app.accounts.vocabulary import OrganisationKind, OrganisationStatus, RightKind, RightStatus
from app.core.authorisation import CONFIRMED_MS, Role
from app.core.clock import now_ms
from app.core.services import Services
from tests.builders import (
    ADMINISTRATOR,
    PASSWORD,
    add_person,
    api_key,
    make_approved,
    make_approved_firm,
    make_organisation,
    make_registry,
    on_sqlite,
    owner_email,
    principal,
    signed_in,
)
from tests.letters import waiting_letters

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


def test_a_firm_signs_up_asks_for_its_number_and_sees_it_waiting(client: FlaskClient, services: Services) -> None:
    sent = post(client, "/sign-up", "/sign-up", **SIGN_UP)
    assert "Luz@Example.org" in sent.text
    (letter,) = waiting_letters(services, to="luz@example.org")
    assert post(client, letter.path, letter.path).headers["Location"] == "/organisation"
    page = client.get("/organisation").text
    assert "Mezcal Doña Luz" in page
    assert "Waiting for the registry" in page
    asked = post(
        client, "/organisation/rights", "/organisation", kind="prefix", value="952 1234", evidence="GS1 Mexico, no. 7"
    )
    assert asked.status_code == 303
    assert "9521234" in client.get("/organisation").text
    closed = client.get("/products/new")
    assert closed.status_code == 403
    assert "opens when the registry has approved your organisation" in closed.text
    assert "/products/new" not in client.get("/dashboard").text, "no step leads to a page that is closed"


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
    waiting, _heading, decided = client.get("/admin").text.partition("Latest decisions")
    assert "Cacao del Sur" not in waiting
    assert "Cacao del Sur" in decided
    with Session(services.engine) as session:
        assert accounts.organisation_by_id(session, firm.id).status is OrganisationStatus.APPROVED
        assert accounts.list_rights(session, organisation_id=firm.id)[0].status is RightStatus.APPROVED


def test_a_refused_decision_keeps_what_was_typed_beside_the_form_it_is_about(
    client: FlaskClient, services: Services
) -> None:
    authority = make_organisation(services, kind=OrganisationKind.AUTHORITY, email="chief@example.org")
    make_registry(services, email="registrar@example.org")
    signed_in(client, services, "registrar@example.org")
    assert 'href="mailto:chief@example.org"' in client.get("/admin").text
    path = f"/admin/organisations/{authority.issuer}"
    entries = {"reason": "Seen the decree.", "jurisdiction": "MX QQ", "decision": "approve"}
    refused = post(client, path, "/admin", **entries)
    assert refused.status_code == 422
    assert f'href="#on-{authority.issuer}"' in refused.text
    assert "Seen the decree." in refused.text
    assert 'value="MX QQ"' in refused.text
    assert post(client, path, "/admin", **entries | {"jurisdiction": "MX US"}).headers["Location"] == "/admin"
    late = post(client, path, "/admin", **entries | {"decision": "refuse"})
    assert (late.status_code, "decided on this organisation already" in late.text) == (409, True)
    suspended = post(
        client,
        f"{path}?text=firm&status=",
        "/admin/organisations",
        **{"from": "list", "reason": "Asked by its ministry.", "decision": "suspend"},
    )
    assert suspended.headers["Location"] == "/admin/organisations?text=firm&status="


def test_a_person_of_two_organisations_acts_for_one_at_a_time(client: FlaskClient, services: Services) -> None:
    firm = make_approved_firm(services, name="First firm", prefix=None)
    shop = make_approved(services, kind=OrganisationKind.SHOP, name="Second shop")
    email = owner_email(services, firm)
    with Session(services.engine) as session:
        (owner,) = accounts.managers_of(session, shop.id)
    by = replace(principal(shop), person_id=owner.id)
    accounts.invite(services, by=by, email=email, role=Role.RETAILER, locale="en")
    (letter,) = [each for each in waiting_letters(services, to=email) if each.path.startswith("/join/")]
    with Session(services.engine) as session:
        person = accounts.find_person(session, email=email)
    assert person is not None
    accounts.accept_signed_in(services, token=letter.path.removeprefix("/join/"), person_id=person.id)
    signed_in(client, services, email)
    assert "First firm" in client.get("/organisation").text
    assert post(client, "/account/organisation", "/account", issuer=shop.issuer).status_code == 303
    assert "Second shop" in client.get("/organisation").text
    assert client.get("/organisation/keys").status_code == 403
    accounts.suspend_organisation(services, issuer=firm.issuer, decided_by=ADMINISTRATOR, reason="Complaint.")
    assert f'value="{firm.issuer}"' not in client.get("/account").text, "nobody can act for it"
    refused = post(client, "/account/organisation", "/account", issuer=firm.issuer)
    assert refused.status_code == 409
    assert "Second shop" in client.get("/organisation").text, "the session goes on"


def test_changing_the_password_ends_the_session_of_every_other_browser(
    app: Flask, client: FlaskClient, services: Services
) -> None:
    email = owner_email(services, make_approved_firm(services, prefix=None))
    other = signed_in(app.test_client(), services, email)
    signed_in(client, services, email)
    post(client, "/account/password", "/account", current=PASSWORD, password="another long password")
    assert other.get("/organisation").status_code == 303
    assert access.sign_in(services, email=email, password="another long password", visitor=access.Visitor("192.0.2.1"))


def test_signing_out_ends_the_session_on_the_server_too(client: FlaskClient, services: Services) -> None:
    firm = make_approved_firm(services, prefix=None)
    signed_in(client, services, owner_email(services, firm))
    with client.session_transaction() as session:
        token = session["token"]
    assert post(client, "/sign-out", "/organisation").status_code == 303
    with client.session_transaction() as session:
        session["token"] = token
    assert client.get("/organisation").status_code == 303


def test_the_record_of_acts_is_told_in_words_with_the_way_to_its_proof(client: FlaskClient, services: Services) -> None:
    firm = make_approved_firm(services, prefix=None)
    accounts.invite(services, by=principal(firm), email="ana@example.org", role=Role.OPERATOR, locale="en")
    signed_in(client, services, add_person(services, firm, Role.AUDITOR))
    page = client.get("/organisation/acts").text
    assert page.index("A person joined") < page.index("A person was invited")
    assert "Operator" in page
    with Session(services.engine) as session:
        act = accounts.list_acts(session, organisation_id=firm.id)[0]
    services.log.checkpoint(at_least=services.log.head()[0])
    proof = f"/v1/log/entries/{act.log_index}/proof"
    assert proof in page
    assert client.get(proof).status_code == 200
    assert client.get(f"/organisation/acts?before={act.log_index}").text.count("<tr>") == 2
    assert client.get("/organisation/acts?before=x").status_code == 400


def test_the_api_gives_the_acts_page_by_page(client: FlaskClient, services: Services) -> None:
    firm = make_approved_firm(services, prefix=None)
    for _ in range(3):
        add_person(services, firm, Role.OPERATOR)
    key = {"Authorization": f"Bearer {api_key(services, Role.AUDITOR, organisation=firm)}"}
    seen: list[int] = []
    before = ""
    while True:
        answer = client.get(f"/v1/acts?limit=2{before}", headers=key).get_json()
        seen += [item["log_index"] for item in answer["items"]]
        if answer["next_before"] is None:
            break
        before = f"&before={answer['next_before']}"
    with Session(services.engine) as session:
        assert seen == [act.log_index for act in accounts.list_acts(session, organisation_id=firm.id)]
    assert seen == sorted(seen, reverse=True)


def test_each_role_and_permission_is_explained_in_both_languages(client: FlaskClient, services: Services) -> None:
    firm = make_approved_firm(services, prefix=None)
    signed_in(client, services, add_person(services, firm, Role.OPERATOR))
    for language in ("en", "es"):
        page = client.get(f"/organisation/roles?lang={language}")
        assert page.status_code == 200
        assert page.text.count("<summary>") >= len(Role)


@pytest.mark.parametrize("path", ["/organisation/delegations", "/jobs/none/release"])
def test_who_signed_in_long_ago_confirms_before_giving_a_right_or_releasing_codes(
    client: FlaskClient, services: Services, path: str
) -> None:
    signed_in(client, services, owner_email(services, make_approved_firm(services, prefix=None)))
    with services.engine.begin() as connection:
        connection.exec_driver_sql(f"UPDATE sign_in_sessions SET confirmed_at = {now_ms() - CONFIRMED_MS - 1}")  # noqa: S608
    answer = post(client, path, "/organisation/roles", decision="release", reason="Order 4711.")
    assert answer.headers["Location"].startswith("/sign-in/again")
