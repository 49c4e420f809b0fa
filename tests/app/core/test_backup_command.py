"""`marchamo backup` and `marchamo restore`: the whole registry comes back, and it never forks its ledger."""

from __future__ import annotations

import base64
import json
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from flask import Flask
from sqlalchemy import text

from app import create_app
from app.cli import cli
from app.core import backup
from app.core.bootstrap import open_ledger
from app.core.config import Settings
from app.core.services import Services
from ledger.audit import audit
from ledger.mark.high_water import MarkState
from ledger.note import NoteSigner
from tests.app.conftest import KEY_ENCRYPTION_KEY, close
from tests.builders import make_approved_firm
from tests.databases import Databases


def environment(settings: Settings) -> dict[str, str]:
    return {
        "MARCHAMO_DATA_DIR": str(settings.data_dir),
        "MARCHAMO_DATABASE_URL": settings.database_url,
        "MARCHAMO_PUBLIC_URL": settings.public_url,
        "MARCHAMO_KEY_ENCRYPTION_KEY": base64.b64encode(settings.key_encryption_key).decode(),
    }


def run(settings: Settings, *arguments: object) -> Result:
    return CliRunner().invoke(cli, [str(argument) for argument in arguments], env=environment(settings))


def answer(settings: Settings, *arguments: object) -> dict[str, Any]:
    done = run(settings, *arguments)
    assert done.exit_code == 0, done.output
    members: dict[str, Any] = json.loads(done.stdout)
    return members


def register(services: Services) -> int:
    """Do what appends to the ledger: an organisation that asks and is approved. Gives its number."""
    return make_approved_firm(services, prefix=None).id


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "backup"


@pytest.fixture
def elsewhere(settings: Settings, databases: Databases, database_kind: str, tmp_path: Path) -> Iterator[Settings]:
    """The settings of another machine: an empty database, another data folder, the same key-encryption key."""
    home = tmp_path / "elsewhere"
    home.mkdir()
    url = databases.fresh(database_kind, home)
    yield replace(settings, data_dir=home, database_url=url)
    databases.discard(url)


def reopened(settings: Settings) -> Flask:
    application = create_app(settings)
    application.testing = True
    return application


def running(application: Flask) -> Services:
    found: Services = application.extensions["marchamo"]
    return found


def put_back(settings: Settings, databases: Databases, home: Path) -> Settings:
    """Empty the database of this machine, as after a failed disk; its high-water mark lies on another."""
    if settings.database_url.startswith("sqlite"):
        for path in home.glob("test.db*"):
            path.unlink()
        shutil.rmtree(settings.scans_dir, ignore_errors=True)
        return settings
    databases.discard(settings.database_url)
    return replace(settings, database_url=databases.fresh("postgresql", home))


def test_everything_comes_back_on_another_machine(services: Services, elsewhere: Settings, folder: Path) -> None:
    firm = register(services)
    size, root = services.log.head()
    made = answer(services.settings, "backup", folder, "--json")
    assert (made["size"], made["root"], made["ok"]) == (size, root.hex(), True)
    assert answer(services.settings, "backup", "--verify", folder, "--json") == made
    restored = answer(elsewhere, "restore", folder, "--json")
    assert (restored["size"], restored["high_water"], restored["writable"]) == (size, "missing", False)
    adopted = answer(elsewhere, "ledger", "adopt", "--yes", "--json")
    assert (adopted["adopted"], adopted["lost"], adopted["entry"]) == (True, 0, size)
    application = reopened(elsewhere)
    try:
        again = running(application)
        assert again.log.head()[0] == size + 1
        assert again.keys.keys() == services.keys.keys()
        assert {key.key_id for key in again.keys.values()} == {key.key_id for key in services.keys.values()}
        assert audit(again.engine, again.log.verifier).ok
        assert register(again) != firm
        with again.engine.connect() as new, services.engine.connect() as old:
            count = text("SELECT count(*) FROM organisations")
            assert new.execute(count).scalar_one() == old.execute(count).scalar_one() + 1
    finally:
        close(application)


def test_a_backup_says_loudly_what_is_not_in_it(services: Services, folder: Path) -> None:
    done = run(services.settings, "backup", folder)
    assert done.exit_code == 0, done.output
    assert "NOT in this backup: the key-encryption key" in done.stderr
    names = {path.name for path in folder.iterdir()}
    assert not names & {"kek", "high-water"}
    assert not any(KEY_ENCRYPTION_KEY in path.read_bytes() for path in folder.iterdir())


def test_yesterdays_backup_on_the_same_machine_can_not_fork_the_ledger(
    app: Flask, services: Services, databases: Databases, folder: Path, tmp_path: Path
) -> None:
    settings = services.settings
    register(services)
    answer(settings, "backup", folder, "--json")
    yesterday = services.log.head()[0]
    register(services)
    today = services.log.head()[0]
    kept = tmp_path / "kept"
    kept.write_text(services.log.checkpoint(at_least=today).note_text)
    close(app)
    settings = put_back(settings, databases, tmp_path)
    restored = answer(settings, "restore", folder, "--json")
    assert (restored["high_water"], restored["writable"]) == ("ahead", False)

    application = reopened(settings)
    try:
        client = application.test_client()
        assert client.get("/health").status_code == 200
        with pytest.raises(Exception, match="were acknowledged, but the database has only"):
            register(running(application))
        assert running(application).log.head()[0] == yesterday

        refused = run(settings, "ledger", "adopt", "--yes", "--witnessed", kept)
        assert refused.exit_code == 1
        assert f"{today - yesterday} acknowledged entries, {yesterday} to {today - 1}, are not in" in refused.output
        assert run(settings, "ledger", "adopt", "--yes", "--lost").exit_code == 2, "a loss needs a reason"

        reason = "The disk failed and the newest backup is of yesterday."
        done = run(settings, "ledger", "adopt", "--yes", "--lost", "--reason", reason, "--witnessed", kept)
        assert done.exit_code == 0, done.output
        assert "send their statements again" in done.output
        entry = running(application).log.entry(yesterday)
        assert entry.body is not None
        assert entry.body.kind == "ledger.adopted"
        register(running(application))
        finding = running(application).log.finding()
        assert finding is not None
        assert finding.state is MarkState.OK
        with running(application).engine.connect() as connection:
            alarm = connection.execute(text("SELECT detail, evidence FROM ledger_alarms")).one()
        assert reason in alarm.detail
        assert kept.read_text().splitlines()[2] in alarm.evidence
    finally:
        close(application)
    if settings.database_url != services.settings.database_url:
        databases.discard(settings.database_url)


def test_a_known_checkpoint_keeps_a_restored_ledger_closed_where_no_mark_is(
    services: Services, elsewhere: Settings, folder: Path, tmp_path: Path
) -> None:
    answer(services.settings, "backup", folder, "--json")
    register(services)
    size = services.log.head()[0]
    kept = tmp_path / "kept"
    kept.write_text(services.log.checkpoint(at_least=size).note_text)
    key = services.log.verifier.to_text()
    assert run(elsewhere, "restore", folder, "--known", kept).exit_code == 2
    restored = answer(elsewhere, "restore", folder, "--known", kept, "--key", key, "--json")
    assert (restored["high_water"], restored["writable"]) == ("ahead", False)
    refused = run(elsewhere, "ledger", "adopt", "--yes")
    assert refused.exit_code == 1
    assert "high-water mark" in refused.output


def test_a_restore_that_is_cut_off_leaves_a_ledger_that_what_is_known_keeps_closed(
    services: Services, elsewhere: Settings, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folder's mark is of the day of the backup: it alone would let the log go on."""
    answer(services.settings, "backup", folder, "--json")
    shutil.copy(services.settings.effective_high_water_file, elsewhere.effective_high_water_file)
    register(services)
    size = services.log.head()[0]
    kept = tmp_path / "kept"
    kept.write_text(services.log.checkpoint(at_least=size).note_text)

    def cut_off(_settings: Settings) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(backup, "migrate", cut_off)
        arguments = ("restore", folder, "--known", kept, "--key", services.log.verifier.to_text())
        assert run(elsewhere, *arguments).exit_code != 0
    log = open_ledger(elsewhere).open_log()
    assert log.head()[0] < size
    finding = log.finding()
    assert finding is not None
    assert finding.state is MarkState.AHEAD
    assert run(elsewhere, "ledger", "adopt", "--yes").exit_code == 1


def test_a_restore_never_writes_over_a_registry(services: Services, folder: Path) -> None:
    register(services)
    answer(services.settings, "backup", folder, "--json")
    before = services.log.head()
    refused = run(services.settings, "restore", folder)
    assert refused.exit_code == 1
    assert "not empty" in refused.output
    assert services.log.head() == before


def test_a_database_that_was_only_migrated_counts_as_empty(
    services: Services, elsewhere: Settings, folder: Path
) -> None:
    register(services)
    made = answer(services.settings, "backup", folder, "--json")
    assert run(elsewhere, "migrate").exit_code == 0
    assert answer(elsewhere, "restore", folder, "--json")["root"] == made["root"]
    assert run(elsewhere, "ledger", "audit", "--full").exit_code == 0


def test_another_key_encryption_key_is_noticed(services: Services, elsewhere: Settings, folder: Path) -> None:
    answer(services.settings, "backup", folder, "--json")
    wrong = replace(elsewhere, key_encryption_key=bytes(32))
    refused = run(wrong, "restore", folder)
    assert refused.exit_code != 0
    assert "does not open under this key-encryption key" in str(refused.exception)


def test_a_restore_without_a_key_encryption_key_makes_no_new_one(
    services: Services, elsewhere: Settings, folder: Path
) -> None:
    answer(services.settings, "backup", folder, "--json")
    bare = replace(elsewhere, key_encryption_key=b"")
    refused = run(bare, "restore", folder)
    assert refused.exit_code != 0
    assert "it is in no backup" in str(refused.exception)
    assert not (bare.data_dir / "kek").exists()


def test_the_ledger_of_another_name_is_not_restored_under_ours(
    services: Services, elsewhere: Settings, folder: Path
) -> None:
    answer(services.settings, "backup", folder, "--json")
    refused = run(replace(elsewhere, public_url="http://other.example"), "restore", folder)
    assert "set MARCHAMO_LOG_ORIGIN=localhost/log" in str(refused.exception)


def test_scans_come_along(services: Services, elsewhere: Settings, folder: Path) -> None:
    if services.engine.dialect.name != "sqlite":
        pytest.skip("on PostgreSQL scans are a table like any other")
    services.settings.scans_dir.mkdir(exist_ok=True)
    with closing(sqlite3.connect(services.settings.scans_dir / "07.db")) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS seen (number INTEGER)")
        connection.execute("INSERT INTO seen VALUES (42)")
        connection.commit()
    answer(services.settings, "backup", folder, "--json")
    answer(elsewhere, "restore", folder, "--json")
    with closing(sqlite3.connect(elsewhere.scans_dir / "07.db")) as connection:
        assert connection.execute("SELECT number FROM seen").fetchall() == [(42,)]


def test_a_damaged_backup_is_named_without_any_database(services: Services, folder: Path, tmp_path: Path) -> None:
    answer(services.settings, "backup", folder, "--json")
    key = services.log.verifier.to_text()
    nowhere = replace(services.settings, data_dir=tmp_path / "nowhere", database_url="")
    assert run(nowhere, "backup", "--verify", folder, "--key", key).exit_code == 0
    assert not nowhere.data_dir.exists()
    path = next(path for path in folder.iterdir() if path.name in ("database.db", "ledger_entries.copy"))
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    refused = run(nowhere, "backup", "--verify", folder)
    assert refused.exit_code == 1
    assert path.name in refused.output


def test_after_a_rotation_every_key_may_be_given_and_the_note_that_none_signed_is_named(
    services: Services, folder: Path, tmp_path: Path
) -> None:
    register(services)
    kept = tmp_path / "kept"
    kept.write_text(services.log.checkpoint(at_least=services.log.head()[0]).note_text, encoding="utf-8")
    assert run(services.settings, "backup", folder).exit_code == 0
    right, other = services.log.verifier, NoteSigner.generate(services.log.origin).verifier
    both = ("--key", other.to_text(), "--key", right.to_text())
    assert run(services.settings, "backup", "--verify", folder, *both, "--known", kept).exit_code == 0
    refused = run(services.settings, "backup", "--verify", folder, "--key", other.to_text(), "--known", kept)
    assert refused.exit_code == 3
    assert f"{kept}: none of the given keys signed it" in refused.output
