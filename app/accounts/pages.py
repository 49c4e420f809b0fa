"""Pages of accounts: sign-up, sign-in, and the organisation's own pages."""

from flask import Blueprint, flash, redirect, request, session
from flask_babel import gettext
from werkzeug.wrappers import Response as AnyResponse

from app.accounts import service
from app.accounts.forms import end_of_day, own_path, text, whole_number, word
from app.accounts.identity import SESSION_TOKEN
from app.accounts.showing import once, page, then
from app.accounts.vocabulary import KINDS_OPEN_TO_SIGN_UP, OrganisationKind, RightKind
from app.core.authorisation import (
    Permission,
    Role,
    current_organisation_id,
    current_principal,
    public,
    requires,
)
from app.core.database import request_session
from app.core.errors import AppError, NotSignedIn
from app.core.i18n import choose_language
from app.core.services import services

blueprint = Blueprint("accounts_pages", __name__)

HOME = "/dashboard"


@blueprint.get("/sign-up")
@public
def sign_up_form() -> AnyResponse:
    """The form of a firm that wants to join."""
    return page("accounts/sign_up.html", kinds=KINDS_OPEN_TO_SIGN_UP, entry={})


@blueprint.post("/sign-up")
@public
def sign_up() -> AnyResponse:
    """Add the organisation and sign its owner in."""
    try:
        service.register_organisation(
            services(),
            name=text("name"),
            country=text("country").strip().upper(),
            kind=word(OrganisationKind, "kind"),
            person_name=text("person_name"),
            email=text("email"),
            password=text("password"),
            locale=choose_language(),
            remote_address=_address(),
        )
        token = service.sign_in(services(), email=text("email"), password=text("password"), remote_address=_address())
    except AppError as error:
        return page("accounts/sign_up.html", error=error, kinds=KINDS_OPEN_TO_SIGN_UP, entry=request.form)
    _start_session(token)
    flash(
        gettext("Your application has arrived. The registry will look at it; you can ask for your numbers now."), "good"
    )
    return redirect("/organisation", 303)


@blueprint.get("/sign-in")
@public
def sign_in_form() -> AnyResponse:
    """The form of somebody who has an account."""
    return page("accounts/sign_in.html", next=own_path(request.args.get("next", "")) or "", email="")


@blueprint.post("/sign-in")
@public
def sign_in() -> AnyResponse:
    """Start a browser session."""
    goal = own_path(text("next"))
    try:
        token = service.sign_in(services(), email=text("email"), password=text("password"), remote_address=_address())
    except AppError as error:
        return page("accounts/sign_in.html", error=error, next=goal or "", email=text("email"))
    _start_session(token)
    return redirect(goal or HOME, 303)


@blueprint.post("/sign-out")
@public
def sign_out() -> AnyResponse:
    """End the browser session."""
    token = session.pop(SESSION_TOKEN, None)
    if token:
        service.sign_out(services(), token=token)
    session.clear()
    return redirect("/", 303)


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
@requires(Permission.ORGANISATION_MANAGE)
def keys() -> AnyResponse:
    """Signing keys and the keys of machines."""
    return _keys_page()


@blueprint.post("/organisation/keys/<int(max=4294967295):key_id>/rotation")
@requires(Permission.ORGANISATION_MANAGE)
def rotate_key(key_id: int) -> AnyResponse:
    """Replace a signing key."""
    return then(
        _keys_page,
        "/organisation/keys",
        gettext("A new key signs from now on. Codes made before stay valid."),
        lambda: service.rotate_key(services(), organisation_id=current_organisation_id(), key_id=key_id),
    )


@blueprint.post("/organisation/keys/<int(max=4294967295):key_id>/revocation")
@requires(Permission.ORGANISATION_MANAGE)
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


@blueprint.post("/organisation/api-keys")
@requires(Permission.ORGANISATION_MANAGE)
def create_api_key() -> AnyResponse:
    """Make a machine's key and show its secret once."""
    try:
        key, secret = service.create_api_key(
            services(),
            principal=current_principal(),
            name=text("name"),
            role=word(Role, "role"),
            scopes=None,
            days=whole_number("days") or 0,
        )
    except AppError as error:
        return _keys_page(error)
    return once(_keys_page(new_key=key, secret=secret))


@blueprint.post("/organisation/api-keys/<prefix>/revocation")
@requires(Permission.ORGANISATION_MANAGE)
def revoke_api_key(prefix: str) -> AnyResponse:
    """End a machine's key."""
    return then(
        _keys_page,
        "/organisation/keys",
        gettext("The machine's key has ended."),
        lambda: service.revoke_api_key(services(), organisation_id=current_organisation_id(), prefix=prefix),
    )


@blueprint.get("/organisation/people")
@requires(Permission.ORGANISATION_MANAGE)
def people() -> AnyResponse:
    """People of the organisation."""
    return _people_page()


@blueprint.post("/organisation/people")
@requires(Permission.ORGANISATION_MANAGE)
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
@requires(Permission.ORGANISATION_MANAGE)
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
@requires(Permission.ORGANISATION_MANAGE)
def remove_member() -> AnyResponse:
    """End a membership."""
    return then(
        _people_page,
        "/organisation/people",
        gettext("The person no longer belongs to the organisation."),
        lambda: service.remove_member(services(), organisation_id=current_organisation_id(), email=text("email")),
    )


@blueprint.get("/account")
@requires(Permission.ORGANISATION_READ)
def account() -> AnyResponse:
    """The signed-in person: password and organisations."""
    return _account_page()


@blueprint.post("/account/organisation")
@requires(Permission.ORGANISATION_READ)
def switch_organisation() -> AnyResponse:
    """Act for another organisation."""
    return then(
        _account_page,
        HOME,
        gettext("You now act for another organisation."),
        lambda: service.switch_organisation(services(), token=session[SESSION_TOKEN], issuer=text("issuer")),
    )


@blueprint.post("/account/password")
@requires(Permission.ORGANISATION_READ)
def change_password() -> AnyResponse:
    """Replace the password; every browser has to sign in again."""
    return then(
        _account_page,
        "/sign-in",
        gettext("The password is changed. Sign in with the new one."),
        lambda: service.change_password(
            services(),
            person_id=_person_id(),
            current=text("current"),
            new=text("password"),
            remote_address=_address(),
        ),
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


def _keys_page(
    error: AppError | None = None, *, new_key: service.ApiKey | None = None, secret: str | None = None
) -> AnyResponse:
    database, number = request_session(), current_organisation_id()
    return page(
        "accounts/keys.html",
        error=error,
        keys=service.list_keys(database, organisation_id=number),
        api_keys=service.list_api_keys(database, organisation_id=number),
        roles=service.roles_for(service.organisation_by_id(database, number).kind),
        new_key=new_key,
        secret=secret,
        entry=request.form if error else {},
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


def _account_page(error: AppError | None = None) -> AnyResponse:
    return page(
        "accounts/account.html",
        error=error,
        memberships=service.memberships_of(request_session(), person_id=_person_id()),
        current=current_organisation_id(),
    )


def _start_session(token: str) -> None:
    session.clear()  # nothing that was set before signing in stays
    session[SESSION_TOKEN] = token


def _person_id() -> int:
    person_id = current_principal().person_id
    if person_id is None:
        raise NotSignedIn
    return person_id


def _address() -> str:
    return request.remote_addr or "unknown"
