"""Pages of somebody who is locked out: a new password by mail, and second factors that are lost."""

from flask import Blueprint, flash, redirect, request
from flask_babel import gettext
from werkzeug.wrappers import Response as AnyResponse

from app.access import service
from app.access.browser import current_visitor
from app.accounts.forms import text, whole_number
from app.accounts.showing import once, page, then
from app.core.authorisation import Permission, current_principal, public, requires
from app.core.clock import now_ms
from app.core.database import request_session
from app.core.errors import AppError, Invalid, NotFound, TooMany
from app.core.services import services

blueprint = Blueprint("recovery_pages", __name__)


@blueprint.get("/recover")
@public
def recovery_form() -> AnyResponse:
    """The form of somebody who has lost the password."""
    return page("access/recover.html", asked=False)


@blueprint.post("/recover")
@public
def ask_for_recovery() -> AnyResponse:
    """Send a link, if somebody has this address; the answer is one and the same."""
    try:
        service.ask_for_recovery(services(), email=text("email"), visitor=current_visitor())
    except TooMany as error:
        return page("access/recover.html", error=error, asked=False)
    return page("access/recover.html", asked=True, by_mail=bool(services().settings.mail_server))


@blueprint.get("/recover/<token>")
@public
def new_password_form(token: str) -> AnyResponse:
    """The form that the link leads to; looking at it uses nothing up, since programs open the links in mails too."""
    try:
        service.check_recovery_link(request_session(), token=token)
    except NotFound as error:
        return page("access/new_password.html", error=error, has_ended=True)
    return once(page("access/new_password.html"))


@blueprint.post("/recover/<token>")
@public
def recover(token: str) -> AnyResponse:
    """Set the new password."""
    try:
        service.recover(services(), token=token, new=text("password"), visitor=current_visitor())
    except NotFound as error:
        return page("access/new_password.html", error=error, has_ended=True)
    except (Invalid, TooMany) as error:
        return once(page("access/new_password.html", error=error))
    flash(gettext("The new password is set. Sign in with it."), "good")
    return redirect("/sign-in", 303)


@blueprint.get("/account-reset/<token>")
@public
def refusal_form(token: str) -> AnyResponse:
    """What the letter about lost second factors leads to."""
    reset = service.check_reset_link(request_session(), token=token)
    return once(page("access/refuse_reset.html", reset=reset))


@blueprint.post("/account-reset/<token>")
@public
def refuse_reset(token: str) -> AnyResponse:
    """Refuse that the second factors are removed."""
    service.refuse_reset(services(), token=token, visitor=current_visitor())
    flash(gettext("Refused: your second factors stay. Consider to change your password."), "good")
    return redirect("/sign-in", 303)


@blueprint.get("/organisation/people/factor-reset")
@requires(Permission.MEMBER_MANAGE)
def reset_form() -> AnyResponse:
    """The form of an owner whose member has lost the second factors."""
    return _reset_page(email=request.args.get("email", "")[:300])


@blueprint.post("/organisation/people/factor-reset")
@requires(Permission.MEMBER_MANAGE)
def request_reset() -> AnyResponse:
    """Announce the removal of a member's second factors."""
    return _request_reset()


@blueprint.post("/organisation/people/factor-reset/withdrawal")
@requires(Permission.MEMBER_MANAGE)
def withdraw_reset() -> AnyResponse:
    """Call the announced removal of a member's second factors off."""
    return _withdraw_reset("/organisation/people/factor-reset")


@blueprint.get("/admin/factor-reset")
@requires(Permission.ORGANISATION_APPROVE)
def admin_reset_form() -> AnyResponse:
    """The same for the registry, whose administrators can do it for anybody but themselves."""
    return _reset_page(email=request.args.get("email", "")[:300])


@blueprint.post("/admin/factor-reset")
@requires(Permission.ORGANISATION_APPROVE)
def admin_request_reset() -> AnyResponse:
    """Announce the removal of anybody's second factors."""
    return _request_reset()


@blueprint.post("/admin/factor-reset/withdrawal")
@requires(Permission.ORGANISATION_APPROVE)
def admin_withdraw_reset() -> AnyResponse:
    """Call the announced removal of anybody's second factors off."""
    return _withdraw_reset("/admin/factor-reset")


def _request_reset() -> AnyResponse:
    try:
        service.request_factor_reset(
            services(), by=current_principal(), email=text("email"), reason=text("reason"), visitor=current_visitor()
        )
    except AppError as error:
        return _reset_page(error, email=text("email"), reason=text("reason"))
    flash(gettext("Announced: in 24 hours the second factors are removed, unless the person refuses."), "good")
    return redirect(request.path, 303)


def _withdraw_reset(address: str) -> AnyResponse:
    return then(
        lambda error: _reset_page(error, address=address),
        address,
        gettext("Called off: the second factors stay."),
        lambda: service.withdraw_reset(
            services(), by=current_principal(), person_id=whole_number("person") or 0, visitor=current_visitor()
        ),
    )


def _reset_page(
    error: AppError | None = None, *, email: str = "", reason: str = "", address: str | None = None
) -> AnyResponse:
    """Give the page of lost second factors; address: where it is when the request went elsewhere."""
    principal = current_principal()
    every = principal.may(Permission.ORGANISATION_APPROVE)
    return page(
        "access/factor_reset.html",
        error=error,
        email=email,
        reason=reason,
        action=address or request.path,
        for_registry=every,
        announced=service.list_resets(request_session(), organisation_id=None if every else principal.organisation_id),
        now=now_ms(),
    )
