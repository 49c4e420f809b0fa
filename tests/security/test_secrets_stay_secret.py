"""No secret is logged, answered, audited or printed, however much goes wrong."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from app.core.config import Settings, SettingsError
from app.core.logging import HIDDEN, hide_secrets
from tests.security.canary_run import MARK
from tests.serving import REPOSITORY, environment, run_command


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> subprocess.CompletedProcess[str]:
    folder = tmp_path_factory.mktemp("canaries")
    return subprocess.run(
        [sys.executable, "-m", "tests.security.canary_run", str(folder)],
        capture_output=True,
        text=True,
        cwd=REPOSITORY,
        env=environment(),
        timeout=300,
        check=True,
    )


def test_no_secret_is_in_the_log_at_its_most_talkative(run: subprocess.CompletedProcess[str]) -> None:
    lines = run.stderr.splitlines()
    assert any("unexpected error" in line for line in lines), "the failing database was noticed"
    assert any("/recover/<token>" in line for line in lines), "a page whose address is a secret failed too"
    assert any("mail not sent" in line for line in lines)
    assert any("webhook message not taken" in line for line in lines)
    assert any("careless" in line and HIDDEN in line for line in lines)
    slipped = [line for line in lines if MARK in line]
    assert slipped == []


def test_no_secret_is_in_an_answer_that_refuses_it(run: subprocess.CompletedProcess[str]) -> None:
    """A refusal may repeat a name or a number that was wrong, never what is secret by its name."""
    answers = json.loads(run.stdout)["answers"]
    assert len(answers) > 30
    for what in ("password", "secret", "token", "key", "session", "basic", "raw", "signature"):
        assert not [answer for answer in answers if f"{MARK}-{what}-" in answer], what


def test_no_secret_is_in_the_audit_or_on_the_record_of_acts(run: subprocess.CompletedProcess[str]) -> None:
    said = json.loads(run.stdout)
    assert said["audit"] == []
    assert said["acts"]
    assert MARK not in json.dumps(said["acts"])


def test_the_settings_are_shown_without_their_secrets() -> None:
    settings: dict[str, Any] = {
        "database_url": f"postgresql://marchamo:{MARK}@db.example.org/marchamo?password={MARK}",
        "key_encryption_key": base64.b64encode((MARK * 3).encode()[:32]).decode(),
        "mail_server": f"smtps://user:{MARK}@mail.example.org",
        "kek_uri": f"pkcs11:token=registry;object=kek?pin-value={MARK}",
    }
    for arguments in (("config",), ("config", "--json")):
        shown = run_command(*arguments, **settings)
        assert shown.returncode == 0, shown.stderr
        assert MARK not in shown.stdout + shown.stderr
        assert settings["key_encryption_key"] not in shown.stdout
    assert MARK not in repr(Settings(database_url=settings["database_url"], mail_server=settings["mail_server"]))


@pytest.mark.parametrize("name", ["KEY_ENCRYPTION_KEY", "DATABASE_URL", "MAIL_SERVER"])
def test_a_setting_that_cannot_be_used_is_not_repeated_when_it_may_hold_a_secret(name: str) -> None:
    with pytest.raises(SettingsError) as refused:
        Settings.from_environment({f"MARCHAMO_{name}": f"http://{MARK}"})
    assert MARK not in str(refused.value)


@pytest.mark.parametrize(
    "name", ["password", "token", "api_key", "key", "otp", "email", "secret", "Authorization", "url"]
)
def test_a_field_with_the_name_of_a_secret_is_hidden(name: str) -> None:
    assert hide_secrets(None, "info", {"event": "x", name: f"A{MARK}"})[name] == HIDDEN


def test_words_and_numbers_are_still_logged() -> None:
    event = {"event": "ledger refused", "code": "ledger_frozen", "attempts": 3, "path": Path("/x").as_posix()}
    assert hide_secrets(None, "info", dict(event)) == event
