"""Pages: what is kept about whom, for everybody; and for a person what is kept about her, to take away or to erase."""

from flask import Blueprint, Response, flash, redirect, session
from flask_babel import gettext
from werkzeug.wrappers import Response as AnyResponse

from app.access.browser import current_person_id
from app.accounts.forms import text
from app.accounts.showing import page
from app.core.authorisation import Permission, current_principal, needs_confirmation, public, requires
from app.core.clock import now_ms, to_iso
from app.core.errors import AppError, Invalid
from app.core.services import services
from app.privacy import service
from app.privacy.register import REGISTER, WHOSE, Whose

blueprint = Blueprint("privacy_pages", __name__)

DATA = "/account/data"


@blueprint.get("/privacy")
@public
def privacy() -> AnyResponse:
    """Say in plain words what is kept about whom."""
    groups = [(WHOSE[whose], [one for one in REGISTER if one.whose is whose]) for whose in Whose]
    return page("privacy/privacy.html", groups=groups, scan_days=services().settings.scan_retention_days)


@blueprint.get(DATA)
@requires(Permission.ACCOUNT_OWN)
@needs_confirmation
def own_data() -> AnyResponse:
    """Offer a person what is kept about her, and the end of her account."""
    return _data_page()


@blueprint.post("/account/data/export")
@requires(Permission.ACCOUNT_OWN)
@needs_confirmation
def export() -> AnyResponse:
    """Send all that is kept about the person, as it is read."""
    day = to_iso(now_ms())[:10]
    return Response(
        service.export_person(services(), person_id=current_person_id()),
        mimetype="application/zip",
        headers={
            "Content-Disposition": f'attachment; filename="marchamo-{day}.zip"',
            "Cache-Control": "no-store",
        },
    )


@blueprint.post("/account/data/erase")
@requires(Permission.ACCOUNT_OWN)
@needs_confirmation
def erase() -> AnyResponse:
    """Erase the account of the person."""
    try:
        if text("understood") != "1":
            raise Invalid("Tick the box first: an erased account does not come back.", code="not_understood")
        service.erase_own_account(services(), by=current_principal())
    except AppError as error:
        return _data_page(error)
    session.clear()
    flash(gettext("Your account is erased."), "good")
    return redirect("/", 303)


def _data_page(error: AppError | None = None) -> AnyResponse:
    return page("privacy/data.html", error=error)
