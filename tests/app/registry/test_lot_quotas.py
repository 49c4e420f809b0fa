"""No more units of one lot than the right allows, whoever makes them and however the requests are cut."""

import threading

import pytest

from app.accounts import service as accounts
from app.accounts.vocabulary import RightKind
from app.core.clock import now_ms
from app.core.errors import Conflict, Invalid
from app.core.jobs import JobState
from app.core.services import Services
from app.registry import service as registry
from app.registry.service.commission import queue_commission
from app.registry.service.publish import commission
from ledger.audit import audit
from tests.app.registry.registry_builders import NOTHING, Firm, ask, commissioned, finished, leftovers, make_product
from tests.builders import (
    ADMINISTRATOR,
    PREFIX,
    YEAR_MS,
    gtin,
    make_approved_firm,
    on_sqlite,
    principal,
)


def make_bound_firm(services: Services, lot_quota: int) -> Firm:
    """A firm whose prefix allows `lot_quota` units of each lot."""
    organisation = make_approved_firm(services, prefix=None)
    asked = accounts.request_right(
        services, organisation_id=organisation.id, kind=RightKind.PREFIX, value=PREFIX, evidence="GS1 certificate"
    )
    accounts.decide_right(
        services,
        reference=asked.reference,
        approve=True,
        reason="Certificate seen.",
        decided_by=ADMINISTRATOR,
        lot_quota=lot_quota,
    )
    return Firm(organisation, make_product(services, organisation, gtin=gtin(1)))


def units(quantity: int, *, lot: str | None = "L1", item: int = 1) -> registry.CommissionRequest:
    return registry.CommissionRequest(product=gtin(item), quantity=quantity, lot=lot)


def delegate(services: Services, owner: Firm, *, lot_quota: int | None) -> accounts.Organisation:
    maker = make_approved_firm(services, prefix=None)
    accounts.delegate_gtin(
        services,
        owner_organisation_id=owner.id,
        gtin=gtin(1),
        to_issuer=maker.issuer,
        quota=1_000,
        lot_quota=lot_quota,
        valid_until=now_ms() + YEAR_MS,
        actor=principal(owner.organisation),
    )
    return maker


@on_sqlite
def test_a_lot_is_filled_and_then_no_more_and_it_is_told_how_many_are_left(services: Services) -> None:
    firm = make_bound_firm(services, 10)
    commissioned(services, firm.organisation, units(7))
    with pytest.raises(Conflict) as refused:
        ask(services, firm.organisation, units(4))
    assert refused.value.code == "lot_quota_exhausted"
    assert "3 more units, not 4" in str(refused.value)
    commissioned(services, firm.organisation, units(3))
    commissioned(services, firm.organisation, units(10, lot="L2"))  # another lot has its own


@on_sqlite
def test_the_parts_of_one_request_count_together(services: Services) -> None:
    firm = make_bound_firm(services, 10)
    with pytest.raises(Conflict) as refused:
        ask(services, firm.organisation, units(6), units(6))
    assert refused.value.code == "lot_quota_exhausted"


@on_sqlite
def test_units_without_a_lot_do_not_slip_past_the_limit(services: Services) -> None:
    firm = make_bound_firm(services, 10)
    with pytest.raises(Invalid) as refused:
        ask(services, firm.organisation, units(1, lot=None))
    assert refused.value.code == "lot_needed"


@on_sqlite
def test_cases_have_no_lot_and_are_not_bound_by_it(services: Services) -> None:
    firm = make_bound_firm(services, 10)
    cases = registry.CommissionRequest(case_prefix=PREFIX, quantity=20, profile=registry.Profile.CASE)
    commissioned(services, firm.organisation, cases)


@on_sqlite
def test_owner_and_makers_fill_the_same_lot(services: Services) -> None:
    firm = make_bound_firm(services, 10)
    maker = delegate(services, firm, lot_quota=None)
    commissioned(services, firm.organisation, units(4))
    commissioned(services, maker, units(4))
    with pytest.raises(Conflict) as refused:  # what binds the owner binds whom it lets make
        ask(services, maker, units(3))
    assert refused.value.code == "lot_quota_exhausted"


@on_sqlite
def test_an_owner_can_bind_a_maker_closer_than_itself(services: Services) -> None:
    firm = make_bound_firm(services, 10)
    maker = delegate(services, firm, lot_quota=5)
    with pytest.raises(Conflict):
        ask(services, maker, units(6))
    commissioned(services, maker, units(5))
    commissioned(services, firm.organisation, units(5))


@on_sqlite
def test_the_limit_stands_in_the_statement_and_a_changed_row_is_named(services: Services) -> None:
    firm = make_bound_firm(services, 10)
    maker = delegate(services, firm, lot_quota=5)

    def faults() -> list[str]:
        report = audit(
            services.engine,
            services.log.verifier,
            origin=services.log.origin,
            extra_checks=[accounts.right_check(services.sealer)],
        )
        return [f"{fault.code} {fault.message}" for fault in report.faults]

    assert faults() == []
    with services.engine.begin() as connection:
        connection.exec_driver_sql(
            f"UPDATE issuing_rights SET lot_quota = 5000 WHERE organisation_id = {maker.id}"  # noqa: S608
        )
    assert [fault for fault in faults() if "right.entry" in fault and "lot_quota" in fault]


def test_two_jobs_at_once_do_not_fill_a_lot_twice(services: Services) -> None:
    firm = make_bound_firm(services, 10)
    by = principal(firm.organisation)
    jobs = [
        queue_commission(services, principal=by, requests=[units(7)], idempotency_key=f"job-{number}")
        for number in range(4)
    ]
    barrier, outcomes = threading.Barrier(len(jobs)), []

    def publish(number: int) -> None:
        barrier.wait()
        try:
            commission(services, job=jobs[number], part=0, request=units(7), progress=lambda _: None)
            outcomes.append("published")
        except Conflict as refusal:
            outcomes.append(refusal.code)

    threads = [threading.Thread(target=publish, args=(number,)) for number in range(len(jobs))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["lot_quota_exhausted"] * 3 + ["published"]


@on_sqlite
def test_a_limit_set_after_the_request_counts_when_it_is_published(services: Services) -> None:
    firm = make_bound_firm(services, 10)
    maker = delegate(services, firm, lot_quota=None)
    job = ask(services, maker, units(8))
    commissioned(services, firm.organisation, units(1, lot="L2"))
    with services.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE issuing_rights SET lot_quota = 5 WHERE kind = 'prefix'")
    # The job above ran before: ask the same again.
    assert finished(services, job).state is JobState.DONE
    late = queue_commission(
        services, principal=principal(maker), requests=[units(3, lot="L3")] * 2, idempotency_key="late"
    )
    done = finished(services, late)
    assert done.state is JobState.FAILED
    assert done.problem is not None
    assert done.problem["code"] == "lot_quota_exhausted"
    assert leftovers(services) == NOTHING
