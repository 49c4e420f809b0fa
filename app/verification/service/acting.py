"""Acts on goods: one scan and one event, so that recording a sale is one tap, one API field, one row of a file.

The scan is recorded first, then the event. When the event fails the scan stays: it was made. The event's id follows
from the scan's device and key, so whoever got no answer repeats the request and nothing happens twice.
"""

import hashlib
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace

from flask_babel import gettext
from sqlalchemy.orm import Session

from app.accounts import service as accounts
from app.accounts.vocabulary import OrganisationKind, OrganisationStatus
from app.core.authorisation import Principal
from app.core.clock import now_ms
from app.core.errors import AppError, Forbidden, NotFound, NotSignedIn
from app.core.services import Services
from app.facts import service as facts
from app.facts.epcis import NOWHERE, Place
from app.facts.vocabulary import EVENT_RULES, EventKind
from app.registry import service as registry
from app.verification.actions import EVENT_OF, REFUSED_ON_STOP, Action
from app.verification.answer import ActionOutcome, VerdictAnswer
from app.verification.request import ScanRequest
from app.verification.service.owners import telling_the_maker, with_owners
from app.verification.service.signed import take_signature
from app.verification.service.verifying import BatchItem, check_action, verify, verify_batch
from app.verification.summary_table import STATUS
from app.verification.verdict import Authenticity, Summary

_ACTIONABLE = frozenset(
    {
        Authenticity.REGISTERED,
        Authenticity.SIGNATURE_MISSING,  # what element strings and medicine codes are, for a professional
        Authenticity.KEY_REVOKED,
        Authenticity.KEY_EXPIRED,
    }
)
_STOPPED = frozenset(status for status, summary in STATUS.items() if summary is Summary.STOP)


_EVENTS = uuid.uuid5(uuid.NAMESPACE_URL, "https://ns.marchamo.org/events")
"""Name space of event ids that follow from a request (RFC 9562, version 5)."""


@dataclass(frozen=True, slots=True)
class _Actor:
    organisation_id: int
    issuer: str
    jurisdiction: frozenset[str]
    name: str
    signer: accounts.Signer


def verify_and_act(services: Services, *, text: str, principal: Principal, request: ScanRequest) -> VerdictAnswer:
    """Verify one code, record the scan and, when the request names an act, the event of that act.

    The verdict is that before the act. Raises what `verify` raises; an act that can not be recorded is told in the
    answer's `action`, with the reason.
    """
    principal, request = take_signature(services, text=text, principal=principal, request=request)
    answer = verify(services, text=text, principal=principal, request=request)
    kind = EVENT_OF.get(request.action)
    if kind is None:
        return answer
    refusal = _refusal(answer, request.action)
    if refusal is not None:
        return replace(answer, action=refusal)
    actor = _actor(services, principal)
    return _act_together(services, actor, kind, [answer], request)[0]


def act_on_units(
    services: Services,
    *,
    texts: Sequence[str],
    principal: Principal,
    request: ScanRequest,
    statements: Sequence[str] | None = None,
) -> list[BatchItem]:
    """Verify up to 1,000 codes and record one act on all of them, with one event a batch of the registry.

    statements: what devices signed, one for each code, as in `verify_batch`.
    """
    items = verify_batch(services, texts=texts, principal=principal, request=request, statements=statements)
    kind = EVENT_OF.get(request.action)
    if kind is None:
        return items
    if statements is not None and request.key is None:
        # The signed scans have keys of their own, so what was signed names the request: the same again is a retry.
        request = replace(request, key=hashlib.sha256("\n".join(statements).encode()).hexdigest())
    actor = _actor(services, principal)
    groups: dict[int, dict[int, list[int]]] = {}
    for place, item in enumerate(items):
        if item.answer is None:
            continue
        refusal = _refusal(item.answer, request.action)
        unit = item.answer.unit
        if refusal is not None or unit is None:
            items[place] = BatchItem(replace(item.answer, action=refusal), None)
        else:
            groups.setdefault(unit.batch_id, {}).setdefault(unit.unit_id, []).append(place)
    for units in groups.values():
        answers = [answer for places in units.values() if (answer := items[places[0]].answer) is not None]
        for places, acted in zip(units.values(), _act_together(services, actor, kind, answers, request), strict=True):
            for place in places:  # a unit that was scanned twice is acted on once, and told twice
                answer = items[place].answer
                items[place] = BatchItem(None if answer is None else replace(answer, action=acted.action), None)
    return items


def act_on_batch(
    services: Services,
    *,
    handle: str,
    action: Action,
    principal: Principal,
    key: str | None = None,
    note: str = "",
    place: Place = NOWHERE,
    country: str | None = None,
) -> facts.RecordedEvent:
    """Record that something happened to a whole batch. key: the same again records nothing.

    country: where an authority acts; needed when its jurisdiction is larger than one country.

    Raises NotFound, Forbidden, Conflict or Invalid as `record_event` does.
    """
    kind = EVENT_OF.get(action)
    if kind is None:
        raise Forbidden("This act changes nothing for a whole batch.", code="action_not_allowed")
    check_action(principal, ScanRequest(action=action))
    actor = _actor(services, principal)
    with Session(services.engine) as session:
        goods = registry.goods_of_batch(registry.find_batch(session, handle))
    event_id = None if key is None else _event_id(action, str(actor.organisation_id), key, f"batch {goods.batch_id}")
    return _record(
        services,
        actor,
        kind,
        goods,
        event_time=now_ms(),
        place=place,
        note=note,
        country=country,
        event_id=event_id,
    )


def undo_event(services: Services, *, event_id: str, principal: Principal, note: str = "") -> facts.RecordedEvent:
    """Take back an event of the caller's own organisation, within ten days. Raises NotFound, Forbidden, Conflict."""
    actor = _actor(services, principal)
    with Session(services.engine) as session:
        event = facts.find_event(session, event_id)
        if event.organisation_id != actor.organisation_id or event.batch_id is None:
            raise NotFound  # another organisation's event is nobody else's to see
        batch = registry.find_batch_by_id(session, event.batch_id)
    if not principal.may(EVENT_RULES[event.kind].permission):
        raise Forbidden(code="action_not_allowed")
    goods = registry.goods_of_batch(batch)
    if not event.whole_batch:
        goods = replace(goods, unit_ids=event.unit_ids, uris=tuple(facts.readable_body(event).get("epcList", ())))
    return _record(
        services, actor, EventKind.UNDONE, goods, event_time=now_ms(), note=note, undoes=event_id, event_id=None
    )


def _refusal(answer: VerdictAnswer, action: Action) -> ActionOutcome | None:
    if answer.unit is None or answer.verdict.authenticity not in _ACTIONABLE:
        message = str(gettext("The code is not confirmed, so nothing is recorded about the unit. The scan is kept."))
        return ActionOutcome(action.value, recorded=False, code="not_confirmed", message=message)
    stopped = answer.verdict.status & _STOPPED
    if action in REFUSED_ON_STOP and stopped:
        message = str(gettext("The unit must not be in trade, so this is not recorded. The scan is kept."))
        return ActionOutcome(action.value, recorded=False, code=f"unit_{min(stopped).lower()}", message=message)
    return None


def _actor(services: Services, principal: Principal) -> _Actor:
    if principal.organisation_id is None:
        raise NotSignedIn
    with Session(services.engine) as session:
        organisation = accounts.organisation_by_id(session, principal.organisation_id)
        signer = accounts.statement_signer(session, services.sealer, organisation_id=organisation.id)
    if organisation.status is not OrganisationStatus.APPROVED:
        raise Forbidden("The registry has closed your organisation's access.", code="organisation_not_approved")
    is_authority = organisation.kind is OrganisationKind.AUTHORITY
    jurisdiction = organisation.jurisdiction if is_authority else frozenset()
    return _Actor(organisation.id, organisation.issuer, jurisdiction, principal.actor, signer)


def _act_together(
    services: Services, actor: _Actor, kind: EventKind, answers: Sequence[VerdictAnswer], request: ScanRequest
) -> list[VerdictAnswer]:
    """Record one event about units of one batch, all of them or none, and tell each answer what became of it."""
    goods = _goods(answers)
    now = answers[0].as_of
    event_time = now if request.device_time is None else min(request.device_time, now)
    # One unit: the scan names the event. Several: the key of the request and the batch do.
    subject = answers[0].scan_id if len(answers) == 1 else f"batch {goods.batch_id}"
    repeatable = len(answers) == 1 or request.key is not None
    parts = (str(actor.organisation_id), request.key or "", subject or "")
    try:
        recorded = _record(
            services,
            actor,
            kind,
            goods,
            event_time=event_time,
            place=request.place,
            note=request.note,
            country=request.country,
            event_id=_event_id(request.action, *parts) if repeatable else None,
        )
    except AppError as refusal:
        outcome = ActionOutcome(request.action.value, recorded=False, code=refusal.code, message=refusal.sentence())
        return [replace(answer, action=outcome) for answer in answers]
    outcome = ActionOutcome(
        request.action.value,
        recorded=True,
        event_id=recorded.event_id,
        log_index=recorded.log_index,
        replayed=recorded.replayed,
    )
    named = _units_named(services, recorded, goods)
    return [
        replace(answer, action=outcome if answer.unit and answer.unit.unit_id in named else _key_reused(request.action))
        for answer in answers
    ]


def _units_named(services: Services, recorded: facts.RecordedEvent, goods: facts.Goods) -> frozenset[int]:
    """The units that the event is about: an earlier request with the same key may have named others."""
    if not recorded.replayed:
        return frozenset(goods.unit_ids)
    with Session(services.engine) as session:
        return frozenset(facts.find_event(session, recorded.event_id).unit_ids)


def _key_reused(action: Action) -> ActionOutcome:
    message = str(gettext("This key was used before for other units; nothing is recorded about this one."))
    return ActionOutcome(action.value, recorded=False, code="idempotency_key_reused", message=message)


def _goods(answers: Sequence[VerdictAnswer]) -> facts.Goods:
    found = [(a.unit, a.code.identity) for a in answers if a.unit and a.code and a.code.identity]
    unit, identity = found[0]
    return facts.Goods(
        batch_id=unit.batch_id,
        handle=unit.handle,
        issued_by=unit.organisation_id,
        class_uri=registry.class_uri(identity.kind, identity.identifier, unit.lot, unit.handle),
        quantity=len(found),
        unit_ids=tuple(one.unit_id for one, _ in found),
        uris=tuple(name.uri() for _, name in found),
    )


def _record(
    services: Services,
    actor: _Actor,
    kind: EventKind,
    goods: facts.Goods,
    *,
    event_time: int,
    event_id: str | None,
    place: Place = NOWHERE,
    note: str = "",
    country: str | None = None,
    undoes: str | None = None,
) -> facts.RecordedEvent:
    goods = with_owners(services, actor.organisation_id, goods)
    return facts.record_event(
        services,
        kind=kind,
        organisation_id=actor.organisation_id,
        issuer=actor.issuer,
        signer=actor.signer,
        actor=actor.name,
        goods=registry.with_subjects(services, goods),
        jurisdiction=actor.jurisdiction,
        event_time=event_time,
        place=place,
        note=note,
        country=country,
        undoes=undoes,
        event_id=event_id,
        extra_apply=telling_the_maker(services, actor.organisation_id, kind, goods),
    )


def _event_id(action: Action, *parts: str) -> str:
    text = "\0".join((action.value, *parts))
    return f"urn:uuid:{uuid.uuid5(_EVENTS, text)}"
