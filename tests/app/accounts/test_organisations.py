"""Organisations sign up, are decided on, and get their keys; the ledger says so."""

import json

import pytest
from sqlalchemy.orm import Session

from app.accounts import service as accounts
from app.accounts.vocabulary import OrganisationKeyPurpose, OrganisationKind, OrganisationStatus
from app.core.errors import Conflict, Invalid, Malformed, NotFound
from app.core.service_keys import KeyPurpose
from app.core.services import Services
from ledger.statement import STATEMENT_TYPE, verify_statement
from tests.builders import (
    ADMINISTRATOR,
    make_approved,
    make_approved_firm,
    make_organisation,
    make_registry,
    on_sqlite,
)


def statement_at(services: Services, index: int) -> dict[str, object]:
    """The payload of a ledger entry, verified with the registry's statement key."""
    body = services.log.entry(index).body
    assert body is not None
    public_key = services.keys[KeyPurpose.STATEMENT].public_key
    return dict(verify_statement(body.statement, public_key=public_key, typ=STATEMENT_TYPE).payload)


def test_an_organisation_that_signs_up_waits_and_has_no_keys(services: Services) -> None:
    firm = make_organisation(services)
    assert firm.status is OrganisationStatus.PENDING
    with Session(services.engine) as session:
        assert accounts.list_keys(session, organisation_id=firm.id) == []
        with pytest.raises(Conflict):
            accounts.code_key_in_use(session, organisation_id=firm.id)


def test_an_approval_is_on_the_ledger_with_its_reason(services: Services) -> None:
    firm = make_approved_firm(services, name="Cerámica Puebla", prefix=None)
    assert firm.log_index is not None
    said = statement_at(services, firm.log_index)
    assert said["kind"] == "organisation"
    assert said["organisation"] == firm.issuer
    assert said["status"] == "approved"
    assert said["name"] == "Cerámica Puebla"
    assert said["reason"] == "Papers are in order."


@pytest.mark.parametrize(
    ("kind", "purposes"),
    [
        (OrganisationKind.FIRM, {OrganisationKeyPurpose.CODE, OrganisationKeyPurpose.STATEMENT}),
        (OrganisationKind.SHOP, {OrganisationKeyPurpose.STATEMENT}),
        (OrganisationKind.AUTHORITY, {OrganisationKeyPurpose.STATEMENT}),
    ],
)
@on_sqlite
def test_an_approved_organisation_has_the_keys_of_its_kind(
    services: Services, kind: OrganisationKind, purposes: set[OrganisationKeyPurpose]
) -> None:
    organisation = make_approved(services, kind=kind)
    with Session(services.engine) as session:
        keys = accounts.list_keys(session, organisation_id=organisation.id)
    assert {key.purpose for key in keys} == purposes
    assert len(keys) == len(purposes)


def test_a_second_approval_is_refused_and_leaves_no_entry(services: Services) -> None:
    firm = make_approved_firm(services, prefix=None)
    size = services.log.head()[0]
    with pytest.raises(Conflict) as refused:
        accounts.approve_organisation(services, issuer=firm.issuer, decided_by=ADMINISTRATOR, reason="Again.")
    assert refused.value.code == "already_decided"
    assert services.log.head()[0] == size


def test_an_approval_that_stopped_before_the_keys_is_completed_by_repeating_it(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    pending = make_organisation(services)
    with monkeypatch.context() as patch:
        patch.setattr("app.accounts.service.deciding.issue_missing_keys", lambda *_: [])
        accounts.approve_organisation(services, issuer=pending.issuer, decided_by=ADMINISTRATOR, reason="Seen.")
    accounts.approve_organisation(services, issuer=pending.issuer, decided_by=ADMINISTRATOR, reason="Seen.")
    with Session(services.engine) as session:
        assert len(accounts.list_keys(session, organisation_id=pending.id)) == 2


def test_a_refused_organisation_cannot_be_approved_any_more(services: Services) -> None:
    pending = make_organisation(services)
    accounts.refuse_organisation(services, issuer=pending.issuer, decided_by=ADMINISTRATOR, reason="No such firm.")
    with pytest.raises(Conflict):
        accounts.approve_organisation(services, issuer=pending.issuer, decided_by=ADMINISTRATOR, reason="Seen.")


def test_a_suspended_organisation_can_be_approved_again_with_its_old_keys(services: Services) -> None:
    firm = make_approved_firm(services, prefix=None)
    accounts.suspend_organisation(services, issuer=firm.issuer, decided_by=ADMINISTRATOR, reason="Complaint.")
    again = accounts.approve_organisation(services, issuer=firm.issuer, decided_by=ADMINISTRATOR, reason="Cleared.")
    assert again.status is OrganisationStatus.APPROVED
    with Session(services.engine) as session:
        assert len(accounts.list_keys(session, organisation_id=firm.id)) == 2


@on_sqlite
def test_the_registry_makes_its_own_organisation_once(services: Services) -> None:
    first, second = make_registry(services), make_registry(services)
    assert first.id == second.id
    with Session(services.engine) as session:
        assert len(accounts.list_members(session, organisation_id=first.id)) == 2
    with pytest.raises(Conflict):
        accounts.suspend_organisation(services, issuer=first.issuer, decided_by=ADMINISTRATOR, reason="Mistake.")


def test_an_email_address_has_one_account_however_it_is_written(services: Services) -> None:
    make_organisation(services, email="Same@Example.org")
    with pytest.raises(Conflict) as refused:
        make_organisation(services, email=" same@example.ORG ")
    assert refused.value.code == "email_taken"
    with Session(services.engine) as session:
        page = accounts.list_organisations(session)
    assert len(page.items) == 1  # the second organisation was not kept either


@on_sqlite
def test_every_fault_of_a_sign_up_is_named_at_once(services: Services) -> None:
    with pytest.raises(Invalid) as refused:
        accounts.register_organisation(
            services,
            name="x",
            country="mexico",
            kind=OrganisationKind.REGISTRY,
            person_name="",
            email="nobody",
            password="short",
            locale="fr",
        )
    assert {fault.where for fault in refused.value.faults} == {
        "/name",
        "/country",
        "/kind",
        "/person_name",
        "/email",
        "/locale",
        "/password",
    }


@on_sqlite
@pytest.mark.parametrize("email", ["a@b", "@example.org", "a b@example.org", "a@example..", "a@-x.org", "a" * 255])
def test_what_is_no_email_address_is_refused(services: Services, email: str) -> None:
    with pytest.raises(Invalid):
        make_organisation(services, email=email)


@on_sqlite
@pytest.mark.parametrize("password", ["eleven char", "aaaaaaaaaaaaaaaa", "x" * 201])
def test_a_weak_password_is_refused(services: Services, password: str) -> None:
    with pytest.raises(Invalid) as refused:
        accounts.register_organisation(
            services,
            name="Firm",
            country="MX",
            kind=OrganisationKind.FIRM,
            person_name="Owner",
            email="owner@example.org",
            password=password,
            locale="es",
        )
    assert password not in str(refused.value.problem())


def test_lists_come_in_pages_without_gaps_or_repetition(services: Services) -> None:
    made = [make_organisation(services).issuer for _ in range(5)]
    seen: list[str] = []
    cursor = None
    with Session(services.engine) as session:
        while True:
            page = accounts.list_organisations(session, status=OrganisationStatus.PENDING, cursor=cursor, limit=2)
            seen += [item.issuer for item in page.items]
            cursor = page.next_cursor
            if cursor is None:
                break
    assert sorted(seen) == sorted(made)
    assert len(seen) == len(set(seen))


@on_sqlite
@pytest.mark.parametrize("cursor", ["x", "-ABC", "1", "1" * 41 + "-A", "１-A"])
def test_a_made_up_cursor_is_refused(services: Services, cursor: str) -> None:
    with Session(services.engine) as session, pytest.raises(Malformed):
        accounts.list_organisations(session, cursor=cursor)


@on_sqlite
def test_an_unknown_organisation_is_not_found(services: Services) -> None:
    with Session(services.engine) as session:
        with pytest.raises(NotFound):
            accounts.organisation_by_id(session, 404)
        with pytest.raises(NotFound):
            accounts.organisation_by_issuer(session, "NOBODY")
        assert accounts.organisation_names(session, [404]) == {}


@on_sqlite
def test_nothing_personal_of_the_owner_is_on_the_ledger(services: Services) -> None:
    make_approved_firm(services, email="secret.person@example.org")
    for index in range(services.log.head()[0]):
        body = services.log.entry(index).body
        assert body is not None
        assert "secret.person" not in json.dumps(statement_at(services, index))
