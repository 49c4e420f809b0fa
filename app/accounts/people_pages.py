"""Pages about the people of an organisation: who they are, who is invited, what roles may do, and what was done."""

from flask import Blueprint, request
from flask_babel import gettext
from werkzeug.wrappers import Response as AnyResponse

from app.accounts import act_words, role_words, service
from app.accounts.forms import text, word
from app.accounts.role_document import kinds_with
from app.accounts.showing import page, then
from app.accounts.vocabulary import permissions_in
from app.core.authorisation import (
    ROLE_PERMISSIONS,
    Permission,
    Role,
    current_organisation_id,
    current_principal,
    requires,
)
from app.core.database import request_session
from app.core.errors import AppError, Conflict, Malformed
from app.core.i18n import LANGUAGES, choose_language
from app.core.services import services

blueprint = Blueprint("people_pages", __name__)

PEOPLE = "/organisation/people"
ACTS_OF_PAGE = 50


@blueprint.get(PEOPLE)
@requires(Permission.MEMBER_MANAGE)
def people() -> AnyResponse:
    """People of the organisation, and those who are invited."""
    return _people_page()


@blueprint.post("/organisation/invitations")
@requires(Permission.MEMBER_MANAGE)
def invite() -> AnyResponse:
    """Invite a person by a letter with a link."""
    return then(
        _people_page,
        PEOPLE,
        gettext("The invitation is on its way."),
        lambda: service.invite(
            services(), by=current_principal(), email=text("email"), role=word(Role, "role"), locale=text("language")
        ),
    )


@blueprint.post("/organisation/invitations/<invitation>/letter")
@requires(Permission.MEMBER_MANAGE)
def send_again(invitation: str) -> AnyResponse:
    """Send an invitation again, with a new link."""
    return then(
        _people_page,
        PEOPLE,
        gettext("The invitation is on its way."),
        lambda: service.send_again(services(), by=current_principal(), reference=invitation),
    )


@blueprint.post("/organisation/invitations/<invitation>/withdrawal")
@requires(Permission.MEMBER_MANAGE)
def withdraw_invitation(invitation: str) -> AnyResponse:
    """Take an invitation back."""
    return then(
        _people_page,
        PEOPLE,
        gettext("The invitation is withdrawn: its link no longer works."),
        lambda: service.withdraw_invitation(services(), by=current_principal(), reference=invitation),
    )


@blueprint.post("/organisation/people/role")
@requires(Permission.MEMBER_MANAGE)
def change_role() -> AnyResponse:
    """Give a member another role."""
    return then(
        _people_page,
        PEOPLE,
        gettext("The role is changed."),
        lambda: service.change_role(services(), by=current_principal(), email=text("email"), role=word(Role, "role")),
    )


@blueprint.post("/organisation/people/removal")
@requires(Permission.MEMBER_MANAGE)
def remove_member() -> AnyResponse:
    """End a membership."""
    return then(
        _people_page,
        PEOPLE,
        gettext("The person no longer belongs to the organisation."),
        lambda: service.remove_member(services(), by=current_principal(), email=text("email")),
    )


@blueprint.post("/organisation/leave")
@requires(Permission.ACCOUNT_OWN)
def leave() -> AnyResponse:
    """End one's own membership; the form names the organisation, for another tab may have changed it meanwhile."""

    def leave_it() -> None:
        own = service.organisation_by_id(request_session(), current_organisation_id())
        if text("issuer") != own.issuer:
            raise Conflict("You act for another organisation now. Look again.", code="another_organisation")
        service.leave_organisation(services(), by=current_principal())

    return then(_roles_page, "/sign-in", gettext("You have left the organisation."), leave_it)


@blueprint.get("/organisation/roles")
@requires(Permission.ORGANISATION_READ)
def roles() -> AnyResponse:
    """What each role may do."""
    return _roles_page()


@blueprint.get("/organisation/acts")
@requires(Permission.ACT_READ)
def acts() -> AnyResponse:
    """The record of administrative acts."""
    before = request.args.get("before")
    if before is not None and not (before.isascii() and before.isdigit() and len(before) <= 18):
        raise Malformed("This cursor does not come from this list.", code="cursor")
    database, number = request_session(), current_organisation_id()
    found = service.list_acts(
        database,
        organisation_id=number,
        before=None if before is None else int(before),
        limit=ACTS_OF_PAGE + 1,
    )
    shown = found[:ACTS_OF_PAGE]
    names = service.names_in_acts(database, organisation_id=number, acts=shown)
    return page(
        "accounts/acts.html",
        acts=[act_words.tell(record, names=names) for record in shown],
        next=shown[-1].log_index if len(found) > ACTS_OF_PAGE else None,
    )


def _people_page(error: AppError | None = None) -> AnyResponse:
    database, number, own = request_session(), current_organisation_id(), current_principal().person_id
    return page(
        "accounts/people.html",
        error=error,
        members=service.list_members(database, organisation_id=number),
        own_email=None if own is None else service.person_by_id(database, own).email,
        invitations=service.list_invitations(database, organisation_id=number),
        roles=service.roles_for(service.organisation_by_id(database, number).kind),
        role_sentences=role_words.ROLES,
        languages_of_letters=LANGUAGES,
        entry=request.form if error else {"language": choose_language()},
        mail_folder=None if services().settings.mail_server else services().settings.data_dir.name,
    )


def _roles_page(error: AppError | None = None) -> AnyResponse:
    principal = current_principal()
    own = service.organisation_by_id(request_session(), current_organisation_id())
    kind = own.kind
    here = service.roles_for(kind)
    return page(
        "accounts/roles.html",
        error=error,
        own=principal.role,
        organisation=own,
        roles=[*here, *(role for role in Role if role not in here)],
        here=here,
        sentences=role_words.ROLES,
        permissions=role_words.PERMISSIONS,
        allowed={role: permissions_in(kind, role) if role in here else ROLE_PERMISSIONS[role] for role in Role},
        kinds={role: kinds_with(role) for role in Role},
    )
