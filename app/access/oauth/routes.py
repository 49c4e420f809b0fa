"""The token endpoint (RFC 6749) and the description by which programs find it (RFC 8414)."""

from flask import Blueprint, Response, jsonify, request

from app.access.oauth.authentication import METHODS
from app.access.oauth.keys import ALGORITHMS
from app.access.oauth.server import GRANT_TYPE, MAX_BODY, TOKEN_PATH, MachineServer, token_endpoint
from app.core.authorisation import Permission, public
from app.core.csrf import acts_for_nobody
from app.core.services import services

blueprint = Blueprint("oauth", __name__)


@blueprint.post(TOKEN_PATH)
@public
@acts_for_nobody
def token() -> Response:
    """Give a client an access token."""
    request.max_content_length = MAX_BODY  # also of a body that does not say its length
    server: MachineServer = services().features[MachineServer]
    return server.answer(request)


@blueprint.get("/.well-known/oauth-authorization-server")
@public
def metadata() -> Response:
    """Say where the token endpoint is and what it takes."""
    settings = services().settings
    response = jsonify(
        issuer=settings.public_url.rstrip("/"),
        token_endpoint=token_endpoint(services()),
        token_endpoint_auth_methods_supported=list(METHODS),
        token_endpoint_auth_signing_alg_values_supported=list(ALGORITHMS),
        grant_types_supported=[GRANT_TYPE],
        response_types_supported=[],
        scopes_supported=[permission.value for permission in Permission],
        service_documentation=settings.public_url.rstrip("/") + "/v1/docs",
    )
    response.headers["Cache-Control"] = "public, max-age=3600"
    return response
