"""The token endpoint's rules, on Authlib's authorization server: one grant, client credentials."""

from typing import Any

from authlib.integrations.flask_oauth2 import AuthorizationServer
from authlib.oauth2.rfc6749 import (
    ClientMixin,
    InvalidRequestError,
    InvalidScopeError,
    OAuth2Error,
    OAuth2Request,
    UnauthorizedClientError,
    UnsupportedGrantTypeError,
)
from authlib.oauth2.rfc6749.grants import ClientCredentialsGrant
from authlib.oauth2.rfc6750 import BearerTokenGenerator
from flask import Flask, Request, Response
from flask import request as flask_request

from app.access.oauth.authentication import METHODS, authenticate, claimed_client_id, refused_client
from app.access.oauth.clients import OAuthClient
from app.access.oauth.tokens import LIFE_SECONDS, new_access_token, principal_of_client, save_access_token
from app.core.attempts import Limits, count_attempt, forgive_attempt
from app.core.authorisation import Permission
from app.core.database import request_session
from app.core.errors import NotSignedIn, TooMany
from app.core.networks import network_of
from app.core.services import Services

GRANT_TYPE = "client_credentials"
TOKEN_PATH = "/oauth/token"  # noqa: S105  an address
MAX_BODY = 16 * 1024
GUESSES_OF_PAIR = 30
"""Refused requests from one network address in the name of one client in 15 minutes."""
GUESSES_OF_ADDRESS = 120
TOKENS_OF_CLIENT = 120
"""Tokens that one client may be given in 15 minutes: one would do for two such times."""

_FORM = "application/x-www-form-urlencoded"


def token_endpoint(services: Services) -> str:
    """The address of the token endpoint, which assertions have to name as their audience."""
    return services.settings.public_url.rstrip("/") + TOKEN_PATH


class KnownClient(ClientMixin):  # type: ignore[misc]  # Authlib has no types
    """A client that has proved who it is, as Authlib asks about it."""

    def __init__(self, client: OAuthClient, allowed: frozenset[Permission]) -> None:
        self.client = client
        self.allowed = allowed

    def get_client_id(self) -> str:
        """The client's identifier."""
        return self.client.client_id

    def check_grant_type(self, grant_type: str) -> bool:
        """Only client credentials."""
        return grant_type == GRANT_TYPE

    def get_allowed_scope(self, scope: str | None) -> str | None:
        """The scopes asked for, all that the client has when it asks for none; None when it has not all of them."""
        if not scope:
            return " ".join(sorted(self.allowed))
        asked = set(scope.split(" "))
        return " ".join(sorted(asked)) if asked <= self.allowed else None


class MachineGrant(ClientCredentialsGrant):  # type: ignore[misc]
    """Client credentials (RFC 6749 section 4.4)."""

    TOKEN_ENDPOINT_AUTH_METHODS = METHODS

    def validate_token_request(self) -> None:
        """Find the client and check what it asks for."""
        client = self.authenticate_token_endpoint_client()
        if not client.check_grant_type(self.GRANT_TYPE):
            raise UnauthorizedClientError
        self.request.client = client
        self.validate_requested_scope()

    def create_token_response(self) -> tuple[int, dict[str, Any], list[tuple[str, str]]]:
        """Give the token out; unlike Authlib's own, without writing it into a log."""
        token = self.generate_token(scope=self.request.payload.scope, include_refresh_token=False)
        self.save_token(token)
        return 200, token, self.TOKEN_RESPONSE_HEADER


class MachineServer(AuthorizationServer):  # type: ignore[misc]
    """Authlib's server with our clients, our tokens and our limits."""

    def __init__(self, app: Flask, services: Services) -> None:
        super().__init__(app, query_client=None, save_token=None)
        self._services = services
        self.scopes_supported = [permission.value for permission in Permission]
        self.register_grant(MachineGrant)

    def create_bearer_token_generator(self, config: Any) -> BearerTokenGenerator:  # noqa: ARG002  Authlib's signature
        """Opaque tokens of one life."""
        return BearerTokenGenerator(lambda **_: new_access_token(), expires_generator=LIFE_SECONDS)

    def authenticate_client(self, request: OAuth2Request, methods: Any, endpoint: str = "token") -> KnownClient:  # noqa: ARG002
        """The client that sent the request, with what it may do now."""
        form, authorization = flask_request.form, flask_request.headers.get("Authorization")
        audience = token_endpoint(self._services)
        client = authenticate(self._services, request_session(), form, authorization, audience=audience)
        try:
            principal = principal_of_client(request_session(), client)
        except NotSignedIn:
            raise refused_client() from None
        return KnownClient(client, principal.permissions)

    def save_token(self, token: dict[str, Any], request: OAuth2Request) -> None:
        """Keep the token's hash."""
        client_id = request.client.get_client_id()
        count_attempt(self._services, {f"token client:{client_id}": TOKENS_OF_CLIENT})
        save_access_token(
            self._services, token=token["access_token"], client_id=client_id, scopes=token.get("scope", "")
        )

    def answer(self, request: Request) -> Response:
        """Answer a token request: a token, or an error in the shape of RFC 6749 section 5.2."""
        limits: Limits | None = None
        try:
            _check_form(request)
            named = claimed_client_id(request.form, request.headers.get("Authorization"))[:64]
            address = network_of(request.remote_addr) or "unknown"
            limits = {f"token pair:{address} {named}": GUESSES_OF_PAIR, f"token address:{address}": GUESSES_OF_ADDRESS}
            count_attempt(self._services, limits)
            response: Response = self.create_token_response()
        except TooMany as error:
            return self._slow_down(error)
        except OAuth2Error as error:
            return self.handle_error_response(None, error)  # type: ignore[no-any-return]
        if response.status_code == 200:
            forgive_attempt(self._services, limits)
        return response

    def _slow_down(self, error: TooMany) -> Response:
        refused = OAuth2Error(str(error), error="temporarily_unavailable", status_code=429)
        response: Response = self.handle_error_response(None, refused)
        response.headers["Retry-After"] = str(error.retry_after)
        return response


def _check_form(request: Request) -> None:
    """Refuse what is not one plain form (RFC 6749 section 3.2): parameters in the address, twice, or of no form."""
    if request.mimetype != _FORM:
        raise InvalidRequestError("The body must be application/x-www-form-urlencoded.")
    if request.query_string:
        raise InvalidRequestError("Parameters belong into the body, not into the address.")
    if (request.content_length or 0) > MAX_BODY:
        raise InvalidRequestError("The body is too large.")
    if any(len(values) > 1 for _, values in request.form.lists()):
        raise InvalidRequestError("A parameter is given more than once.")
    if "grant_type" not in request.form:
        raise InvalidRequestError("The parameter grant_type is missing.")
    if request.form["grant_type"] != GRANT_TYPE:
        raise _UnsupportedGrant
    scope = request.form.get("scope")
    if scope is not None and not all(word in set(Permission) for word in scope.split(" ")):
        raise InvalidScopeError


class _UnsupportedGrant(UnsupportedGrantTypeError):  # type: ignore[misc]
    """Without the text that was sent, which Authlib would repeat."""

    def __init__(self) -> None:
        super().__init__(GRANT_TYPE)

    def get_error_description(self) -> str:
        return "The only grant type here is client_credentials."
