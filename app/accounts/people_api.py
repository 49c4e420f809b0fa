"""Routes under /v1 about people of an organisation and what they did: parse, call one use case, answer."""

from typing import Any

from app.accounts import people_schemas as schemas
from app.accounts import service
from app.accounts.service import Invitation, Member
from app.core.api import Blueprint
from app.core.authorisation import Permission, Role, current_organisation_id, current_principal, requires
from app.core.clock import to_iso
from app.core.database import request_session
from app.core.services import services

blueprint = Blueprint("people", __name__, url_prefix="/v1", description="People of an organisation, and their acts")

Answer = dict[str, Any]


@blueprint.route("/organisation/members", methods=["GET"])
@requires(Permission.MEMBER_MANAGE)
@blueprint.response(200, schemas.MemberListSchema)
def list_members() -> Answer:
    """People of the caller's organisation."""
    members = service.list_members(request_session(), organisation_id=current_organisation_id())
    return {"items": [_member(each) for each in members]}


@blueprint.route("/organisation/members/role", methods=["POST"])
@requires(Permission.MEMBER_MANAGE)
@blueprint.arguments(schemas.RoleChangeSchema)
@blueprint.response(200, schemas.MemberSchema)
def change_role(entry: dict[str, Any]) -> Answer:
    """Give a member another role; it counts at once and is on the ledger."""
    member = service.change_role(services(), by=current_principal(), email=entry["email"], role=Role(entry["role"]))
    return _member(member)


@blueprint.route("/organisation/members/removal", methods=["POST"])
@requires(Permission.MEMBER_MANAGE)
@blueprint.arguments(schemas.RemovalSchema)
@blueprint.response(204)
def remove_member(entry: dict[str, Any]) -> None:
    """End a membership; it counts at once and is on the ledger."""
    service.remove_member(services(), by=current_principal(), email=entry["email"])


@blueprint.route("/organisation/invitations", methods=["GET"])
@requires(Permission.MEMBER_MANAGE)
@blueprint.response(200, schemas.InvitationListSchema)
def list_invitations() -> Answer:
    """Open invitations of the caller's organisation."""
    found = service.list_invitations(request_session(), organisation_id=current_organisation_id())
    return {"items": [_invitation(each) for each in found]}


@blueprint.route("/organisation/invitations", methods=["POST"])
@requires(Permission.MEMBER_MANAGE)
@blueprint.arguments(schemas.NewInvitationSchema)
@blueprint.response(201, schemas.InvitationSchema)
def invite(entry: dict[str, Any]) -> Answer:
    """Invite a person by a letter whose link works once and for seven days."""
    invited = service.invite(
        services(),
        by=current_principal(),
        email=entry["email"],
        role=Role(entry["role"]),
        locale=entry["locale"],
    )
    return _invitation(invited)


@blueprint.route("/organisation/invitations/<invitation>/letter", methods=["POST"])
@requires(Permission.MEMBER_MANAGE)
@blueprint.response(200, schemas.InvitationSchema)
def send_again(invitation: str) -> Answer:
    """Send an invitation again, with a new link; the one before no longer works."""
    return _invitation(service.send_again(services(), by=current_principal(), reference=invitation))


@blueprint.route("/organisation/invitations/<invitation>", methods=["DELETE"])
@requires(Permission.MEMBER_MANAGE)
@blueprint.response(204)
def withdraw_invitation(invitation: str) -> None:
    """Take an invitation back."""
    service.withdraw_invitation(services(), by=current_principal(), reference=invitation)


@blueprint.route("/acts", methods=["GET"])
@requires(Permission.ACT_READ)
@blueprint.arguments(schemas.ActQuery, location="query")
@blueprint.response(200, schemas.ActListSchema)
def list_acts(query: dict[str, Any]) -> Answer:
    """The record of administrative acts of the caller's organisation, newest first; each stands on the ledger."""
    limit = query["limit"]
    found = service.list_acts(
        request_session(), organisation_id=current_organisation_id(), before=query.get("before"), limit=limit + 1
    )
    items = [
        {
            "log_index": act.log_index,
            "act": act.act.value,
            "by": act.actor,
            "details": act.details,
            "at": to_iso(act.at),
        }
        for act in found[:limit]
    ]
    return {"items": items, "next_before": items[-1]["log_index"] if len(found) > limit else None}


def _member(member: Member) -> Answer:
    return {"email": member.email, "name": member.name, "role": member.role.value}


def _invitation(invitation: Invitation) -> Answer:
    return {
        "reference": invitation.reference,
        "email": invitation.email,
        "role": invitation.role.value,
        "invited_by": invitation.invited_by,
        "created_at": to_iso(invitation.created_at),
        "expires_at": to_iso(invitation.expires_at),
    }
