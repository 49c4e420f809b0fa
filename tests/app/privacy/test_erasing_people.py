"""A person takes away what is kept about her, and erases her account; the audit has nothing to say about it."""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import replace
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.accounts import service as accounts
from app.accounts.models import MembershipRow, PersonRow
from app.core.authorisation import Principal, Role
from app.core.clock import now_ms
from app.core.database import Base, write_session
from app.core.errors import AppError, Conflict
from app.core.jobs import enqueue
from app.core.mail import mail_waiting_for, queue_mail
from app.core.services import Services
from app.privacy import service
from app.privacy.personal_tables import PERSONAL, AtErasure
from app.privacy.service import ErasureReason
from app.transparency.service.product import product_checks
from ledger.audit import audit
from ledger.storage.engine import begin_write
from tests.app.devices.device_builders import enrolled
from tests.app.devices.device_builders import person_of as person_of_firm
from tests.builders import (
    ADMINISTRATOR,
    add_person,
    make_approved_firm,
    make_registry,
    on_sqlite,
    owner_email,
    principal,
    signed_in,
)

DAY_MS = 86_400_000


def person_of(services: Services, email: str) -> int:
    with Session(services.engine) as session:
        found = accounts.find_person(session, email=email)
        assert found is not None
        return found.id


def audited(services: Services) -> list[str]:
    report = audit(
        services.engine,
        services.log.verifier,
        origin=services.log.origin,
        extra_checks=product_checks(services.settings, services.engine, services.sealer),
    )
    return [fault.code for fault in report.faults]


def second_member(services: Services) -> tuple[accounts.Organisation, str, int]:
    """A firm with an owner and a second member, who joined as the record knows."""
    firm = make_approved_firm(services)
    email = add_person(services, firm, Role.OPERATOR)
    return firm, email, person_of(services, email)


def fill(services: Services, person_id: int, organisation_id: int) -> None:
    """A row of each kind that is erased with the person, where one can be made from the columns alone."""
    with begin_write(services.engine) as connection:
        for each in PERSONAL:
            table = Base.metadata.tables[each.table]
            if each.at_erasure is AtErasure.KEEP or each.table in ("memberships", "factor_resets"):
                continue
            values: dict[str, object] = {}
            for column in table.columns:
                if column.name == each.column:
                    values[column.name] = each.name_of(person_id, email_of(services, person_id))
                elif column.name == "organisation_id":
                    values[column.name] = organisation_id
                elif column.nullable or (column.primary_key and column.autoincrement is True):
                    continue
                elif column.type.python_type is bytes:
                    values[column.name] = f"{table.name}.{column.name}".encode()
                elif column.type.python_type is bool:
                    values[column.name] = False
                elif column.type.python_type is int:
                    if not (column.primary_key and column.name == "id"):
                        values[column.name] = now_ms() % 1_000_000_000
                else:
                    values[column.name] = "x"
            connection.execute(table.insert().values(values))


def email_of(services: Services, person_id: int) -> str:
    with Session(services.engine) as session:
        return accounts.person_by_id(session, person_id).email


def exported(client: FlaskClient) -> dict[str, Any]:
    answer = client.post("/account/data/export")
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "no-store"
    with zipfile.ZipFile(io.BytesIO(answer.data)) as archive:
        assert archive.testzip() is None
        return {name: json.loads(archive.read(name)) for name in archive.namelist()}


def test_an_erased_person_is_a_number_and_the_audit_finds_nothing(services: Services) -> None:
    firm, email, number = second_member(services)
    fill(services, number, firm.id)
    with Session(services.engine) as session:
        queue_mail(session, services, to=email, subject="Hello", text="Words")
        queue_mail(session, services, to="other@example.org", subject="Hello", text="Words")
        session.commit()
    before = audited(services)
    done = service.erase_own_account(services, by=Principal(firm.id, Role.OPERATOR, person_id=number))
    assert (done.person, done.memberships) == (f"person:{number}", 1)
    with Session(services.engine) as session:
        row = session.get_one(PersonRow, number)
        assert (row.email, row.name, row.password_hash) == (f"erased:{number}", "", "")
        assert session.scalars(select(MembershipRow).where(MembershipRow.person_id == number)).all() == []
        assert accounts.person_names(session, [number]) == {number: "erased person"}
        assert accounts.find_person(session, email=email) is None
        for each in PERSONAL:
            table = Base.metadata.tables[each.table]
            if each.at_erasure is AtErasure.DELETE:
                left = select(table).where(table.c[each.column] == each.name_of(number, email))
                assert session.execute(left).all() == [], each.table
        assert mail_waiting_for(session.connection(), services, email) == {}
        assert len(mail_waiting_for(session.connection(), services, "other@example.org")) == 1
        act = accounts.list_acts(session, organisation_id=firm.id)[0]
    assert (act.act, act.actor) == (accounts.Act.PERSON_ERASED, f"person:{number}")
    assert act.details == {"person": f"person:{number}", "reason": "own_wish"}
    assert set(audited(services)) <= set(before)


def test_the_last_manager_hands_over_first(services: Services) -> None:
    firm = make_approved_firm(services)
    number = person_of(services, owner_email(services, firm))
    with pytest.raises(Conflict) as refusal:
        service.erase_own_account(services, by=Principal(firm.id, Role.OWNER, person_id=number))
    assert refusal.value.code == "last_manager"
    assert email_of(services, number) == owner_email(services, firm)


@on_sqlite
def test_an_erased_person_can_not_be_erased_again(services: Services) -> None:
    firm, _, number = second_member(services)
    registry = make_registry(services)
    by = principal(registry, Role.PLATFORM_ADMINISTRATOR)
    service.erase_for_person(services, person_id=number, by=by, why=ErasureReason.ASKED_IN_WRITING)
    with pytest.raises(AppError) as refusal:
        service.erase_for_person(services, person_id=number, by=by, why=ErasureReason.ASKED_IN_WRITING)
    assert refusal.value.code == "erased_already"
    with Session(services.engine) as session:
        assert accounts.list_acts(session, organisation_id=registry.id)[0].details["reason"] == "asked_in_writing"
        assert accounts.list_acts(session, organisation_id=firm.id)[0].act is accounts.Act.MEMBER_REMOVED


@on_sqlite
def test_a_person_downloads_what_is_kept_about_her_and_no_secret(services: Services, client: FlaskClient) -> None:
    firm, email, number = second_member(services)
    client.application.config["WTF_CSRF_METHODS"] = []
    signed_in(client, services, email)
    found = exported(client)
    assert found["about.json"]["person"] == f"person:{number}"
    assert set(found) == {
        *(f"{each.table}-{each.column}.json" for each in PERSONAL),
        "about.json",
        "messages-waiting.json",
    }
    [person] = found["people-id.json"]
    assert person["email"] == email
    assert len(found["sign_in_sessions-person_id.json"]) == 1
    text = json.dumps(found)
    for word in ("password_hash", "token_hash", "sealed_", "argon2", "code_hash"):
        assert word not in text
    with Session(services.engine) as session:
        others = [member.email for member in accounts.list_members(session, organisation_id=firm.id)]
    assert [other for other in others if other in text] == [email]


@on_sqlite
def test_nobody_takes_an_organisations_business_along_with_her_own_data(
    services: Services, client: FlaskClient
) -> None:
    """Who has left a firm and belongs to another one still signs in."""
    _, email, number = second_member(services)
    former = make_approved_firm(services, prefix=None)
    with write_session(services.engine) as session:
        enqueue(
            session,
            kind="commission",
            organisation_id=former.id,
            created_by=f"person:{number}",
            idempotency_key=None,
            payload={"note": "for the customer in Rotterdam"},
            digest="0",
            asked_by_person=number,
        )
    client.application.config["WTF_CSRF_METHODS"] = []
    found = exported(signed_in(client, services, email))
    for name in ("jobs-created_by.json", "jobs-asked_by_person.json"):
        [job] = found[name]
        assert job["organisation_id"] == former.id
        assert job["created_at"] > 0
    assert "Rotterdam" not in json.dumps(found)


@on_sqlite
def test_a_person_erases_herself_on_the_page(services: Services, client: FlaskClient) -> None:
    _, email, number = second_member(services)
    client.application.config["WTF_CSRF_METHODS"] = []
    signed_in(client, services, email)
    page = client.get("/account/data")
    assert page.status_code == 200
    assert client.post("/account/data/erase").status_code == 422
    assert email_of(services, number) == email
    assert client.post("/account/data/erase", data={"understood": "1"}).status_code == 303
    assert email_of(services, number) == f"erased:{number}"
    assert client.get("/account").status_code == 303, "the session has ended"


@on_sqlite
def test_what_the_registry_takes_from_an_erased_person_is_not_said_to_be_her_own_doing(services: Services) -> None:
    firm = make_approved_firm(services)
    _, operator = person_of_firm(services, firm, Role.OPERATOR)
    enrolled(services, operator)
    registry = make_registry(services)
    by = replace(ADMINISTRATOR, organisation_id=registry.id)
    done = service.erase_for_person(
        services, person_id=operator.person_id or 0, by=by, why=ErasureReason.ASKED_IN_WRITING
    )
    assert (done.memberships, done.devices) == (1, 1)
    with Session(services.engine) as session:
        acts = accounts.list_acts(session, organisation_id=firm.id)[:2]
    assert {act.act for act in acts} == {accounts.Act.DEVICE_REVOKED, accounts.Act.MEMBER_REMOVED}
    assert {act.actor for act in acts} == {by.actor}
    assert audited(services) == []
