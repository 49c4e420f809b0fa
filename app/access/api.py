"""Routes of access under /v1: parse, call one use case, answer."""

from typing import Any

from app.access import schemas, service
from app.access.answers import api_key_answer
from app.core.api import Blueprint
from app.core.authorisation import Permission, Role, current_organisation_id, current_principal, requires
from app.core.database import request_session
from app.core.services import services

blueprint = Blueprint("access", __name__, url_prefix="/v1", description="Machines that act for an organisation")

Answer = dict[str, Any]


@blueprint.route("/api-keys", methods=["GET"])
@requires(Permission.MACHINE_MANAGE)
@blueprint.response(200, schemas.ApiKeyListSchema)
def list_api_keys() -> Answer:
    """API keys of the caller's organisation."""
    keys = service.list_api_keys(request_session(), organisation_id=current_organisation_id())
    return {"items": [api_key_answer(key) for key in keys]}


@blueprint.route("/api-keys", methods=["POST"])
@requires(Permission.MACHINE_MANAGE)
@blueprint.arguments(schemas.ApiKeyRequestSchema)
@blueprint.response(201, schemas.NewApiKeySchema)
def create_api_key(entry: dict[str, Any]) -> Answer:
    """Make an API key. Its secret is shown in this answer and never again."""
    scopes = entry["scopes"]
    key, secret = service.create_api_key(
        services(),
        principal=current_principal(),
        name=entry["name"],
        role=Role(entry["role"]),
        scopes=None if scopes is None else frozenset(Permission(word) for word in scopes),
        days=entry["days"],
    )
    return api_key_answer(key) | {"secret": secret}


@blueprint.route("/api-keys/<prefix>", methods=["DELETE"])
@requires(Permission.MACHINE_MANAGE)
@blueprint.response(200, schemas.ApiKeySchema)
def revoke_api_key(prefix: str) -> Answer:
    """End an API key; other server processes may accept it for five seconds more."""
    return api_key_answer(service.revoke_api_key(services(), organisation_id=current_organisation_id(), prefix=prefix))
