"""Pages of those who join: the application of an organisation."""

from flask import Blueprint, flash, redirect, request
from flask_babel import gettext
from werkzeug.wrappers import Response as AnyResponse

from app.access import service
from app.access.browser import remote_address, start_session
from app.accounts import service as accounts
from app.accounts.forms import text, word
from app.accounts.showing import page
from app.accounts.vocabulary import KINDS_OPEN_TO_SIGN_UP, OrganisationKind
from app.core.authorisation import public
from app.core.errors import AppError
from app.core.i18n import choose_language
from app.core.services import services

blueprint = Blueprint("joining_pages", __name__)


@blueprint.get("/sign-up")
@public
def sign_up_form() -> AnyResponse:
    """The form of a firm that wants to join."""
    return page("access/sign_up.html", kinds=KINDS_OPEN_TO_SIGN_UP, entry={})


@blueprint.post("/sign-up")
@public
def sign_up() -> AnyResponse:
    """Add the organisation and sign its owner in."""
    try:
        accounts.register_organisation(
            services(),
            name=text("name"),
            country=text("country").strip().upper(),
            kind=word(OrganisationKind, "kind"),
            person_name=text("person_name"),
            email=text("email"),
            password=text("password"),
            locale=choose_language(),
            remote_address=remote_address(),
        )
        token = service.sign_in(
            services(), email=text("email"), password=text("password"), remote_address=remote_address()
        )
    except AppError as error:
        return page("access/sign_up.html", error=error, kinds=KINDS_OPEN_TO_SIGN_UP, entry=request.form)
    start_session(token)
    flash(
        gettext("Your application has arrived. The registry will look at it; you can ask for your numbers now."), "good"
    )
    return redirect("/organisation", 303)
