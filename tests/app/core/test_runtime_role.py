"""The role that serves on PostgreSQL runs the whole service and can not change what only grows, nor the guards."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import Engine, text
from sqlalchemy.exc import DatabaseError

from app import create_app
from app.core.backup import back_up
from app.core.bootstrap import grant_to_runtime, migrate, open_services
from app.core.config import Settings
from app.core.services import Services
from app.facts import service as facts
from app.facts.scans.committing import commit_new_scans
from app.facts.scans.open import open_scan_store
from app.verification.actions import Action
from ledger.audit import audit
from ledger.erasure import erase
from ledger.errors import RoleRefused
from ledger.own import StatementSigner
from ledger.storage.tables import APPEND_ONLY_TABLES
from tests.app.conftest import KEY_ENCRYPTION_KEY, close
from tests.app.verification.verdict_builders import make_world
from tests.builders import make_approved_firm
from tests.databases import Databases, postgresql_is_available

pytestmark = [
    pytest.mark.postgresql,
    pytest.mark.skipif(not postgresql_is_available(), reason="PostgreSQL wheel is not installed"),
]
ROLE = "marchamo_runtime"


def settings_of(url: str, folder: Path) -> Settings:
    return Settings(
        data_dir=folder,
        database_url=url,
        public_url="http://localhost",
        key_encryption_key=KEY_ENCRYPTION_KEY,
        rate_limits=False,
    )


@pytest.fixture
def owner(databases: Databases, tmp_path: Path) -> Iterator[Settings]:
    """The owner's settings of a migrated database whose serving role has its rights."""

    def prepare(url: str) -> None:
        databases.postgresql.execute(f"CREATE ROLE {ROLE} LOGIN")
        migrate(settings_of(url, tmp_path))
        grant_to_runtime(settings_of(url, tmp_path), ROLE)

    url = databases.copy_of("runtime role", prepare, "postgresql", tmp_path)
    grant_to_runtime(settings_of(url, tmp_path), ROLE)  # rights on the database itself are not copied with it
    yield settings_of(url, tmp_path)
    databases.discard(url)


@pytest.fixture
def serving(owner: Settings) -> Iterator[Flask]:
    """The application, connected as the role that serves."""
    application = create_app(replace(owner, database_url=as_role(owner.database_url)))
    application.testing = True
    yield application
    close(application)


def as_role(url: str) -> str:
    changed = re.sub(r"//[^@/]*@", f"//{ROLE}@", url)
    assert changed != url
    return changed


@pytest.fixture
def engine(serving: Flask) -> Engine:
    running: Services = serving.extensions["marchamo"]
    make_approved_firm(running)
    return running.engine


def test_the_service_works_as_the_role_that_serves(serving: Flask) -> None:
    running: Services = serving.extensions["marchamo"]
    with running.engine.connect() as connection:
        assert connection.execute(text("SELECT current_user")).scalar() == ROLE
    world = make_world(running)
    code = world.codes[0]
    assert world.ask(code).verdict is not None
    assert world.ask(code, who=world.owner, action=Action.SELL).verdict is not None
    client = serving.test_client()
    assert client.get("/health").get_json()["ledger_size"] > 0
    assert client.get("/log/checkpoint").status_code == 200
    assert audit(running.engine, running.log.verifier).ok
    store = open_scan_store(running.settings, running.engine)
    assert len(commit_new_scans(running, store)) == 1
    store.close()


def test_erasing_is_the_owners(owner: Settings, serving: Flask) -> None:
    running: Services = serving.extensions["marchamo"]
    world = make_world(running)
    assert world.ask(world.codes[0], who=world.owner, action=Action.SELL).verdict is not None
    with running.engine.connect() as connection:
        sale = connection.execute(text("SELECT log_index FROM events WHERE kind = 'sold'")).scalar_one()
    key = next(iter(running.keys.values()))
    signer = StatementSigner(key.key_id, key.private_key)
    size = running.log.head()[0]
    with pytest.raises(RoleRefused, match="only the role that owns the tables can erase"):
        erase(running.log, running.engine, sale, reason="Asked for.", signer=signer, copies=[facts.EVENT_BODIES])
    assert running.log.head()[0] == size
    services = open_services(owner)
    try:
        done = erase(services.log, services.engine, sale, reason="Asked for.", signer=signer,
                     copies=[facts.EVENT_BODIES])  # fmt: skip
        assert (done.index, done.kept) == (size, None)
        with services.engine.connect() as connection:
            assert connection.execute(text("SELECT body FROM events WHERE kind = 'sold'")).scalar_one() == ""
    finally:
        services.engine.dispose()


GROWING = (*APPEND_ONLY_TABLES, "events", "event_units", "scan_commitments", "scan_redactions")


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM {table}",
        "TRUNCATE {table}",
        "TRUNCATE {table} CASCADE",
        "ALTER TABLE {table} DISABLE TRIGGER ALL",
        "ALTER TABLE {table} ADD COLUMN more INTEGER",
        "ALTER TABLE {table} OWNER TO CURRENT_USER",
        "DROP TABLE {table}",
        "DROP TABLE {table} CASCADE",
        "CREATE TRIGGER mine BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION ledger_refuse_change()",
        "CREATE RULE mine AS ON INSERT TO {table} DO INSTEAD NOTHING",
        "GRANT ALL ON {table} TO CURRENT_USER",
        "LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE",
    ],
)
def test_no_table_that_grows_is_changed_by_the_role_that_serves(engine: Engine, statement: str) -> None:
    for table in GROWING:
        with engine.connect() as connection:
            privileges = "SELECT has_table_privilege(:table, 'DELETE, TRUNCATE, REFERENCES, TRIGGER')"
            if statement.startswith("GRANT"):
                # Granting what one has not gives a warning and no right.
                connection.execute(text(statement.format(table=table)))
                assert not connection.execute(text(privileges), {"table": table}).scalar()
                continue
            with pytest.raises(DatabaseError, match=r"permission denied|must be owner"):
                connection.execute(text(statement.format(table=table)))


@pytest.mark.parametrize(
    "statement",
    [
        "DROP TRIGGER ledger_heads_append_only ON ledger_heads",
        "DROP TRIGGER ledger_entries_only_erase ON ledger_entries",
        "DROP FUNCTION ledger_refuse_change CASCADE",
        "CREATE OR REPLACE FUNCTION ledger_refuse_change() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
        "CREATE TABLE shadow (number INTEGER)",
        "CREATE FUNCTION mine() RETURNS INTEGER LANGUAGE sql AS 'SELECT 1'",
        "DROP SCHEMA public CASCADE",
        "SET session_replication_role = replica",
        "ALTER ROLE CURRENT_USER SUPERUSER",
        "SET ROLE postgres",
        "UPDATE ledger_heads SET root = root",
        "UPDATE ledger_checkpoints SET note = ''",
        "UPDATE ledger_tags SET index = 0",
        "UPDATE ledger_entries SET index = index + 1",
        "UPDATE ledger_entries SET statement_key = 0",
        "UPDATE ledger_entries SET salt = NULL, body = sha256(salt || body) || substr(body, 1, 16)",
        "INSERT INTO ledger_erasures VALUES (0, 1)",
        "UPDATE events SET body = ''",
        "CREATE TEMP TABLE ledger_freezes (entry BIGINT)",
        "UPDATE events SET kind = ''",
        "UPDATE scan_commitments SET log_index = 0",
        "UPDATE alembic_version SET version_num = 'x'",
        "DELETE FROM ledger_freezes",
        "INSERT INTO ledger_heads SELECT * FROM ledger_heads ON CONFLICT (size) DO UPDATE SET root = EXCLUDED.root",
    ],
)
def test_the_guards_stand_against_the_role_that_serves(engine: Engine, statement: str) -> None:
    with engine.connect() as connection, pytest.raises(DatabaseError, match=r"permission denied|must be owner"):
        connection.execute(text(statement))


@pytest.mark.parametrize(
    ("role", "what"),
    [
        ("postgres", "superuser"),
        ("nobody_at_all", "no role"),
        ("x; DROP TABLE events", "lower-case"),
        ("Quoted", "lower-case"),
    ],
)
def test_a_role_that_could_take_the_guards_away_is_refused(owner: Settings, role: str, what: str) -> None:
    with pytest.raises(RoleRefused, match=what):
        grant_to_runtime(owner, role)


def test_the_role_that_serves_can_back_up(owner: Settings, engine: Engine, tmp_path: Path) -> None:
    runtime = replace(owner, database_url=as_role(owner.database_url))
    with engine.connect() as connection:
        size = connection.execute(text("SELECT max(size) FROM ledger_heads")).scalar()
    assert back_up(runtime, tmp_path / "backup", lambda _what, _done, _whole: None).size == size


def test_granting_again_after_a_migration_changes_nothing(owner: Settings, engine: Engine) -> None:
    grant_to_runtime(owner, ROLE)
    with engine.connect() as connection:
        assert connection.execute(text("SELECT has_table_privilege('products', 'UPDATE')")).scalar()
        assert not connection.execute(text("SELECT has_table_privilege('ledger_heads', 'UPDATE')")).scalar()


def test_sqlite_has_no_roles_and_says_so(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, key_encryption_key=KEY_ENCRYPTION_KEY)
    migrate(settings)
    with pytest.raises(RoleRefused, match="SQLite has no roles"):
        grant_to_runtime(settings, ROLE)
