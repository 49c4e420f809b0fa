"""What a machine's call costs after the first, and what the audit says of rows that nobody was given."""

import time

import pytest
from flask import Flask, g
from sqlalchemy import delete, event, func, update

from app.access import forget_machine, identify, remembered, remembered_principal
from app.access import service as access
from app.access.machine_models import ClientCertificateRow, OAuthClientRow
from app.access.models import ApiKeyRow
from app.core.authorisation import Permission, Principal, Role
from app.core.clock import now_ms
from app.core.database import Base, write_session
from app.core.services import Services
from app.core.token_ids import use_token_id
from ledger.audit import audit
from tests.app.access.machine_builders import ask_with_basic, certificate
from tests.builders import make_approved_firm, on_sqlite, principal


def credentials(app: Flask, services: Services) -> dict[str, str]:
    """The Authorization headers of a key and of a token."""
    firm = make_approved_firm(services, prefix=None)
    _, key = access.create_api_key(
        services, principal=principal(firm), name="till", role=Role.OPERATOR, scopes=None, days=9
    )
    made, secret = access.create_oauth_client(
        services, principal=principal(firm), name="system", role=Role.OPERATOR, scopes=None, days=9
    )
    assert secret is not None
    token = ask_with_basic(app.test_client(), made.client_id, secret).get_json()["access_token"]
    return {"key": f"Bearer {key}", "token": f"Bearer {token}"}


@on_sqlite
@pytest.mark.parametrize("kind", ["key", "token"])
def test_after_the_first_call_a_machine_is_known_without_the_database(
    app: Flask, services: Services, kind: str
) -> None:
    header = credentials(app, services)[kind]

    def caller() -> Principal:
        with app.test_request_context("/v1/organisation", headers={"Authorization": header}):
            identify()
            found: Principal = g.principal
            return found

    first = caller()
    statements: list[str] = []
    event.listen(services.engine, "before_cursor_execute", lambda *arguments: statements.append(arguments[2]))
    assert caller() is first
    assert remembered_principal(header) is first
    assert statements == []
    assert first.machine is not None
    forget_machine(first.machine)
    assert remembered_principal(header) is None
    assert caller() == first
    assert statements != []


@on_sqlite
def test_knowing_a_remembered_machine_takes_microseconds(app: Flask, services: Services) -> None:
    headers = credentials(app, services)
    for header in headers.values():
        assert app.test_client().get("/v1/organisation", headers={"Authorization": header}).status_code == 200
        times = []
        for _ in range(2000):
            start = time.perf_counter()
            assert remembered_principal(header) is not None
            times.append(time.perf_counter() - start)
        assert sorted(times)[1000] < 50e-6  # measured: about 2; a look-up in the database takes hundreds


def test_what_is_remembered_is_bounded_and_forgotten_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remembered, "CACHE_ENTRIES", 8)
    for number in range(20):
        remembered.remember(b"%d" % number, Principal(machine=f"api-key:{number}"))
    assert len(remembered._cache) <= 8
    assert remembered.remembered(b"19") is not None
    later = time.monotonic() + remembered.CACHE_SECONDS
    monkeypatch.setattr("app.access.remembered.time.monotonic", lambda: later)
    assert remembered.remembered(b"19") is None


def test_an_identifier_counts_once_for_each_issuer(services: Services) -> None:
    soon = now_ms() + 60_000
    assert use_token_id(services, issuer="client:a", token_id="12345678", expires_at=soon)
    assert not use_token_id(services, issuer="client:a", token_id="12345678", expires_at=soon)
    assert use_token_id(services, issuer="client:b", token_id="12345678", expires_at=soon)
    assert use_token_id(services, issuer="client:a", token_id="old", expires_at=now_ms() - 1)
    assert use_token_id(services, issuer="client:a", token_id="old", expires_at=soon)  # forgotten with its time


def findings(services: Services) -> list[str]:
    log = services.log
    report = audit(services.engine, log.verifier, origin=log.origin, extra_checks=(access.check_machines,))
    return sorted(f"{fault.where}: {fault.message}" for fault in report.faults)


def make_machines(services: Services) -> access.ApiKey:
    """A replaced key, its successor, which is given back, a client that ended, and a certificate."""
    maker = principal(make_approved_firm(services, prefix=None))
    old, _ = access.create_api_key(services, principal=maker, name="a", role=Role.OPERATOR, scopes=None, days=9)
    new, _ = access.rotate_api_key(services, principal=maker, prefix=old.prefix)
    client, _ = access.create_oauth_client(
        services, principal=maker, name="b", role=Role.OPERATOR, scopes=frozenset({Permission.JOB_READ}), days=9
    )
    access.revoke_oauth_client(services, principal=maker, client_id=client.client_id)
    access.register_certificate(
        *(services,), principal=maker, name="c", role=Role.AUDITOR, scopes=None, days=9, certificate=certificate().pem
    )
    return new


def test_an_audit_finds_machines_as_the_acts_left_them(services: Services) -> None:
    make_machines(services)
    assert findings(services) == []


@on_sqlite
@pytest.mark.parametrize(
    ("table", "column", "value", "finding"),
    [
        (ApiKeyRow, "role", "owner", "another role"),
        (ApiKeyRow, "expires_at", 4_000_000_000_000, "another end"),
        (ApiKeyRow, "created_by", "person:2", "another maker"),
        (ApiKeyRow, "key_hash", func.randomblob(32), "another secret or key"),
        (OAuthClientRow, "secret_hash", bytes(32), "another secret or key"),
        (OAuthClientRow, "public_jwk", "{}", "another secret or key"),
        (OAuthClientRow, "scopes", None, "another scopes"),
        (OAuthClientRow, "revoked_at", None, "says that it was ended"),
        (ClientCertificateRow, "revoked_at", 5, "it was ended, and the ledger does not say so"),
        (ClientCertificateRow, "thumbprint", bytes(32), "no act on the ledger made it"),
    ],
)
def test_an_audit_names_a_machine_that_was_given_other_powers(
    services: Services, table: type[Base], column: str, value: object, finding: str
) -> None:
    make_machines(services)
    with write_session(services.engine) as session:
        session.execute(update(table).values({column: value}))
    found = findings(services)
    assert found
    assert all(one.startswith(table.__tablename__) for one in found)
    assert any(finding in one for one in found)


@on_sqlite
def test_an_audit_names_a_machine_that_acts_for_another_organisation_or_has_gone(services: Services) -> None:
    new = make_machines(services)
    other = make_approved_firm(services, prefix=None)
    with write_session(services.engine) as session:
        session.execute(update(ApiKeyRow).where(ApiKeyRow.prefix == new.prefix).values(organisation_id=other.id))
        session.execute(delete(ClientCertificateRow))
    moved, gone = findings(services)
    assert f"it acts for {other.issuer}" in moved
    assert "there is no row" in gone
