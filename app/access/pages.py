"""Pages of somebody who signs in: the password or a passkey, the second step, and the confirmation later on."""

from flask import Blueprint, flash, jsonify, redirect, request, session
from flask_babel import gettext
from werkzeug.wrappers import Response as AnyResponse

from app.access import service
from app.access.browser import (
    SESSION_TOKEN,
    current_person_id,
    current_token,
    current_visitor,
    keep_session,
    start_session,
)
from app.access.confirming import again_address
from app.access.relying_party import relying_party
from app.accounts.forms import own_path, text
from app.accounts.showing import page
from app.core.authorisation import Permission, public, requires
from app.core.database import request_session
from app.core.errors import AppError, NotSignedIn
from app.core.services import services

blueprint = Blueprint("access_pages", __name__)

HOME = "/dashboard"
STEP = "step"
CHALLENGE = "challenge"
"""Members of the browser's cookie while it signs in: tokens whose hashes are in the database."""


@blueprint.get("/sign-in")
@public
def sign_in_form() -> AnyResponse:
    """The form of somebody who has an account."""
    return _sign_in_page(next=own_path(request.args.get("next", "")) or "", email="")


@blueprint.post("/sign-in")
@public
def sign_in() -> AnyResponse:
    """Start a browser session, or the second step towards one."""
    goal = own_path(text("next"))
    try:
        result = service.sign_in(services(), email=text("email"), password=text("password"), visitor=current_visitor())
    except AppError as error:
        return _sign_in_page(error, next=goal or "", email=text("email"))
    if isinstance(result, service.FactorOwed):
        session.clear()
        session[STEP] = result.step
        return redirect(again_address("/sign-in/second", goal), 303)
    start_session(result.token)
    return redirect(goal or HOME, 303)


@blueprint.post("/sign-in/passkey/options")
@public
def ask_passkey_to_sign_in() -> AnyResponse:
    """Options for a passkey of whoever is there (JSON)."""
    return asked(service.ask_to_sign_in(services(), visitor=current_visitor()))


@blueprint.post("/sign-in/passkey")
@public
def sign_in_with_passkey() -> AnyResponse:
    """Start a browser session by a passkey alone."""
    goal = own_path(text("next"))
    try:
        token = service.sign_in_with_passkey(
            services(),
            challenge_token=session.pop(CHALLENGE, ""),
            credential=credential_field(),
            visitor=current_visitor(),
        )
    except AppError as error:
        return _sign_in_page(error, next=goal or "", email="")
    start_session(token)
    return redirect(goal or HOME, 303)


@blueprint.get("/sign-in/second")
@public
def second_step() -> AnyResponse:
    """The second step: a code or a passkey after the password."""
    return _second_page(own_path(request.args.get("next", "")))


@blueprint.post("/sign-in/second")
@public
def finish_with_code() -> AnyResponse:
    """Finish with a code of the app, or a recovery code."""
    goal = own_path(text("next"))
    try:
        token = service.finish_with_code(
            services(), step=session.get(STEP, ""), code=text("code"), visitor=current_visitor()
        )
    except AppError as error:
        return _second_page(goal, error)
    return _finished(token, goal)


@blueprint.post("/sign-in/second/passkey/options")
@public
def ask_passkey_to_finish() -> AnyResponse:
    """Options for one of the person's passkeys (JSON)."""
    try:
        return asked(service.ask_to_finish(services(), step=session.get(STEP, "")))
    except NotSignedIn:
        return _begin_again()


@blueprint.post("/sign-in/second/passkey")
@public
def finish_with_passkey() -> AnyResponse:
    """Finish with a passkey."""
    goal = own_path(text("next"))
    try:
        token = service.finish_with_passkey(
            services(),
            step=session.get(STEP, ""),
            challenge_token=session.pop(CHALLENGE, ""),
            credential=credential_field(),
            visitor=current_visitor(),
        )
    except AppError as error:
        return _second_page(goal, error)
    return _finished(token, goal)


@blueprint.get("/sign-in/again")
@requires(Permission.ACCOUNT_OWN)
def confirmation_form() -> AnyResponse:
    """Ask a signed-in person to show once more who is there."""
    return _again_page(own_path(request.args.get("next", "")), sent="sent" in request.args)


@blueprint.post("/sign-in/again")
@requires(Permission.ACCOUNT_OWN)
def confirm_with_password() -> AnyResponse:
    """Confirm with the password."""
    goal = own_path(text("next"))
    try:
        token = service.confirm_with_password(
            services(), token=current_token(), password=text("password"), visitor=current_visitor()
        )
    except AppError as error:
        return _again_page(goal, error)
    keep_session(token)
    return redirect(goal or HOME, 303)


@blueprint.post("/sign-in/again/passkey/options")
@requires(Permission.ACCOUNT_OWN)
def ask_passkey_to_confirm() -> AnyResponse:
    """Options for one of the person's passkeys (JSON)."""
    return asked(service.ask_to_confirm(services(), person_id=current_person_id()))


@blueprint.post("/sign-in/again/passkey")
@requires(Permission.ACCOUNT_OWN)
def confirm_with_passkey() -> AnyResponse:
    """Confirm with a passkey."""
    goal = own_path(text("next"))
    try:
        token = service.confirm_with_passkey(
            services(),
            person_id=current_person_id(),
            token=current_token(),
            challenge_token=session.pop(CHALLENGE, ""),
            credential=credential_field(),
            visitor=current_visitor(),
        )
    except AppError as error:
        return _again_page(goal, error)
    keep_session(token)
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


def asked(challenge: service.Challenge) -> AnyResponse:
    """Give a browser what it asks a passkey with, and let it remember that it was asked."""
    session[CHALLENGE] = challenge.token
    answer = jsonify({"options": challenge.options})
    answer.headers["Cache-Control"] = "no-store"
    return answer


def credential_field() -> str:
    """What the browser said about the passkey: longer than other fields, so bounded by its use case."""
    return request.form.get("credential", "")


def _finished(token: str, goal: str | None) -> AnyResponse:
    start_session(token)
    return redirect(goal or HOME, 303)


def _begin_again() -> AnyResponse:
    session.pop(STEP, None)
    flash(gettext("Begin with your password."), "info")
    return redirect("/sign-in", 303)


def _sign_in_page(error: AppError | None = None, **context: str) -> AnyResponse:
    return page("access/sign_in.html", error=error, passkeys=relying_party(services().settings) is not None, **context)


def _second_page(goal: str | None, error: AppError | None = None) -> AnyResponse:
    try:
        step = service.second_step(request_session(), step=session.get(STEP, ""))
    except NotSignedIn:
        return _begin_again()
    return page(
        "access/second_step.html",
        error=error,
        next=goal or "",
        code_app=step.code_app,
        passkeys=step.passkeys and relying_party(services().settings) is not None,
    )


def _again_page(goal: str | None, error: AppError | None = None, *, sent: bool = False) -> AnyResponse:
    factors = service.factors_of(request_session(), person_id=current_person_id())
    return page(
        "access/again.html",
        error=error,
        next=goal or "",
        sent=sent,
        passkeys=factors.passkeys > 0 and relying_party(services().settings) is not None,
    )
