"""Pages of those who join: the application of an organisation, and invitations. Opening a link changes nothing.

Programs that scan mail open every link; so what a link does waits for a button.
"""

from flask import Blueprint, flash, redirect, request
from flask_babel import gettext
from werkzeug.wrappers import Response as AnyResponse

from app.access import service
from app.access.browser import current_token, current_visitor, remote_address, start_session
from app.accounts import role_words
from app.accounts import service as accounts
from app.accounts.forms import text, word
from app.accounts.showing import once, page
from app.accounts.vocabulary import KINDS_OPEN_TO_SIGN_UP, OrganisationKind
from app.core.authorisation import current_principal, public
from app.core.database import request_session
from app.core.errors import AppError
from app.core.i18n import choose_language, one_full_stop
from app.core.services import services

blueprint = Blueprint("joining_pages", __name__)

MAX_TOKEN = 100


@blueprint.get("/sign-up")
@public
def sign_up_form() -> AnyResponse:
    """The form of a firm that wants to join."""
    return page("access/sign_up.html", kinds=KINDS_OPEN_TO_SIGN_UP, entry={})


@blueprint.post("/sign-up")
@public
def sign_up() -> AnyResponse:
    """Send the message that confirms the address; the answer does not tell whether it has an account."""
    try:
        accounts.ask_to_join(
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
    except AppError as error:
        return page("access/sign_up.html", error=error, kinds=KINDS_OPEN_TO_SIGN_UP, entry=request.form)
    return page("access/sign_up_sent.html", email=text("email").strip(), mail_folder=_mail_folder())


@blueprint.get("/sign-up/<token>")
@public
def confirm_form(token: str) -> AnyResponse:
    """What the link of the message leads to: the application, and the button that sends it in."""
    try:
        application = accounts.waiting_application(request_session(), services(), token=token[:MAX_TOKEN])
    except AppError as error:
        return page("access/sign_up_confirm.html", error=error, application=None)
    return once(page("access/sign_up_confirm.html", application=application))


@blueprint.post("/sign-up/<token>")
@public
def confirm(token: str) -> AnyResponse:
    """Add the organisation and sign its owner in."""
    try:
        joined = accounts.confirm_application(services(), token=token[:MAX_TOKEN])
    except AppError as error:
        return page("access/sign_up_confirm.html", error=error, application=None)
    _sign_in(joined)
    flash(gettext("Your application has arrived."), "good")
    return redirect("/organisation", 303)


@blueprint.get("/join/<token>")
@public
def invitation(token: str) -> AnyResponse:
    """What the link of an invitation leads to."""
    return _join_page(token)


@blueprint.post("/join/<token>")
@public
def accept(token: str) -> AnyResponse:
    """Accept an invitation: as the person who is signed in, else as a new one."""
    token, person_id = token[:MAX_TOKEN], current_principal().person_id
    try:
        if person_id is not None:
            joined = accounts.accept_signed_in(services(), token=token, person_id=person_id)
            service.switch_organisation(services(), token=current_token(), issuer=joined.organisation.issuer)
        else:
            joined = accounts.accept_as_new(
                services(),
                token=token,
                name=text("person_name"),
                password=text("password"),
                locale=choose_language(),
            )
    except AppError as error:
        return _join_page(token, error)
    if joined.is_new:
        _sign_in(joined)  # first, as it empties the browser's session
    done = gettext("You can now act for %(organisation)s.", organisation=joined.organisation.name)
    flash(one_full_stop(done), "good")
    # An account from before may have a second factor: it is asked for at the sign-in.
    return redirect("/dashboard" if joined.is_new or person_id is not None else "/sign-in", 303)


def _sign_in(joined: accounts.Joined) -> None:
    """Sign a new person in; there is no second factor yet."""
    start_session(
        service.start_session_for(
            services(),
            person_id=joined.person_id,
            organisation_id=joined.organisation.id,
            strong=False,
            visitor=current_visitor(),
        )
    )


def _join_page(token: str, error: AppError | None = None) -> AnyResponse:
    try:
        opened = accounts.open_invitation(request_session(), token=token[:MAX_TOKEN])
    except AppError as gone:
        return page("access/join.html", error=error or gone, opened=None)
    return once(
        page(
            "access/join.html",
            error=error,
            opened=opened,
            signed_in=current_principal().person_id is not None,
            sentences=role_words.ROLES,
            entry=request.form if error else {},
        )
    )


def _mail_folder() -> str | None:
    """Name of the folder whose files are the messages, where there is no mail server."""
    settings = services().settings
    return None if settings.mail_server else settings.data_dir.name
