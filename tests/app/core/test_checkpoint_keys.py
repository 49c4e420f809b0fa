"""The log's keys as the service keeps them: sealed, changed while it runs, and gone once retired."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from sqlalchemy import Engine, delete, select
from sqlalchemy.orm import Session

from app.core.bootstrap import open_ledger, open_services
from app.core.config import Settings
from app.core.database import create_database_engine, write_session
from app.core.sealing import Sealer, SealError
from app.core.service_keys import KeyPurpose, ServiceKeyRow, load_service_keys, open_private_key
from app.core.services import Services
from ledger.audit import audit
from ledger.errors import StorageError
from ledger.keys.rotation import KeyChange, retire_key, rotate_key
from ledger.note import NoteSigner
from ledger.own import StatementSigner
from scanners.trust import TrustList


def statement_signer(services: Services) -> StatementSigner:
    key = services.keys[KeyPurpose.STATEMENT]
    return StatementSigner(key.key_id, key.private_key)


def rotate(services: Services) -> KeyChange:
    return rotate_key(services.log, services.checkpoint_keys, statement_signer(services))


def retire(services: Services) -> KeyChange:
    return retire_key(services.log, services.checkpoint_keys, statement_signer(services), at_once=True)


def rows_of(engine: Engine) -> list[ServiceKeyRow]:
    with Session(engine) as session:
        chosen = select(ServiceKeyRow).where(ServiceKeyRow.purpose == KeyPurpose.CHECKPOINT)
        return list(session.scalars(chosen.order_by(ServiceKeyRow.number)))


def test_the_rows_and_the_entries_of_the_log_say_the_same(services: Services) -> None:
    for change in (rotate, retire, rotate):
        change(services)
        told = [(key.verifier.public_key.public_bytes_raw(), key.first_size, key.last_size) for key in
                services.log.keys().keys]  # fmt: skip
        assert [(row.public_key, row.signs_from, row.signs_until) for row in rows_of(services.engine)] == told
    assert [row.number for row in rows_of(services.engine)] == [1, 2, 3]
    for key in services.log.keys().keys:
        assert audit(services.engine, key.verifier).faults == []


def test_the_private_half_of_a_retired_key_is_gone(services: Services) -> None:
    rotate(services)
    [sealed, _] = [row.sealed_private_key for row in rows_of(services.engine)]
    assert sealed is not None
    assert retire(services).kept is None
    if services.engine.dialect.name == "sqlite":
        path = Path(str(services.engine.url.database))
        assert sealed not in b"".join(file.read_bytes() for file in path.parent.glob(f"{path.name}*"))
    old, new = rows_of(services.engine)
    assert old.sealed_private_key is None
    with pytest.raises(SealError, match="gone"):
        open_private_key(services.sealer, old.key_id, old.sealed_private_key)
    assert new.sealed_private_key is not None
    assert open_private_key(services.sealer, new.key_id, new.sealed_private_key).public_key().public_bytes_raw() == (
        new.public_key
    )


def test_a_service_started_before_in_between_or_after_signs_alike(settings: Settings, services: Services) -> None:
    opened = [open_services(settings)]
    rotate(services)
    opened.append(open_services(settings))
    retire(services)
    opened.append(open_services(settings))
    for other in opened:
        newest = services.log.keys().current
        assert [signer.verifier for signer in other.checkpoint_keys.current()] == [key.verifier for key in newest]
        other.log.checkpoint(at_least=services.log.head()[0])
        assert other.log.keys() == services.log.keys()
        other.engine.dispose()
    context = open_ledger(settings)
    assert context.open_log().keys() == services.log.keys()
    context.engine.dispose()


def test_the_trust_list_is_signed_by_the_keys_of_the_moment_and_each_follows_the_last(
    client: FlaskClient, services: Services
) -> None:
    held = TrustList.from_json(client.get("/v1/trust").data)
    lists = [held]
    for change in (rotate, retire, rotate, retire):
        change(services)
        text = client.get("/v1/trust").data
        held = held.renewed_by(text)
        lists.append(held)
        assert held.log_keys == services.log.keys()
        assert json.loads(text)["signature"].count("\n— ") == len(held.log_keys.current)
    assert [len(trust.log_keys.current) for trust in lists] == [1, 2, 1, 2, 1]
    for earlier in lists:
        earlier.renewed_by(client.get("/v1/trust").data)


def test_a_log_without_a_key_signs_nothing(services: Services) -> None:
    with write_session(services.engine) as session:
        session.execute(delete(ServiceKeyRow))
    with services.engine.connect() as connection, pytest.raises(StorageError, match="no key"):
        services.checkpoint_keys.signers(connection, 1)


def test_processes_that_start_together_agree_on_one_key_a_purpose(settings: Settings, services: Services) -> None:
    with write_session(services.engine) as session:
        session.execute(delete(ServiceKeyRow))

    def start(_number: int) -> dict[KeyPurpose, str]:
        engine = create_database_engine(settings.effective_database_url)
        try:
            with write_session(engine) as session:
                return {key: made.key_id for key, made in load_service_keys(session, services.sealer).items()}
        finally:
            engine.dispose()

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(start, range(8)))
    assert all(keys == found[0] for keys in found)
    assert set(found[0]) == set(KeyPurpose)


def test_a_key_does_not_open_under_another_key_encryption_key(services: Services) -> None:
    [row] = rows_of(services.engine)
    with pytest.raises(SealError):
        open_private_key(Sealer(b"\x01" * 32), row.key_id, row.sealed_private_key)


def test_an_opened_key_is_kept_and_shown_to_nobody(services: Services) -> None:
    with services.engine.connect() as connection:
        [first], [second] = (services.checkpoint_keys.signers(connection, size) for size in (0, 7))
    assert first is second
    assert isinstance(first, NoteSigner)
    assert first.private_key.private_bytes_raw().hex() not in repr(services.checkpoint_keys) + repr(first)
