"""A ledger that takes no entries: writers are told why, readers notice nothing, and only a person opens or ends it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app import create_app
from app.cli import cli
from app.core.authorisation import Role
from app.core.services import Services
from ledger.audit import audit
from ledger.checkpoint import Checkpoint, sign_checkpoint
from ledger.errors import LogFrozen, LogReadOnly
from tests.app.conftest import close
from tests.app.core.test_backup_command import environment
from tests.builders import api_key, bearer, make_approved_firm, make_organisation

Approve = Callable[[FlaskClient], TestResponse]


def run(services: Services, *arguments: str) -> Result:
    return CliRunner().invoke(cli, ["ledger", *arguments], env=environment(services.settings))


@pytest.fixture
def approve(services: Services) -> Approve:
    """Asks for what needs an entry: the approval of an organisation that waits."""
    headers = bearer(api_key(services, Role.PLATFORM_ADMINISTRATOR))
    address = f"/v1/organisations/{make_organisation(services).issuer}/decision"
    decision = {"decision": "approve", "reason": "Papers seen."}
    return lambda client: client.post(address, json=decision, headers=headers)


@pytest.fixture
def recorded(services: Services) -> Services:
    """A registry that has recorded something and published it."""
    make_approved_firm(services)
    services.log.checkpoint(at_least=services.log.head()[0])
    return services


def assert_that_reading_goes_on(client: FlaskClient, services: Services) -> None:
    assert client.get("/log/checkpoint").status_code == 200
    assert client.get("/").status_code == 200
    assert services.log.prove(0)
    assert audit(services.engine, services.log.verifier).ok


def test_without_its_mark_the_service_starts_reads_and_says_why_it_does_not_write(
    recorded: Services, approve: Approve
) -> None:
    mark = recorded.settings.effective_high_water_file
    mark.unlink()
    application: Flask = create_app(recorded.settings)
    application.testing = True
    try:
        client = application.test_client()
        health = client.get("/health")
        assert (health.status_code, health.get_json()["ledger"]) == (200, "read_only")
        refused = approve(client)
        assert (refused.status_code, refused.content_type) == (503, "application/problem+json")
        assert refused.get_json()["code"] == "ledger_read_only"
        running: Services = application.extensions["marchamo"]
        with pytest.raises(LogReadOnly, match="no high-water mark"):
            make_approved_firm(running)
        assert_that_reading_goes_on(client, running)
        assert not mark.exists(), "no process makes itself a new mark"
        shown = run(recorded, "adopt", "--show")
        assert shown.exit_code == 0
        assert "No checkpoint from outside was there" in shown.output
        assert not mark.exists()
        assert run(recorded, "adopt", "--yes").exit_code == 0
        assert client.get("/health").get_json()["ledger"] == "writable"
        assert approve(client).status_code == 200
    finally:
        close(application)


def test_adopting_a_ledger_that_is_well_does_nothing(recorded: Services) -> None:
    before = recorded.log.head()
    done = run(recorded, "adopt", "--yes")
    assert done.exit_code == 0
    assert "Nothing that is known goes beyond" in done.output
    assert recorded.log.head() == before


def test_a_frozen_ledger_answers_and_takes_nothing(recorded: Services, client: FlaskClient, approve: Approve) -> None:
    assert run(recorded, "freeze").exit_code == 2
    done = run(recorded, "freeze", "--yes", "--reason", "The registry is wound up.")
    assert done.exit_code == 0, done.output
    size, _ = recorded.log.head()
    assert f"entry {size - 1} is the last" in done.output
    assert recorded.log.checkpoint(at_least=size).note_text in done.output
    assert recorded.log.verifier.to_text() in done.output
    assert client.get("/health").get_json()["ledger"] == "frozen"
    refused = approve(client)
    assert (refused.status_code, refused.get_json()["code"]) == (503, "ledger_frozen")
    with pytest.raises(LogFrozen):
        make_approved_firm(recorded)
    assert_that_reading_goes_on(client, recorded)
    assert run(recorded, "freeze", "--yes", "--reason", "Once more.").exit_code == 1
    assert recorded.log.head()[0] == size


def test_after_an_adopted_loss_there_is_nothing_to_adopt(recorded: Services, tmp_path: Path) -> None:
    """A witness goes on to show what it saw before: the log says so itself, and asks nobody to restore a backup."""
    [key] = recorded.checkpoint_keys.current()
    lost = tmp_path / "lost"
    size, _ = recorded.log.head()
    lost.write_text(sign_checkpoint(Checkpoint(recorded.log.origin, size, bytes(32)), key).note_text, encoding="utf-8")
    first = run(recorded, "adopt", "--witnessed", str(lost))
    assert first.exit_code == 1
    assert "Put a newer backup back" not in first.stdout
    assert "The log takes entries, but somebody outside knows others" in first.stderr
    assert (
        run(recorded, "adopt", "--witnessed", str(lost), "--lost", "--reason", "The disk failed.", "--yes").exit_code
        == 0
    )
    after = run(recorded, "adopt", "--show", "--witnessed", str(lost))
    assert after.exit_code == 0
    assert f"entry {size} of the log says so" in after.output
    assert "are not in the database" not in after.output
    assert "there is nothing to adopt" in after.output


def test_a_file_that_is_no_checkpoint_of_this_log_is_named(recorded: Services, tmp_path: Path) -> None:
    junk = tmp_path / "junk.cp"
    junk.write_text("junk", encoding="utf-8")
    refused = run(recorded, "adopt", "--show", "--witnessed", str(junk))
    assert refused.exit_code == 3
    assert f"{junk} is no checkpoint of this log" in refused.output
