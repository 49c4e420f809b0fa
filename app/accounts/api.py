"""Routes of accounts under /v1: parse, call one use case, answer."""

from typing import Any

from flask import request

from app.accounts import schemas, service
from app.accounts.answers import key_answer, organisation_answer, right_answer, right_answers
from app.accounts.vocabulary import OrganisationKind, OrganisationStatus, RightKind
from app.core.api import Blueprint
from app.core.authorisation import (
    Permission,
    current_organisation_id,
    current_principal,
    public,
    requires,
)
from app.core.clock import from_datetime
from app.core.database import request_session
from app.core.services import services

blueprint = Blueprint(
    "accounts", __name__, url_prefix="/v1", description="Organisations, issuing rights and signing keys"
)

Answer = dict[str, Any]


@blueprint.route("/organisations", methods=["POST"])
@public
@blueprint.arguments(schemas.SignUpSchema)
@blueprint.response(201, schemas.OrganisationSchema)
def sign_up(entry: dict[str, Any]) -> Answer:
    """Ask to join: the organisation waits for the registry's decision."""
    kind = OrganisationKind(entry.pop("kind"))
    return organisation_answer(
        service.register_organisation(services(), **entry, kind=kind, remote_address=request.remote_addr or "unknown")
    )


@blueprint.route("/organisations", methods=["GET"])
@requires(Permission.ORGANISATION_APPROVE)
@blueprint.arguments(schemas.OrganisationListQuery, location="query")
@blueprint.response(200, schemas.OrganisationListSchema)
def list_organisations(query: dict[str, Any]) -> Answer:
    """Organisations in order of arrival, for the registry's administrators."""
    status = OrganisationStatus(query["status"]) if "status" in query else None
    page = service.list_organisations(
        request_session(), status=status, cursor=query.get("cursor"), limit=query["limit"]
    )
    return {"items": [organisation_answer(item) for item in page.items], "next_cursor": page.next_cursor}


@blueprint.route("/organisation", methods=["GET"])
@requires(Permission.ORGANISATION_READ)
@blueprint.response(200, schemas.OrganisationSchema)
def own_organisation() -> Answer:
    """The caller's organisation."""
    return organisation_answer(service.organisation_by_id(request_session(), current_organisation_id()))


@blueprint.route("/organisation/members", methods=["GET"])
@requires(Permission.MEMBER_MANAGE)
@blueprint.response(200, schemas.MemberListSchema)
def list_members() -> Answer:
    """People of the caller's organisation."""
    members = service.list_members(request_session(), organisation_id=current_organisation_id())
    return {"items": [{"email": each.email, "name": each.name, "role": each.role.value} for each in members]}


@blueprint.route("/organisations/<issuer>/decision", methods=["POST"])
@requires(Permission.ORGANISATION_APPROVE)
@blueprint.arguments(schemas.OrganisationDecisionSchema)
@blueprint.response(200, schemas.OrganisationSchema)
def decide_organisation(entry: dict[str, Any], issuer: str) -> Answer:
    """Approve, refuse or suspend an organisation; the decision goes on the ledger."""
    decide = {
        "approve": service.approve_organisation,
        "refuse": service.refuse_organisation,
        "suspend": service.suspend_organisation,
    }[entry["decision"]]
    return organisation_answer(
        decide(services(), issuer=issuer, decided_by=current_principal(), reason=entry["reason"])
    )


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


@blueprint.route("/keys/<int(max=4294967295):key_id>/rotation", methods=["POST"])
@requires(Permission.KEY_MANAGE)
@blueprint.response(201, schemas.KeySchema)
def rotate_key(key_id: int) -> Answer:
    """Register a successor that signs from now on; the old key stays valid for what it signed."""
    return key_answer(service.rotate_key(services(), organisation_id=current_organisation_id(), key_id=key_id))


@blueprint.route("/keys/<int(max=4294967295):key_id>/revocation", methods=["POST"])
@requires(Permission.KEY_MANAGE)
@blueprint.arguments(schemas.ReasonSchema)
@blueprint.response(200, schemas.KeySchema)
def revoke_key(entry: dict[str, Any], key_id: int) -> Answer:
    """Revoke a key from this ledger position on; batches registered before keep their signatures."""
    return key_answer(
        service.revoke_key(services(), organisation_id=current_organisation_id(), key_id=key_id, reason=entry["reason"])
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
