"""Pages of the own account: organisations, password, where one is signed in, and what happened."""

from flask import Blueprint
from flask_babel import gettext
from werkzeug.wrappers import Response as AnyResponse

from app.access import service
from app.access.browser import current_person_id, current_token, current_visitor, keep_session
from app.access.words import say_event
from app.accounts import service as accounts
from app.accounts.forms import text
from app.accounts.showing import page, then
from app.core.authorisation import Permission, current_organisation_id, needs_confirmation, requires
from app.core.database import request_session
from app.core.errors import AppError
from app.core.services import services

blueprint = Blueprint("account_pages", __name__)

ACCOUNT = "/account"


@blueprint.get(ACCOUNT)
@requires(Permission.ACCOUNT_OWN)
def account() -> AnyResponse:
    """The signed-in person."""
    return _account_page()


@blueprint.post("/account/organisation")
@requires(Permission.ACCOUNT_OWN)
def switch_organisation() -> AnyResponse:
    """Act for another organisation."""
    return then(
        _account_page,
        "/dashboard",
        gettext("You now act for another organisation."),
        lambda: service.switch_organisation(services(), token=current_token(), issuer=text("issuer")),
    )


@blueprint.post("/account/password")
@requires(Permission.ACCOUNT_OWN)
@needs_confirmation
def change_password() -> AnyResponse:
    """Replace the password; every other browser has to sign in again."""

    def change() -> None:
        keep_session(
            service.change_password(
                services(),
                person_id=current_person_id(),
                token=current_token(),
                current=text("current"),
                new=text("password"),
                visitor=current_visitor(),
            )
        )

    return then(_account_page, ACCOUNT, gettext("The password is changed. All other browsers are signed out."), change)


@blueprint.post("/account/sessions/end")
@requires(Permission.ACCOUNT_OWN)
def end_session() -> AnyResponse:
    """End one session of the person."""
    return then(
        _account_page,
        ACCOUNT,
        gettext("That browser is signed out."),
        lambda: service.end_session(
            services(), person_id=current_person_id(), reference=text("reference"), visitor=current_visitor()
        ),
    )


@blueprint.post("/account/sessions/end-others")
@requires(Permission.ACCOUNT_OWN)
def end_other_sessions() -> AnyResponse:
    """End all sessions of the person but this one."""
    return then(
        _account_page,
        ACCOUNT,
        gettext("All other browsers are signed out."),
        lambda: service.end_other_sessions(
            services(), person_id=current_person_id(), token=current_token(), visitor=current_visitor()
        ),
    )


def _account_page(error: AppError | None = None) -> AnyResponse:
    database, person_id = request_session(), current_person_id()
    return page(
        "access/account.html",
        error=error,
        memberships=accounts.memberships_of(database, person_id=person_id),
        current=current_organisation_id(),
        factors=service.factors_of(database, person_id=person_id),
        sessions=service.list_sessions(database, person_id=person_id, token=current_token()),
        events=service.list_events(database, person_id=person_id),
        say_event=say_event,
    )
