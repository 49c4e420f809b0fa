"""Invitations: the way into an organisation that exists, for the person who gets the letter and nobody else."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from app.access import service as access
from app.accounts import service as accounts
from app.accounts.joining_models import InvitationRow
from app.accounts.service import Act
from app.accounts.vocabulary import OrganisationKind
from app.core.authorisation import Permission, Principal, Role
from app.core.clock import now_ms
from app.core.database import write_session
from app.core.errors import Conflict, Forbidden, Invalid, NotFound, TooMany
from app.core.services import Services
from ledger.statement import read_unverified
from tests.builders import (
    ADMINISTRATOR,
    PASSWORD,
    add_person,
    make_approved,
    make_approved_firm,
    make_organisation,
    on_sqlite,
    owner_email,
    principal,
    signed_in,
)
from tests.letters import waiting_letters

EMAIL = "ana@example.org"


@pytest.fixture
def firm(services: Services) -> accounts.Organisation:
    return make_approved_firm(services, prefix=None)


def invite(
    services: Services, firm: accounts.Organisation, role: Role = Role.OPERATOR, email: str = EMAIL
) -> accounts.Invitation:
    return accounts.invite(services, by=principal(firm), email=email, role=role, locale="en")


def token_for(services: Services, email: str = EMAIL) -> str:
    letters = [each for each in waiting_letters(services, to=email) if each.path.startswith("/join/")]
    return letters[-1].path.removeprefix("/join/")


def accept(services: Services, token: str) -> accounts.Joined:
    return accounts.accept_as_new(services, token=token, name="Ana Ruiz", password=PASSWORD, locale="es")


def role_of(services: Services, firm: accounts.Organisation, email: str = EMAIL) -> Role | None:
    with Session(services.engine) as session:
        members = accounts.list_members(session, organisation_id=firm.id)
    return next((member.role for member in members if member.email == email), None)


def person_number(services: Services, email: str) -> int:
    with Session(services.engine) as session:
        person = accounts.find_person(session, email=email)
    assert person is not None
    return person.id


def acts(services: Services, firm: accounts.Organisation) -> list[accounts.ActRecord]:
    with Session(services.engine) as session:
        return accounts.list_acts(session, organisation_id=firm.id)


def test_an_invited_person_joins_with_the_role_of_the_invitation(
    services: Services, firm: accounts.Organisation
) -> None:
    invited = invite(services, firm)
    joined = accept(services, token_for(services))
    assert joined.is_new
    assert role_of(services, firm) is Role.OPERATOR
    joining, inviting = acts(services, firm)[:2]
    assert (inviting.act, inviting.details) == (
        Act.MEMBER_INVITED,
        {"invitation": invited.reference, "role": "operator"},
    )
    assert joining.act is Act.MEMBER_JOINED
    assert joining.details["person"] == joining.actor == f"person:{joined.person_id}"


@on_sqlite
def test_a_link_works_once(services: Services, firm: accounts.Organisation) -> None:
    invite(services, firm)
    token = token_for(services)
    accept(services, token)
    with pytest.raises(NotFound) as refused:
        accept(services, token)
    assert refused.value.code == "link_ended"


@on_sqlite
def test_a_link_ends_when_it_is_withdrawn_sent_anew_too_old_or_its_firm_is_suspended(
    services: Services, firm: accounts.Organisation
) -> None:
    first = invite(services, firm)
    tokens = [token_for(services)]
    accounts.send_again(services, by=principal(firm), reference=first.reference)
    tokens.append(token_for(services))
    with Session(services.engine) as session:
        accounts.open_invitation(session, token=tokens[1])
    accounts.withdraw_invitation(services, by=principal(firm), reference=first.reference)
    invite(services, firm)
    tokens.append(token_for(services))
    with write_session(services.engine) as session:
        session.execute(update(InvitationRow).values(expires_at=now_ms()))
    accounts.send_again(
        services, by=principal(firm), reference=_only(services, firm).reference
    )  # what ended can be sent again
    tokens.append(token_for(services))
    accounts.suspend_organisation(services, issuer=firm.issuer, decided_by=ADMINISTRATOR, reason="Complaint.")
    for token in [*tokens, "x" * 43]:
        with pytest.raises(NotFound):
            accept(services, token)
    assert role_of(services, firm) is None


@on_sqlite
def test_the_link_of_somebody_who_was_let_go_does_not_work_until_another_sends_it_again(
    services: Services, firm: accounts.Organisation
) -> None:
    """Whoever took over an account, and was found out, must not come back by an invitation of her own."""
    email = add_person(services, firm, Role.OWNER)
    gone = replace(principal(firm), person_id=person_number(services, email))
    invited = accounts.invite(services, by=gone, email=EMAIL, role=Role.OWNER, locale="en")
    accounts.remove_member(services, by=principal(firm), email=email)
    with pytest.raises(NotFound) as refused:
        accept(services, token_for(services))
    assert refused.value.code == "link_ended"
    accounts.send_again(services, by=principal(firm), reference=invited.reference)
    assert accept(services, token_for(services)).organisation.id == firm.id


def _only(services: Services, firm: accounts.Organisation) -> accounts.Invitation:
    with Session(services.engine) as session:
        (invitation,) = accounts.list_invitations(session, organisation_id=firm.id)
    return invitation


@on_sqlite
def test_a_person_with_an_account_has_to_be_signed_in_with_that_very_address(services: Services) -> None:
    firm, other = make_approved_firm(services, prefix=None), make_approved_firm(services, prefix=None)
    email = owner_email(services, other)
    invite(services, firm, email=email)
    token = token_for(services, email)
    with pytest.raises(Conflict) as refused:
        accept(services, token)
    assert refused.value.code == "sign_in_first"
    stranger = person_number(services, owner_email(services, firm))
    with pytest.raises(Forbidden) as another:
        accounts.accept_signed_in(services, token=token, person_id=stranger)
    assert email not in str(another.value)
    accounts.accept_signed_in(services, token=token, person_id=person_number(services, email))
    assert role_of(services, firm, email) is Role.OPERATOR


@on_sqlite
def test_who_was_let_go_can_be_invited_again_and_gets_in_by_a_new_password(
    services: Services, firm: accounts.Organisation
) -> None:
    email = add_person(services, firm, Role.OPERATOR)
    accounts.remove_member(services, by=principal(firm), email=email)
    invite(services, firm, Role.AUDITOR, email)
    joined = accounts.accept_as_new(
        services,
        token=token_for(services, email),
        name="Ana Ruiz",
        password="four other uncommon words",
        locale="en",
    )
    assert not joined.is_new  # so the page does not sign in: a second factor, if there is one, is asked for
    assert role_of(services, firm, email) is Role.AUDITOR


@on_sqlite
def test_a_member_or_an_invited_person_is_not_invited_twice(services: Services, firm: accounts.Organisation) -> None:
    with pytest.raises(Conflict) as refused:
        invite(services, firm, email=owner_email(services, firm).upper())
    assert refused.value.code == "already_member"
    invite(services, firm)
    with pytest.raises(Conflict) as refused:
        invite(services, firm)
    assert refused.value.code == "already_invited"


@on_sqlite
@pytest.mark.parametrize(
    ("kind", "role"),
    [
        (OrganisationKind.FIRM, Role.INSPECTOR),
        (OrganisationKind.FIRM, Role.PLATFORM_ADMINISTRATOR),
        (OrganisationKind.SHOP, Role.OPERATOR),
        (OrganisationKind.AUTHORITY, Role.PLATFORM_ADMINISTRATOR),
    ],
)
def test_nobody_is_invited_to_a_role_that_the_organisation_can_not_give(
    services: Services, kind: OrganisationKind, role: Role
) -> None:
    with pytest.raises(Invalid) as refused:
        invite(services, make_approved(services, kind=kind), role)
    assert refused.value.code == "role_not_of_kind"


@on_sqlite
def test_a_machine_invites_nobody_to_more_than_it_may_itself(services: Services, firm: accounts.Organisation) -> None:
    scopes = frozenset({Permission.MEMBER_MANAGE, Permission.ACCOUNT_OWN, Permission.ORGANISATION_READ})
    machine = Principal(organisation_id=firm.id, role=Role.OWNER, machine="api-key:1", permissions=scopes)
    with pytest.raises(Forbidden):
        accounts.invite(services, by=machine, email=EMAIL, role=Role.OWNER, locale="en")
    email = add_person(services, firm, Role.AUDITOR)
    with pytest.raises(Forbidden):
        accounts.change_role(services, by=machine, email=email, role=Role.OWNER)
    owner = replace(machine, permissions=principal(firm).permissions)
    accounts.invite(services, by=owner, email=EMAIL, role=Role.OPERATOR, locale="en")


@on_sqlite
def test_letters_of_invitation_are_counted(services: Services, firm: accounts.Organisation) -> None:
    waiting = make_organisation(services)
    for number in range(5):
        invite(services, waiting, Role.AUDITOR, f"a{number}@example.org")
    with pytest.raises(Conflict) as refused:
        invite(services, waiting, Role.AUDITOR)
    assert refused.value.code == "too_many_invitations"
    limited = replace(services, settings=replace(services.settings, rate_limits=True))
    invited = invite(limited, firm)
    for _ in range(49):
        accounts.send_again(limited, by=principal(firm), reference=invited.reference)
    with pytest.raises(TooMany):
        accounts.send_again(limited, by=principal(firm), reference=invited.reference)


@on_sqlite
def test_the_address_of_an_invited_person_stands_nowhere_but_with_the_organisation(
    client: FlaskClient, services: Services, firm: accounts.Organisation
) -> None:
    invite(services, firm)
    for index in range(services.log.head()[0]):
        body = services.log.entry(index).body
        assert body is not None
        assert EMAIL not in json.dumps(read_unverified(body.statement).payload)
    signed_in(client, services, add_person(services, firm, Role.OPERATOR))
    for path in ("/organisation/people", "/organisation/acts", "/organisation"):
        assert EMAIL not in client.get(path).text
    accept(services, token_for(services))
    with Session(services.engine) as session:
        assert session.scalars(select(InvitationRow)).all() == []


def _post(client: FlaskClient, path: str, page: str, **entries: str) -> str:
    token = re.search(r'name="csrf_token" value="([^"]+)"', client.get(page).text)
    assert token is not None
    answer = client.post(path, data={"csrf_token": token[1], **entries})
    assert answer.status_code == 303, answer.text
    return answer.headers["Location"]


@on_sqlite
def test_from_the_owners_page_to_the_new_persons_dashboard(
    app: Flask, services: Services, firm: accounts.Organisation
) -> None:
    owner = signed_in(app.test_client(), services, owner_email(services, firm))
    _post(owner, "/organisation/invitations", "/organisation/people", email=EMAIL, role="operator", language="es")
    people = owner.get("/organisation/people").text
    assert EMAIL in people
    assert "Second factor lost?" not in people, "nobody asks that for the own account"
    path = f"/join/{token_for(services)}"
    person = app.test_client()
    assert firm.name in person.get(path).text
    assert role_of(services, firm) is None  # opening the link changed nothing
    assert _post(person, path, path, person_name="Ana Ruiz", password=PASSWORD) == "/dashboard"
    dashboard = person.get("/dashboard").text
    assert "Ana Ruiz" in dashboard
    assert f"You can now act for {firm.name}." in dashboard
    assert access.sign_in(services, email=EMAIL, password=PASSWORD, visitor=access.Visitor("192.0.2.1"))


@on_sqlite
def test_a_signed_in_person_accepts_and_acts_for_the_new_organisation_at_once(app: Flask, services: Services) -> None:
    firm, other = make_approved_firm(services, prefix=None), make_approved_firm(services, prefix=None)
    email = owner_email(services, other)
    invite(services, firm, email=email)
    person = app.test_client()
    path = f"/join/{token_for(services, email)}"
    assert f"/sign-in?next={path}" in person.get(path).text
    signed_in(person, services, email)
    assert _post(person, path, path) == "/dashboard"
    assert firm.name in person.get("/organisation").text
