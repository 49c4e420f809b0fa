"""Four eyes: above the threshold codes wait for a second person, however the request is cut or sent."""

import threading
from dataclasses import replace

import pytest
from flask.testing import FlaskClient
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.access import service as access
from app.accounts import service as accounts
from app.accounts.service import second_person
from app.core import jobs
from app.core.authorisation import Permission, Principal, Role
from app.core.clock import now_ms
from app.core.errors import AppError, Conflict, Forbidden, Invalid, NotFound
from app.core.jobs import Job, JobState
from app.core.mail import OutgoingMailRow
from app.core.notices import NoticeKind, NoticeRow
from app.core.services import Services
from app.registry import service as registry
from app.registry.jobs import sweep
from app.registry.models import SerialFileRow
from app.registry.service.commission import queue_commission
from app.registry.service.releases import OPEN_MS, WINDOW_MS
from tests.app.registry.registry_builders import Firm, finished, make_firm, make_product, work
from tests.builders import (
    ADMINISTRATOR,
    add_person,
    bearer,
    gtin,
    make_approved_firm,
    on_sqlite,
    owner_email,
    principal,
)

LIMIT = 100


def person(services: Services, firm: Firm, email: str, role: Role = Role.OWNER) -> Principal:
    with Session(services.engine) as session:
        found = accounts.find_person(session, email=email)
    assert found is not None
    return replace(principal(firm.organisation, role), person_id=found.id, name=found.name)


@pytest.fixture(autouse=True)
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever joins in these tests has been there for long."""
    monkeypatch.setattr(second_person, "SETTLED_MS", -60_000)


@pytest.fixture
def firm(services: Services) -> Firm:
    made = make_firm(services)
    owner = person(services, made, owner_email(services, made.organisation))
    accounts.change_limit(services, by=owner, above=LIMIT)
    return made


@pytest.fixture
def owner(services: Services, firm: Firm) -> Principal:
    return person(services, firm, owner_email(services, firm.organisation))


@pytest.fixture
def operator(services: Services, firm: Firm) -> Principal:
    return person(services, firm, add_person(services, firm.organisation, Role.OPERATOR), Role.OPERATOR)


def units(quantity: int, *, item: int = 1, serials: tuple[str, ...] | None = None) -> registry.CommissionRequest:
    if serials is not None:
        return registry.CommissionRequest(product=gtin(item), serials=serials)
    return registry.CommissionRequest(product=gtin(item), quantity=quantity)


def ask(services: Services, by: Principal, *requests: registry.CommissionRequest, key: str | None = None) -> Job:
    return registry.request_commission(services, principal=by, requests=requests, idempotency_key=key)


def decide(services: Services, by: Principal, job: Job, *, release: bool = True) -> Job:
    return registry.decide_release(services, by=by, job_id=job.id, release=release, reason="Order 4711.")


def mails(services: Services) -> int:
    with Session(services.engine) as session:
        return session.scalar(select(func.count()).select_from(OutgoingMailRow)) or 0


def test_a_request_above_the_threshold_waits_and_the_worker_leaves_it(
    services: Services, firm: Firm, owner: Principal
) -> None:
    job = ask(services, owner, units(LIMIT + 1))
    assert job.state is JobState.WAITING
    assert finished(services, job).state is JobState.WAITING
    assert ask(services, owner, units(LIMIT)).state is JobState.QUEUED  # what waits is not made, and does not count


def test_a_second_person_releases_it_on_the_ledger_and_it_is_made(
    services: Services, firm: Firm, owner: Principal, operator: Principal
) -> None:
    job = ask(services, owner, units(LIMIT + 1))
    released = decide(services, operator, job)
    assert (released.state, released.decided_by) == (JobState.QUEUED, operator.actor)
    done = finished(services, job)
    assert done.state is JobState.DONE, done.problem
    with Session(services.engine) as session:
        act = accounts.list_acts(session, organisation_id=firm.id)[0]
    assert act.act is accounts.Act.BATCH_RELEASED
    assert act.actor == operator.actor
    assert act.details == {"asked_by": owner.actor, "job": job.id, "units": LIMIT + 1}


@on_sqlite
def test_whoever_asked_can_not_release_it_neither_as_person_nor_through_a_machine(
    services: Services, firm: Firm, owner: Principal, operator: Principal
) -> None:
    scopes = frozenset({Permission.BATCH_RELEASE, Permission.BATCH_COMMISSION})
    key, _ = access.create_api_key(services, principal=owner, name="line", role=Role.OPERATOR, scopes=scopes, days=1)
    with services.engine.connect() as connection:
        number = connection.exec_driver_sql("SELECT max(id) FROM api_keys").scalar_one()
    machine = replace(principal(firm.organisation, Role.OPERATOR), person_id=None, machine=f"api-key:{number}")
    by_person, by_machine = ask(services, owner, units(LIMIT + 1)), ask(services, machine, units(LIMIT + 2))
    assert by_machine.asked_by_person == owner.person_id
    for job in (by_person, by_machine):
        for who in (owner, machine):
            with pytest.raises(Forbidden) as refused:
                decide(services, who, job)
            assert refused.value.code == "second_person_needed"
    assert decide(services, operator, by_machine).state is JobState.QUEUED
    assert key.created_by == owner.actor


@on_sqlite
def test_whoever_asks_through_a_long_line_of_machines_is_still_no_second_person(
    services: Services, firm: Firm, owner: Principal
) -> None:
    maker = owner
    for _ in range(12):  # one key makes the next
        access.create_api_key(services, principal=maker, name="line", role=Role.OWNER, scopes=None, days=1)
        with services.engine.connect() as connection:
            number = connection.exec_driver_sql("SELECT max(id) FROM api_keys").scalar_one()
        maker = replace(owner, person_id=None, machine=f"api-key:{number}")
    job = ask(services, maker, units(LIMIT + 1))
    assert job.asked_by_person == owner.person_id
    with pytest.raises(Forbidden) as refused:
        decide(services, owner, job)
    assert refused.value.code == "second_person_needed"


@on_sqlite
def test_the_machine_of_somebody_who_has_left_is_no_second_person(
    services: Services, firm: Firm, owner: Principal, operator: Principal
) -> None:
    scopes = frozenset({Permission.BATCH_RELEASE})
    gone = person(services, firm, add_person(services, firm.organisation, Role.OWNER))
    access.create_api_key(services, principal=gone, name="line", role=Role.OPERATOR, scopes=scopes, days=1)
    with services.engine.connect() as connection:
        number = connection.exec_driver_sql("SELECT max(id) FROM api_keys").scalar_one()
    machine = replace(principal(firm.organisation, Role.OPERATOR), person_id=None, machine=f"api-key:{number}")
    job = ask(services, owner, units(LIMIT + 1))
    accounts.leave_organisation(services, by=gone)
    with pytest.raises(Forbidden) as refused:
        decide(services, machine, job)
    assert refused.value.code == "second_person_gone"
    assert decide(services, operator, job).state is JobState.QUEUED


@on_sqlite
def test_a_machine_that_nobody_is_known_to_have_made_is_no_second_person(
    services: Services, firm: Firm, owner: Principal
) -> None:
    machine = replace(owner, person_id=None, machine="device:9")
    with pytest.raises(Forbidden) as refused:
        decide(services, machine, ask(services, owner, units(LIMIT + 1)))
    assert refused.value.code == "person_needed"


@on_sqlite
def test_a_refusal_ends_it_with_its_reason_and_forgets_the_serials(
    services: Services, firm: Firm, owner: Principal, operator: Principal
) -> None:
    serials = tuple(f"SN{number:05}KQ7X" for number in range(LIMIT + 1))
    job = ask(services, owner, units(0, serials=serials))
    assert job.state is JobState.WAITING
    refused = decide(services, operator, job, release=False)
    assert refused.state is JobState.FAILED
    assert refused.problem is not None
    assert (refused.problem["code"], refused.problem["fix"]) == ("release_refused", "Order 4711.")
    with Session(services.engine) as session:
        assert session.scalar(select(func.count()).select_from(SerialFileRow)) == 0
        assert accounts.list_acts(session, organisation_id=firm.id)[0].act is accounts.Act.BATCH_REFUSED
    with pytest.raises(Conflict) as again:
        decide(services, operator, job)
    assert again.value.code == "not_waiting"


@on_sqlite
def test_serials_that_a_firm_brought_wait_with_the_job(
    services: Services, firm: Firm, owner: Principal, operator: Principal
) -> None:
    serials = tuple(f"SN{number:05}KQ7X" for number in range(LIMIT + 1))
    job = ask(services, owner, units(0, serials=serials))
    sweep(services)  # as the worker does when it starts
    decide(services, operator, job)
    assert finished(services, job).state is JobState.DONE


@on_sqlite
def test_many_small_requests_do_not_pass(services: Services, firm: Firm, owner: Principal) -> None:
    states = [ask(services, owner, units(30)).state for _ in range(5)]
    assert states == [JobState.QUEUED] * 3 + [JobState.WAITING] * 2
    work(services)
    assert ask(services, owner, units(30)).state is JobState.WAITING  # made ones count as asked ones do
    assert ask(services, owner, units(10)).state is JobState.QUEUED


@on_sqlite
def test_the_parts_of_one_job_count_together_and_each_product_for_itself(
    services: Services, firm: Firm, owner: Principal
) -> None:
    make_product(services, firm.organisation, gtin=gtin(2))
    assert ask(services, owner, units(60), units(60, item=2)).state is JobState.QUEUED
    assert ask(services, owner, units(20), units(21)).state is JobState.WAITING


@on_sqlite
def test_parts_of_a_job_that_failed_half_way_count(services: Services, firm: Firm, owner: Principal) -> None:
    """Otherwise whoever lets each job fail at its end makes codes without end."""
    taken = ("SN00001KQ7X",)
    assert finished(services, ask(services, owner, units(0, serials=taken))).state is JobState.DONE
    job = queue_commission(
        services, principal=owner, requests=[units(80), units(0, serials=taken)], idempotency_key="halfway"
    )
    assert finished(services, job).state is JobState.FAILED
    assert ask(services, owner, units(30)).state is JobState.WAITING
    assert ask(services, owner, units(19)).state is JobState.QUEUED


@on_sqlite
def test_what_a_second_person_released_does_not_count_and_a_day_later_nothing_does(
    services: Services, firm: Firm, owner: Principal, operator: Principal, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = ask(services, owner, units(500))
    decide(services, operator, job)
    work(services)
    assert finished(services, ask(services, owner, units(LIMIT))).state is JobState.DONE
    assert ask(services, owner, units(1)).state is JobState.WAITING
    later = now_ms() + WINDOW_MS + 1000
    monkeypatch.setattr("app.registry.service.releases.now_ms", lambda: later)
    assert ask(services, owner, units(LIMIT)).state is JobState.QUEUED


def test_requests_at_the_same_moment_do_not_pass_together(services: Services, firm: Firm, owner: Principal) -> None:
    barrier, states = threading.Barrier(4), []

    def send(number: int) -> None:
        barrier.wait()
        states.append(ask(services, owner, units(60), key=f"key-{number}").state)

    threads = [threading.Thread(target=send, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(states) == [JobState.QUEUED, *[JobState.WAITING] * 3]


@on_sqlite
def test_the_same_request_again_gives_the_same_waiting_job_and_no_second_mail(
    services: Services, firm: Firm, owner: Principal, operator: Principal
) -> None:
    before = mails(services)
    first = ask(services, owner, units(LIMIT + 1), key="order")
    assert ask(services, owner, units(LIMIT + 1), key="order").id == first.id
    assert mails(services) == before + 1  # to the operator alone
    with Session(services.engine) as session:
        kinds = session.scalars(select(NoticeRow.kind).where(NoticeRow.organisation_id == firm.id)).all()
    assert kinds.count(NoticeKind.BATCH_WAITS_FOR_RELEASE) == 1


@on_sqlite
def test_an_import_goes_the_same_way(services: Services, firm: Firm, owner: Principal) -> None:
    lines = ["gtin,serial", *(f"{gtin(1)},SN{number:05}KQ7X" for number in range(LIMIT + 1))]
    job = registry.request_import(services, principal=owner, data="\n".join(lines).encode())
    assert job.state is JobState.WAITING


@on_sqlite
def test_after_two_weeks_it_is_given_up(
    services: Services, firm: Firm, owner: Principal, operator: Principal, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = ask(services, owner, units(LIMIT + 1))
    later = now_ms() + OPEN_MS + 1000
    monkeypatch.setattr(jobs, "now_ms", lambda: later)
    with pytest.raises(Conflict):
        decide(services, operator, job)
    ended = finished(services, job)
    while ended.state is JobState.WAITING:  # the worker ends one job a look
        ended = finished(services, job)
    assert ended.state is JobState.FAILED
    assert ended.problem is not None
    assert ended.problem["code"] == "release_expired"


@on_sqlite
def test_a_stranger_and_a_role_without_the_permission_can_not_release(
    services: Services, firm: Firm, owner: Principal
) -> None:
    job = ask(services, owner, units(LIMIT + 1))
    stranger = principal(make_approved_firm(services, prefix="9529999"))
    with pytest.raises(NotFound):
        decide(services, stranger, job)
    auditor = person(services, firm, add_person(services, firm.organisation, Role.AUDITOR), Role.AUDITOR)
    with pytest.raises(Forbidden):
        decide(services, auditor, job)


@on_sqlite
def test_a_decision_has_a_reason(services: Services, firm: Firm, owner: Principal, operator: Principal) -> None:
    job = ask(services, owner, units(LIMIT + 1))
    with pytest.raises(Invalid):
        registry.decide_release(services, by=operator, job_id=job.id, release=True, reason=" x ")


@on_sqlite
def test_a_firm_that_was_suspended_meanwhile_releases_nothing(
    services: Services, firm: Firm, owner: Principal, operator: Principal
) -> None:
    job = ask(services, owner, units(LIMIT + 1))
    accounts.suspend_organisation(
        services, issuer=firm.organisation.issuer, decided_by=ADMINISTRATOR, reason="Under inquiry."
    )
    with pytest.raises(AppError) as refused:
        decide(services, operator, job)
    assert refused.value.code == "organisation_not_approved"


@on_sqlite
def test_the_api_tells_that_it_waits_and_takes_the_decision(
    client: FlaskClient, services: Services, firm: Firm, owner: Principal, operator: Principal
) -> None:
    _, secret = access.create_api_key(services, principal=owner, name="line", role=Role.OPERATOR, scopes=None, days=1)
    _, seconds = access.create_api_key(
        services, principal=replace(operator, role=Role.OWNER), name="mes", role=Role.OPERATOR, scopes=None, days=1
    )
    asked = client.post("/v1/batches", json={"product": gtin(1), "quantity": LIMIT + 1}, headers=bearer(secret))
    assert asked.status_code == 202
    job = asked.get_json()
    assert job["state"] == "waiting"
    assert job["waits_until"] is not None
    address = f"/v1/jobs/{job['id']}/release"
    body = {"decision": "release", "reason": "Order 4711."}
    assert client.post(address, json=body, headers=bearer(secret)).get_json()["code"] == "second_person_needed"
    released = client.post(address, json=body, headers=bearer(seconds))
    assert released.status_code == 200, released.text
    assert released.get_json()["state"] == "queued"
    assert released.get_json()["decided_by"].startswith("api-key:")
