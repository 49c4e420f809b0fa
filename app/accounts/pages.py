"""The pages of an organisation: its standing and its numbers."""

from typing import Any

from flask import Blueprint, request
from flask_babel import gettext
from werkzeug.wrappers import Response as AnyResponse

from app.accounts import service
from app.accounts.forms import end_of_day, posted_document, text, whole_number, word
from app.accounts.showing import page, then
from app.accounts.vocabulary import RightKind
from app.core.authorisation import (
    Permission,
    current_organisation_id,
    current_principal,
    needs_confirmation,
    requires,
)
from app.core.database import request_session
from app.core.errors import AppError, Invalid
from app.core.services import services

blueprint = Blueprint("accounts_pages", __name__)

FORM_OVERHEAD = 64 * 1024
"""What the form around a document may take, in bytes."""


@blueprint.url_value_preprocessor
def allow_documents(endpoint: str | None, _values: dict[str, Any] | None) -> None:
    """Let documents be larger than other bodies; told here, before the check of the form's token reads the body."""
    if endpoint in (f"{blueprint.name}.request_right", f"{blueprint.name}.hand_in_evidence"):
        request.max_content_length = service.MAX_DOCUMENT + FORM_OVERHEAD


@blueprint.get("/organisation")
@requires(Permission.ORGANISATION_READ)
def organisation() -> AnyResponse:
    """The organisation's standing and its rights to issue codes."""
    return _organisation_page()


@blueprint.post("/organisation/application")
@requires(Permission.ORGANISATION_MANAGE)
def apply_again() -> AnyResponse:
    """Ask the registry again after a refusal."""
    return then(
        _organisation_page,
        "/organisation",
        gettext("The registry will look at your application again."),
        lambda: service.apply_again(
            services(),
            organisation_id=current_organisation_id(),
            by=current_principal(),
            name=text("name"),
            country=text("country").strip().upper(),
        ),
    )


@blueprint.post("/organisation/rights")
@requires(Permission.ORGANISATION_MANAGE)
def request_right() -> AnyResponse:
    """Ask the registry for a company prefix or a single GTIN; the document that proves it may come along."""

    def ask() -> None:
        document = posted_document()
        if document is not None:
            service.check_document(document)
        right = service.request_right(
            services(),
            organisation_id=current_organisation_id(),
            kind=word(RightKind, "kind"),
            value="".join(text("value").split()),
            evidence=text("evidence"),
        )
        if document is not None:
            service.hand_in_evidence(services(), by=current_principal(), reference=right.reference, data=document)

    return then(_organisation_page, "/organisation", gettext("The registry has your request."), ask)


@blueprint.post("/organisation/rights/<reference>/evidence")
@requires(Permission.ORGANISATION_MANAGE)
def hand_in_evidence(reference: str) -> AnyResponse:
    """Hand in the document that proves a number, later or anew."""

    def hand_in() -> None:
        document = posted_document()
        if document is None:
            raise Invalid("Choose a file.")
        service.hand_in_evidence(services(), by=current_principal(), reference=reference, data=document)

    return then(_organisation_page, "/organisation", gettext("The registry has your document."), hand_in)


@blueprint.post("/organisation/delegations")
@requires(Permission.ORGANISATION_MANAGE)
@needs_confirmation
def delegate_gtin() -> AnyResponse:
    """Let a maker commission an own GTIN."""
    return then(
        _organisation_page,
        "/organisation",
        gettext("The maker can now make codes for this product number."),
        lambda: service.delegate_gtin(
            services(),
            owner_organisation_id=current_organisation_id(),
            gtin="".join(text("gtin").split()),
            to_issuer=text("to").strip().upper(),
            quota=whole_number("quota") or 0,
            lot_quota=whole_number("lot_quota"),
            valid_until=end_of_day("valid_until") or 0,
            actor=current_principal(),
        ),
    )


@blueprint.post("/organisation/rights/<reference>/revocation")
@requires(Permission.ORGANISATION_MANAGE)
def revoke_right(reference: str) -> AnyResponse:
    """End a delegation that the organisation gave."""
    return then(
        _organisation_page,
        "/organisation",
        gettext("The right has ended."),
        lambda: service.revoke_right(
            services(), reference=reference, reason=text("reason"), revoked_by=current_principal(), as_registry=False
        ),
    )


def _organisation_page(error: AppError | None = None) -> AnyResponse:
    database, number = request_session(), current_organisation_id()
    given = service.list_delegations(database, owner_organisation_id=number)
    rights = service.list_rights(database, organisation_id=number)
    others = {right.organisation_id for right in given} | {right.granted_by for right in rights if right.granted_by}
    return page(
        "accounts/organisation.html",
        error=error,
        organisation=service.organisation_by_id(database, number),
        rights=rights,
        given=given,
        names=service.organisation_names(database, others),
        may_manage=current_principal().may(Permission.ORGANISATION_MANAGE),
        right_kinds=(RightKind.PREFIX, RightKind.GTIN),
        entry=request.form,
    )
