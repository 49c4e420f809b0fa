"""Members: roles change and memberships end at once, on the ledger, and somebody is always left to manage."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import delete, update
from sqlalchemy.orm import Session

from app.accounts import service as accounts
from app.accounts.models import MembershipRow
from app.accounts.service import Act
from app.core.authorisation import Principal, Role
from app.core.database import write_session
from app.core.errors import Conflict, Forbidden, Invalid, NotFound
from app.core.services import Services
from ledger.audit import audit
from ledger.audit.report import Fault
from tests.builders import (
    add_person,
    make_approved_firm,
    make_organisation,
    make_registry,
    on_sqlite,
    owner_email,
    principal,
    signed_in,
)
from tests.letters import waiting_letters


@pytest.fixture
def firm(services: Services) -> accounts.Organisation:
    return make_approved_firm(services, prefix=None)


def number_of(services: Services, email: str) -> int:
    with Session(services.engine) as session:
        person = accounts.find_person(session, email=email)
    assert person is not None
    return person.id


def latest(services: Services, firm: accounts.Organisation) -> accounts.ActRecord:
    with Session(services.engine) as session:
        return accounts.list_acts(session, organisation_id=firm.id)[0]


def faults(services: Services) -> list[Fault]:
    report = audit(services.engine, services.log.verifier, extra_checks=(accounts.check_memberships,))
    return list(report.faults)


def test_a_change_of_role_is_on_the_ledger_with_both_roles(services: Services, firm: accounts.Organisation) -> None:
    email = add_person(services, firm, Role.OPERATOR)
    accounts.change_role(services, by=principal(firm), email=email, role=Role.AUDITOR)
    act = latest(services, firm)
    assert (act.act, act.details) == (
        Act.MEMBER_ROLE_CHANGED,
        {"person": f"person:{number_of(services, email)}", "from": "operator", "role": "auditor"},
    )
    with pytest.raises(Conflict):
        accounts.change_role(services, by=principal(firm), email=email, role=Role.AUDITOR)


@on_sqlite
def test_whom_others_change_or_let_go_gets_a_letter_and_who_leaves_gets_none(
    services: Services, firm: accounts.Organisation
) -> None:
    """Whoever took over one owner's account must not be rid of the other owners unseen."""
    email, leaving = add_person(services, firm, Role.OWNER), add_person(services, firm, Role.OWNER)
    accounts.change_role(services, by=principal(firm), email=email, role=Role.OPERATOR)
    accounts.remove_member(services, by=principal(firm), email=email)
    accounts.leave_organisation(services, by=replace(principal(firm), person_id=number_of(services, leaving)))
    told = [letter for letter in waiting_letters(services) if letter.to in (email, leaving)]
    assert [(letter.to, letter.path) for letter in told] == [(email, "/organisation/roles"), (email, "/sign-in")]
    assert all(firm.name in letter.text for letter in told)


@on_sqlite
def test_what_a_browser_may_do_changes_at_once(
    client: FlaskClient, services: Services, firm: accounts.Organisation
) -> None:
    email = add_person(services, firm, Role.AUDITOR)
    signed_in(client, services, email)
    assert client.get("/organisation/acts").status_code == 200
    accounts.change_role(services, by=principal(firm), email=email, role=Role.OPERATOR)
    assert client.get("/organisation/acts").status_code == 403
    accounts.remove_member(services, by=principal(firm), email=email)
    assert client.get("/organisation").headers["Location"].startswith("/sign-in")


@on_sqlite
def test_a_person_can_leave_and_the_last_manager_can_not(app: Flask, services: Services) -> None:
    firm = make_approved_firm(services, prefix=None)
    email = add_person(services, firm, Role.OPERATOR)
    leaving = Principal(organisation_id=firm.id, role=Role.OPERATOR, person_id=number_of(services, email))
    accounts.leave_organisation(services, by=leaving)
    assert latest(services, firm).actor == leaving.actor
    with pytest.raises(NotFound):
        accounts.leave_organisation(services, by=leaving)
    owner = owner_email(services, firm)
    own = Principal(organisation_id=firm.id, role=Role.OWNER, person_id=number_of(services, owner))
    size = services.log.head()[0]
    for act in (
        lambda: accounts.leave_organisation(services, by=own),
        lambda: accounts.remove_member(services, by=own, email=owner),
        lambda: accounts.change_role(services, by=own, email=owner, role=Role.AUDITOR),
    ):
        with pytest.raises(Conflict) as refused:
            act()
        assert refused.value.code == "last_manager"
    assert services.log.head()[0] == size
    with pytest.raises(Forbidden):
        accounts.leave_organisation(
            services, by=Principal(organisation_id=firm.id, role=Role.OWNER, machine="api-key:1")
        )


def test_two_managers_who_remove_each_other_at_once_do_not_both_succeed(
    services: Services, firm: accounts.Organisation
) -> None:
    emails = [owner_email(services, firm), add_person(services, firm, Role.OWNER)]
    outcomes: list[str] = []

    def remove(email: str) -> None:
        try:
            accounts.remove_member(services, by=principal(firm), email=email)
            outcomes.append("removed")
        except Conflict as error:
            outcomes.append(error.code)

    threads = [threading.Thread(target=remove, args=(email,)) for email in emails]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["last_manager", "removed"]


@on_sqlite
def test_members_of_others_are_not_found(services: Services, firm: accounts.Organisation) -> None:
    email = owner_email(services, make_approved_firm(services, prefix=None))
    for act in (
        lambda: accounts.remove_member(services, by=principal(firm), email=email),
        lambda: accounts.change_role(services, by=principal(firm), email=email, role=Role.AUDITOR),
    ):
        with pytest.raises(NotFound):
            act()
    with pytest.raises(Invalid):
        accounts.change_role(services, by=principal(firm), email=email, role=Role.INSPECTOR)


def test_the_audit_names_a_membership_that_nobody_gave(services: Services, firm: accounts.Organisation) -> None:
    make_registry(services)
    make_registry(services)
    make_organisation(services)  # on which nobody has decided
    operator = number_of(services, add_person(services, firm, Role.OPERATOR))
    left = add_person(services, firm, Role.AUDITOR)
    accounts.remove_member(services, by=principal(firm), email=left)
    owner = number_of(services, owner_email(services, firm))
    assert faults(services) == []
    changes = [
        (
            update(MembershipRow).where(MembershipRow.person_id == operator).values(role="owner"),
            f"person:{operator} of {firm.issuer}",
            "membership.entry",
        ),
        (
            delete(MembershipRow).where(MembershipRow.person_id == owner),
            f"person:{owner} of {firm.issuer}",
            "membership.missing",
        ),
    ]
    for statement, where, code in changes:
        with write_session(services.engine) as session:
            session.execute(statement)
        assert (code, f"memberships {where}") in {(fault.code, fault.where) for fault in faults(services)}
    intruder = number_of(services, left)
    with write_session(services.engine) as session:
        session.add(MembershipRow(person_id=intruder, organisation_id=firm.id, role="owner"))
    assert any(fault.where == f"memberships person:{intruder} of {firm.issuer}" for fault in faults(services))
