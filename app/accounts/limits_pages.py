"""The page of an organisation's limits: what one person alone may have made."""

from flask import Blueprint
from flask_babel import gettext
from werkzeug.wrappers import Response as AnyResponse

from app.accounts import service
from app.accounts.forms import text, whole_number
from app.accounts.showing import page, then
from app.core.authorisation import (
    Permission,
    current_organisation_id,
    current_principal,
    needs_confirmation,
    requires,
)
from app.core.database import request_session
from app.core.errors import AppError, Malformed
from app.core.services import services

blueprint = Blueprint("limits_pages", __name__)

ADDRESS = "/organisation/limits"


@blueprint.get(ADDRESS)
@requires(Permission.ORGANISATION_MANAGE)
def limits() -> AnyResponse:
    """The threshold above which a second person has to release codes."""
    return _limits_page()


@blueprint.post(ADDRESS)
@requires(Permission.ORGANISATION_MANAGE)
@needs_confirmation
def change() -> AnyResponse:
    """Lower the threshold, or ask for a higher one."""
    return then(
        _limits_page,
        ADDRESS,
        gettext("The change is recorded."),
        lambda: service.change_limit(services(), by=current_principal(), above=_above()),
    )


@blueprint.post(f"{ADDRESS}/decision")
@requires(Permission.ORGANISATION_MANAGE)
@needs_confirmation
def decide() -> AnyResponse:
    """Agree to the higher threshold that somebody asked for, or refuse it."""
    decision = text("decision")
    if decision not in ("agree", "refuse"):
        raise Malformed("A choice of this form is missing.", code="choice_missing")
    return then(
        _limits_page,
        ADDRESS,
        gettext("The change is recorded."),
        lambda: service.decide_limit(services(), by=current_principal(), agree=decision == "agree"),
    )


def _above() -> int | None:
    if text("kind") == "none":
        return None
    above = whole_number("above")
    if above is None:
        raise Malformed("Give the number of units.", code="limit")
    return above


def _limits_page(error: AppError | None = None) -> AnyResponse:
    database, principal = request_session(), current_principal()
    database.rollback()  # what this request changed was changed on another connection
    number = current_organisation_id()
    found = service.limits_of(services(), database, organisation_id=number)
    return page(
        "accounts/limits.html",
        error=error,
        limits=found,
        managers=len(service.managers_of(database, number)),
        asked_oneself=found.pending is not None and found.pending.asked_by == principal.person_id,
    )
