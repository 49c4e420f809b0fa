"""The audit names whoever made codes without a second person, or put one into the table behind the ledger."""

from dataclasses import replace

import pytest
from sqlalchemy.orm import Session

from app.accounts import service as accounts
from app.accounts.service import second_person
from app.core.authorisation import Principal, Role
from app.core.jobs import Job
from app.core.services import Services
from app.registry import service as registry
from ledger.audit import audit
from tests.app.registry.registry_builders import Firm, make_firm, work
from tests.builders import add_person, gtin, on_sqlite, owner_email, principal

pytestmark = on_sqlite


def person(services: Services, firm: Firm, email: str) -> Principal:
    with Session(services.engine) as session:
        found = accounts.find_person(session, email=email)
    assert found is not None
    return replace(principal(firm.organisation), person_id=found.id)


@pytest.fixture(autouse=True)
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever joins in these tests has been there for long."""
    monkeypatch.setattr(second_person, "SETTLED_MS", -60_000)


@pytest.fixture
def firm(services: Services) -> Firm:
    return make_firm(services)


@pytest.fixture
def owner(services: Services, firm: Firm) -> Principal:
    return person(services, firm, owner_email(services, firm.organisation))


@pytest.fixture
def waiting(services: Services, firm: Firm, owner: Principal) -> Job:
    accounts.change_limit(services, by=owner, above=10)
    request = registry.CommissionRequest(product=gtin(1), quantity=11)
    return registry.request_commission(services, principal=owner, requests=[request])


@pytest.fixture
def released(services: Services, firm: Firm, waiting: Job) -> Job:
    second = person(services, firm, add_person(services, firm.organisation, Role.OWNER))
    registry.decide_release(services, by=second, job_id=waiting.id, release=True, reason="Order 4711.")
    work(services)
    return waiting


def findings(services: Services) -> list[str]:
    report = audit(
        services.engine,
        services.log.verifier,
        origin=services.log.origin,
        extra_checks=[registry.check_releases],
    )
    return [f"{fault.code} {fault.where}" for fault in report.faults]


def change(services: Services, sql: str) -> None:
    with services.engine.begin() as connection:
        connection.exec_driver_sql(sql)


def test_what_went_its_way_has_no_fault(services: Services, released: Job) -> None:
    assert findings(services) == []


@pytest.mark.parametrize("column", ["decided_by = 'person:999'", "created_by = 'person:999'", "total = 5"])
def test_a_changed_row_is_named(services: Services, released: Job, column: str) -> None:
    change(services, f"UPDATE jobs SET {column} WHERE id = '{released.id}'")  # noqa: S608
    assert findings(services) == [f"release.entry jobs {released.id}"]


def test_codes_that_were_made_behind_the_second_person_are_named(services: Services, waiting: Job) -> None:
    change(services, f"UPDATE jobs SET state = 'queued' WHERE id = '{waiting.id}'")  # noqa: S608
    work(services)
    assert findings(services) == [f"release.entry jobs {waiting.id}"]


def test_a_second_person_who_is_only_in_the_table_is_named(services: Services, waiting: Job) -> None:
    change(
        services,
        f"UPDATE jobs SET state = 'queued', decided_by = 'person:999' WHERE id = '{waiting.id}'",  # noqa: S608
    )
    assert findings(services) == [f"release.entry jobs {waiting.id}"]


def test_a_decision_whose_job_is_gone_is_named(services: Services, released: Job) -> None:
    change(services, f"DELETE FROM jobs WHERE id = '{released.id}'")  # noqa: S608
    assert [found.partition(" ")[0] for found in findings(services)] == ["release.missing"]
