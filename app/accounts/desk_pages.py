"""The registry's desk: organisations and issuing rights that wait for a decision."""

from flask import Blueprint
from flask_babel import gettext
from werkzeug.wrappers import Response

from app.accounts import service
from app.accounts.forms import end_of_day, text, whole_number
from app.accounts.showing import page, then
from app.accounts.vocabulary import OrganisationStatus
from app.core.authorisation import Permission, current_principal, requires
from app.core.database import request_session
from app.core.errors import AppError
from app.core.services import services

blueprint = Blueprint("registry_desk", __name__)


@blueprint.get("/admin")
@requires(Permission.ORGANISATION_APPROVE)
def desk() -> Response:
    """The registry's desk: what waits for a decision."""
    return _desk_page()


@blueprint.post("/admin/organisations/<issuer>")
@requires(Permission.ORGANISATION_APPROVE)
def decide_organisation(issuer: str) -> Response:
    """Decide on an organisation."""
    decide = service.approve_organisation if text("decision") == "approve" else service.refuse_organisation
    return then(
        _desk_page,
        "/admin",
        gettext("The decision is recorded."),
        lambda: decide(services(), issuer=issuer, decided_by=current_principal(), reason=text("reason")),
    )


@blueprint.post("/admin/rights/<reference>")
@requires(Permission.ORGANISATION_APPROVE)
def decide_right(reference: str) -> Response:
    """Decide on an issuing right."""
    return then(
        _desk_page,
        "/admin",
        gettext("The decision is recorded."),
        lambda: service.decide_right(
            services(),
            reference=reference,
            approve=text("decision") == "approve",
            reason=text("reason"),
            decided_by=current_principal(),
            quota=whole_number("quota"),
            valid_until=end_of_day("valid_until"),
        ),
    )


def _desk_page(error: AppError | None = None) -> Response:
    database = request_session()
    return page(
        "accounts/admin.html",
        error=error,
        organisations=service.list_organisations(database, status=OrganisationStatus.PENDING).items,
        requests=service.list_right_requests(database),
    )
