"""Pages of a person: sign-in, and the own account."""

from flask import Blueprint, redirect, request, session
from flask_babel import gettext
from werkzeug.wrappers import Response as AnyResponse

from app.access import service
from app.access.browser import SESSION_TOKEN, current_person_id, remote_address, start_session
from app.accounts import service as accounts
from app.accounts.forms import own_path, text
from app.accounts.showing import page, then
from app.core.authorisation import Permission, current_organisation_id, public, requires
from app.core.database import request_session
from app.core.errors import AppError
from app.core.services import services

blueprint = Blueprint("access_pages", __name__)

HOME = "/dashboard"


@blueprint.get("/sign-in")
@public
def sign_in_form() -> AnyResponse:
    """The form of somebody who has an account."""
    return page("access/sign_in.html", next=own_path(request.args.get("next", "")) or "", email="")


@blueprint.post("/sign-in")
@public
def sign_in() -> AnyResponse:
    """Start a browser session."""
    goal = own_path(text("next"))
    try:
        token = service.sign_in(
            services(), email=text("email"), password=text("password"), remote_address=remote_address()
        )
    except AppError as error:
        return page("access/sign_in.html", error=error, next=goal or "", email=text("email"))
    start_session(token)
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


@blueprint.get("/account")
@requires(Permission.ACCOUNT_OWN)
def account() -> AnyResponse:
    """The signed-in person: password and organisations."""
    return _account_page()


@blueprint.post("/account/organisation")
@requires(Permission.ACCOUNT_OWN)
def switch_organisation() -> AnyResponse:
    """Act for another organisation."""
    return then(
        _account_page,
        HOME,
        gettext("You now act for another organisation."),
        lambda: service.switch_organisation(services(), token=session[SESSION_TOKEN], issuer=text("issuer")),
    )


@blueprint.post("/account/password")
@requires(Permission.ACCOUNT_OWN)
def change_password() -> AnyResponse:
    """Replace the password; every browser has to sign in again."""
    return then(
        _account_page,
        "/sign-in",
        gettext("The password is changed. Sign in with the new one."),
        lambda: service.change_password(
            services(),
            person_id=current_person_id(),
            current=text("current"),
            new=text("password"),
            remote_address=remote_address(),
        ),
    )


def _account_page(error: AppError | None = None) -> AnyResponse:
    return page(
        "access/account.html",
        error=error,
        memberships=accounts.memberships_of(request_session(), person_id=current_person_id()),
        current=current_organisation_id(),
    )
