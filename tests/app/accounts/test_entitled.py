"""Which right lets whom make what, and when: dates, standing and origin of rights bound it."""

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, create_engine, delete
from sqlalchemy.orm import Session

from app.accounts import service as accounts
from app.accounts.entitlements import prefix_covers
from app.accounts.models import IssuingRightRow, OrganisationRow
from app.accounts.vocabulary import OrganisationStatus, RightKind, RightStatus
from app.core.clock import now_ms
from app.core.database import Base
from app.core.errors import AppError, Conflict, Forbidden, NotFound
from app.core.jobs import JobState
from app.core.services import Services
from app.registry import service as registry
from tests.app.registry.registry_builders import ask, finished, make_product
from tests.builders import (
    ADMINISTRATOR,
    PREFIX,
    YEAR_MS,
    grant_right,
    gtin,
    make_approved_firm,
    make_organisation,
    on_sqlite,
    principal,
)

NOW = 1_000
NUMBERS = [gtin(1), gtin(2), gtin(1, prefix="9521235")]


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    """A database in memory with the two tables that decide."""
    made = create_engine("sqlite://")
    Base.metadata.create_all(made, tables=[OrganisationRow.__table__, IssuingRightRow.__table__])  # type: ignore[list-item]
    yield made
    made.dispose()


def right_rows() -> st.SearchStrategy[list[dict[str, object]]]:
    own = st.one_of(
        st.tuples(st.just(RightKind.PREFIX), st.sampled_from([PREFIX, PREFIX[:5], "9521235"]), st.none()),
        st.tuples(st.just(RightKind.GTIN), st.sampled_from(NUMBERS), st.none()),
    )
    delegation = st.tuples(st.just(RightKind.DELEGATION), st.sampled_from(NUMBERS), st.sampled_from([1, 2, 3]))
    edge = st.sampled_from([NOW - 1, NOW, NOW + 1])
    return st.lists(
        st.builds(
            lambda named, organisation, status, since, until, lot_quota: {
                "kind": named[0].value,
                "value": named[1],
                "granted_by": named[2],
                "organisation_id": organisation,
                "status": status.value,
                "valid_from": since,
                "valid_until": until,
                "lot_quota": lot_quota,
            },
            st.one_of(own, delegation),
            st.sampled_from([1, 2, 3]),
            st.sampled_from([RightStatus.APPROVED, RightStatus.APPROVED, RightStatus.REVOKED, RightStatus.REQUESTED]),
            edge,
            st.one_of(st.none(), edge),
            st.one_of(st.none(), st.integers(1, 9)),
        ),
        max_size=8,
    )


def holds(row: dict[str, object]) -> bool:
    until = row["valid_until"]
    begun = row["valid_from"] <= NOW  # type: ignore[operator]
    return row["status"] == RightStatus.APPROVED and begun and (until is None or until > NOW)  # type: ignore[operator]


def own_rights(rows: list[dict[str, object]], organisation: object, number: str) -> list[dict[str, object]]:
    """The same question asked the plain way."""
    return [
        row
        for row in rows
        if row["organisation_id"] == organisation
        and holds(row)
        and (
            (row["kind"] == RightKind.GTIN and row["value"] == number)
            or (row["kind"] == RightKind.PREFIX and prefix_covers(str(row["value"]), number))
        )
    ]


@given(
    right_rows(),
    st.lists(st.sampled_from([OrganisationStatus.APPROVED, OrganisationStatus.SUSPENDED]), min_size=3, max_size=3),
    st.sampled_from(NUMBERS),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=150)
def test_a_right_is_found_exactly_where_one_holds_and_a_delegation_only_with_its_giver_behind_it(
    engine: Engine, rows: list[dict[str, object]], standings: list[OrganisationStatus], number: str
) -> None:
    with Session(engine) as session:
        session.execute(delete(IssuingRightRow))
        session.execute(delete(OrganisationRow))
        for at, standing in enumerate(standings, 1):
            session.add(
                OrganisationRow(
                    id=at, issuer=f"F{at}", name=f"F{at}", country="MX", kind="firm", status=standing, created_at=0
                )
            )
        for at, row in enumerate(rows):
            session.add(IssuingRightRow(reference=f"R{at}", used=0, evidence="", requested_at=0, **row))
        session.flush()
        found = accounts.find_entitlement(session, organisation_id=1, gtin=number, at_ms=NOW)
        session.rollback()
    own = own_rights(rows, 1, number)
    delegated = [
        row
        for row in rows
        if row["kind"] == RightKind.DELEGATION
        and row["value"] == number
        and row["organisation_id"] == 1
        and holds(row)
        and standings[row["granted_by"] - 1] is OrganisationStatus.APPROVED  # type: ignore[operator]
        and own_rights(rows, row["granted_by"], number)
    ]
    assert (found is not None) == bool(own or delegated)
    if found is None:
        return
    assert (found.kind is RightKind.DELEGATION) == (not own)
    if own:
        assert len(found.value) == max(len(str(row["value"])) for row in own)
    else:
        # What binds a giver binds whom it lets make.
        behind = own_rights(rows, found.granted_by, number)
        longest = max(len(str(row["value"])) for row in behind)
        bounds = [row["lot_quota"] for row in behind if len(str(row["value"])) == longest]
        if None not in bounds:
            assert found.lot_quota is not None
            assert found.lot_quota <= max(int(str(bound)) for bound in bounds)


@on_sqlite
def test_a_delegation_sleeps_while_its_giver_is_suspended(services: Services) -> None:
    owner, maker = make_approved_firm(services), make_approved_firm(services, prefix=None)
    delegate(services, owner, maker)
    assert can_make(services, maker)
    suspend(services, owner)
    assert not can_make(services, maker)
    accounts.approve_organisation(services, issuer=owner.issuer, decided_by=ADMINISTRATOR, reason="Cleared.")
    assert can_make(services, maker)


@on_sqlite
def test_a_delegation_ends_with_the_date_of_the_right_it_was_given_under(services: Services) -> None:
    owner, maker = make_approved_firm(services, prefix=None), make_approved_firm(services, prefix=None)
    end = now_ms() + 60_000
    grant_right(services, owner, kind=RightKind.GTIN, value=gtin(1), valid_until=end)
    delegate(services, owner, maker)
    assert can_make(services, maker, at_ms=end - 1)
    assert not can_make(services, maker, at_ms=end)


@on_sqlite
def test_nobody_delegates_to_a_firm_that_is_suspended_or_waits(services: Services) -> None:
    owner, maker = make_approved_firm(services), make_approved_firm(services, prefix=None)
    suspend(services, maker)
    for other in (maker, make_organisation(services)):
        with pytest.raises(NotFound):
            delegate(services, owner, other)


@on_sqlite
def test_a_suspended_firm_delegates_nothing(services: Services) -> None:
    owner, maker = make_approved_firm(services), make_approved_firm(services, prefix=None)
    suspend(services, owner)
    size = services.log.head()[0]
    with pytest.raises(AppError) as refused:
        delegate(services, owner, maker)
    assert refused.value.code == "organisation_not_approved"
    assert services.log.head()[0] == size


@on_sqlite
def test_a_suspended_firm_registers_and_commissions_nothing_and_what_it_had_queued_is_not_made(
    services: Services,
) -> None:
    firm = make_approved_firm(services)
    make_product(services, firm, gtin=gtin(1))
    request = registry.CommissionRequest(product=gtin(1), quantity=1)
    queued = ask(services, firm, request)
    suspend(services, firm)
    with pytest.raises(Forbidden) as refused:
        ask(services, firm, request)
    assert refused.value.code == "organisation_not_approved"
    with pytest.raises(Conflict):
        make_product(services, firm, gtin=gtin(2))
    done = finished(services, queued)
    assert done.state is JobState.FAILED
    assert done.problem is not None
    assert done.problem["code"] == "organisation_not_approved"


def delegate(services: Services, owner: accounts.Organisation, maker: accounts.Organisation) -> None:
    accounts.delegate_gtin(
        services,
        owner_organisation_id=owner.id,
        gtin=gtin(1),
        to_issuer=maker.issuer,
        quota=10,
        valid_until=now_ms() + YEAR_MS,
        actor=principal(owner),
    )


def suspend(services: Services, organisation: accounts.Organisation) -> None:
    accounts.suspend_organisation(
        services, issuer=organisation.issuer, decided_by=ADMINISTRATOR, reason="Under inquiry."
    )


def can_make(services: Services, organisation: accounts.Organisation, *, at_ms: int | None = None) -> bool:
    with Session(services.engine) as session:
        found = accounts.find_entitlement(
            session, organisation_id=organisation.id, gtin=gtin(1), at_ms=at_ms or now_ms()
        )
    return found is not None
