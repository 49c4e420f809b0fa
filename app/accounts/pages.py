"""The pages of an organisation: its numbers, its signing keys, its people."""

from flask import Blueprint, request
from flask_babel import gettext
from werkzeug.wrappers import Response as AnyResponse

from app.accounts import service
from app.accounts.forms import end_of_day, text, whole_number, word
from app.accounts.showing import once, page, then
from app.accounts.vocabulary import RightKind
from app.core.authorisation import (
    Permission,
    Role,
    current_organisation_id,
    current_principal,
    requires,
)
from app.core.database import request_session
from app.core.errors import AppError
from app.core.i18n import choose_language
from app.core.services import services

blueprint = Blueprint("accounts_pages", __name__)

HOME = "/dashboard"


@blueprint.get("/organisation")
@requires(Permission.ORGANISATION_READ)
def organisation() -> AnyResponse:
    """The organisation's standing and its rights to issue codes."""
    return _organisation_page()


@blueprint.post("/organisation/rights")
@requires(Permission.ORGANISATION_MANAGE)
def request_right() -> AnyResponse:
    """Ask the registry for a company prefix or a single GTIN."""
    return then(
        _organisation_page,
        "/organisation",
        gettext("The registry has your request."),
        lambda: service.request_right(
            services(),
            organisation_id=current_organisation_id(),
            kind=word(RightKind, "kind"),
            value="".join(text("value").split()),
            evidence=text("evidence"),
        ),
    )


@blueprint.post("/organisation/delegations")
@requires(Permission.ORGANISATION_MANAGE)
def delegate_gtin() -> AnyResponse:
    """Let a maker commission an own GTIN."""
    return then(
        _organisation_page,
        "/organisation",
        gettext("The maker can now make codes for this product number."),
        lambda: service.delegate_gtin(
            services(),
            owner_organisation_id=current_organisation_id(),
            gtin="".join(text("gtin").split()),
            to_issuer=text("to").strip().upper(),
            quota=whole_number("quota") or 0,
            valid_until=end_of_day("valid_until") or 0,
            actor=current_principal(),
        ),
    )


@blueprint.post("/organisation/rights/<reference>/revocation")
@requires(Permission.ORGANISATION_MANAGE)
def revoke_right(reference: str) -> AnyResponse:
    """End a delegation that the organisation gave."""
    return then(
        _organisation_page,
        "/organisation",
        gettext("The right has ended."),
        lambda: service.revoke_right(
            services(), reference=reference, reason=text("reason"), revoked_by=current_principal(), as_registry=False
        ),
    )


@blueprint.get("/organisation/keys")
@requires(Permission.KEY_MANAGE)
def keys() -> AnyResponse:
    """Signing keys and the keys of machines."""
    return _keys_page()


@blueprint.post("/organisation/keys/<int(max=4294967295):key_id>/rotation")
@requires(Permission.KEY_MANAGE)
def rotate_key(key_id: int) -> AnyResponse:
    """Replace a signing key."""
    return then(
        _keys_page,
        "/organisation/keys",
        gettext("A new key signs from now on. Codes made before stay valid."),
        lambda: service.rotate_key(services(), organisation_id=current_organisation_id(), key_id=key_id),
    )


@blueprint.post("/organisation/keys/<int(max=4294967295):key_id>/revocation")
@requires(Permission.KEY_MANAGE)
def revoke_key(key_id: int) -> AnyResponse:
    """Revoke a signing key."""
    return then(
        _keys_page,
        "/organisation/keys",
        gettext("The key is withdrawn. Batches registered before keep their signatures."),
        lambda: service.revoke_key(
            services(), organisation_id=current_organisation_id(), key_id=key_id, reason=text("reason")
        ),
    )


@blueprint.get("/organisation/people")
@requires(Permission.MEMBER_MANAGE)
def people() -> AnyResponse:
    """People of the organisation."""
    return _people_page()


@blueprint.post("/organisation/people")
@requires(Permission.MEMBER_MANAGE)
def add_member() -> AnyResponse:
    """Add a person and show the temporary password once."""
    try:
        added = service.add_member(
            services(),
            organisation_id=current_organisation_id(),
            email=text("email"),
            name=text("person_name"),
            role=word(Role, "role"),
            locale=choose_language(),
        )
    except AppError as error:
        return _people_page(error)
    return once(_people_page(added=added))


@blueprint.post("/organisation/people/role")
@requires(Permission.MEMBER_MANAGE)
def change_role() -> AnyResponse:
    """Give a member another role."""
    return then(
        _people_page,
        "/organisation/people",
        gettext("The role is changed."),
        lambda: service.change_role(
            services(), organisation_id=current_organisation_id(), email=text("email"), role=word(Role, "role")
        ),
    )


@blueprint.post("/organisation/people/removal")
@requires(Permission.MEMBER_MANAGE)
def remove_member() -> AnyResponse:
    """End a membership."""
    return then(
        _people_page,
        "/organisation/people",
        gettext("The person no longer belongs to the organisation."),
        lambda: service.remove_member(services(), organisation_id=current_organisation_id(), email=text("email")),
    )


def _organisation_page(error: AppError | None = None) -> AnyResponse:
    database, number = request_session(), current_organisation_id()
    given = service.list_delegations(database, owner_organisation_id=number)
    rights = service.list_rights(database, organisation_id=number)
    others = {right.organisation_id for right in given} | {right.granted_by for right in rights if right.granted_by}
    return page(
        "accounts/organisation.html",
        error=error,
        organisation=service.organisation_by_id(database, number),
        rights=rights,
        given=given,
        names=service.organisation_names(database, others),
        may_manage=current_principal().may(Permission.ORGANISATION_MANAGE),
        right_kinds=(RightKind.PREFIX, RightKind.GTIN),
        entry=request.form,
    )


def _keys_page(error: AppError | None = None) -> AnyResponse:
    database, number = request_session(), current_organisation_id()
    return page(
        "accounts/keys.html",
        error=error,
        keys=service.list_keys(database, organisation_id=number),
    )


def _people_page(error: AppError | None = None, *, added: service.NewMember | None = None) -> AnyResponse:
    database, number = request_session(), current_organisation_id()
    return page(
        "accounts/people.html",
        error=error,
        members=service.list_members(database, organisation_id=number),
        roles=service.roles_for(service.organisation_by_id(database, number).kind),
        added=added,
        entry=request.form if error else {},
    )
