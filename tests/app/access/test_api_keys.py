"""Keys of machines: on the ledger, replaced with overlap, told on the page, and not the private matter of a person."""

from dataclasses import replace

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import update
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from app.access import forget_machine, uses
from app.access import service as access
from app.access.machine_models import MachineUseRow
from app.access.models import ApiKeyRow
from app.access.service import granting
from app.accounts import service as accounts
from app.accounts.models import MembershipRow
from app.core.authorisation import Permission, Role
from app.core.clock import now_ms, to_iso
from app.core.database import write_session
from app.core.errors import Conflict, Forbidden, Invalid, NotFound
from app.core.services import Services
from app.core.tokens import token_hash
from ledger.strict import encode_base64
from tests.builders import add_person, bearer, make_approved_firm, on_sqlite, owner_email, principal, signed_in

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS


def make_key(
    services: Services, firm: accounts.Organisation, *, days: int = 30, scopes: frozenset[Permission] | None = None
) -> tuple[access.ApiKey, str]:
    return access.create_api_key(
        services, principal=principal(firm), name="till 2", role=Role.OPERATOR, scopes=scopes, days=days
    )


def keys_of(services: Services, firm: accounts.Organisation) -> list[access.ApiKey]:
    with Session(services.engine) as session:
        return access.list_api_keys(session, organisation_id=firm.id)


def opens(client: FlaskClient, secret: str) -> bool:
    return client.get("/v1/organisation", headers=bearer(secret)).status_code == 200


def test_making_and_ending_a_key_are_acts_on_the_ledger_without_its_secret_or_name(services: Services) -> None:
    firm = make_approved_firm(services, prefix=None)
    key, secret = make_key(services, firm, scopes=frozenset({Permission.PRODUCT_READ}))
    access.revoke_api_key(services, principal=principal(firm), prefix=key.prefix)
    access.revoke_api_key(services, principal=principal(firm), prefix=key.prefix)  # a second time is no act
    with Session(services.engine) as session:
        ended, made = accounts.list_acts(session, organisation_id=firm.id)[:2]
    assert (made.act, made.actor) == (accounts.Act.API_KEY_CREATED, "person:1")
    assert made.details == {
        "key": key.prefix,
        "digest": encode_base64(token_hash(secret)),
        "role": "operator",
        "scopes": "product.read",
        "until": to_iso(key.expires_at),
    }
    assert (ended.act, ended.details) == (accounts.Act.API_KEY_REVOKED, {"key": key.prefix})
    assert secret not in str(made)
    assert "till" not in str(made)


def test_a_replaced_key_works_beside_its_successor_for_a_while(client: FlaskClient, services: Services) -> None:
    firm = make_approved_firm(services, prefix=None)
    scopes = frozenset({Permission.ORGANISATION_READ})
    old, old_secret = make_key(services, firm, days=90, scopes=scopes)
    assert opens(client, old_secret)
    new, new_secret = access.rotate_api_key(services, principal=principal(firm), prefix=old.prefix, overlap_hours=2)
    assert opens(client, old_secret)
    assert opens(client, new_secret)
    assert (new.name, new.role, new.scopes) == (old.name, old.role, scopes)
    assert abs(new.expires_at - new.created_at - 90 * DAY_MS) < 1000
    listed = {key.prefix: key for key in keys_of(services, firm)}
    assert abs(listed[old.prefix].expires_at - new.created_at - 2 * HOUR_MS) < 1000
    with write_session(services.engine) as session:
        session.execute(update(ApiKeyRow).where(ApiKeyRow.prefix == old.prefix).values(expires_at=now_ms()))
    forget_machine(old.machine)
    assert not opens(client, old_secret)
    assert opens(client, new_secret)


@on_sqlite
def test_no_overlap_ends_the_old_key_at_once_and_overlap_never_lengthens_it(
    client: FlaskClient, services: Services
) -> None:
    firm = make_approved_firm(services, prefix=None)
    key, secret = make_key(services, firm)
    assert opens(client, secret)
    access.rotate_api_key(services, principal=principal(firm), prefix=key.prefix, overlap_hours=0)
    assert not opens(client, secret)
    with pytest.raises(Conflict):
        access.rotate_api_key(services, principal=principal(firm), prefix=key.prefix)
    short, _ = make_key(services, firm, days=1)
    access.rotate_api_key(services, principal=principal(firm), prefix=short.prefix, overlap_hours=720)
    assert short.expires_at in [one.expires_at for one in keys_of(services, firm) if one.prefix == short.prefix]


@on_sqlite
def test_what_can_not_be_replaced_is_refused(services: Services) -> None:
    firm, other = make_approved_firm(services, prefix=None), make_approved_firm(services, prefix=None)
    key, _ = make_key(services, firm)
    with pytest.raises(NotFound):
        access.rotate_api_key(services, principal=principal(other), prefix=key.prefix)
    with pytest.raises(Invalid):
        access.rotate_api_key(services, principal=principal(firm), prefix=key.prefix, overlap_hours=721)
    weak = replace(
        principal(firm), person_id=None, machine="api-key:9", permissions=frozenset({Permission.MACHINE_MANAGE})
    )
    with pytest.raises(Forbidden):  # it would read the secret of a key that may do more than itself
        access.rotate_api_key(services, principal=weak, prefix=key.prefix)


def test_a_key_is_replaced_over_the_api(client: FlaskClient, services: Services) -> None:
    firm = make_approved_firm(services, prefix=None)
    owner = access.create_api_key(
        services, principal=principal(firm), name="owner", role=Role.OWNER, scopes=None, days=2
    )[1]
    key, _ = make_key(services, firm)
    answer = client.post(f"/v1/api-keys/{key.prefix}/rotation", json={"overlap_hours": 1}, headers=bearer(owner))
    assert answer.status_code == 201, answer.text
    assert opens(client, answer.get_json()["secret"])
    assert client.post("/v1/api-keys/mch_unknown0/rotation", json={}, headers=bearer(owner)).status_code == 404


def test_the_last_day_of_use_is_kept_and_written_once(
    client: FlaskClient, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    firm = make_approved_firm(services, prefix=None)
    key, secret = make_key(services, firm)
    assert keys_of(services, firm)[0].last_used_at is None
    written: list[str] = []

    def count(*arguments: object) -> object:
        written.append("one")
        return write_session(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(uses, "write_session", count)
    for _ in range(3):
        assert opens(client, secret)
        forget_machine(key.machine)
    assert written == ["one"]
    today = now_ms() // DAY_MS * DAY_MS
    assert keys_of(services, firm)[0].last_used_at in (today, today - DAY_MS)


@on_sqlite
def test_a_database_that_takes_nothing_does_not_keep_machines_out(
    client: FlaskClient, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, secret = make_key(services, make_approved_firm(services, prefix=None))

    def fail(*_arguments: object) -> object:
        raise OperationalError("INSERT", {}, Exception("database is full"))

    monkeypatch.setattr(uses, "write_session", fail)
    assert opens(client, secret)


@on_sqlite
def test_a_later_day_is_kept_and_an_earlier_one_is_not(
    services: Services, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, secret = make_key(services, make_approved_firm(services, prefix=None))
    with write_session(services.engine) as session:
        session.add(MachineUseRow(machine=key.machine, day=99_999))
    assert opens(client, secret)
    with Session(services.engine) as session:
        assert uses.last_days(session, [key.machine]) == {key.machine: 99_999 * DAY_MS}


@on_sqlite
def test_a_key_works_on_when_its_maker_leaves_and_the_page_warns(app: Flask, services: Services) -> None:
    firm = make_approved_firm(services, prefix=None)
    owner = owner_email(services, firm)
    email = add_person(services, firm, Role.OWNER)
    with Session(services.engine) as session:
        person = accounts.find_person(session, email=email)
    assert person is not None
    maker = replace(principal(firm), person_id=person.id)
    _, secret = access.create_api_key(services, principal=maker, name="till", role=Role.OPERATOR, scopes=None, days=90)
    browser = signed_in(app.test_client(), services, owner)
    left = "A person who has left"
    assert left not in browser.get("/organisation/machines").text
    with write_session(services.engine) as session:
        row = session.get_one(MembershipRow, (person.id, firm.id))
        session.delete(row)
    assert left in browser.get("/organisation/machines").text
    assert opens(app.test_client(), secret)


@on_sqlite
def test_scopes_are_chosen_on_the_page_and_shown_there_in_words(app: Flask, services: Services) -> None:
    app.config["WTF_CSRF_METHODS"] = []
    firm = make_approved_firm(services, prefix=None)
    browser = signed_in(app.test_client(), services, owner_email(services, firm))
    form = {"name": "till 2", "role": "operator", "days": "10", "scopes": ["product.read", "job.read"]}
    made = browser.post("/organisation/api-keys", data=form)
    assert made.status_code == 200, made.text
    assert keys_of(services, firm)[0].scopes == frozenset({Permission.PRODUCT_READ, Permission.JOB_READ})
    page = browser.get("/organisation/machines").text
    assert "only 2 things" in page
    assert "Ends soon" in page
    too_much = browser.post("/organisation/api-keys", data=form | {"scopes": ["member.manage"]})
    assert too_much.status_code == 422
    assert browser.post("/organisation/api-keys", data=form | {"scopes": ["nonsense"]}).status_code == 400
    assert len(keys_of(services, firm)) == 1
    prefix = keys_of(services, firm)[0].prefix
    replaced = browser.post(f"/organisation/api-keys/{prefix}/rotation", data={"overlap_hours": "24"})
    assert replaced.status_code == 200
    assert replaced.headers["Cache-Control"] == "no-store"
    assert "mch_" in replaced.text
    assert len(keys_of(services, firm)) == 2
    assert browser.post(f"/organisation/api-keys/{prefix}/revocation").status_code == 303


@on_sqlite
def test_a_key_is_not_replaced_without_end_while_it_still_works(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(granting, "MAX_MACHINES", 2)
    firm = make_approved_firm(services, prefix=None)
    key, _ = make_key(services, firm)

    def replace_it(hours: int) -> None:
        access.rotate_api_key(services, principal=principal(firm), prefix=key.prefix, overlap_hours=hours)

    for _ in range(3):
        replace_it(24)
    with pytest.raises(Conflict, match="4 of these"):
        replace_it(24)
    replace_it(0)  # one goes for one that comes
