"""The page of a person's second factors: passkeys, an app for codes, recovery codes."""

import base64
from io import BytesIO

import qrcode
from flask import Blueprint, flash, redirect, request, session
from flask_babel import gettext
from qrcode.image.svg import SvgPathImage
from werkzeug.wrappers import Response as AnyResponse

from app.access import service
from app.access.browser import current_person_id, current_token, current_visitor, keep_session
from app.access.confirming import FACTORS
from app.access.pages import CHALLENGE, asked, credential_field
from app.access.relying_party import relying_party
from app.accounts.forms import text, whole_number
from app.accounts.showing import once, page, then
from app.core.authorisation import Permission, needs_confirmation, requires
from app.core.database import request_session
from app.core.errors import AppError
from app.core.services import services

blueprint = Blueprint("factor_pages", __name__)


@blueprint.get(FACTORS)
@requires(Permission.ACCOUNT_OWN)
@needs_confirmation
def factors() -> AnyResponse:
    """What the person can show beside the password."""
    return once(_factors_page())


@blueprint.post("/account/passkeys/options")
@requires(Permission.ACCOUNT_OWN)
@needs_confirmation
def ask_for_new_passkey() -> AnyResponse:
    """Options to make a passkey with (JSON)."""
    return asked(service.ask_for_new_passkey(services(), person_id=current_person_id()))


@blueprint.post("/account/passkeys")
@requires(Permission.ACCOUNT_OWN)
@needs_confirmation
def add_passkey() -> AnyResponse:
    """Add the passkey that the browser has made."""

    def add() -> None:
        keep_session(
            service.add_passkey(
                services(),
                person_id=current_person_id(),
                token=current_token(),
                challenge_token=session.pop(CHALLENGE, ""),
                credential=credential_field(),
                name=text("name"),
                visitor=current_visitor(),
            )
        )

    return then(_factors_page, FACTORS, gettext("The passkey is added. It opens your account from now on."), add)


@blueprint.post("/account/passkeys/removal")
@requires(Permission.ACCOUNT_OWN)
@needs_confirmation
def remove_passkey() -> AnyResponse:
    """Remove a passkey."""
    return then(
        _factors_page,
        FACTORS,
        gettext("The passkey is removed."),
        lambda: service.remove_passkey(
            services(),
            person_id=current_person_id(),
            passkey_id=whole_number("passkey") or 0,
            visitor=current_visitor(),
        ),
    )


@blueprint.post("/account/code-app")
@requires(Permission.ACCOUNT_OWN)
@needs_confirmation
def begin_code_app() -> AnyResponse:
    """Make a secret for an app; the page then shows it."""
    try:
        service.begin_code_app(services(), person_id=current_person_id())
    except AppError as error:
        return _factors_page(error)
    return redirect(f"{FACTORS}#app", 303)


@blueprint.post("/account/code-app/confirmation")
@requires(Permission.ACCOUNT_OWN)
@needs_confirmation
def confirm_code_app() -> AnyResponse:
    """Let the app count from now on, and show recovery codes when there are none."""
    try:
        token = service.confirm_code_app(
            services(),
            person_id=current_person_id(),
            token=current_token(),
            code=text("code"),
            visitor=current_visitor(),
        )
    except AppError as error:
        return once(_factors_page(error))
    keep_session(token)
    flash(gettext("The app is set up. From now on signing in needs its code, too."), "good")
    return redirect(FACTORS, 303)


@blueprint.post("/account/code-app/removal")
@requires(Permission.ACCOUNT_OWN)
@needs_confirmation
def remove_code_app() -> AnyResponse:
    """Remove the app."""
    return then(
        _factors_page,
        FACTORS,
        gettext("The app is removed."),
        lambda: service.remove_code_app(services(), person_id=current_person_id(), visitor=current_visitor()),
    )


@blueprint.post("/account/recovery-codes")
@requires(Permission.ACCOUNT_OWN)
@needs_confirmation
def make_recovery_codes() -> AnyResponse:
    """Make recovery codes and show them this once."""
    try:
        codes = service.make_recovery_codes(services(), person_id=current_person_id(), visitor=current_visitor())
    except AppError as error:
        return _factors_page(error)
    request_session().rollback()  # it began before the codes were made, and would count the earlier ones
    return once(_factors_page(recovery_codes=codes))


def _factors_page(error: AppError | None = None, *, recovery_codes: list[str] | None = None) -> AnyResponse:
    database, person_id = request_session(), current_person_id()
    pending = service.pending_code_app(database, services(), person_id=person_id)
    return page(
        "access/factors.html",
        error=error,
        factors=service.factors_of(database, person_id=person_id),
        passkeys=service.list_passkeys(database, person_id=person_id),
        passkeys_possible=relying_party(services().settings) is not None,
        pending=pending,
        picture=None if pending is None else _qr_picture(pending.address),
        recovery_codes=recovery_codes,
        at_localhost=f"http://localhost:{request.host.rpartition(':')[2] or 8000}",
    )


def _qr_picture(content: str) -> str:
    """The QR code as a data URI: it holds a secret, so it has no address of its own."""
    drawn = BytesIO()
    qrcode.make(content, image_factory=SvgPathImage, border=4).save(drawn)
    return f"data:image/svg+xml;base64,{base64.b64encode(drawn.getvalue()).decode()}"
