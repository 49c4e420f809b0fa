"""Routes of access under /v1: parse, call one use case, answer."""

from typing import Any

from app.access import schemas, service
from app.access.answers import api_key_answer, certificate_answer, client_answer
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
    key, secret = service.create_api_key(services(), principal=current_principal(), **_granted(entry))
    return api_key_answer(key) | {"secret": secret}


@blueprint.route("/api-keys/<prefix>/rotation", methods=["POST"])
@requires(Permission.MACHINE_MANAGE)
@blueprint.arguments(schemas.ApiKeyRotationSchema, required=False)
@blueprint.response(201, schemas.NewApiKeySchema)
def rotate_api_key(entry: dict[str, Any], prefix: str) -> Answer:
    """Replace an API key by a new one of the same powers; both work for the hours of overlap."""
    key, secret = service.rotate_api_key(
        services(), principal=current_principal(), prefix=prefix, overlap_hours=entry["overlap_hours"]
    )
    return api_key_answer(key) | {"secret": secret}


@blueprint.route("/api-keys/<prefix>", methods=["DELETE"])
@requires(Permission.MACHINE_MANAGE)
@blueprint.response(200, schemas.ApiKeySchema)
def revoke_api_key(prefix: str) -> Answer:
    """End an API key; other server processes may accept it for five seconds more."""
    return api_key_answer(service.revoke_api_key(services(), principal=current_principal(), prefix=prefix))


@blueprint.route("/oauth-clients", methods=["GET"])
@requires(Permission.MACHINE_MANAGE)
@blueprint.response(200, schemas.ClientListSchema)
def list_oauth_clients() -> Answer:
    """OAuth 2.0 clients of the caller's organisation."""
    clients = service.list_oauth_clients(request_session(), organisation_id=current_organisation_id())
    return {"items": [client_answer(client) for client in clients]}


@blueprint.route("/oauth-clients", methods=["POST"])
@requires(Permission.MACHINE_MANAGE)
@blueprint.arguments(schemas.ClientRequestSchema)
@blueprint.response(201, schemas.NewClientSchema)
def create_oauth_client(entry: dict[str, Any]) -> Answer:
    """Make an OAuth 2.0 client. Without a public key it has a secret, shown in this answer and never again."""
    client, secret = service.create_oauth_client(
        services(), principal=current_principal(), public_jwk=entry["public_jwk"], **_granted(entry)
    )
    return client_answer(client) | {"client_secret": secret}


@blueprint.route("/oauth-clients/<client_id>", methods=["DELETE"])
@requires(Permission.MACHINE_MANAGE)
@blueprint.response(200, schemas.ClientSchema)
def revoke_oauth_client(client_id: str) -> Answer:
    """End an OAuth 2.0 client and its tokens; other server processes may accept these for five seconds more."""
    return client_answer(service.revoke_oauth_client(services(), principal=current_principal(), client_id=client_id))


@blueprint.route("/client-certificates", methods=["GET"])
@requires(Permission.MACHINE_MANAGE)
@blueprint.response(200, schemas.CertificateListSchema)
def list_certificates() -> Answer:
    """TLS client certificates that act for the caller's organisation."""
    certificates = service.list_certificates(request_session(), organisation_id=current_organisation_id())
    return {"items": [certificate_answer(certificate) for certificate in certificates]}


@blueprint.route("/client-certificates", methods=["POST"])
@requires(Permission.MACHINE_MANAGE)
@blueprint.arguments(schemas.CertificateRequestSchema)
@blueprint.response(201, schemas.CertificateSchema)
def register_certificate(entry: dict[str, Any]) -> Answer:
    """Let the holder of a TLS client certificate act for the organisation, where the registry's proxy takes them."""
    certificate = service.register_certificate(
        services(), principal=current_principal(), certificate=entry["certificate"], **_granted(entry)
    )
    return certificate_answer(certificate)


@blueprint.route("/client-certificates/<thumbprint>", methods=["DELETE"])
@requires(Permission.MACHINE_MANAGE)
@blueprint.response(200, schemas.CertificateSchema)
def revoke_certificate(thumbprint: str) -> Answer:
    """End a certificate for good; other server processes may accept it for five seconds more."""
    return certificate_answer(
        service.revoke_certificate(services(), principal=current_principal(), thumbprint=thumbprint)
    )


def _granted(entry: dict[str, Any]) -> dict[str, Any]:
    """What every machine is given."""
    scopes = entry["scopes"]
    return {
        "name": entry["name"],
        "role": Role(entry["role"]),
        "scopes": None if scopes is None else frozenset(Permission(word) for word in scopes),
        "days": entry["days"],
    }
