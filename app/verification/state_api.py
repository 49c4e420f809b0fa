"""Routes of state bundles under /v1/states. Not below /v1/proofs/<handle>/<serial>: a serial may end in any word."""

from flask import Response

from app.core.api import Blueprint
from app.core.authorisation import Permission, current_principal, requires
from app.core.services import services
from app.verification import service
from app.verification.http import json_response
from app.verification.schemas import ProofQuery
from app.verification.state_schemas import StateBundleSchema

blueprint = Blueprint(
    "states", __name__, url_prefix="/v1/states", description="What was recorded, proved to be all that was recorded"
)


@blueprint.route("/units/<handle>/<path:serial>", methods=["GET"])
@requires(Permission.PROOF_READ)
@blueprint.arguments(ProofQuery(), location="query")
@blueprint.response(200, StateBundleSchema)
def unit_state(query: dict[str, str], handle: str, serial: str) -> Response:
    """Give every event of a unit and of its batch, with the proof that none is left out (`marchamo verify-proof`).

    Other organisations than the issuer, authorities and the registry must send the code's signature as `S`.
    """
    return json_response(
        service.unit_state(
            services(), handle=handle, serial=serial, signature=query.get("S"), principal=current_principal()
        )
    )


@blueprint.route("/batches/<handle>", methods=["GET"])
@requires(Permission.PROOF_READ)
@blueprint.response(200, StateBundleSchema)
def batch_state(handle: str) -> Response:
    """Give the commissioning of a batch and every event of the whole batch, with the proof that none is left out."""
    return json_response(service.batch_state(services(), handle=handle, principal=current_principal()))


@blueprint.route("/organisations/<issuer>", methods=["GET"])
@requires(Permission.PROOF_READ)
@blueprint.response(200, StateBundleSchema)
def organisation_state(issuer: str) -> Response:
    """Give every decision on an organisation and the life of its keys: for itself, authorities and the registry."""
    return json_response(service.organisation_state(services(), issuer=issuer, principal=current_principal()))
