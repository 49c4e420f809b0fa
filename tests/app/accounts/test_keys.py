"""Keys of organisations: registered with proof, replaced, revoked from a ledger position on, sealed at rest."""

import json
import secrets

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.accounts import service as accounts
from app.accounts.models import OrganisationKeyRow
from app.accounts.vocabulary import OrganisationKind
from app.core.database import write_session
from app.core.errors import Conflict, NotFound
from app.core.sealing import Sealer, SealError
from app.core.services import Services
from ledger.leaf import commitment
from ledger.statement import read_unverified
from ledger.storage.engine import begin_write
from ledger.strict import decode_base64
from scanners.codes.key_messages import possession_message
from tests.builders import make_approved, make_approved_firm, make_organisation, on_sqlite


def current_code_key(services: Services, firm: accounts.Organisation) -> accounts.OrganisationKey:
    with Session(services.engine) as session:
        in_use = accounts.code_key_in_use(session, organisation_id=firm.id)
        return accounts.code_key_by_id(session, services.sealer, organisation_id=firm.id, key_id=in_use.key_id)


def test_a_registration_proves_that_the_key_is_held(services: Services) -> None:
    firm = make_approved_firm(services, prefix=None)
    key = current_code_key(services, firm)
    body = services.log.entry(key.registered_index).body
    assert body is not None
    said = read_unverified(body.statement).payload
    assert (said["kind"], said["action"], said["key_id"]) == ("key", "registered", key.key_id)
    assert (said["organisation"], said["holder"], said["purpose"]) == (firm.issuer, "service", "code")
    public = decode_base64(str(said["public_key"]))
    message = possession_message(key_id=key.key_id, issuer=firm.issuer, purpose="code", public_key=public)
    Ed25519PublicKey.from_public_bytes(public).verify(decode_base64(str(said["possession"])), message)
    assert public == key.public_key.public_bytes_raw()


def test_the_public_key_is_found_by_its_number(services: Services) -> None:
    firm = make_approved_firm(services, prefix=None)
    key = current_code_key(services, firm)
    with Session(services.engine) as session, services.engine.connect() as connection:
        for source in (session, connection, services.engine):
            found = accounts.public_code_key(source, key.key_id)
            assert found is not None
            assert found.organisation_id == firm.id
            assert found.public_key.public_bytes_raw() == key.public_key.public_bytes_raw()
        assert accounts.public_code_key(session, 0) is None


def test_a_statement_key_is_no_code_key(services: Services) -> None:
    shop = make_approved(services, kind=OrganisationKind.SHOP)
    with Session(services.engine) as session:
        number = accounts.list_keys(session, organisation_id=shop.id)[0].key_id
        assert accounts.public_code_key(session, number) is None
        with pytest.raises(Conflict):
            accounts.code_key_in_use(session, organisation_id=shop.id)


def test_after_a_rotation_the_new_key_signs_and_the_old_one_still_counts(services: Services) -> None:
    firm = make_approved_firm(services, prefix=None)
    old = current_code_key(services, firm)
    new = accounts.rotate_key(services, organisation_id=firm.id, key_id=old.key_id)
    assert current_code_key(services, firm).key_id == new.key_id != old.key_id
    found = accounts.public_code_key(services.engine, old.key_id)
    assert found is not None
    assert found.revoked_from is None
    body = services.log.entry(new.registered_index).body
    assert body is not None
    assert read_unverified(body.statement).payload["replaces"] == old.key_id
    with Session(services.engine) as session:
        again = accounts.code_key_by_id(session, services.sealer, organisation_id=firm.id, key_id=old.key_id)
    assert again.private_key.private_bytes_raw() == old.private_key.private_bytes_raw()


def test_a_revocation_counts_from_its_ledger_position_and_a_successor_is_ready(services: Services) -> None:
    firm = make_approved_firm(services, prefix=None)
    old = current_code_key(services, firm)
    assert accounts.public_code_key(services.engine, old.key_id) is not None  # in the cache
    revoked = accounts.revoke_key(services, organisation_id=firm.id, key_id=old.key_id, reason="Laptop stolen.")
    assert revoked.revoked_index is not None
    assert revoked.revoked_index > old.registered_index
    found = accounts.public_code_key(services.engine, old.key_id)
    assert found is not None
    assert found.revoked_from == revoked.revoked_from == revoked.revoked_index
    assert current_code_key(services, firm).key_id != old.key_id
    with pytest.raises(Conflict):
        accounts.revoke_key(services, organisation_id=firm.id, key_id=old.key_id, reason="Again.")


def test_a_batch_is_not_published_under_a_key_that_was_revoked_meanwhile(services: Services) -> None:
    firm, other = make_approved_firm(services, prefix=None), make_approved_firm(services, prefix=None)
    key = current_code_key(services, firm)

    def code_of_refusal(organisation: accounts.Organisation) -> str | None:
        try:
            with begin_write(services.engine) as connection:
                accounts.refuse_unusable_key(connection, organisation_id=organisation.id, key_id=key.key_id)
        except Conflict as refused:
            return refused.code
        return None

    assert code_of_refusal(firm) is None
    assert code_of_refusal(other) == "key_unknown"
    accounts.revoke_key(services, organisation_id=firm.id, key_id=key.key_id, reason="Stolen.")
    assert code_of_refusal(firm) == "key_revoked"


def test_an_expired_key_signs_no_more(services: Services) -> None:
    firm = make_approved_firm(services, prefix=None)
    key = current_code_key(services, firm)
    with write_session(services.engine) as session:
        session.get_one(OrganisationKeyRow, key.key_id).valid_until = 1
    with pytest.raises(Conflict) as refused:
        current_code_key(services, firm)
    assert refused.value.code == "no_key"
    with pytest.raises(Conflict), begin_write(services.engine) as connection:
        accounts.refuse_unusable_key(connection, organisation_id=firm.id, key_id=key.key_id)


def test_nobody_touches_the_keys_of_another(services: Services) -> None:
    firm, other = make_approved_firm(services, prefix=None), make_approved_firm(services, prefix=None)
    key_id = current_code_key(services, firm).key_id
    with pytest.raises(NotFound):
        accounts.rotate_key(services, organisation_id=other.id, key_id=key_id)
    with pytest.raises(NotFound):
        accounts.revoke_key(services, organisation_id=other.id, key_id=key_id, reason="Mine now.")
    with Session(services.engine) as session, pytest.raises(NotFound):
        accounts.code_key_by_id(session, services.sealer, organisation_id=other.id, key_id=key_id)


@on_sqlite
def test_a_taken_key_number_is_drawn_again(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    firm = make_approved_firm(services, prefix=None)
    old = current_code_key(services, firm)
    numbers = iter([old.key_id - 1, 4_000_000_000])
    monkeypatch.setattr(secrets, "randbelow", lambda _: next(numbers))
    new = accounts.rotate_key(services, organisation_id=firm.id, key_id=old.key_id)
    assert new.key_id == 4_000_000_001


@on_sqlite
def test_private_keys_are_sealed_for_their_row_alone(services: Services) -> None:
    firm = make_approved_firm(services, prefix=None)
    key = current_code_key(services, firm)
    with Session(services.engine) as session:
        row = session.scalars(select(OrganisationKeyRow).where(OrganisationKeyRow.key_id == key.key_id)).one()
    raw = key.private_key.private_bytes_raw()
    assert row.sealed_private_key is not None
    assert raw not in row.sealed_private_key
    assert services.sealer.open(row.sealed_private_key, f"organisation key {key.key_id}") == raw
    with pytest.raises(SealError):
        services.sealer.open(row.sealed_private_key, "organisation key 1")
    with pytest.raises(SealError):
        Sealer(bytes(32)).open(row.sealed_private_key, f"organisation key {key.key_id}")


def test_an_outsider_can_compute_the_leaf_of_every_key_event(services: Services) -> None:
    firm = make_approved_firm(services, prefix=None)
    old = current_code_key(services, firm)
    accounts.revoke_key(services, organisation_id=firm.id, key_id=old.key_id, reason="Stolen.")
    history = accounts.key_history(services, issuer=firm.issuer)
    assert len(history.keys) == 3
    assert len(history.entries) == 4
    for entry in history.entries:
        leaf = services.log.entry(entry.index).leaf
        assert commitment(decode_base64(entry.salt), entry.body.encode()) == leaf.commitment
        assert json.loads(entry.body)["kind"] == "key"


@on_sqlite
def test_an_organisation_that_still_waits_has_no_public_keys(services: Services) -> None:
    pending = make_organisation(services)
    with pytest.raises(NotFound):
        accounts.key_history(services, issuer=pending.issuer)
