"""The threshold above which a second person must release codes: lowered at once, raised by two or after a day."""

from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.accounts import service as accounts
from app.accounts.service import limits as limits_module
from app.accounts.service import second_person
from app.accounts.service.limits import Limits
from app.core.authorisation import Principal, Role
from app.core.clock import now_ms
from app.core.errors import Conflict, Forbidden, Invalid
from app.core.mail import OutgoingMailRow
from app.core.services import Services
from tests.builders import add_person, make_approved_firm, on_sqlite, owner_email, principal

pytestmark = on_sqlite

DAY_MS = 24 * 3_600_000


def person(services: Services, firm: accounts.Organisation, email: str) -> Principal:
    with Session(services.engine) as session:
        found = accounts.find_person(session, email=email)
    assert found is not None
    return replace(principal(firm), person_id=found.id)


def limits(services: Services, firm: accounts.Organisation, *, now: int | None = None) -> Limits:
    with Session(services.engine) as session:
        return accounts.limits_of(services, session, organisation_id=firm.id, now=now)


def mails(services: Services) -> int:
    with Session(services.engine) as session:
        return session.scalar(select(func.count()).select_from(OutgoingMailRow)) or 0


@pytest.fixture(autouse=True)
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever joins in these tests has been there for long."""
    monkeypatch.setattr(second_person, "SETTLED_MS", -60_000)


@pytest.fixture
def firm(services: Services) -> accounts.Organisation:
    return make_approved_firm(services, prefix=None)


@pytest.fixture
def owner(services: Services, firm: accounts.Organisation) -> Principal:
    return person(services, firm, owner_email(services, firm))


@pytest.fixture
def other(services: Services, firm: accounts.Organisation, owner: Principal) -> Principal:
    return person(services, firm, add_person(services, firm, Role.OWNER))


def test_a_firm_that_said_nothing_has_the_threshold_of_the_registry(
    services: Services, firm: accounts.Organisation
) -> None:
    assert limits(services, firm) == Limits(services.settings.second_person_above)


def test_a_lower_threshold_counts_at_once_and_is_on_the_ledger(
    services: Services, firm: accounts.Organisation, owner: Principal
) -> None:
    assert accounts.change_limit(services, by=owner, above=50) == Limits(50)
    with Session(services.engine) as session:
        act = accounts.list_acts(session, organisation_id=firm.id)[0]
    assert (act.act, act.details["above"]) == (accounts.Act.LIMITS_CHANGED, 50)


@pytest.mark.parametrize("above", [200_000, None])
def test_a_sole_owner_waits_a_day_for_a_higher_one_and_is_written_to(
    services: Services, firm: accounts.Organisation, owner: Principal, above: int | None
) -> None:
    before = mails(services)
    asked = accounts.change_limit(services, by=owner, above=above)
    assert asked.second_person_above == services.settings.second_person_above
    assert asked.pending is not None
    assert asked.pending.takes_effect_at is not None
    assert limits(services, firm, now=asked.pending.takes_effect_at - 1).second_person_above == 100_000
    assert limits(services, firm, now=asked.pending.takes_effect_at) == Limits(above)
    assert mails(services) == before + 1


def test_a_sole_owner_can_not_agree_with_itself_but_can_refuse_what_a_thief_asked(
    services: Services, firm: accounts.Organisation, owner: Principal
) -> None:
    accounts.change_limit(services, by=owner, above=None)
    with pytest.raises(Forbidden) as refused:
        accounts.decide_limit(services, by=owner, agree=True)
    assert refused.value.code == "second_person_needed"
    assert accounts.decide_limit(services, by=owner, agree=False) == Limits(100_000)
    assert limits(services, firm, now=now_ms() + 10 * DAY_MS) == Limits(100_000)


def test_with_two_owners_the_other_has_to_agree_and_time_alone_does_not_do_it(
    services: Services, firm: accounts.Organisation, owner: Principal, other: Principal
) -> None:
    asked = accounts.change_limit(services, by=owner, above=1_000_000)
    assert asked.pending is not None
    assert asked.pending.takes_effect_at is None
    assert limits(services, firm, now=now_ms() + 13 * DAY_MS).second_person_above == 100_000
    assert limits(services, firm, now=now_ms() + 15 * DAY_MS) == Limits(100_000)  # given up
    assert accounts.decide_limit(services, by=other, agree=True) == Limits(1_000_000)


def test_an_owner_who_came_today_is_no_second_person(
    services: Services, firm: accounts.Organisation, owner: Principal, other: Principal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise a thief of one account invites an accomplice and is two."""
    monkeypatch.setattr(second_person, "SETTLED_MS", DAY_MS)
    accounts.change_limit(services, by=owner, above=None)
    with pytest.raises(Forbidden) as refused:
        accounts.decide_limit(services, by=other, agree=True)
    assert refused.value.code == "second_person_too_new"
    later = now_ms() + DAY_MS + 1000
    monkeypatch.setattr(second_person, "now_ms", lambda: later)
    assert accounts.decide_limit(services, by=other, agree=True) == Limits(None)


def test_lowering_it_drops_what_was_asked_for_before(
    services: Services, firm: accounts.Organisation, owner: Principal
) -> None:
    accounts.change_limit(services, by=owner, above=None)
    assert accounts.change_limit(services, by=owner, above=10) == Limits(10)
    assert limits(services, firm, now=now_ms() + 2 * DAY_MS) == Limits(10)


def test_what_is_asked_while_somebody_else_changes_it_is_refused(
    services: Services, firm: accounts.Organisation, owner: Principal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer was given to another question."""
    real = accounts.managers_of

    def meanwhile(session: Session, organisation_id: int) -> Any:
        monkeypatch.setattr(limits_module, "managers_of", real)
        accounts.change_limit(services, by=owner, above=5)
        return real(session, organisation_id)

    monkeypatch.setattr(limits_module, "managers_of", meanwhile)
    with pytest.raises(Conflict) as refused:
        accounts.change_limit(services, by=owner, above=70)
    assert refused.value.code == "limit_changed"
    assert limits(services, firm) == Limits(5)


def test_a_machine_changes_no_limit(services: Services, firm: accounts.Organisation, owner: Principal) -> None:
    machine = replace(owner, person_id=None, machine="api-key:1")
    with pytest.raises(Forbidden):
        accounts.change_limit(services, by=machine, above=5)
    with pytest.raises(Forbidden):
        accounts.decide_limit(services, by=machine, agree=False)


@pytest.mark.parametrize("above", [0, -1, 10**9 + 1])
def test_a_limit_is_a_number_of_units(services: Services, owner: Principal, above: int) -> None:
    with pytest.raises(Invalid):
        accounts.change_limit(services, by=owner, above=above)


def test_nothing_to_decide_is_told(services: Services, owner: Principal) -> None:
    with pytest.raises(Conflict) as refused:
        accounts.decide_limit(services, by=owner, agree=True)
    assert refused.value.code == "not_waiting"
