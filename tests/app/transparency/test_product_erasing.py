"""Erasing what an event said: gone from the ledger's table and from the product's, and everything else goes on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from app.cli import cli
from app.core.config import Settings
from app.core.errors import Conflict
from app.core.services import Services
from app.facts import service as facts
from app.facts.models import EventRow
from app.facts.vocabulary import EventKind
from app.verification import service as verification
from app.verification.actions import Action
from app.verification.parts import close_parts
from ledger.storage.engine import begin_write
from tests.app.transparency.product_story import audit_with_product
from tests.app.verification.verdict_builders import World, make_world
from tests.builders import on_sqlite
from tests.guards import without_guards
from tests.log_builders import new_entry

NOTE = "Sold to Sra. Perez of Calle Ocho"
REASON = "asked for by the person it names"


@pytest.fixture
def world(services: Services, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """A batch that was recalled with a note that names somebody; the commands find the test's database."""
    monkeypatch.setattr(Settings, "from_environment", lambda: settings)
    made = make_world(services)
    verification.act_on_batch(services, handle=made.batch.handle, action=Action.LOCK, principal=made.owner, note=NOTE)
    yield made
    close_parts(services)


def locking(services: Services) -> EventRow:
    with Session(services.engine) as session:
        return session.scalars(select(EventRow).where(EventRow.kind == EventKind.LOCKED.value)).one()


def erase(index: int, *more: str) -> Result:
    return CliRunner().invoke(cli, ["ledger", "erase", str(index), "--reason", REASON, *more], catch_exceptions=False)


def test_an_event_that_was_erased_is_still_an_event_and_says_nothing_any_more(world: World) -> None:
    services = world.services
    before = locking(services)
    assert NOTE in before.body
    done = erase(before.log_index, "--yes")
    assert done.exit_code == 0, done.output
    after = locking(services)
    assert (after.body, after.event_id, after.event_time) == ("", before.event_id, before.event_time)
    with Session(services.engine) as session:
        assert facts.find_event(session, before.event_id).body is None
        told = facts.batch_history(session, batch_id=world.batch.id)
    assert [(event.kind, event.body is None) for event in told] == [
        (EventKind.COMMISSIONED, False),
        (EventKind.ACTIVATED, False),
        (EventKind.LOCKED, True),
    ]
    assert audit_with_product(services, services.engine).faults == []
    assert "LOCKED" in {status.value for status in world.ask(world.codes[0]).verdict.status}


def test_states_are_made_again_without_the_erased_body(world: World) -> None:
    erase(locking(world.services).log_index, "--yes")
    facts.rebuild_projections(world.services.engine)
    assert audit_with_product(world.services, world.services.engine).faults == []


def test_an_erased_event_cannot_be_undone(world: World) -> None:
    event = locking(world.services)
    erase(event.log_index, "--yes")
    with pytest.raises(Conflict) as refusal:
        verification.undo_event(world.services, event_id=event.event_id, principal=world.owner)
    assert refusal.value.code == "event_erased"


def test_what_proofs_hang_on_is_not_erased(world: World) -> None:
    refused = erase(world.batch.log_index, "--yes")
    assert refused.exit_code == 1
    assert "no unit of the batch could be proved" in refused.stderr
    assert world.services.log.entry(world.batch.log_index).body is not None
    for index in range(world.batch.log_index):
        assert erase(index, "--yes").exit_code == 1
    assert audit_with_product(world.services, world.services.engine).faults == []


def test_an_erasure_is_asked_about_first(world: World) -> None:
    event = locking(world.services)
    asked = CliRunner().invoke(
        cli, ["ledger", "erase", str(event.log_index), "--reason", REASON], input="n\n", catch_exceptions=False
    )
    assert asked.exit_code == 2
    assert "Nothing was done." in asked.output
    assert "of kind event" in asked.output
    assert "WARNING: this entry is an event of the kind 'locked'" in asked.output
    assert locking(world.services).body == event.body


@pytest.mark.parametrize("change", ["body = ''", "body = '{}'", "body = '', kind = 'sold'", "kind = 'sold'"])
def test_the_database_refuses_an_erasure_that_is_not_on_record(world: World, change: str) -> None:
    with pytest.raises(DBAPIError, match="UPDATE refused"), begin_write(world.services.engine) as connection:
        connection.execute(text(f"UPDATE events SET {change} WHERE kind = 'locked'"))  # noqa: S608


@pytest.mark.parametrize("change", ["body = '{}'", "body = '', kind = 'sold'", "body = '', undoes = 'x'", "actor = ''"])
def test_a_recorded_erasure_allows_that_one_change_only(world: World, change: str) -> None:
    index = locking(world.services).log_index
    said = world.services.log.append(new_entry(1)).index
    with begin_write(world.services.engine) as connection:
        connection.execute(text("INSERT INTO ledger_erasures VALUES (:index, :said)"), {"index": index, "said": said})
    with pytest.raises(DBAPIError, match="UPDATE refused"), begin_write(world.services.engine) as connection:
        connection.execute(text(f"UPDATE events SET {change} WHERE kind = 'locked'"))  # noqa: S608


def test_a_copy_that_stayed_behind_is_named(world: World) -> None:
    event = locking(world.services)
    erase(event.log_index, "--yes")
    engine = world.services.engine
    with engine.begin() as connection, without_guards(connection):
        connection.execute(text("UPDATE events SET body = '{}' WHERE kind = 'locked'"))
    found = audit_with_product(world.services, engine).faults
    assert [(fault.code, fault.where) for fault in found] == [("event.erasure", f"events {event.event_id}")]


@on_sqlite
def test_nothing_of_the_body_is_left_in_the_files_of_sqlite(world: World, settings: Settings) -> None:
    event = locking(world.services)
    erase(event.log_index, "--yes")
    path = Path(settings.effective_database_url.removeprefix("sqlite:///"))
    kept = b"".join(file.read_bytes() for file in path.parent.glob(f"{path.name}*"))
    assert NOTE.encode() not in kept
    assert event.event_id.encode() in kept
