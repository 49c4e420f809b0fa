"""The page of work that waits for a second person, and what it says to whom."""

from dataclasses import replace

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from app.accounts import service as accounts
from app.accounts.service import second_person
from app.core import jobs
from app.core.authorisation import Principal, Role
from app.core.jobs import Job, JobState
from app.core.services import Services
from app.registry import service as registry
from tests.app.registry.registry_builders import Firm, make_firm
from tests.builders import add_person, gtin, make_approved_firm, on_sqlite, owner_email, principal, signed_in

pytestmark = on_sqlite


@pytest.fixture(autouse=True)
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(second_person, "SETTLED_MS", -60_000)


@pytest.fixture(autouse=True)
def open_forms(app: Flask) -> None:
    """Forms without their token: it is checked elsewhere."""
    app.config["WTF_CSRF_METHODS"] = []


@pytest.fixture
def firm(services: Services) -> Firm:
    return make_firm(services)


@pytest.fixture
def owner(services: Services, firm: Firm) -> Principal:
    with Session(services.engine) as session:
        person = accounts.managers_of(session, firm.id)[0]
    return replace(principal(firm.organisation), person_id=person.id)


@pytest.fixture
def waiting(services: Services, owner: Principal) -> Job:
    accounts.change_limit(services, by=owner, above=10)
    request = registry.CommissionRequest(product=gtin(1), quantity=1_234, lot="L-7")
    return registry.request_commission(services, principal=owner, requests=[request])


def state_of(services: Services, job: Job) -> JobState:
    with Session(services.engine) as session:
        return jobs.find_job(session, job.id, organisation_id=job.organisation_id).state


def browser(app: Flask, services: Services, email: str) -> FlaskClient:
    return signed_in(app.test_client(), services, email)


def test_whoever_asked_reads_that_another_has_to_decide(
    app: Flask, services: Services, firm: Firm, waiting: Job
) -> None:
    asked = browser(app, services, owner_email(services, firm.organisation))
    page = asked.get(f"/jobs/{waiting.id}").text
    assert "You asked for this yourself" in page
    assert 'value="release"' not in page
    assert "1,234 units wait for a second person" in asked.get("/batches").text
    refused = asked.post(f"/jobs/{waiting.id}/release", data={"decision": "release", "reason": "Order 4711."})
    assert refused.status_code == 403
    assert "This needs a second person" in refused.text
    assert state_of(services, waiting) is JobState.WAITING


def test_another_member_sees_what_it_is_and_releases_it(
    app: Flask, services: Services, firm: Firm, waiting: Job
) -> None:
    second = browser(app, services, add_person(services, firm.organisation, Role.OPERATOR))
    page = second.get(f"/jobs/{waiting.id}").text
    assert gtin(1) in page
    assert "L-7" in page
    assert 'value="release"' in page
    done = second.post(f"/jobs/{waiting.id}/release", data={"decision": "release", "reason": "Order 4711."})
    assert done.status_code == 303
    assert state_of(services, waiting) is JobState.QUEUED


def test_a_refusal_is_read_by_whoever_asked(app: Flask, services: Services, firm: Firm, waiting: Job) -> None:
    second = browser(app, services, add_person(services, firm.organisation, Role.OPERATOR))
    second.post(f"/jobs/{waiting.id}/release", data={"decision": "refuse", "reason": "No such order."})
    page = browser(app, services, owner_email(services, firm.organisation)).get(f"/jobs/{waiting.id}").text
    assert "No such order." in page


@pytest.mark.parametrize(
    "form", [{"decision": "release", "reason": ""}, {"decision": "maybe", "reason": "Order 4711."}]
)
def test_a_form_that_says_too_little_decides_nothing(
    app: Flask, services: Services, firm: Firm, waiting: Job, form: dict[str, str]
) -> None:
    second = browser(app, services, add_person(services, firm.organisation, Role.OPERATOR))
    assert second.post(f"/jobs/{waiting.id}/release", data=form).status_code in (400, 422)
    assert state_of(services, waiting) is JobState.WAITING


def test_another_firm_finds_no_such_work(app: Flask, services: Services, waiting: Job) -> None:
    stranger = browser(app, services, owner_email(services, make_approved_firm(services, prefix=None)))
    form = {"decision": "release", "reason": "Order 4711."}
    assert stranger.get(f"/jobs/{waiting.id}").status_code == 404
    assert stranger.post(f"/jobs/{waiting.id}/release", data=form).status_code == 404


def test_limits_are_read_lowered_and_asked_for_on_their_page(app: Flask, services: Services, firm: Firm) -> None:
    owner = browser(app, services, owner_email(services, firm.organisation))
    assert "Up to 100,000 units" in owner.get("/organisation/limits").text
    assert owner.post("/organisation/limits", data={"kind": "units", "above": "500"}).status_code == 303
    assert "Up to 500 units" in owner.get("/organisation/limits").text
    owner.post("/organisation/limits", data={"kind": "none"})
    page = owner.get("/organisation/limits").text
    assert "Up to 500 units" in page
    assert "A higher limit was asked for" in page
    assert 'value="agree"' not in page
    owner.post("/organisation/limits/decision", data={"decision": "refuse"})
    assert "A higher limit was asked for" not in owner.get("/organisation/limits").text


def test_the_other_owner_agrees_on_the_page(app: Flask, services: Services, firm: Firm, owner: Principal) -> None:
    email = add_person(services, firm.organisation, Role.OWNER)
    accounts.change_limit(services, by=owner, above=2_000_000)
    other = browser(app, services, email)
    assert 'value="agree"' in other.get("/organisation/limits").text
    other.post("/organisation/limits/decision", data={"decision": "agree"})
    assert "Up to 2,000,000 units" in other.get("/organisation/limits").text


@pytest.mark.parametrize("form", [{"kind": "units"}, {"kind": "units", "above": "0"}, {"kind": "units", "above": "x"}])
def test_a_limit_that_is_none_is_refused_with_a_sentence(
    app: Flask, services: Services, firm: Firm, form: dict[str, str]
) -> None:
    owner = browser(app, services, owner_email(services, firm.organisation))
    assert owner.post("/organisation/limits", data=form).status_code in (400, 422)
