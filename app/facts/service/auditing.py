"""The audit's view of events: each row of `events` against the entry that it is on the ledger as, and the reverse."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import orjson
from sqlalchemy import Connection, Row, exists, func, select
from sqlalchemy.orm import Session

from app.accounts import service as accounts
from app.core.audit_rows import difference, said, stated_time, strays
from app.facts.models import EventRow, event_units
from app.facts.service.auditing_states import check_narrowly, check_states
from app.facts.vocabulary import EVENT_RULES, EventKind
from ledger.audit import ExtraCheck
from ledger.audit.report import AuditScope, Fault
from ledger.audit.statements import Stated, stretches
from ledger.strict import encode_json

EVENTS = "event"
"""Kind of the entries that events are; the commissioning of a batch stands in the batch's own entry."""
BATCHES = "batch"
CHUNK = 400
"""Events whose units are read at once: each names at most 1,000."""

SubjectsOf = Callable[[Connection, int, Sequence[int]], Sequence[bytes] | None]
"""Gives what the ledger calls a batch's units, or the whole batch when none is named; None for goods there are not."""

_events = EventRow.__table__.c


def event_check(subjects_of: SubjectsOf) -> ExtraCheck:
    """Make the check of events; the registry tells how the ledger calls the goods."""

    def check(connection: Connection, scope: AuditScope) -> Iterator[Fault]:
        issuers: dict[int, str] = {}
        for stretch in stretches(connection, scope, {EVENTS, BATCHES}):
            rows = connection.execute(select(EventRow.__table__).where(stretch.holds(_events.log_index))).all()
            _learn(connection, issuers, rows)
            unseen = dict(stretch.entries)
            for at in range(0, len(rows), CHUNK):
                some = rows[at : at + CHUNK]
                units = _units_of(connection, some)
                for row in some:
                    stated = unseen.pop(row.log_index, None)
                    where = f"events {row.event_id}"
                    if row.log_index in stretch.erased:
                        yield from _check_erased(row, where)
                    elif stated is None:
                        finding = f"entry {row.log_index} of the ledger is no event of its own"
                        yield Fault("event.log_index", where, finding)
                    else:
                        yield from _check_words(row, stated, where, issuers.get(row.organisation_id))
                        expected = subjects_of(connection, row.batch_id, units[row.id])
                        yield from _check_goods(stated, where, expected)
                if not scope.whole:
                    yield from check_narrowly(connection, some, units)
            yield from _without_row(unseen)
        if scope.whole:
            yield from strays(connection, "events", "event", _events.log_index, scope.size)
            yield from _units_without_event(connection)
            yield from check_states(connection)

    return check


def _learn(connection: Connection, issuers: dict[int, str], rows: Sequence[Row[Any]]) -> None:
    unknown = {row.organisation_id for row in rows} - issuers.keys()
    if unknown:
        with Session(bind=connection) as session:
            issuers.update(accounts.issuers_of(session, unknown))


def _units_of(connection: Connection, rows: Sequence[Row[Any]]) -> Mapping[int, list[int]]:
    found: dict[int, list[int]] = defaultdict(list)
    query = select(event_units.c.event, event_units.c.unit_id).where(event_units.c.event.in_([row.id for row in rows]))
    for event, unit_id in connection.execute(query):
        found[event].append(unit_id)
    return found


def _check_erased(row: Row[Any], where: str) -> Iterator[Fault]:
    if row.body:
        finding = f"the body of its entry {row.log_index} was erased, and the copy of it is still here"
        yield Fault("event.erasure", where, finding)


def _check_words(row: Row[Any], stated: Stated, where: str, issuer: str | None) -> Iterator[Fault]:
    if not row.body:
        yield Fault("event.body", where, f"it has no body, and the one of its entry {stated.index} was not erased")
        return
    words: dict[str, object] = {"time": stated_time(row.record_time), "organisation": issuer}
    if stated.kind == EVENTS:
        words["id"] = row.event_id
    body = said(stated, "event")
    if (different := difference(stated, words)) is not None:
        yield Fault("event.entry", where, f"its entry {stated.index} says another {different}")
    if not isinstance(body, dict) or not _same(row.body, body):
        yield Fault("event.body", where, f"its entry {stated.index} holds another body")
    elif (column := _contradicted(row, body)) is not None:
        yield Fault("event.entry", where, f"its {column} is not that of the body in entry {stated.index}")


def _same(stored: str, body: Mapping[str, Any]) -> bool:
    try:
        return encode_json(orjson.loads(stored)) == encode_json(body)
    except ValueError:
        return False


def _contradicted(row: Row[Any], body: Mapping[str, Any]) -> str | None:
    """Give a column that does not follow from the body (EPCIS), None when all do."""
    undoes = row.kind == EventKind.UNDONE
    rule = EVENT_RULES.get(row.kind)
    if rule is None or undoes is not ("errorDeclaration" in body):
        return "kind"
    if undoes:
        # An undo repeats the event that it takes back, so the rest of the body is not about the undo.
        follows = {"undoes": row.undoes == body.get("eventID")}
    else:
        stated = tuple(body.get(name) for name in ("action", "bizStep", "disposition"))
        follows = {
            "kind": stated == (rule.action, rule.business_step, rule.disposition),
            "undoes": row.undoes is None,
            "event_id": row.event_id == body.get("eventID"),
            "event_time": stated_time(row.event_time) == body.get("eventTime"),
        }
    return next((column for column, holds in follows.items() if not holds), None)


def _check_goods(stated: Stated, where: str, expected: Sequence[bytes] | None) -> Iterator[Fault]:
    if expected is None or tuple(sorted(expected)) != stated.subjects:
        finding = f"entry {stated.index} is about other goods than the batch and the units named here"
        yield Fault("event.goods", where, finding)


def _without_row(unseen: Mapping[int, Stated]) -> Iterator[Fault]:
    for index, stated in unseen.items():
        finding = f"entry {index} is of kind {stated.kind}, and its event is not in the table of events"
        yield Fault("event.missing", f"ledger_entries {index}", finding)


def _units_without_event(connection: Connection) -> Iterator[Fault]:
    orphans = select(func.count(), func.min(event_units.c.unit_id)).where(
        ~exists().where(_events.id == event_units.c.event)
    )
    count, least = connection.execute(orphans).one()
    if count:
        yield Fault("event.units", f"event_units {least}", f"{count} rows name events that are not there")
