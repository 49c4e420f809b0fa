"""Routes under /v1 by which a firm signs its codes itself, and sees beforehand what revoking its key would do."""

from typing import Any

from flask import request
from flask_babel import gettext

from app.core.api import Blueprint
from app.core.authorisation import Permission, current_organisation_id, requires
from app.core.database import request_session
from app.core.errors import Malformed
from app.core.given import given_bytes
from app.core.services import services
from app.registry import service, signing_schemas
from app.registry.answers import signing_answer, signing_page_answer
from app.registry.service.signing import MAX_PART

blueprint = Blueprint("signing", __name__, url_prefix="/v1", description="Codes signed by the firm")

Answer = dict[str, Any]
OCTETS = "application/octet-stream"


@blueprint.before_request
def bound_parts() -> None:
    """A part of signatures has its own limit."""
    if request.endpoint == "signing.put_signatures":
        request.max_content_length = MAX_PART


@blueprint.route("/batches/<handle>/signing", methods=["GET"])
@requires(Permission.KEY_SIGN)
@blueprint.arguments(signing_schemas.SigningQuery, location="query")
@blueprint.response(200, signing_schemas.SigningPageSchema)
def signing_page(query: dict[str, Any], handle: str) -> Answer:
    """What the firm is to sign of one of its batches, in order of position."""
    page = service.signing_page(
        services(), request_session(), handle=handle, organisation_id=current_organisation_id(), **query
    )
    return signing_page_answer(page)


@blueprint.route("/batches/<handle>/signatures", methods=["PUT"])
@requires(Permission.KEY_SIGN)
@blueprint.arguments(signing_schemas.SignaturesQuery, location="query")
@blueprint.response(200, signing_schemas.SigningStateSchema)
@blueprint.doc(
    requestBody={
        "required": True,
        "description": "signatures of consecutive units, 64 bytes each, at most 1 MiB",
        "content": {OCTETS: {"schema": {"type": "string", "format": "binary", "maxLength": MAX_PART}}},
    }
)
def put_signatures(query: dict[str, Any], handle: str) -> Answer:
    """Hand signatures in; each is verified, and the same part may be sent again."""
    organisation_id = current_organisation_id()
    service.find_batch(request_session(), handle, organisation_id=organisation_id)
    if request.mimetype != OCTETS:
        raise Malformed("Send the signatures as application/octet-stream.", code="content_type")
    signing = service.put_signatures(
        services(),
        handle=handle,
        organisation_id=organisation_id,
        start=query["start"],
        after=query["after"],
        signatures=request.get_data(cache=False),
    )
    return signing_answer(handle, signing)


@blueprint.route("/batches/<handle>/seal", methods=["POST"])
@requires(Permission.KEY_SIGN)
@blueprint.arguments(signing_schemas.SealSchema)
@blueprint.response(200, signing_schemas.SigningStateSchema)
def close_signing(entry: dict[str, Any], handle: str) -> Answer:
    """Close a batch whose signatures are all in: it goes on the ledger, and its labels can be printed."""
    seal = given_bytes(entry["seal"], size=64)
    signing = service.close_signing(services(), handle=handle, organisation_id=current_organisation_id(), seal=seal)
    return signing_answer(handle, signing)


@blueprint.route("/keys/<int(max=4294967295):key_id>/revocation", methods=["GET"])
@requires(Permission.KEY_MANAGE)
@blueprint.arguments(signing_schemas.RevocationQuery, location="query")
@blueprint.response(200, signing_schemas.RevocationPreviewSchema)
def preview_revocation(query: dict[str, Any], key_id: int) -> Answer:
    """What revoking a key would do, now or from an earlier ledger position on; nothing is changed."""
    preview = service.revocation_preview(
        services(), request_session(), organisation_id=current_organisation_id(), key_id=key_id, **query
    )
    return {
        "key_id": preview.key.key_id,
        "registered_index": preview.key.registered_index,
        "from_index": preview.from_index,
        "batches_before": preview.batches_before,
        "units_before": preview.units_before,
        "batches_after": preview.batches_after,
        "units_after": preview.units_after,
        "sentence": preview_sentence(preview),
    }


def preview_sentence(preview: service.RevocationPreview) -> str:
    """What a revocation would do, in the reader's language."""
    return str(
        gettext(
            "%(batches_before)s batches with %(units_before)s units stay good. The codes of %(batches_after)s batches "
            "with %(units_after)s units would be answered with: the key that signed it had been withdrawn.",
            batches_before=preview.batches_before,
            units_before=preview.units_before,
            batches_after=preview.batches_after,
            units_after=preview.units_after,
        )
    )
