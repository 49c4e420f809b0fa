"""The registry's desk: organisations and issuing rights that wait for a decision."""

from flask import Blueprint, request
from flask_babel import gettext
from werkzeug.wrappers import Response

from app.accounts import service
from app.accounts.answers import document_answer
from app.accounts.forms import country_codes, end_of_day, text, whole_number
from app.accounts.showing import page, then
from app.accounts.vocabulary import OrganisationStatus
from app.core.authorisation import Permission, current_principal, requires
from app.core.database import request_session
from app.core.errors import AppError, Malformed
from app.core.services import services

blueprint = Blueprint("registry_desk", __name__)

ORGANISATIONS = "/admin/organisations"


@blueprint.get("/admin")
@requires(Permission.ORGANISATION_APPROVE)
def desk() -> Response:
    """The registry's desk: what waits for a decision."""
    return _desk_page()


@blueprint.get("/admin/organisations")
@requires(Permission.ORGANISATION_APPROVE)
def organisations() -> Response:
    """Every organisation, by name and standing."""
    return _organisations_page()


@blueprint.post("/admin/organisations/<issuer>")
@requires(Permission.ORGANISATION_APPROVE)
def decide_organisation(issuer: str) -> Response:
    """Decide on an organisation: from the desk, or from the list of all."""
    from_list = text("from") == "list"
    query = f"?{request.query_string.decode('ascii', 'ignore')}" if request.query_string else ""
    return then(
        (lambda error: _organisations_page(error, about=issuer))
        if from_list
        else (lambda error: _desk_page(error, about=issuer)),
        ORGANISATIONS + query if from_list else "/admin",
        gettext("The decision is recorded."),
        lambda: _decide(issuer),
    )


def _decide(issuer: str) -> None:
    by, reason = current_principal(), text("reason")
    match text("decision"):
        case "approve":
            countries = country_codes("jurisdiction") or None
            service.approve_organisation(
                services(), issuer=issuer, decided_by=by, reason=reason, jurisdiction=countries
            )
        case "refuse":
            service.refuse_organisation(services(), issuer=issuer, decided_by=by, reason=reason)
        case "suspend":
            service.suspend_organisation(services(), issuer=issuer, decided_by=by, reason=reason)
        case _:
            raise Malformed("A choice of this form is missing.", code="choice_missing")


@blueprint.get("/admin/rights/<reference>/evidence")
@requires(Permission.ORGANISATION_APPROVE)
def read_evidence(reference: str) -> Response:
    """Download the document that proves a number."""
    return document_answer(service.read_evidence(request_session(), services(), reference=reference))


@blueprint.post("/admin/rights/<reference>")
@requires(Permission.ORGANISATION_APPROVE)
def decide_right(reference: str) -> Response:
    """Decide on an issuing right."""
    return then(
        lambda error: _desk_page(error, about=reference),
        "/admin",
        gettext("The decision is recorded."),
        lambda: service.decide_right(
            services(),
            reference=reference,
            approve=text("decision") == "approve",
            reason=text("reason"),
            decided_by=current_principal(),
            quota=whole_number("quota"),
            lot_quota=whole_number("lot_quota"),
            valid_until=end_of_day("valid_until"),
        ),
    )


def _desk_page(error: AppError | None = None, *, about: str | None = None) -> Response:
    """Give the desk; about: whose form was refused, which keeps what was typed."""
    database = request_session()
    waiting = service.list_organisations(database, status=OrganisationStatus.PENDING).items
    requests = service.list_right_requests(database)
    return page(
        "accounts/admin.html",
        error=error,
        about=about,
        entry=request.form if error else {},
        organisations=waiting,
        requests=requests,
        managers={
            number: service.managers_of(database, number)
            for number in {one.id for one in waiting} | {organisation.id for _, organisation in requests}
        },
        decisions=service.recent_decisions(database),
    )


def _organisations_page(error: AppError | None = None, *, about: str | None = None) -> Response:
    """Give the list of organisations; about: whose form was refused, which keeps what was typed."""
    asked, status = request.args.get("text", "")[:200], request.args.get("status", "")
    found = service.list_organisations(
        request_session(),
        status=OrganisationStatus(status) if status in set(OrganisationStatus) else None,
        text=asked,
        cursor=request.args.get("cursor"),
    )
    return page(
        "accounts/organisations.html",
        error=error,
        about=about,
        entry=request.form if error else {},
        organisations=found.items,
        next=found.next_cursor,
        text=asked,
        status=status,
        statuses=list(OrganisationStatus),
    )
