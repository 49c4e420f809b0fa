"""Code keys that a firm holds itself: registered with proof, in use at once, never replaced behind the firm's back."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.accounts import service as accounts
from app.accounts.models import KeyRegistrationRow, OrganisationKeyRow
from app.accounts.service.keys import firm_held
from app.accounts.vocabulary import KeyHolder, OrganisationKeyPurpose, OrganisationKind
from app.core.authorisation import Permission, Role
from app.core.clock import now_ms
from app.core.database import write_session
from app.core.errors import Conflict, Invalid, NotFound
from app.core.services import Services
from ledger.statement import read_unverified
from ledger.strict import decode_base64, encode_base64
from tests.builders import (
    ADMINISTRATOR,
    api_key,
    bearer,
    make_approved,
    make_approved_firm,
    make_organisation,
    on_sqlite,
)
from tests.firm_keys import register_firm_key

DAY_MS = 86_400_000


def in_use(services: Services, firm: accounts.Organisation) -> accounts.KeyRecord:
    with Session(services.engine) as session:
        return accounts.code_key_in_use(session, organisation_id=firm.id)


def test_a_registered_key_of_the_firm_is_in_use_at_once_and_the_service_has_no_private_half(
    services: Services,
) -> None:
    firm = make_approved_firm(services, prefix=None)
    before = in_use(services, firm)
    record, key = register_firm_key(services, firm)
    assert in_use(services, firm) == record
    assert record.holder is KeyHolder.FIRM
    with Session(services.engine) as session:
        row = session.get_one(OrganisationKeyRow, record.key_id)
        assert row.sealed_private_key is None
        assert session.scalars(select(KeyRegistrationRow)).all() == []
        with pytest.raises(Conflict) as refused:
            accounts.code_key_by_id(session, services.sealer, organisation_id=firm.id, key_id=record.key_id)
    assert refused.value.code == "key_held_by_firm"
    body = services.log.entry(record.registered_index).body
    assert body is not None
    said = read_unverified(body.statement).payload
    assert (said["holder"], said["replaces"]) == ("firm", before.key_id)
    public = accounts.public_code_key(services.engine, record.key_id)
    assert public is not None
    assert public.public_key.public_bytes_raw() == key.public_key().public_bytes_raw()


def test_a_key_that_the_caller_does_not_hold_is_not_registered(services: Services) -> None:
    firm = make_approved_firm(services, prefix=None)
    public = Ed25519PrivateKey.generate().public_key().public_bytes_raw()
    waiting = accounts.begin_registration(services, organisation_id=firm.id, public_key=public)
    other = Ed25519PrivateKey.generate()
    size = services.log.head()[0]
    for possession in (other.sign(waiting.message), bytes(64)):
        with pytest.raises(Invalid) as refused:
            accounts.register_firm_key(
                services,
                organisation_id=firm.id,
                key_id=waiting.key_id,
                public_key=public,
                possession=possession,
            )
        assert refused.value.code == "possession"
    assert services.log.head()[0] == size


@on_sqlite
@pytest.mark.parametrize(
    ("raw", "code"),
    [(bytes([1]) + bytes(31), "weak_key"), (bytes(31), "key_length"), (b"\xff" * 32, "weak_key")],
)
def test_a_weak_key_is_refused_at_the_first_step(services: Services, raw: bytes, code: str) -> None:
    firm = make_approved_firm(services, prefix=None)
    with pytest.raises(Invalid) as refused:
        accounts.begin_registration(services, organisation_id=firm.id, public_key=raw)
    assert refused.value.code == code


def test_a_key_is_registered_once_and_by_one_organisation(services: Services) -> None:
    firm, other = make_approved_firm(services, prefix=None), make_approved_firm(services, prefix=None)
    record, key = register_firm_key(services, firm)
    for organisation in (firm, other):
        with pytest.raises(Conflict) as refused:
            register_firm_key(services, organisation, key=key)
        assert refused.value.code == "key_known"
    size = services.log.head()[0]
    again = accounts.register_firm_key(
        services, organisation_id=firm.id, key_id=record.key_id, public_key=record.public_key, possession=bytes(64)
    )
    assert again == record  # the answer to the first time was lost: the same request changes nothing
    assert services.log.head()[0] == size


@on_sqlite
def test_the_number_of_another_firms_registration_can_not_be_used(services: Services) -> None:
    firm, other = make_approved_firm(services, prefix=None), make_approved_firm(services, prefix=None)
    key = Ed25519PrivateKey.generate()
    public = key.public_key().public_bytes_raw()
    waiting = accounts.begin_registration(services, organisation_id=firm.id, public_key=public)
    with pytest.raises(NotFound):
        accounts.register_firm_key(
            services,
            organisation_id=other.id,
            key_id=waiting.key_id,
            public_key=public,
            possession=key.sign(waiting.message),
        )


@on_sqlite
def test_numbers_set_aside_are_bounded_and_end(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    firm = make_approved_firm(services, prefix=None)

    def begin() -> None:
        public = Ed25519PrivateKey.generate().public_key().public_bytes_raw()
        accounts.begin_registration(services, organisation_id=firm.id, public_key=public)

    for _ in range(firm_held.MAX_REGISTRATIONS):
        begin()
    with pytest.raises(Conflict) as refused:
        begin()
    assert refused.value.code == "too_many_registrations"
    later = now_ms() + (firm_held.REGISTRATION_DAYS + 1) * DAY_MS
    monkeypatch.setattr(firm_held, "now_ms", lambda: later)
    begin()
    with Session(services.engine) as session:
        assert len(session.scalars(select(KeyRegistrationRow)).all()) == 1


@on_sqlite
def test_only_an_approved_firm_registers_code_keys(services: Services) -> None:
    public = Ed25519PrivateKey.generate().public_key().public_bytes_raw()
    shop = make_approved(services, kind=OrganisationKind.SHOP)
    for organisation, code in ((make_organisation(services), "organisation_not_approved"), (shop, "no_codes")):
        with pytest.raises(Conflict) as refused:
            accounts.begin_registration(services, organisation_id=organisation.id, public_key=public)
        assert refused.value.code == code


@on_sqlite
@pytest.mark.parametrize("days", [-1, 0, 1_827])
def test_the_validity_of_a_key_is_bounded(services: Services, days: int) -> None:
    firm = make_approved_firm(services, prefix=None)
    with pytest.raises(Invalid) as refused:
        register_firm_key(services, firm, valid_until=now_ms() + days * DAY_MS + 1_000)
    assert refused.value.code == "valid_until"


def test_the_service_never_takes_the_signing_back_by_itself(services: Services) -> None:
    firm = make_approved_firm(services, prefix=None)
    own = in_use(services, firm)
    record, _ = register_firm_key(services, firm)
    for key_id in (own.key_id, record.key_id):
        with pytest.raises(Conflict) as refused:
            accounts.rotate_key(services, organisation_id=firm.id, key_id=key_id)
        assert refused.value.code == "key_held_by_firm"
    accounts.revoke_key(services, organisation_id=firm.id, key_id=record.key_id, reason="Disk gone.")
    with pytest.raises(Conflict) as refused:
        in_use(services, firm)  # the service's key of before is valid, and is not used
    assert refused.value.code == "no_key"
    accounts.suspend_organisation(services, issuer=firm.issuer, decided_by=ADMINISTRATOR, reason="Under inquiry.")
    accounts.approve_organisation(services, issuer=firm.issuer, decided_by=ADMINISTRATOR, reason="All is well.")
    with pytest.raises(Conflict):
        in_use(services, firm)
    back = accounts.rotate_key(services, organisation_id=firm.id, key_id=record.key_id, hand_back=True)
    assert in_use(services, firm) == back
    assert back.holder is KeyHolder.SERVICE


def test_an_expired_key_of_the_firm_is_not_replaced_by_an_older_one_of_the_service(services: Services) -> None:
    firm = make_approved_firm(services, prefix=None)
    record, _ = register_firm_key(services, firm)
    with write_session(services.engine) as session:
        session.get_one(OrganisationKeyRow, record.key_id).valid_until = 1
    with pytest.raises(Conflict):
        in_use(services, firm)
    following, _ = register_firm_key(services, firm)
    assert in_use(services, firm) == following


def test_a_revocation_may_count_from_the_position_of_the_theft(services: Services) -> None:
    firm = make_approved_firm(services, prefix=None)
    record, _ = register_firm_key(services, firm)
    stolen_at = services.log.head()[0]
    make_approved_firm(services, prefix=None)
    for wrong in (record.registered_index, 0, services.log.head()[0] + 1):
        with pytest.raises(Invalid) as refused:
            accounts.revoke_key(
                services, organisation_id=firm.id, key_id=record.key_id, reason="Stolen.", from_index=wrong
            )
        assert refused.value.code == "from_index"
    revoked = accounts.revoke_key(
        services,
        organisation_id=firm.id,
        key_id=record.key_id,
        reason="Stolen.",
        from_index=stolen_at,
        actor="person:7",
    )
    assert revoked.revoked_index is not None
    assert revoked.revoked_from == stolen_at < revoked.revoked_index
    body = services.log.entry(revoked.revoked_index).body
    assert body is not None
    said = read_unverified(body.statement).payload
    assert (said["from_index"], said["by"]) == (stolen_at, "person:7")


@on_sqlite
def test_a_key_for_records_is_revoked_from_now_on_only(services: Services) -> None:
    firm = make_approved_firm(services, prefix=None)
    with Session(services.engine) as session:
        [statement] = [
            key
            for key in accounts.list_keys(session, organisation_id=firm.id)
            if key.purpose is OrganisationKeyPurpose.STATEMENT
        ]
    with pytest.raises(Invalid) as refused:
        accounts.revoke_key(
            services,
            organisation_id=firm.id,
            key_id=statement.key_id,
            reason="Stolen.",
            from_index=statement.registered_index + 1,
        )
    assert refused.value.code == "from_index"


def test_the_standing_of_the_issuer_comes_with_its_key(services: Services) -> None:
    firm = make_approved_firm(services, prefix=None)
    key_id = in_use(services, firm).key_id

    def suspended() -> bool:
        found = accounts.public_code_key(services.engine, key_id)
        assert found is not None
        return found.issuer_suspended

    assert not suspended()
    accounts.suspend_organisation(services, issuer=firm.issuer, decided_by=ADMINISTRATOR, reason="Under inquiry.")
    assert suspended()
    accounts.approve_organisation(services, issuer=firm.issuer, decided_by=ADMINISTRATOR, reason="All is well.")
    assert not suspended()


@on_sqlite
def test_the_api_registers_a_key_in_two_steps(services: Services, client: FlaskClient) -> None:
    firm = make_approved_firm(services, prefix=None)
    scopes = frozenset({Permission.KEY_MANAGE, Permission.ORGANISATION_READ})
    machine = bearer(api_key(services, Role.OWNER, organisation=firm, scopes=scopes))
    key = Ed25519PrivateKey.generate()
    public = encode_base64(key.public_key().public_bytes_raw())
    waiting = client.post("/v1/keys/registrations", json={"public_key": public}, headers=machine)
    assert waiting.status_code == 201, waiting.text
    said = waiting.get_json()
    assert said["issuer"] == firm.issuer
    members = {
        "key_id": said["key_id"],
        "public_key": public,
        "possession": encode_base64(key.sign(decode_base64(said["possession_message"]))),
    }
    done = client.post("/v1/keys", json=members, headers=machine)
    assert done.status_code == 201, done.text
    assert (done.get_json()["holder"], done.get_json()["public_key"]) == ("firm", public)
    refused = client.post(f"/v1/keys/{said['key_id']}/rotation", headers=machine)
    assert (refused.status_code, refused.get_json()["code"]) == (409, "key_held_by_firm")
    back = client.post(f"/v1/keys/{said['key_id']}/rotation", json={"holder": "service"}, headers=machine)
    assert (back.status_code, back.get_json()["holder"]) == (201, "service")
    bad = client.post("/v1/keys/registrations", json={"public_key": "A" * 44}, headers=machine)
    assert bad.status_code == 422
