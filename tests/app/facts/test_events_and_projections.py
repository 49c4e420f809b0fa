"""Events on the ledger, the states made beside them, and the same states made again from all events."""

from __future__ import annotations

import random
from hashlib import sha256
from typing import Any

import pytest
from sqlalchemy import insert, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from app.accounts import service as accounts
from app.accounts.service import Signer
from app.core.clock import now_ms
from app.core.errors import Conflict, Forbidden, Invalid
from app.core.services import Services
from app.facts import service as facts
from app.facts.models import batch_states, event_units, unit_states
from app.facts.vocabulary import EventKind, Status
from ledger.storage.engine import begin_write
from tests.builders import make_approved_firm

BATCH = 77
HANDLE = "ABCDE"


@pytest.fixture
def firm(services: Services) -> accounts.Organisation:
    return make_approved_firm(services)


@pytest.fixture
def recorder(services: Services, firm: accounts.Organisation) -> Recorder:
    return Recorder(services, firm)


class Recorder:
    """Records events about units of one batch."""

    def __init__(self, services: Services, firm: accounts.Organisation) -> None:
        self.services = services
        self.firm = firm
        with Session(services.engine) as session:
            self.signer: Signer = accounts.statement_signer(session, services.sealer, organisation_id=firm.id)

    def goods(self, *units: int) -> facts.Goods:
        uris = tuple(f"https://id.gs1.org/01/09521234000013/21/U{unit}" for unit in units)
        subjects = tuple(sha256(b"unit %d" % unit).digest() for unit in units)
        return facts.Goods(BATCH, HANDLE, self.firm.id, f"urn:marchamo:batch:{HANDLE}", 10, units, uris, subjects)

    def record(self, kind: EventKind, *units: int, **more: Any) -> facts.RecordedEvent:
        given: dict[str, Any] = {
            "kind": kind,
            "organisation_id": self.firm.id,
            "issuer": self.firm.issuer,
            "signer": self.signer,
            "actor": "person:1",
            "goods": self.goods(*units),
            "jurisdiction": frozenset(),
            "event_time": now_ms(),
            **more,
        }
        return facts.record_event(self.services, **given)


def rows(services: Services) -> tuple[list[Any], list[Any]]:
    with services.engine.connect() as connection:
        units = connection.execute(select(unit_states).order_by(unit_states.c.unit_id)).all()
        batches = connection.execute(select(batch_states).order_by(batch_states.c.batch_id)).all()
    return list(units), list(batches)


def test_a_sale_is_on_the_ledger_and_in_the_state(recorder: Recorder) -> None:
    recorded = recorder.record(EventKind.SOLD, 1)
    assert recorded.states[1].statuses == {Status.SOLD}
    entry = recorder.services.log.entry(recorded.log_index)
    assert entry.body is not None
    assert entry.body.kind == "event"
    with Session(recorder.services.engine) as session:
        event = facts.find_event(session, recorded.event_id)
    assert event.unit_ids == (1,)
    assert facts.readable_body(event)["bizStep"] == "retail_selling"
    assert facts.readable_body(event)["epcList"] == ["https://id.gs1.org/01/09521234000013/21/U1"]


def test_the_same_event_id_is_recorded_once(recorder: Recorder) -> None:
    first = recorder.record(EventKind.SOLD, 1, event_id="urn:uuid:one")
    again = recorder.record(EventKind.SOLD, 1, event_id="urn:uuid:one")
    assert again.replayed
    assert again.log_index == first.log_index
    assert again.states[1].sales == 1


def test_one_refused_unit_refuses_the_whole_event(recorder: Recorder) -> None:
    recorder.record(EventKind.DESTROYED, 2)
    size = recorder.services.log.head()[0]
    with pytest.raises(Conflict) as refusal:
        recorder.record(EventKind.RETURNED, 1, 2)
    assert [fault.code for fault in refusal.value.faults] == ["destroyed"]
    assert recorder.services.log.head()[0] == size
    with recorder.services.engine.connect() as connection:
        assert facts.read_states(connection, batch_id=BATCH, unit_ids=[1])[1].statuses == frozenset()


def test_speakers_are_checked(recorder: Recorder) -> None:
    with pytest.raises(Forbidden) as refusal:
        recorder.record(EventKind.HELD, 1)
    assert refusal.value.code == "not_authority"
    with pytest.raises(Forbidden) as refusal:
        recorder.record(EventKind.RECALLED, 1, organisation_id=recorder.firm.id + 1)
    assert refusal.value.code == "not_issuer"
    with pytest.raises(Invalid) as wrong:
        recorder.record(EventKind.SOLD)
    assert wrong.value.code == "units_needed"
    with pytest.raises(Invalid) as wrong:
        recorder.record(EventKind.SOLD, 1, event_time=now_ms() + 3_600_000)
    assert wrong.value.code == "event_in_future"


def test_an_undo_repeats_the_event_with_an_error_declaration(recorder: Recorder) -> None:
    sold = recorder.record(EventKind.SOLD, 1)
    undone = recorder.record(EventKind.UNDONE, 1, undoes=sold.event_id)
    assert undone.states[1].statuses == frozenset()
    with Session(recorder.services.engine) as session:
        event = facts.find_event(session, undone.event_id)
        life = facts.history(session, unit_id=1, batch_id=BATCH)
    assert facts.readable_body(event)["eventID"] == sold.event_id
    assert facts.readable_body(event)["errorDeclaration"]["reason"] == "incorrect_data"
    assert [one.kind for one in life] == [EventKind.SOLD, EventKind.UNDONE]


def test_the_history_of_a_batch_leaves_out_its_single_units(recorder: Recorder) -> None:
    recorder.record(EventKind.ACTIVATED)
    recorder.record(EventKind.SOLD, 1)
    recorder.record(EventKind.RECALLED)
    with Session(recorder.services.engine) as session:
        shared = facts.batch_history(session, batch_id=BATCH)
        life = facts.history(session, unit_id=1, batch_id=BATCH)
    assert [event.kind for event in shared] == [EventKind.ACTIVATED, EventKind.RECALLED]
    assert [event.kind for event in life] == [EventKind.ACTIVATED, EventKind.SOLD, EventKind.RECALLED]


def test_an_undo_is_about_the_same_goods(recorder: Recorder) -> None:
    sold = recorder.record(EventKind.SOLD, 1)
    with pytest.raises(Conflict) as refusal:
        recorder.record(EventKind.UNDONE, 2, undoes=sold.event_id)
    assert refusal.value.code == "undo_of_other_goods"


def test_rebuilt_states_equal_the_live_ones(recorder: Recorder) -> None:
    generator = random.Random(11)  # noqa: S311  a seeded history, nothing secret
    kinds = [EventKind.SOLD, EventKind.RETURNED, EventKind.DESTROYED, EventKind.STOLEN, EventKind.UNLOCKED]
    recorded: list[tuple[facts.RecordedEvent, tuple[int, ...]]] = []
    recorder.record(EventKind.ACTIVATED)
    for _ in range(40):
        units = tuple(sorted(generator.sample(range(1, 8), generator.randint(1, 3))))
        try:
            if recorded and generator.random() < 0.2:
                event, units = generator.choice(recorded)
                recorder.record(EventKind.UNDONE, *units, undoes=event.event_id)
            else:
                recorded.append((recorder.record(generator.choice(kinds), *units), units))
        except Conflict:
            continue
    recorder.record(EventKind.RECALLED)
    live = rows(recorder.services)
    assert live[0]
    assert live[1]
    with begin_write(recorder.services.engine) as connection:
        connection.execute(unit_states.update().values(statuses="SEIZED", sales=9))
        connection.execute(insert(batch_states).values(batch_id=999, statuses="SEIZED", changed_at=1))
    steps: list[tuple[int, int]] = []
    facts.rebuild_projections(recorder.services.engine, lambda done, total: steps.append((done, total)))
    assert rows(recorder.services) == live
    assert steps[-1][0] == steps[-1][1]


def test_events_can_not_be_changed_or_removed(recorder: Recorder) -> None:
    recorder.record(EventKind.SOLD, 1)
    for statement in ("UPDATE events SET kind = 'returned'", "DELETE FROM events", "DELETE FROM event_units"):
        with pytest.raises(DBAPIError), begin_write(recorder.services.engine) as connection:
            connection.execute(text(statement))
    with recorder.services.engine.connect() as connection:
        assert connection.execute(select(event_units)).all()


def test_nothing_is_recorded_under_a_key_that_was_revoked_meanwhile(recorder: Recorder) -> None:
    services, number = recorder.services, int(recorder.signer.key_id.removeprefix("org:"))
    accounts.revoke_key(services, organisation_id=recorder.firm.id, key_id=number, reason="Lost laptop.")
    size = services.log.head()[0]
    with pytest.raises(Conflict) as refusal:
        recorder.record(EventKind.SOLD, 1)
    assert refusal.value.code == "key_revoked"
    assert services.log.head()[0] == size
