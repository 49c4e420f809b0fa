"""Routes of accounts under /v1: parse, call one use case, answer."""

from contextlib import closing
from typing import Any

from flask import Response, request

from app.accounts import schemas, service
from app.accounts.answers import document_answer, key_answer, organisation_answer, right_answer, right_answers
from app.accounts.vocabulary import OrganisationKind, OrganisationStatus, RightKind
from app.core.api import Blueprint
from app.core.authorisation import (
    Permission,
    current_organisation_id,
    current_principal,
    public,
    requires,
)
from app.core.clock import from_datetime, to_iso
from app.core.database import request_session
from app.core.errors import Invalid
from app.core.given import given_bytes
from app.core.networks import network_of
from app.core.services import services
from ledger.strict import encode_base64

blueprint = Blueprint(
    "accounts", __name__, url_prefix="/v1", description="Organisations, issuing rights and signing keys"
)

FORM_OVERHEAD = 64 * 1024
"""What the form around a document may take, in bytes."""

Answer = dict[str, Any]


@blueprint.before_request
def allow_documents() -> None:
    """One route takes more than the usual two megabytes."""
    if request.endpoint == "accounts.hand_in_evidence":
        request.max_content_length = service.MAX_DOCUMENT + FORM_OVERHEAD


@blueprint.route("/organisations", methods=["POST"])
@public
@blueprint.arguments(schemas.SignUpSchema)
@blueprint.response(202, schemas.SignUpAnswerSchema)
def sign_up(entry: dict[str, Any]) -> Answer:
    """Ask to join: a message goes to the address, and the link in it sends the application in.

    The answer is the same whether or not the address has an account.
    """
    kind = OrganisationKind(entry.pop("kind"))
    service.ask_to_join(services(), **entry, kind=kind, remote_address=network_of(request.remote_addr) or "unknown")
    return {"status": "confirm_by_mail"}


@blueprint.route("/organisations", methods=["GET"])
@requires(Permission.ORGANISATION_APPROVE)
@blueprint.arguments(schemas.OrganisationListQuery, location="query")
@blueprint.response(200, schemas.OrganisationListSchema)
def list_organisations(query: dict[str, Any]) -> Answer:
    """Organisations in order of arrival, for the registry's administrators."""
    status = OrganisationStatus(query["status"]) if "status" in query else None
    page = service.list_organisations(
        request_session(),
        status=status,
        text=query.get("text", ""),
        cursor=query.get("cursor"),
        limit=query["limit"],
    )
    return {"items": [organisation_answer(item) for item in page.items], "next_cursor": page.next_cursor}


@blueprint.route("/organisation", methods=["GET"])
@requires(Permission.ORGANISATION_READ)
@blueprint.response(200, schemas.OrganisationSchema)
def own_organisation() -> Answer:
    """The caller's organisation."""
    return organisation_answer(service.organisation_by_id(request_session(), current_organisation_id()))


@blueprint.route("/organisation/application", methods=["POST"])
@requires(Permission.ORGANISATION_MANAGE)
@blueprint.arguments(schemas.ApplicationSchema)
@blueprint.response(200, schemas.OrganisationSchema)
def apply_again(entry: dict[str, Any]) -> Answer:
    """Ask the registry again after a refusal, with name and country corrected."""
    return organisation_answer(
        service.apply_again(services(), organisation_id=current_organisation_id(), by=current_principal(), **entry)
    )


@blueprint.route("/organisations/<issuer>/decision", methods=["POST"])
@requires(Permission.ORGANISATION_APPROVE)
@blueprint.arguments(schemas.OrganisationDecisionSchema)
@blueprint.response(200, schemas.OrganisationSchema)
def decide_organisation(entry: dict[str, Any], issuer: str) -> Answer:
    """Approve, refuse or suspend an organisation; the decision goes on the ledger."""
    by, reason = current_principal(), entry["reason"]
    if entry["decision"] == "approve":
        countries = entry["jurisdiction"]
        return organisation_answer(
            service.approve_organisation(
                services(), issuer=issuer, decided_by=by, reason=reason, jurisdiction=countries
            )
        )
    decide = {"refuse": service.refuse_organisation, "suspend": service.suspend_organisation}[entry["decision"]]
    return organisation_answer(decide(services(), issuer=issuer, decided_by=by, reason=reason))


@blueprint.route("/rights", methods=["GET"])
@requires(Permission.ORGANISATION_READ)
@blueprint.response(200, schemas.RightListSchema)
def list_rights() -> Answer:
    """Issuing rights that the caller's organisation holds, held or asked for."""
    session = request_session()
    return right_answers(session, service.list_rights(session, organisation_id=current_organisation_id()))


@blueprint.route("/rights/delegated", methods=["GET"])
@requires(Permission.ORGANISATION_READ)
@blueprint.response(200, schemas.RightListSchema)
def list_delegations() -> Answer:
    """Rights that the caller's organisation gave to makers of its goods."""
    session = request_session()
    return right_answers(session, service.list_delegations(session, owner_organisation_id=current_organisation_id()))


@blueprint.route("/rights/requests", methods=["GET"])
@requires(Permission.ORGANISATION_APPROVE)
@blueprint.response(200, schemas.RightListSchema)
def list_right_requests() -> Answer:
    """Requests that wait for the registry, oldest first."""
    session = request_session()
    return right_answers(session, [right for right, _ in service.list_right_requests(session)])


@blueprint.route("/rights", methods=["POST"])
@requires(Permission.ORGANISATION_MANAGE)
@blueprint.arguments(schemas.RightRequestSchema)
@blueprint.response(201, schemas.RightSchema)
def request_right(entry: dict[str, Any]) -> Answer:
    """Ask the registry to enter a GS1 company prefix or a single GTIN."""
    kind = RightKind(entry.pop("kind"))
    right = service.request_right(services(), organisation_id=current_organisation_id(), kind=kind, **entry)
    return right_answer(request_session(), right)


@blueprint.route("/rights/<reference>/evidence", methods=["POST"])
@requires(Permission.ORGANISATION_MANAGE)
@blueprint.arguments(schemas.DocumentSchema, location="upload")
@blueprint.response(200, schemas.RightSchema)
def hand_in_evidence(entry: dict[str, Any], reference: str) -> Answer:
    """Hand in the document that proves a right: PDF, PNG or JPEG, at most 5 megabytes, sealed at once."""
    if "document" not in request.files:
        raise Invalid("Send the file as the part “document” of a multipart form.", code="file_missing")
    with closing(entry["document"]) as file:
        data = file.stream.read()
    right = service.hand_in_evidence(services(), by=current_principal(), reference=reference, data=data)
    return right_answer(request_session(), right)


@blueprint.route("/rights/<reference>/evidence", methods=["GET"])
@requires(Permission.ORGANISATION_APPROVE)
@blueprint.response(200, schemas.DOCUMENT, content_type="application/octet-stream")
def read_evidence(reference: str) -> Response:
    """Download the document of a right, for the registry: as an attachment that no browser opens by itself."""
    return document_answer(service.read_evidence(request_session(), services(), reference=reference))


@blueprint.route("/rights/delegations", methods=["POST"])
@requires(Permission.ORGANISATION_MANAGE)
@blueprint.arguments(schemas.DelegationSchema)
@blueprint.response(201, schemas.RightSchema)
def delegate_gtin(entry: dict[str, Any]) -> Answer:
    """Let a maker commission units of an own GTIN, within a quota and until a date."""
    right = service.delegate_gtin(
        services(),
        owner_organisation_id=current_organisation_id(),
        gtin=entry["gtin"],
        to_issuer=entry["to"],
        quota=entry["quota"],
        lot_quota=entry["lot_quota"],
        valid_until=from_datetime(entry["valid_until"]),
        actor=current_principal(),
    )
    return right_answer(request_session(), right)


@blueprint.route("/rights/<reference>/decision", methods=["POST"])
@requires(Permission.ORGANISATION_APPROVE)
@blueprint.arguments(schemas.RightDecisionSchema)
@blueprint.response(200, schemas.RightSchema)
def decide_right(entry: dict[str, Any], reference: str) -> Answer:
    """Approve or refuse a right; the decision goes on the ledger."""
    end = entry["valid_until"]
    right = service.decide_right(
        services(),
        reference=reference,
        approve=entry["decision"] == "approve",
        reason=entry["reason"],
        decided_by=current_principal(),
        quota=entry["quota"],
        lot_quota=entry["lot_quota"],
        valid_until=None if end is None else from_datetime(end),
    )
    return right_answer(request_session(), right)


@blueprint.route("/rights/<reference>/revocation", methods=["POST"])
@requires(Permission.ORGANISATION_MANAGE)
@blueprint.arguments(schemas.ReasonSchema)
@blueprint.response(200, schemas.RightSchema)
def revoke_right(entry: dict[str, Any], reference: str) -> Answer:
    """End a right: the registry any, an owner the delegations it gave."""
    principal = current_principal()
    right = service.revoke_right(
        services(),
        reference=reference,
        reason=entry["reason"],
        revoked_by=principal,
        as_registry=principal.may(Permission.ORGANISATION_APPROVE),
    )
    return right_answer(request_session(), right)


@blueprint.route("/keys", methods=["GET"])
@requires(Permission.ORGANISATION_READ)
@blueprint.response(200, schemas.KeyListSchema)
def list_keys() -> Answer:
    """Signing keys of the caller's organisation, newest first."""
    keys = service.list_keys(request_session(), organisation_id=current_organisation_id())
    return {"items": [key_answer(key) for key in keys]}


@blueprint.route("/keys/registrations", methods=["POST"])
@requires(Permission.KEY_MANAGE)
@blueprint.arguments(schemas.NewKeyRegistrationSchema)
@blueprint.response(201, schemas.KeyRegistrationSchema)
def begin_registration(entry: dict[str, Any]) -> Answer:
    """Set a number aside for a code key that the firm holds: the first of two steps."""
    waiting = service.begin_registration(
        services(), organisation_id=current_organisation_id(), public_key=given_bytes(entry["public_key"], size=32)
    )
    return {
        "key_id": waiting.key_id,
        "purpose": waiting.purpose.value,
        "issuer": waiting.issuer,
        "possession_message": encode_base64(waiting.message),
        "expires_at": to_iso(waiting.expires_at),
    }


@blueprint.route("/keys", methods=["POST"])
@requires(Permission.KEY_MANAGE)
@blueprint.arguments(schemas.FirmKeySchema)
@blueprint.response(201, schemas.KeySchema)
def register_firm_key(entry: dict[str, Any]) -> Answer:
    """Register a code key that the firm holds, with its signature of the message: the second step."""
    end = entry["valid_until"]
    key = service.register_firm_key(
        services(),
        organisation_id=current_organisation_id(),
        key_id=entry["key_id"],
        public_key=given_bytes(entry["public_key"], size=32),
        possession=given_bytes(entry["possession"], size=64),
        valid_until=None if end is None else from_datetime(end),
        actor=current_principal().actor,
    )
    return key_answer(key)


@blueprint.route("/keys/<int(max=4294967295):key_id>/rotation", methods=["POST"])
@requires(Permission.KEY_MANAGE)
@blueprint.arguments(schemas.KeyRotationSchema, required=False)
@blueprint.response(201, schemas.KeySchema)
def rotate_key(entry: dict[str, Any], key_id: int) -> Answer:
    """Register a successor that the service holds and that signs from now on; the old key stays valid."""
    hand_back = entry["holder"] is not None
    return key_answer(
        service.rotate_key(
            services(),
            organisation_id=current_organisation_id(),
            key_id=key_id,
            hand_back=hand_back,
            actor=current_principal().actor,
        )
    )


@blueprint.route("/keys/<int(max=4294967295):key_id>/revocation", methods=["POST"])
@requires(Permission.KEY_MANAGE)
@blueprint.arguments(schemas.KeyRevocationSchema)
@blueprint.response(200, schemas.KeySchema)
def revoke_key(entry: dict[str, Any], key_id: int) -> Answer:
    """Revoke a key from a ledger position on, now or when it was stolen; batches before it stay good."""
    return key_answer(
        service.revoke_key(
            services(),
            organisation_id=current_organisation_id(),
            key_id=key_id,
            reason=entry["reason"],
            from_index=entry["from_index"],
            actor=current_principal().actor,
        )
    )


@blueprint.route("/issuers/<issuer>/keys", methods=["GET"])
@public
@blueprint.response(200, schemas.PublicKeysSchema)
def public_keys(issuer: str) -> Answer:
    """An issuer's public keys with their ledger entries in clear, for verifiers outside."""
    history = service.key_history(services(), issuer=issuer)
    return {
        "issuer": history.organisation.issuer,
        "name": history.organisation.name,
        "keys": [key_answer(key) for key in history.keys],
        "entries": [{"index": entry.index, "salt": entry.salt, "body": entry.body} for entry in history.entries],
    }
