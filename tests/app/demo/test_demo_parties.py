"""The demonstration's parties: made once, kept, and made again when the database is new."""

from __future__ import annotations

import orjson
import pytest
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from app.access import service as access
from app.core.authorisation import Role
from app.core.services import Services
from app.demo import parties as making
from app.demo.parties import FILE, GTIN, ensure_parties
from app.registry import service as registry
from tests.builders import on_sqlite


@on_sqlite
def test_parties_are_made_once_and_found_again(services: Services) -> None:
    first = ensure_parties(services, units=3)
    size, _ = services.log.head()
    assert ensure_parties(services, units=3) == first
    assert services.log.head()[0] == size


@on_sqlite
def test_the_passwords_lie_in_a_file_that_only_its_owner_reads(services: Services) -> None:
    parties = ensure_parties(services, units=1)
    path = services.settings.data_dir / FILE
    assert path.stat().st_mode & 0o777 == 0o600
    assert orjson.loads(path.read_bytes())["shop"]["password"] == parties.shop.password
    passwords = {party.password for party in (parties.administrator, parties.firm, parties.shop, parties.customs)}
    assert len(passwords) == 4
    assert all(len(password) >= 12 for password in passwords)


@on_sqlite
def test_each_party_can_sign_in_with_its_password(services: Services) -> None:
    parties = ensure_parties(services, units=1)
    for party in (parties.administrator, parties.firm, parties.shop, parties.customs):
        assert access.sign_in(services, email=party.email, password=party.password, visitor=access.Visitor("127.0.0.1"))


@on_sqlite
def test_the_file_of_another_database_does_not_count(services: Services) -> None:
    path = services.settings.data_dir / FILE
    ghost = {"issuer": "ZZZZZZ", "name": "x", "email": "x@x.example", "password": "x"}
    names = ("administrator", "firm", "shop", "customs")
    path.write_bytes(orjson.dumps(dict.fromkeys(names, ghost) | {"product": GTIN, "batch": "AAAAA"}))
    parties = ensure_parties(services, units=1)
    assert parties.firm.issuer != "ZZZZZZ"
    assert orjson.loads(path.read_bytes())["firm"]["issuer"] == parties.firm.issuer


@pytest.mark.parametrize("rubbish", [b"", b"{", b"[]", b"{}", b'{"firm": 1}'])
@on_sqlite
def test_a_damaged_file_does_not_stop_the_start(services: Services, rubbish: bytes) -> None:
    path = services.settings.data_dir / FILE
    path.write_bytes(rubbish)
    parties = ensure_parties(services, units=1)
    assert orjson.loads(path.read_bytes())["batch"] == parties.batch


def test_the_batch_has_as_many_codes_as_asked_for_on_either_database(services: Services, client: FlaskClient) -> None:
    parties = ensure_parties(services, units=5)
    with Session(services.engine) as session:
        batch = registry.find_batch(session, parties.batch)
        codes = list(
            registry.codes_of_batch(
                session, services.sealer, batch, stem=services.settings.code_stem, start=0, count=None
            )
        )
    assert len(codes) == 5
    assert all(f"/01/{GTIN}/" in code.text for code in codes)
    answer = client.post("/v1/verify", json={"code": codes[0].text}).get_json()
    assert answer["authenticity"] == "REGISTERED"


@on_sqlite
def test_a_party_acts_in_the_role_that_was_asked_for(services: Services) -> None:
    parties = ensure_parties(services, units=1)
    inspector = making.principal_of(services, parties.customs, Role.INSPECTOR)
    assert inspector.role is Role.INSPECTOR
    assert inspector.name == parties.customs.name
