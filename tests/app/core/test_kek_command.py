"""`marchamo kek`: the key moves into a module and out, is changed, and every mistake is one line with exit code 3."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import LargeBinary, Table, select
from sqlalchemy.orm import Session

from app.access.service import code_apps
from app.accounts.service import evidence, sign_up
from app.accounts.service.keys.using import key_context
from app.accounts.service.statements import ledger_subject
from app.core import daily_salts as daily_salts_module
from app.core import mail, resealing, service_keys
from app.core.bootstrap import migrate, open_services
from app.core.config import Settings
from app.core.daily_salts import daily_salts
from app.core.database import Base, create_database_engine
from app.core.mail import OutgoingMailRow, queue_mail
from app.core.resealing import SEALED, open_sealer
from app.core.sealing import Sealer, SealError
from app.registry.service.proofs import secret_context as batch_context
from app.webhooks.service.subscribing import secret_context as webhook_context
from ledger.storage.engine import begin_write
from tests.app.core.soft_module import make_module
from tests.builders import on_sqlite

OTHER_KEY = bytes(range(32, 64))


def run(settings: Settings, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own: a module's configuration is read once a process."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("MARCHAMO_")}
    if settings.kek_file:
        clean["MARCHAMO_KEK_FILE"] = settings.kek_file
    return subprocess.run(
        [sys.executable, "-m", "app", *arguments],
        env={
            **clean,
            "MARCHAMO_DATA_DIR": str(settings.data_dir),
            "MARCHAMO_DATABASE_URL": settings.database_url,
            "MARCHAMO_PORT": "1",
            **environment,
        },
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def filed(database_url: str, tmp_path: Path) -> Settings:
    """Settings of a prepared database whose key lies in the file kek."""
    settings = Settings(data_dir=tmp_path, database_url=database_url)
    migrate(settings)
    services = open_services(settings)
    daily_salts(services).at(0)
    with Session(services.engine) as session:
        queue_mail(session, services, to="ana@example.org", subject="Hello", text="Words")
        session.commit()
    services.engine.dispose()
    return settings


def subject(settings: Settings) -> bytes:
    engine = create_database_engine(settings.effective_database_url)
    try:
        return ledger_subject(open_sealer(engine, settings), "acts", "X")
    finally:
        engine.dispose()


def test_another_key_seals_everything_anew_and_finds_the_same_subjects(filed: Settings) -> None:
    before, old_key = subject(filed), (filed.data_dir / "kek").read_bytes()
    for _ in range(2):
        done = run(filed, "kek", "rewrap", "--service-is-stopped")
        assert done.returncode == 0, done.stderr
    assert subject(filed) == before
    assert (filed.data_dir / "kek").read_bytes() != old_key
    assert stat.S_IMODE((filed.data_dir / "kek").stat().st_mode) == 0o600
    assert not list(filed.data_dir.glob("kek.*"))
    services = open_services(filed)
    with Session(services.engine) as session:
        row = session.scalars(select(OutgoingMailRow)).one()
        assert b"ana@example.org" in services.sealer.open(row.sealed, "outgoing mail")
        with pytest.raises(SealError):
            Sealer(old_key).open(row.sealed, "outgoing mail")
    services.engine.dispose()


def test_a_value_that_does_not_open_stops_the_change_and_nothing_is_changed(filed: Settings) -> None:
    engine = create_database_engine(filed.effective_database_url)
    with Session(engine) as session:
        row = session.scalars(select(OutgoingMailRow)).one()
        row.sealed = Sealer(OTHER_KEY).seal(b"x", "outgoing mail")
        session.commit()
    key = (filed.data_dir / "kek").read_bytes()
    done = run(filed, "kek", "rewrap", "--service-is-stopped")
    assert done.returncode == 3
    assert done.stderr.count("\n") == 1
    assert (filed.data_dir / "kek").read_bytes() == key
    open_services(filed).engine.dispose()
    engine.dispose()


@on_sqlite
def test_a_change_cut_off_before_the_file_was_renamed_is_finished(filed: Settings) -> None:
    new_key = OTHER_KEY
    (filed.data_dir / "kek.next").write_bytes(new_key)
    engine = create_database_engine(filed.effective_database_url)
    sealer = open_sealer(engine, filed)
    with begin_write(engine) as connection:
        assert resealing.reseal(connection, sealer, new_key, lambda _done: None) >= 5
    engine.dispose()
    assert run(filed, "kek", "show").returncode == 3, "the old key opens nothing any more"
    done = run(filed, "kek", "rewrap", "--service-is-stopped")
    assert done.returncode == 0, done.stderr
    assert (filed.data_dir / "kek").read_bytes() == new_key
    assert run(filed, "kek", "show").returncode == 0


def test_every_column_of_sealed_values_is_sealed_anew() -> None:
    known = {(one.table, one.column) for one in SEALED}

    def sealed(table: Table) -> set[tuple[str, str]]:
        return {
            (table.name, column.name)
            for column in table.columns
            if isinstance(column.type, LargeBinary) and column.name.startswith("sealed")
        }

    assert set().union(*(sealed(table) for table in Base.metadata.tables.values())) == known


def test_contexts_are_those_under_which_features_seal() -> None:
    """Words are compared: a feature that changes its context must say so here too, or no key can be changed."""
    templates = {(one.table, one.column): one.context for one in SEALED}
    assert templates["organisation_keys", "sealed_private_key"].format(key_id=7) == key_context(7)
    assert templates["batches", "sealed_secret"].format(handle="AB") == batch_context("AB")
    assert templates["evidence_documents", "sealed"].format(reference="AB") == evidence._context("AB")
    assert templates["applications", "sealed"] == sign_up._CONTEXT
    assert templates["outgoing_mail", "sealed"] == mail._CONTEXT
    assert templates["code_apps", "sealed_secret"].format(person_id=7) == f"{code_apps._CONTEXT} of person 7"
    assert templates["webhooks", "sealed_secret"].format(reference="AB") == webhook_context("AB")
    assert templates["daily_salts", "sealed_salt"].format(day=7) == daily_salts_module._context(7)
    assert templates["service_keys", "sealed_private_key"].format(key_id="x") == service_keys._context("x")


@on_sqlite
def test_the_key_moves_into_a_module_and_out_again(filed: Settings, tmp_path: Path) -> None:
    (tmp_path / "module").mkdir()
    module = make_module(tmp_path / "module")
    wrapped = tmp_path / "kek.wrapped"
    plain = run(filed, "kek", "show").stdout
    done = run(filed, "kek", "wrap", "--uri", module.uri(), "--out", str(wrapped), "--make-key", **module.environment)
    assert done.returncode == 0, done.stderr
    key = (filed.data_dir / "kek").read_bytes()
    assert key not in wrapped.read_bytes()
    (filed.data_dir / "kek").unlink()
    held = {"MARCHAMO_KEK_FILE": str(wrapped), "MARCHAMO_KEK_URI": module.uri(), **module.environment}
    shown = run(filed, "kek", "show", **held)
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout.splitlines()[1] == plain.splitlines()[1], "the fingerprint is the same"
    changed = run(filed, "kek", "rewrap", "--service-is-stopped", **held)
    assert changed.returncode == 0, changed.stderr
    assert run(filed, "kek", "show", **held).stdout.splitlines()[1] != plain.splitlines()[1]
    out = run(filed, "kek", "unwrap", "--out", str(filed.data_dir / "kek"), **held)
    assert out.returncode == 0, out.stderr
    assert run(filed, "kek", "show").returncode == 0
    configured = json.loads(run(filed, "config", "--json", **held).stdout)
    assert "pin" not in configured["MARCHAMO_KEK_URI"]


@on_sqlite
def test_what_goes_wrong_with_a_module_is_one_line_and_exit_code_3(filed: Settings, tmp_path: Path) -> None:
    (tmp_path / "module").mkdir()
    module = make_module(tmp_path / "module")
    wrapped, held = tmp_path / "kek.wrapped", module.environment
    made = run(filed, "kek", "wrap", "--uri", module.uri(), "--out", str(wrapped), "--make-key", **held)
    assert made.returncode == 0, made.stderr
    other = run(filed, "kek", "wrap", "--uri", module.uri("other"), "--out", str(tmp_path / "o"), "--make-key", **held)
    assert other.returncode == 0, other.stderr
    mistakes = {
        "refuses the PIN": module.uri(pin_file="wrong-pin"),
        "there is no token absent": module.uri(token="absent"),
        "wrapped by another key": module.uri("other"),
        "no such AES key": module.uri("missing"),
        "can not be used": module.uri().replace(module.library, "/no/module.so"),
    }
    for said, uri in mistakes.items():
        done = run(filed, "kek", "show", MARCHAMO_KEK_FILE=str(wrapped), MARCHAMO_KEK_URI=uri, **held)
        assert (done.returncode, done.stderr.count("\n"), said in done.stderr) == (3, 1, True), done.stderr
    again = run(filed, "kek", "wrap", "--uri", module.uri(), "--out", str(tmp_path / "p"), "--make-key", **held)
    assert (again.returncode, "already" in again.stderr) == (3, True)
    without = run(filed, "kek", "show", MARCHAMO_KEK_FILE=str(wrapped))
    assert "MARCHAMO_KEK_URI must name it" in without.stderr
    absent = run(filed, "kek", "show", MARCHAMO_KEK_FILE=str(tmp_path / "nowhere"))
    assert (absent.returncode, "is not there" in absent.stderr) == (3, True)
    served = run(filed, "worker", MARCHAMO_KEK_FILE=str(wrapped), MARCHAMO_KEK_URI=module.uri("other"), **held)
    assert (served.returncode, served.stderr.count("\n")) == (3, 1), served.stderr
