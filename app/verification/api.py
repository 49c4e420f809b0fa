"""Routes of verification under /v1: parse, call one use case, answer."""

from collections import Counter
from typing import Any

from flask import Response, request

from app.core.api import Blueprint
from app.core.authorisation import ANONYMOUS, Permission, current_principal, public, requires
from app.core.errors import Invalid
from app.core.services import services
from app.facts import service as facts
from app.facts.scans.scan import MAX_KEY
from app.transparency import service as transparency
from app.verification import schemas, service
from app.verification.http import json_arguments, json_response
from app.verification.limits import refuse_flood
from app.verification.request import ScanRequest
from app.verification.service import BatchItem
from app.verification.verdict import Authenticity

blueprint = Blueprint(
    "verification", __name__, url_prefix="/v1", description="Verify codes, act on goods, fetch proofs"
)

Members = dict[str, Any]


@blueprint.route("/verify", methods=["POST"])
@public
@json_arguments(blueprint, schemas.VerifySchema(), shortcut=schemas.simple_verify)
@blueprint.alt_response(200, schema=schemas.VerdictSchema)
def verify(members: Members) -> Response:
    """Verify one code; the scan is recorded, and the event of an act with it.

    Open to everybody; whoever signs in as a professional gets exact reasons. Send `key` so that a retry is no second
    scan.
    """
    principal = current_principal()
    if principal.is_anonymous:
        refuse_flood(services(), request.remote_addr)
    text = members.pop("code")
    memory = _memory(members)
    answer = service.verify_and_act(services(), text=text, principal=principal, request=_scan_request(members))
    return json_response(answer.to_wire() | _log(memory))


@blueprint.route("/public/scans", methods=["POST"])
@public
@json_arguments(blueprint, schemas.PublicScanSchema())
@blueprint.alt_response(200, schema=schemas.VerdictSchema)
def public_scan(members: Members) -> Response:
    """Record what a visitor of the public page scanned: as the public, whoever is signed in, with a coarse place."""
    refuse_flood(services(), request.remote_addr)
    text = members.pop("code")
    answer = service.verify(services(), text=text, principal=ANONYMOUS, request=_scan_request(members))
    return json_response(answer.to_wire())


@blueprint.route("/verify/batch", methods=["POST"])
@requires(Permission.VERIFY_BATCH)
@blueprint.arguments(schemas.CodesSchema())
@blueprint.response(200, schemas.BatchAnswerSchema)
def verify_batch(members: Members) -> Response:
    """Verify up to 1,000 codes at once; answers in their order."""
    return _act_on_units(members)


@blueprint.route("/units/actions", methods=["POST"])
@requires(Permission.VERIFY_PROFESSIONAL)
@blueprint.arguments(schemas.ActionsSchema())
@blueprint.response(200, schemas.BatchAnswerSchema)
def act_on_units(members: Members) -> Response:
    """Record one act on up to 1,000 units: a scan of each, and one event a batch."""
    return _act_on_units(members)


@blueprint.route("/batches/<handle>/actions", methods=["POST"])
@requires(Permission.VERIFY_PROFESSIONAL)
@blueprint.arguments(schemas.BatchActionSchema())
@blueprint.response(201, schemas.RecordedEventSchema)
def act_on_batch(members: Members, handle: str) -> Members:
    """Record that something happened to a whole batch: activated, recalled, exported, held ..."""
    members.setdefault("key", _header_key())
    return _recorded(service.act_on_batch(services(), handle=handle, principal=current_principal(), **members))


@blueprint.route("/events/<event_id>/undo", methods=["POST"])
@requires(Permission.VERIFY_PROFESSIONAL)
@blueprint.arguments(schemas.UndoSchema())
@blueprint.response(201, schemas.RecordedEventSchema)
def undo_event(members: Members, event_id: str) -> Members:
    """Take back an event of the caller's organisation, within ten days."""
    return _recorded(service.undo_event(services(), event_id=event_id, principal=current_principal(), **members))


@blueprint.route("/proofs/<handle>/<path:serial>", methods=["GET"])
@public
@blueprint.arguments(schemas.ProofQuery(), location="query")
@blueprint.response(200)
def proof(query: Members, handle: str, serial: str) -> Response:
    """Give everything a third party needs to check one unit without this registry.

    Who has no role that may read proofs must send the code's signature as `S`.
    """
    principal = current_principal()
    if principal.is_anonymous:
        refuse_flood(services(), request.remote_addr)
    return json_response(
        service.proof_bundle(
            services(),
            handle=handle,
            serial=serial,
            signature=query.get("S"),
            principal=principal,
            remote_address=request.remote_addr or "",
        )
    )


@blueprint.route("/trust", methods=["GET"])
@public
@blueprint.response(200)
def trust() -> Response:
    """Give the trust list: what a reader must know beforehand to judge codes, proofs and receipts by itself."""
    answer = json_response(service.trust_list(services()))
    answer.headers["Cache-Control"] = "public, max-age=60"
    return answer


def _act_on_units(members: Members) -> Response:
    texts, statements = members.pop("codes"), members.pop("statements", None)
    memory = _memory(members)
    items = service.act_on_units(
        services(),
        texts=texts,
        principal=current_principal(),
        request=_scan_request(members),
        statements=statements,
    )
    return _items(items, memory)


def _memory(members: Members) -> transparency.Memory | None:
    """Compare the checkpoint that the device saw last, before anything is recorded; None when it sent none."""
    note = members.pop("checkpoint", None)
    return None if note is None else transparency.take_memory(services(), note)


def _log(memory: transparency.Memory | None) -> Members:
    """What a device that remembers gets back beside the verdicts."""
    return {} if memory is None else {"log": transparency.continuation(services(), memory)}


def _scan_request(members: Members) -> ScanRequest:
    members.setdefault("key", _header_key())
    return ScanRequest(remote_address=request.remote_addr or "", **members)


def _header_key() -> str | None:
    """The key of the header; raises Invalid for one that a scan can not keep, since a shortened key is another key."""
    key = request.headers.get("Idempotency-Key")
    if key is not None and not (1 <= len(key) <= MAX_KEY and key.isascii() and key.isprintable() and " " not in key):
        raise Invalid(
            "An Idempotency-Key has 1 to %(longest)s visible ASCII characters.", code="idempotency_key", longest=MAX_KEY
        )
    return key


def _items(items: list[BatchItem], memory: transparency.Memory | None) -> Response:
    wire: list[Members] = []
    counted: Counter[str] = Counter()
    for item in items:
        error = None
        if item.error is not None:
            error = {"code": item.error.code, "message": item.error.message, "fix": item.error.fix}
        outcome = Authenticity.UNREADABLE if item.answer is None else item.answer.verdict.summary
        counted[outcome.value] += 1  # a plain string: orjson takes no other keys
        wire.append({"verdict": None if item.answer is None else item.answer.to_wire(), "error": error})
    return json_response({"items": wire, "summary": dict(counted)} | _log(memory))


def _recorded(event: facts.RecordedEvent) -> Members:
    return {"event_id": event.event_id, "log_index": event.log_index, "replayed": event.replayed}
