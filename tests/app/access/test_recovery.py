"""Locked out: a new password by mail takes no second factor away; lost factors take a day and can be refused."""

from __future__ import annotations

import base64
import re
import time
from dataclasses import replace

import pytest
from click.testing import CliRunner
from flask import Flask
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from app.access import service as access
from app.access.cli import account
from app.access.models import FactorResetRow, RecoveryLinkRow, SecurityEventRow, SignInSessionRow
from app.access.service import recovery, resets
from app.accounts import service as accounts
from app.accounts.models import MembershipRow, PersonRow
from app.core.authorisation import Permission, Principal, Role, permissions_of
from app.core.database import write_session
from app.core.errors import Conflict, Forbidden, Invalid, NotFound, NotSignedIn, TooMany
from app.core.mail import OutgoingMailRow
from app.core.services import Services
from tests.app.access.people_builders import (
    HERE,
    Somebody,
    letters_to,
    password_step,
    somebody,
    with_code_app,
    with_passkey,
)
from tests.builders import ADMINISTRATOR, PASSWORD, add_person, make_registry, on_sqlite, signed_in

NEW = "quince lampara orilla zinc"


def link_for(services: Services, email: str) -> str:
    access.ask_for_recovery(services, email=email, visitor=HERE)
    found = re.findall(r"/recover/([\w-]{20,})", letters_to(services, email.strip().lower())[-1])
    return str(found[-1])


def count(services: Services, table: type) -> int:
    with Session(services.engine) as session:
        return session.scalar(select(func.count()).select_from(table)) or 0


def test_the_link_sets_a_new_password_once_and_ends_every_session(services: Services) -> None:
    person = somebody(services)
    token = link_for(services, f" {person.email.upper()} ")
    with Session(services.engine) as session:
        access.check_recovery_link(session, token=token)
        access.check_recovery_link(session, token=token)  # looking uses nothing up
    with pytest.raises(Invalid):
        access.recover(services, token=token, new="short", visitor=HERE)
    access.recover(services, token=token, new=NEW, visitor=HERE)
    assert count(services, SignInSessionRow) == 0
    assert isinstance(access.sign_in(services, email=person.email, password=NEW, visitor=HERE), access.SignedIn)
    with pytest.raises(NotSignedIn):
        access.sign_in(services, email=person.email, password=PASSWORD, visitor=HERE)
    with pytest.raises(NotFound):
        access.recover(services, token=token, new="another quince lampara", visitor=HERE)


def test_a_new_password_uses_all_links_of_the_person_up_and_no_others(services: Services) -> None:
    person, other = somebody(services), somebody(services)
    first, second, third = (link_for(services, email) for email in (person.email, person.email, other.email))
    access.recover(services, token=second, new=NEW, visitor=HERE)
    with pytest.raises(NotFound):
        access.recover(services, token=first, new=NEW, visitor=HERE)
    access.recover(services, token=third, new=NEW, visitor=HERE)


@on_sqlite
def test_a_link_is_over_after_half_an_hour_and_stored_as_a_hash(services: Services) -> None:
    person = somebody(services)
    token = link_for(services, person.email)
    with Session(services.engine) as session:
        assert token.encode() not in session.scalars(select(RecoveryLinkRow.token_hash)).one()
    with write_session(services.engine) as session:
        session.execute(update(RecoveryLinkRow).values(expires_at=RecoveryLinkRow.expires_at - 30 * 60_000))
    with pytest.raises(NotFound):
        access.recover(services, token=token, new=NEW, visitor=HERE)


@on_sqlite
def test_a_recovered_password_does_not_take_the_second_factor_away(services: Services) -> None:
    person = somebody(services)
    with_code_app(services, person)
    access.recover(services, token=link_for(services, person.email), new=NEW, visitor=HERE)
    assert password_step(services, person, NEW)


def test_asking_for_an_unknown_address_writes_as_much_and_sends_nothing(services: Services) -> None:
    person = somebody(services)
    letters = count(services, OutgoingMailRow)
    access.ask_for_recovery(services, email="nobody@example.org", visitor=HERE)
    assert count(services, RecoveryLinkRow) == 1
    assert count(services, OutgoingMailRow) == letters
    access.ask_for_recovery(services, email=person.email, visitor=HERE)
    assert count(services, RecoveryLinkRow) == 2
    assert count(services, OutgoingMailRow) == letters + 1


@on_sqlite
def test_the_page_answers_alike_whoever_is_asked_for(app: Flask, services: Services) -> None:
    app.config["WTF_CSRF_METHODS"] = []
    person = somebody(services)
    answers = [app.test_client().post("/recover", data={"email": email}) for email in (person.email, "x@example.org")]
    assert answers[0].status_code == answers[1].status_code == 200
    assert answers[0].text == answers[1].text
    assert list(answers[0].headers.keys()) == list(answers[1].headers.keys())


@on_sqlite
def test_nobody_is_flooded_with_links(limited_app: Flask) -> None:
    services: Services = limited_app.extensions["marchamo"]
    person = somebody(services)
    for number in range(recovery.ASKED_FOR_ACCOUNT):
        access.ask_for_recovery(services, email=person.email, visitor=access.Visitor(f"192.0.2.{number}"))
    with pytest.raises(TooMany):
        access.ask_for_recovery(services, email=person.email, visitor=access.Visitor("192.0.2.99"))


@on_sqlite
def test_the_page_of_the_link_changes_nothing_until_its_form_is_sent(app: Flask, services: Services) -> None:
    app.config["WTF_CSRF_METHODS"] = []
    person = somebody(services)
    token = link_for(services, person.email)
    client = app.test_client()
    for _ in range(2):
        page = client.get(f"/recover/{token}")
        assert page.status_code == 200
        assert page.headers["Cache-Control"] == "no-store"
    assert client.post(f"/recover/{token}", data={"password": "password1234"}).status_code == 422
    done = client.post(f"/recover/{token}", data={"password": NEW})
    assert (done.status_code, done.headers["Location"]) == (303, "/sign-in")
    used = client.get(f"/recover/{token}")
    assert used.status_code == 404
    assert 'href="/recover"' in used.text, "a link that is over leads to the form that sends another"


def owner_of(person: Somebody) -> Principal:
    return Principal(
        organisation_id=person.firm.id,
        role=Role.OWNER,
        person_id=person.id,
        permissions=permissions_of(Role.OWNER),
    )


def member_with_factor(services: Services, owner: Somebody) -> Somebody:
    email = add_person(services, owner.firm, Role.OPERATOR)
    with Session(services.engine) as session:
        person = accounts.find_person(session, email=email)
    assert person is not None
    member = Somebody(email, person.id, owner.firm, "")
    with_code_app(services, member)
    return member


def ask(services: Services, by: Principal, email: str) -> access.FactorReset:
    return access.request_factor_reset(services, by=by, email=email, reason="Seen in person.", visitor=HERE)


def a_day_later(services: Services) -> None:
    with write_session(services.engine) as session:
        session.execute(update(FactorResetRow).values(effective_at=FactorResetRow.effective_at - resets.DELAY_MS))


def acts_of(services: Services, person: Somebody) -> list[tuple[str, str]]:
    with Session(services.engine) as session:
        found = accounts.list_acts(session, organisation_id=person.firm.id)
    return [(act.act.value, act.actor) for act in found]


def test_lost_factors_are_removed_a_day_after_the_owner_asks(services: Services) -> None:
    owner = somebody(services)
    member = member_with_factor(services, owner)
    ask(services, owner_of(owner), member.email)
    assert any("/account-reset/" in letter for letter in letters_to(services, member.email))
    assert ("account.recovered", f"person:{owner.id}") in acts_of(services, owner)
    assert password_step(services, member)  # not yet
    a_day_later(services)
    assert isinstance(access.sign_in(services, email=member.email, password=PASSWORD, visitor=HERE), access.SignedIn)
    with Session(services.engine) as session:
        assert not access.factors_of(session, person_id=member.id).any
    assert count(services, FactorResetRow) == 0


def test_a_person_who_still_signs_in_with_the_factor_refuses_by_that(services: Services) -> None:
    owner = somebody(services)
    member = member_with_factor(services, owner)
    device = with_passkey(services, member)
    ask(services, owner_of(owner), member.email)
    asked = access.ask_to_sign_in(services, visitor=HERE)
    access.sign_in_with_passkey(
        services, challenge_token=asked.token, credential=device.answers(asked.options), visitor=HERE
    )
    assert count(services, FactorResetRow) == 0
    assert ("account.recovery_refused", f"person:{member.id}") in acts_of(services, owner)
    assert password_step(services, member)


@on_sqlite
def test_the_letter_refuses_with_one_button_and_only_by_it(app: Flask, services: Services) -> None:
    app.config["WTF_CSRF_METHODS"] = []
    owner = somebody(services)
    member = member_with_factor(services, owner)
    ask(services, owner_of(owner), member.email)
    (path,) = re.findall(r"/account-reset/[\w-]+", letters_to(services, member.email)[-1])
    client = app.test_client()
    assert client.get(path).status_code == 200
    assert count(services, FactorResetRow) == 1
    assert client.post(path).status_code == 303
    assert count(services, FactorResetRow) == 0
    assert client.get(path).status_code == 404
    assert client.post(path).status_code == 404
    a_day_later(services)
    assert password_step(services, member)


@on_sqlite
def test_an_owner_weakens_no_account_that_opens_another_firm(services: Services) -> None:
    owner, other = somebody(services), somebody(services)
    member = member_with_factor(services, owner)
    with pytest.raises(NotFound):
        ask(services, owner_of(other), member.email)
    with pytest.raises(NotFound):
        ask(services, owner_of(owner), "nobody@example.org")
    with pytest.raises(Forbidden) as own:
        ask(services, owner_of(owner), owner.email)
    assert own.value.code == "own_account"
    with write_session(services.engine) as session:
        session.add(MembershipRow(person_id=member.id, organisation_id=other.firm.id, role=Role.OPERATOR.value))
    with pytest.raises(Forbidden) as shared:
        ask(services, owner_of(owner), member.email)
    assert shared.value.code == "not_yours_alone"
    ask(services, ADMINISTRATOR, member.email)  # the registry can


@on_sqlite
@pytest.mark.parametrize("by_registry", [False, True])
def test_an_owner_weakens_no_account_that_has_come_to_open_another_firm(services: Services, by_registry: bool) -> None:
    owner = somebody(services)
    member = member_with_factor(services, owner)
    asker = owner_of(owner)
    if by_registry:
        registry = make_registry(services)
        email = add_person(services, registry, Role.PLATFORM_ADMINISTRATOR)
        with Session(services.engine) as session:
            number = session.scalars(select(PersonRow.id).where(PersonRow.email == email)).one()
        asker = replace(ADMINISTRATOR, person_id=number)
    ask(services, asker, member.email)
    other = somebody(services).firm
    with write_session(services.engine) as session:
        session.add(MembershipRow(person_id=member.id, organisation_id=other.id, role="owner"))
    a_day_later(services)
    result = access.sign_in(services, email=member.email, password=PASSWORD, visitor=HERE)
    assert isinstance(result, access.SignedIn) is by_registry
    assert count(services, FactorResetRow) == 0


@on_sqlite
def test_a_member_without_the_power_asks_for_nobody(services: Services) -> None:
    owner = somebody(services)
    member = member_with_factor(services, owner)
    by = Principal(
        organisation_id=owner.firm.id, role=Role.OPERATOR, person_id=0, permissions=permissions_of(Role.OPERATOR)
    )
    assert not by.may(Permission.MEMBER_MANAGE)
    with pytest.raises(Forbidden):
        ask(services, by, member.email)


@on_sqlite
def test_what_is_asked_twice_or_for_nothing_is_refused(services: Services) -> None:
    owner = somebody(services)
    member = member_with_factor(services, owner)
    ask(services, owner_of(owner), member.email)
    with pytest.raises(Conflict) as twice:
        ask(services, owner_of(owner), member.email)
    assert twice.value.code == "reset_asked_already"
    bare = add_person(services, owner.firm, Role.OPERATOR)
    with pytest.raises(Conflict) as nothing:
        ask(services, owner_of(owner), bare)
    assert nothing.value.code == "no_second_factor"
    with pytest.raises(Invalid):
        access.request_factor_reset(services, by=owner_of(owner), email=member.email, reason=" ", visitor=HERE)


@on_sqlite
def test_what_is_announced_is_listed_for_those_who_may_announce_it(services: Services) -> None:
    owner, other = somebody(services), somebody(services)
    member, elsewhere = member_with_factor(services, owner), member_with_factor(services, other)
    ask(services, owner_of(owner), member.email)
    ask(services, ADMINISTRATOR, elsewhere.email)
    with Session(services.engine) as session:
        (ours,) = access.list_resets(session, organisation_id=owner.firm.id)
        (theirs,) = access.list_resets(session, organisation_id=other.firm.id)
        every = access.list_resets(session, organisation_id=None)
        asker = accounts.person_by_id(session, owner.id)
    assert (ours.email, ours.reason, ours.asked_by) == (member.email, "Seen in person.", asker.name)
    assert theirs.asked_by is None, "the registry's people have no names for a firm"
    assert [reset.email for reset in every] == [member.email, elsewhere.email]
    with write_session(services.engine) as session:
        session.execute(update(FactorResetRow).values(effective_at=FactorResetRow.effective_at - 16 * resets.DELAY_MS))
    with Session(services.engine) as session:
        assert access.list_resets(session, organisation_id=None) == [], "nobody used it in time"


@on_sqlite
def test_who_may_announce_it_can_call_it_off_and_nobody_else(services: Services) -> None:
    owner, other = somebody(services), somebody(services)
    member = member_with_factor(services, owner)
    ask(services, owner_of(owner), member.email)
    with pytest.raises(NotFound):
        access.withdraw_reset(services, by=owner_of(other), person_id=member.id, visitor=HERE)
    access.withdraw_reset(services, by=owner_of(owner), person_id=member.id, visitor=HERE)
    assert ("account.recovery_refused", f"person:{owner.id}") in acts_of(services, owner)
    with pytest.raises(NotFound):
        access.withdraw_reset(services, by=owner_of(owner), person_id=member.id, visitor=HERE)
    ask(services, owner_of(owner), member.email)
    access.withdraw_reset(services, by=ADMINISTRATOR, person_id=member.id, visitor=HERE)
    a_day_later(services)
    assert password_step(services, member), "the factor is still asked for"


@on_sqlite
def test_the_registrys_page_lists_what_waits_and_calls_it_off(app: Flask, services: Services) -> None:
    app.config["WTF_CSRF_METHODS"] = []
    owner = somebody(services)
    member = member_with_factor(services, owner)
    make_registry(services, email="registrar@example.org")
    client = signed_in(app.test_client(), services, "registrar@example.org")
    unknown = client.post("/admin/factor-reset", data={"email": "nobody@example.org", "reason": "Seen in person."})
    assert "Nobody here has this e-mail address." in unknown.text
    asked = client.post("/admin/factor-reset", data={"email": member.email, "reason": "Seen in person."})
    assert (asked.status_code, asked.headers["Location"]) == (303, "/admin/factor-reset")
    shown = client.get("/admin/factor-reset").text
    assert member.email in shown
    assert owner.firm.name in shown
    assert 'href="/admin/factor-reset">Lost accounts' in client.get("/dashboard").text
    done = client.post("/admin/factor-reset/withdrawal", data={"person": str(member.id)})
    assert (done.status_code, done.headers["Location"]) == (303, "/admin/factor-reset")
    assert count(services, FactorResetRow) == 0
    again = client.post("/admin/factor-reset/withdrawal", data={"person": str(member.id)})
    assert (again.status_code, "nothing to refuse any more" in again.text) == (404, True)


@on_sqlite
def test_neither_letters_nor_reasons_nor_names_stand_on_the_ledger(services: Services) -> None:
    owner = somebody(services)
    member = member_with_factor(services, owner)
    ask(services, owner_of(owner), member.email)
    with services.engine.connect() as connection:
        bodies = b"".join(connection.exec_driver_sql("SELECT body FROM ledger_entries").scalars())
        details = "".join(connection.exec_driver_sql("SELECT details FROM administrative_acts").scalars())
    for kept_out in (member.email, "Seen in person."):
        assert kept_out.encode() not in bodies
        assert kept_out not in details


@on_sqlite
def test_the_history_forgets_after_half_a_year(services: Services) -> None:
    person = somebody(services)
    access.sign_in(services, email=person.email, password=PASSWORD, visitor=HERE)
    with write_session(services.engine) as session:
        session.execute(update(SecurityEventRow).values(at=SecurityEventRow.at - 181 * 24 * 3600 * 1000))
    with Session(services.engine) as session:
        assert access.list_events(session, person_id=person.id) == []
    access.sign_in(services, email=person.email, password=PASSWORD, visitor=HERE)
    assert count(services, SecurityEventRow) == 1


@on_sqlite
def test_the_answer_about_an_address_takes_as_long_whoever_has_it(services: Services) -> None:
    person = somebody(services)
    for email in (person.email, "nobody@example.org"):
        started = time.monotonic()
        access.ask_for_recovery(services, email=email, visitor=HERE)
        assert time.monotonic() - started >= recovery.ANSWER_SECONDS


@on_sqlite
def test_the_last_administrator_is_helped_from_the_command_line(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MARCHAMO_DATA_DIR", str(services.settings.data_dir))
    monkeypatch.setenv("MARCHAMO_DATABASE_URL", services.settings.database_url)
    monkeypatch.setenv("MARCHAMO_PUBLIC_URL", services.settings.public_url)
    monkeypatch.setenv("MARCHAMO_KEY_ENCRYPTION_KEY", base64.b64encode(bytes(range(32))).decode())
    person = somebody(services)
    with_code_app(services, person)
    done = CliRunner().invoke(account, ["reset-factors", person.email, "--reason", "Seen in person."])
    assert done.exit_code == 0, done.output
    assert ("account.recovered", "command-line") in acts_of(services, person)
