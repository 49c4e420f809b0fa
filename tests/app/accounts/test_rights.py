"""Issuing rights: who may make codes for which number, how many, and until when."""

import threading
from dataclasses import replace

import pytest
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from app.accounts import service as accounts
from app.accounts.models import IssuingRightRow
from app.accounts.vocabulary import OrganisationKind, RightKind, RightStatus
from app.core.clock import now_ms
from app.core.database import write_session
from app.core.errors import Conflict, Forbidden, Invalid, NotFound
from app.core.services import Services
from ledger.audit import audit
from ledger.statement import STATEMENT_TYPE, verify_statement
from ledger.storage.engine import begin_write
from tests.builders import (
    ADMINISTRATOR,
    PREFIX,
    YEAR_MS,
    grant_right,
    gtin,
    make_approved,
    make_approved_firm,
    make_organisation,
    on_sqlite,
    principal,
)


def entitlement(
    services: Services, organisation: accounts.Organisation, number: str, *, at_ms: int | None = None
) -> accounts.Entitlement | None:
    with Session(services.engine) as session:
        return accounts.find_entitlement(session, organisation_id=organisation.id, gtin=number, at_ms=at_ms or now_ms())


def ask(services: Services, organisation: accounts.Organisation, kind: RightKind, value: str) -> accounts.Right:
    return accounts.request_right(
        services, organisation_id=organisation.id, kind=kind, value=value, evidence="Certificate"
    )


def approve(services: Services, right: accounts.Right) -> accounts.Right:
    return accounts.decide_right(
        services, reference=right.reference, approve=True, reason="Seen.", decided_by=ADMINISTRATOR
    )


def delegate(
    services: Services, owner: accounts.Organisation, maker: accounts.Organisation, number: str, quota: int = 10
) -> accounts.Right:
    return accounts.delegate_gtin(
        services,
        owner_organisation_id=owner.id,
        gtin=number,
        to_issuer=maker.issuer,
        quota=quota,
        valid_until=now_ms() + YEAR_MS,
        actor=principal(owner),
    )


def test_a_prefix_covers_its_gtins_and_no_others(services: Services) -> None:
    firm = make_approved_firm(services)
    found = entitlement(services, firm, gtin(7))
    assert found is not None
    assert (found.kind, found.value, found.remaining) == (RightKind.PREFIX, PREFIX, None)
    assert entitlement(services, firm, "1" + gtin(7)[1:]) is not None  # another packaging level: the indicator
    assert entitlement(services, firm, gtin(7, prefix="9521235")) is None


def test_a_request_alone_gives_no_right(services: Services) -> None:
    firm = make_approved_firm(services, prefix=None)
    ask(services, firm, RightKind.PREFIX, PREFIX)
    assert entitlement(services, firm, gtin()) is None


def test_a_refused_request_gives_no_right_and_says_why(services: Services) -> None:
    firm = make_approved_firm(services, prefix=None)
    asked = ask(services, firm, RightKind.PREFIX, PREFIX)
    refused = accounts.decide_right(
        services, reference=asked.reference, approve=False, reason="Certificate expired.", decided_by=ADMINISTRATOR
    )
    assert refused.status is RightStatus.REFUSED
    assert refused.decision_reason == "Certificate expired."
    assert entitlement(services, firm, gtin()) is None
    with pytest.raises(Conflict):
        approve(services, asked)


def test_a_decision_is_on_the_ledger(services: Services) -> None:
    firm = make_approved_firm(services, prefix=None)
    right = grant_right(services, firm, kind=RightKind.GTIN, value=gtin(3), quota=500)
    assert right.log_index is not None
    body = services.log.entry(right.log_index).body
    assert body is not None
    assert body.kind == "right"


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (RightKind.PREFIX, PREFIX),
        (RightKind.PREFIX, PREFIX[:5]),
        (RightKind.PREFIX, PREFIX + "8"),
        (RightKind.GTIN, gtin(1)),
        (RightKind.GTIN, "19521234000010"),
    ],
)
def test_a_right_that_overlaps_that_of_another_is_refused(services: Services, kind: RightKind, value: str) -> None:
    make_approved_firm(services)
    other = make_approved_firm(services, prefix=None)
    with pytest.raises(Conflict) as refused:
        ask(services, other, kind, value)
    assert refused.value.code == "right_taken"


def test_a_prefix_over_the_single_gtin_of_another_is_refused(services: Services) -> None:
    one = make_approved_firm(services, prefix=None)
    grant_right(services, one, kind=RightKind.GTIN, value=gtin(5))
    other = make_approved_firm(services, prefix=None)
    with pytest.raises(Conflict):
        ask(services, other, RightKind.PREFIX, PREFIX)


def test_of_two_overlapping_requests_only_the_first_can_be_approved(services: Services) -> None:
    one, other = (make_approved_firm(services, prefix=None) for _ in range(2))
    first, second = ask(services, one, RightKind.PREFIX, PREFIX), ask(services, other, RightKind.PREFIX, PREFIX + "9")
    approve(services, first)
    size = services.log.head()[0]
    with pytest.raises(Conflict) as refused:
        approve(services, second)
    assert refused.value.code == "right_taken"
    assert services.log.head()[0] == size


def test_two_decisions_at_once_on_overlapping_requests_let_one_through(services: Services) -> None:
    firms = [make_approved_firm(services, prefix=None) for _ in range(2)]
    requests = [ask(services, firm, RightKind.PREFIX, PREFIX) for firm in firms]
    outcomes: list[object] = []

    def decide(right: accounts.Right) -> None:
        try:
            outcomes.append(approve(services, right))
        except Conflict as error:
            outcomes.append(error.code)

    threads = [threading.Thread(target=decide, args=(right,)) for right in requests]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(isinstance(outcome, accounts.Right) for outcome in outcomes) == [False, True]
    assert "right_taken" in outcomes


@on_sqlite
def test_a_right_is_not_approved_before_its_organisation(services: Services) -> None:
    pending = make_organisation(services)
    asked = ask(services, pending, RightKind.PREFIX, PREFIX)
    with pytest.raises(Conflict) as refused:
        approve(services, asked)
    assert refused.value.code == "organisation_not_approved"


@on_sqlite
def test_a_firm_that_nobody_knows_yet_asks_for_a_few_numbers_only(services: Services) -> None:
    """With each may come five megabytes."""
    pending, known = make_organisation(services), make_approved_firm(services, prefix=None)
    for item in range(5):
        ask(services, pending, RightKind.GTIN, gtin(item + 1))
    with pytest.raises(Conflict) as refused:
        ask(services, pending, RightKind.GTIN, gtin(6))
    assert refused.value.code == "too_many_requests_open"
    for item in range(6):
        ask(services, known, RightKind.GTIN, gtin(item + 1))


@on_sqlite
def test_the_same_request_twice_is_refused(services: Services) -> None:
    firm = make_approved_firm(services)
    with pytest.raises(Conflict) as refused:
        ask(services, firm, RightKind.PREFIX, PREFIX)
    assert refused.value.code == "already_asked"


@on_sqlite
@pytest.mark.parametrize(("evidence", "quota"), [("", None), ("x" * 2001, None), ("fine", 0)])
def test_a_request_without_proof_or_with_a_bad_quota_is_refused(
    services: Services, evidence: str, quota: int | None
) -> None:
    firm = make_approved_firm(services, prefix=None)
    with pytest.raises(Invalid):
        accounts.request_right(
            services, organisation_id=firm.id, kind=RightKind.PREFIX, value=PREFIX, evidence=evidence, quota=quota
        )


def test_a_delegation_is_signed_by_the_owner_and_lets_the_maker_in(services: Services) -> None:
    owner, maker = make_approved_firm(services), make_approved_firm(services, prefix=None)
    right = delegate(services, owner, maker, gtin(1))
    found = entitlement(services, maker, gtin(1))
    assert found is not None
    assert (found.kind, found.remaining) == (RightKind.DELEGATION, 10)
    assert entitlement(services, maker, gtin(2)) is None
    assert right.log_index is not None
    body = services.log.entry(right.log_index).body
    assert body is not None
    with Session(services.engine) as session:
        signer = accounts.statement_signer(session, services.sealer, organisation_id=owner.id)
    assert body.key_id == signer.key_id
    said = verify_statement(body.statement, public_key=signer.private_key.public_key(), typ=STATEMENT_TYPE).payload
    assert (said["organisation"], said["granted_to"], said["value"]) == (owner.issuer, maker.issuer, gtin(1))


def test_only_the_owner_of_a_gtin_can_delegate_it(services: Services) -> None:
    owner, maker, third = (make_approved_firm(services, prefix=prefix) for prefix in (PREFIX, None, None))
    delegate(services, owner, maker, gtin(1))
    for stranger in (maker, third):
        with pytest.raises(Forbidden):
            delegate(services, stranger, owner, gtin(1))
    with pytest.raises(Conflict):
        delegate(services, owner, owner, gtin(1))


@on_sqlite
def test_a_delegation_to_nobody_is_refused(services: Services) -> None:
    owner, pending = make_approved_firm(services), make_organisation(services)
    shop = make_approved(services, kind=OrganisationKind.SHOP)
    for none_that_makes_codes in (pending, shop, replace(shop, issuer="ZZZZZZ")):
        with pytest.raises(NotFound, match="No firm that can make codes"):
            delegate(services, owner, none_that_makes_codes, gtin(1))


def test_an_owner_can_take_a_delegation_back_and_a_stranger_can_not(services: Services) -> None:
    owner, maker, third = (make_approved_firm(services, prefix=prefix) for prefix in (PREFIX, None, None))
    right = delegate(services, owner, maker, gtin(1))

    def revoke(organisation: accounts.Organisation) -> accounts.Right:
        return accounts.revoke_right(
            services,
            reference=right.reference,
            reason="Contract ended.",
            revoked_by=principal(organisation),
            as_registry=False,
        )

    for stranger in (maker, third):
        with pytest.raises(NotFound):
            revoke(stranger)
    assert revoke(owner).status is RightStatus.REVOKED
    assert entitlement(services, maker, gtin(1)) is None
    with pytest.raises(Conflict):
        revoke(owner)


def test_a_prefix_that_ends_takes_its_delegations_along(services: Services) -> None:
    owner, maker = make_approved_firm(services, prefix=None), make_approved_firm(services, prefix=None)
    prefix = grant_right(services, owner, kind=RightKind.PREFIX, value=PREFIX)
    grant_right(services, owner, kind=RightKind.GTIN, value=gtin(2))
    delegate(services, owner, maker, gtin(1))
    delegate(services, owner, maker, gtin(2))
    accounts.revoke_right(
        services, reference=prefix.reference, reason="Expired.", revoked_by=ADMINISTRATOR, as_registry=True
    )
    assert entitlement(services, owner, gtin(1)) is None
    assert entitlement(services, maker, gtin(1)) is None
    assert entitlement(services, maker, gtin(2)) is not None  # the owner still holds this number by itself


def test_a_right_counts_only_within_its_dates(services: Services) -> None:
    firm = make_approved_firm(services, prefix=None)
    end = now_ms() + 60_000
    grant_right(services, firm, kind=RightKind.PREFIX, value=PREFIX, valid_until=end)
    assert entitlement(services, firm, gtin(), at_ms=end - 1) is not None
    assert entitlement(services, firm, gtin(), at_ms=end) is None
    assert entitlement(services, firm, gtin(), at_ms=now_ms() - 60_000) is None


def test_an_own_right_comes_before_a_delegation(services: Services) -> None:
    owner, maker = make_approved_firm(services), make_approved_firm(services, prefix=None)
    delegate(services, owner, maker, gtin(1))
    delegate(services, owner, maker, gtin(1), quota=5)
    grant = entitlement(services, maker, gtin(1))
    assert grant is not None
    assert grant.kind is RightKind.DELEGATION
    longer = grant_right(services, owner, kind=RightKind.GTIN, value=gtin(1))
    found = entitlement(services, owner, gtin(1))
    assert found is not None
    assert found.value == longer.value


def test_a_quota_is_used_up_and_not_passed(services: Services) -> None:
    firm = make_approved_firm(services, prefix=None)
    grant_right(services, firm, kind=RightKind.GTIN, value=gtin(1), quota=100)
    found = entitlement(services, firm, gtin(1))
    assert found is not None
    with begin_write(services.engine) as connection:
        accounts.consume_quota(connection, found, 60)
    with pytest.raises(Conflict, match="40 more") as refused, begin_write(services.engine) as connection:
        accounts.consume_quota(connection, found, 41)
    assert refused.value.code == "quota_exhausted"
    with begin_write(services.engine) as connection:
        accounts.consume_quota(connection, found, 40)
    after = entitlement(services, firm, gtin(1))
    assert after is not None
    assert after.remaining == 0


def test_many_batches_at_once_never_pass_the_quota(services: Services) -> None:
    firm = make_approved_firm(services, prefix=None)
    grant_right(services, firm, kind=RightKind.GTIN, value=gtin(1), quota=5)
    found = entitlement(services, firm, gtin(1))
    assert found is not None
    passed: list[int] = []

    def use() -> None:
        try:
            with begin_write(services.engine) as connection:
                accounts.consume_quota(connection, found, 1)
            passed.append(1)
        except Conflict:
            pass

    threads = [threading.Thread(target=use) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(passed) == 5


def test_a_right_that_ended_meanwhile_is_not_consumed(services: Services) -> None:
    owner, maker = make_approved_firm(services), make_approved_firm(services, prefix=None)
    right = delegate(services, owner, maker, gtin(1))
    found = entitlement(services, maker, gtin(1))
    assert found is not None
    accounts.revoke_right(
        services, reference=right.reference, reason="Ended.", revoked_by=principal(owner), as_registry=False
    )
    with pytest.raises(Conflict) as refused, begin_write(services.engine) as connection:
        accounts.consume_quota(connection, found, 1)
    assert refused.value.code == "right_ended"


@on_sqlite
def test_cases_are_covered_by_the_company_prefix_alone(services: Services) -> None:
    firm = make_approved_firm(services)
    shop = make_approved(services, kind=OrganisationKind.SHOP)
    with Session(services.engine) as session:
        for digits, holder, expected in (
            (PREFIX, firm, True),
            (PREFIX + "0000000017", firm, True),
            ("9529999", firm, False),
            (PREFIX, shop, False),
        ):
            found = accounts.find_prefix_entitlement(session, organisation_id=holder.id, digits=digits, at_ms=now_ms())
            assert (found is not None) is expected


def test_a_document_that_comes_while_it_is_decided_is_looked_at_first(services: Services) -> None:
    """On PostgreSQL both would otherwise go through: approved on one document, and another one in its place."""
    asked = ask(services, make_approved_firm(services, prefix=None), RightKind.PREFIX, PREFIX)
    outcomes: list[str] = []

    def decide() -> None:
        try:
            outcomes.append(approve(services, asked).status)
        except Conflict as error:
            outcomes.append(error.code)

    with write_session(services.engine) as session:
        held = select(IssuingRightRow).where(IssuingRightRow.reference == asked.reference).with_for_update()
        row = session.scalars(held).one()
        deciding = threading.Thread(target=decide)
        deciding.start()
        deciding.join(0.5)
        row.evidence_sha256 = "0" * 64
    deciding.join()
    assert outcomes == ["evidence_changed"]


@on_sqlite
@pytest.mark.parametrize("change", [{"granted_by": 1}, {"valid_from": 1}, {"decided_by": "person:99"}])
def test_the_audit_names_a_delegation_that_was_changed_behind_the_ledger(
    services: Services, change: dict[str, object]
) -> None:
    make_approved_firm(services, prefix=None)
    owner, maker = make_approved_firm(services), make_approved_firm(services, prefix=None)
    right = delegate(services, owner, maker, gtin())

    def faults() -> list[tuple[str, str]]:
        checks = [accounts.right_check(services.sealer)]
        report = audit(services.engine, services.log.verifier, origin=services.log.origin, extra_checks=checks)
        return [(fault.code, fault.where) for fault in report.faults]

    assert faults() == []
    with write_session(services.engine) as session:
        session.execute(update(IssuingRightRow).where(IssuingRightRow.reference == right.reference).values(change))
    assert faults() == [("right.entry", f"issuing_rights {right.reference}")]
