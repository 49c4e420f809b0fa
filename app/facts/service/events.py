"""Events: what changed a unit or a whole batch. Each is signed by its organisation and committed with its leaf.

The life of one event: its EPCIS form is built and signed; `Log.append` takes the statement and, in the same
transaction, runs `_apply`: it checks that the event can follow, inserts it and moves the projections. Either the leaf,
the event and the states are all there afterwards, or none of them.
"""

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import Connection, insert, select
from sqlalchemy.orm import Session

from app.accounts.service import ledger_subject, payload, refuse_revoked_signer
from app.accounts.values import Signer
from app.core.clock import now_ms
from app.core.errors import Conflict, FieldFault, Invalid, NotFound
from app.core.services import Services
from app.facts.epcis import NOWHERE, Place, error_declaration, object_event
from app.facts.goods import Goods
from app.facts.lifecycle import NEW, LifeEvent, UnitState, check_undo, fold, joined, next_state
from app.facts.models import EventRow, event_units
from app.facts.service.projections import (
    CHUNK,
    life_of,
    read_batch_state,
    read_unit_states,
    write_batch_state,
    write_unit_states,
)
from app.facts.service.speaking import check_request
from app.facts.vocabulary import EventKind
from ledger.log import NewEntry

STATEMENT_KIND = "event"
events = EventRow.__table__


@dataclass(frozen=True, slots=True)
class CommissionedBatch:
    """What the registry tells about a batch it publishes. published_at in milliseconds."""

    batch_id: int
    organisation_id: int
    actor: str
    class_uri: str
    quantity: int
    published_at: int


@dataclass(frozen=True, slots=True)
class Event:
    """An event as others see it; `body` is its EPCIS form, None when it was erased; times in milliseconds.

    unit_ids: the units it names, filled by `find_event` only.
    """

    event_id: str
    kind: EventKind
    organisation_id: int
    actor: str
    batch_id: int | None
    whole_batch: bool
    event_time: int
    record_time: int
    undoes: str | None
    log_index: int
    body: dict[str, Any] | None
    unit_ids: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class RecordedEvent:
    """The acknowledgement of an event: its position in the ledger, and the states of the units it named.

    replayed: the same event was recorded before; nothing was added. For a whole batch `states` is empty.
    """

    event_id: str
    log_index: int
    states: dict[int, UnitState]
    replayed: bool = False


def record_event(
    services: Services,
    *,
    kind: EventKind,
    organisation_id: int,
    issuer: str,
    signer: Signer,
    actor: str,
    goods: Goods,
    jurisdiction: frozenset[str],
    event_time: int,
    place: Place = NOWHERE,
    note: str = "",
    country: str | None = None,
    undoes: str | None = None,
    event_id: str | None = None,
    extra_apply: Callable[[Connection, int], None] | None = None,
) -> RecordedEvent:
    """Record that something happened to goods, signed by `signer`, on the ledger.

    organisation_id and issuer: who states it. jurisdiction: the countries in which it is an approved authority, empty
    for all others. country: the one by whose law an authority acts; needed when there are several. event_id: given by
    callers that may repeat themselves; the same id again records nothing and returns the first position. undoes: for
    `EventKind.UNDONE`, the event that is taken back.
    extra_apply(connection, index) runs in the same transaction.

    Raises Forbidden (not this speaker's event), Conflict (it can not follow what is recorded), Invalid. A second sale
    is recorded, not refused. Call it with no transaction of your own open.
    """
    country = check_request(
        kind,
        organisation_id,
        goods,
        jurisdiction=jurisdiction,
        country=country,
        event_time=event_time,
        note=note,
    )
    event_id = event_id or f"urn:uuid:{uuid.uuid4()}"
    repeated = _recorded_before(services, event_id, goods)
    if repeated is not None:
        return repeated
    original = _original(services, undoes) if kind is EventKind.UNDONE else None
    if original is not None:
        body = error_declaration(readable_body(original), declared_at=now_ms(), note=note)
    else:
        body = object_event(
            event_id=event_id,
            kind=kind,
            event_time=event_time,
            uris=goods.uris,
            class_uri=goods.class_uri if goods.is_whole_batch else None,
            quantity=goods.quantity,
            place=place,
            note=note,
            country=country,
        )
    recorded_at = now_ms()
    statement = payload(kind=STATEMENT_KIND, organisation=issuer, at_ms=recorded_at, id=event_id, event=body)
    entry = NewEntry(STATEMENT_KIND, _subjects(services, goods), signer.sign(statement), signer.key_id)
    life = LifeEvent(event_id, kind, organisation_id, event_time, undoes)

    def apply(connection: Connection, index: int) -> dict[int, UnitState]:
        if _index_of(connection, event_id) is not None:
            raise Conflict("This event is recorded already.", code="event_exists")
        refuse_revoked_signer(connection, signer)
        states = _follow(connection, goods, life)
        row = _event_row(life, body, actor=actor, batch_id=goods.batch_id, record_time=recorded_at, index=index)
        _insert(connection, row, goods.unit_ids)
        if extra_apply is not None:
            extra_apply(connection, index)
        return states

    try:
        appended = services.log.append(entry, apply)
    except Conflict as refusal:
        # Two senders of the same event at the same moment: the other one was first.
        repeated = _recorded_before(services, event_id, goods) if refusal.code == "event_exists" else None
        if repeated is None:
            raise
        return repeated
    return RecordedEvent(event_id, appended.index, appended.result or {})


def commissioned_event(batch: CommissionedBatch) -> dict[str, Any]:
    """Build the EPCIS form of a commissioning, to be put into the batch's own statement."""
    return object_event(
        event_id=f"urn:uuid:{uuid.uuid4()}",
        kind=EventKind.COMMISSIONED,
        event_time=batch.published_at,
        uris=(),
        class_uri=batch.class_uri,
        quantity=batch.quantity,
    )


def insert_event(connection: Connection, batch: CommissionedBatch, body: dict[str, Any], index: int) -> None:
    """Insert the commissioning `body` of a batch inside the transaction of the batch's leaf at `index`."""
    life = LifeEvent(body["eventID"], EventKind.COMMISSIONED, batch.organisation_id, batch.published_at)
    row = _event_row(
        life, body, actor=batch.actor, batch_id=batch.batch_id, record_time=batch.published_at, index=index
    )
    _insert(connection, row, ())
    write_batch_state(connection, batch.batch_id, next_state(NEW, life))


def find_event(session: Session, event_id: str) -> Event:
    """Give the event of this id; raises NotFound."""
    row = session.execute(select(events).where(events.c.event_id == event_id)).first()
    if row is None:
        raise NotFound
    named = session.execute(select(event_units.c.unit_id).where(event_units.c.event == row.id)).scalars().all()
    return _event(row, whole_batch=not named, unit_ids=tuple(named))


def readable_body(event: Event) -> dict[str, Any]:
    """Give the body of an event that somebody wants to build on; raises Conflict when it was erased."""
    if event.body is None:
        raise Conflict("What this event said was erased: that it happened is all that is left.", code="event_erased")
    return event.body


def history(session: Session, *, unit_id: int, batch_id: int) -> list[Event]:
    """Give the events of a unit and of its whole batch, in the order of the ledger."""
    named = select(event_units.c.event).where(event_units.c.unit_id == unit_id)
    own = session.execute(select(events).where(events.c.id.in_(named)))
    found = [_event(row, whole_batch=False) for row in own] + batch_history(session, batch_id=batch_id)
    return sorted(found, key=lambda event: event.log_index)


def batch_history(session: Session, *, batch_id: int) -> list[Event]:
    """Give the events of a whole batch, not those of single units, in the order of the ledger."""
    anybody = select(event_units.c.event).where(event_units.c.event == events.c.id)
    shared = select(events).where(events.c.batch_id == batch_id, ~anybody.exists()).order_by(events.c.log_index)
    return [_event(row, whole_batch=True) for row in session.execute(shared)]


def _subjects(services: Services, goods: Goods) -> tuple[bytes, ...]:
    """What the entry is about: the whole batch, or each of the units and not the batch."""
    if goods.is_whole_batch:
        return (ledger_subject(services.sealer, "batch", goods.handle),)
    if len(set(goods.subjects)) != len(goods.unit_ids):
        raise ValueError("each unit of an event needs its subject on the ledger")
    return tuple(sorted(goods.subjects))


def _original(services: Services, undoes: str | None) -> Event:
    if undoes is None:
        raise Invalid("An undo names the event that it takes back.", code="undo_of_nothing")
    with Session(services.engine) as session:
        return find_event(session, undoes)


def _recorded_before(services: Services, event_id: str, goods: Goods) -> RecordedEvent | None:
    with services.engine.connect() as connection:
        index = _index_of(connection, event_id)
        if index is None:
            return None
        batch = read_batch_state(connection, goods.batch_id)
        own = read_unit_states(connection, goods.unit_ids)
    states = {unit_id: joined(own.get(unit_id, NEW), batch) for unit_id in goods.unit_ids}
    return RecordedEvent(event_id, index, states, replayed=True)


def _index_of(connection: Connection, event_id: str) -> int | None:
    return connection.scalar(select(events.c.log_index).where(events.c.event_id == event_id))


def _follow(connection: Connection, goods: Goods, life: LifeEvent) -> dict[int, UnitState]:
    """Move the projections of everything the event is about; gives the joined states of the units."""
    batch = read_batch_state(connection, goods.batch_id)
    if life.kind is EventKind.UNDONE:
        _check_undone(connection, goods, life)
    if goods.is_whole_batch:
        following_batch = _next_or_refolded(connection, batch, life, batch_id=goods.batch_id)
        write_batch_state(connection, goods.batch_id, following_batch)
        return {}
    own = read_unit_states(connection, goods.unit_ids)
    following: dict[int, UnitState] = {}
    faults: list[FieldFault] = []
    first_refusal: Conflict | None = None
    for unit_id, uri in zip(goods.unit_ids, goods.uris, strict=True):
        try:
            following[unit_id] = _next_or_refolded(connection, own.get(unit_id, NEW), life, unit_id=unit_id)
        except Conflict as refusal:
            first_refusal = first_refusal or refusal
            faults.append(FieldFault(uri, str(refusal), refusal.code))
    if first_refusal is not None:
        first_refusal.faults = tuple(faults)
        first_refusal.fix = "Where this was recorded for the whole batch, it can be ended for the whole batch only."
        raise first_refusal
    write_unit_states(connection, following)
    return {unit_id: joined(state, batch) for unit_id, state in following.items()}


def _next_or_refolded(
    connection: Connection,
    state: UnitState,
    life: LifeEvent,
    *,
    unit_id: int | None = None,
    batch_id: int | None = None,
) -> UnitState:
    if life.kind is not EventKind.UNDONE:
        return next_state(state, life)
    # Rare, so done the plain way: all events of this unit or batch once more, without the one taken back.
    return fold([*life_of(connection, unit_id=unit_id, batch_id=batch_id), life])


def _check_undone(connection: Connection, goods: Goods, life: LifeEvent) -> None:
    """Refuse an undo of an event that is about other goods, was undone already, or is not this organisation's."""
    row = connection.execute(select(events).where(events.c.event_id == life.undoes)).first()
    if row is None:
        raise NotFound
    check_undo(LifeEvent(row.event_id, EventKind(row.kind), row.organisation_id, row.event_time), life)
    named = connection.execute(select(event_units.c.unit_id).where(event_units.c.event == row.id)).scalars().all()
    if row.batch_id != goods.batch_id or set(named) != set(goods.unit_ids):
        raise Conflict("An undo is about exactly the goods of the event it takes back.", code="undo_of_other_goods")
    if connection.scalar(select(events.c.id).where(events.c.undoes == life.undoes)) is not None:
        raise Conflict("This event was undone already.", code="already_undone")


def _event_row(
    life: LifeEvent, body: dict[str, Any], *, actor: str, batch_id: int, record_time: int, index: int
) -> dict[str, Any]:
    return {
        "event_id": life.event_id,
        "kind": life.kind.value,
        "organisation_id": life.organisation_id,
        "actor": actor,
        "batch_id": batch_id,
        "event_time": life.event_time,
        "record_time": record_time,
        "undoes": life.undoes,
        "log_index": index,
        "body": orjson.dumps(body).decode(),
    }


def _insert(connection: Connection, row: dict[str, Any], unit_ids: Sequence[int]) -> None:
    key = connection.execute(insert(EventRow).returning(EventRow.id), row).scalar_one()
    for start in range(0, len(unit_ids), CHUNK):
        pairs = [{"unit_id": unit_id, "event": key} for unit_id in unit_ids[start : start + CHUNK]]
        connection.execute(insert(event_units), pairs)


def _event(row: Any, *, whole_batch: bool, unit_ids: tuple[int, ...] = ()) -> Event:
    return Event(
        event_id=row.event_id,
        kind=EventKind(row.kind),
        organisation_id=row.organisation_id,
        actor=row.actor,
        batch_id=row.batch_id,
        whole_batch=whole_batch,
        event_time=row.event_time,
        record_time=row.record_time,
        undoes=row.undoes,
        log_index=row.log_index,
        body=orjson.loads(row.body) if row.body else None,
        unit_ids=unit_ids,
    )
