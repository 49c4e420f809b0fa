"""Who calls: a machine by its Authorization header or its TLS certificate, or a browser by its sign-in session.

The API under /v1 looks at the headers only, the pages at the cookie only: a page elsewhere can not make a browser call
the API in a person's name. All credentials of machines are resolved, remembered and refused here in one way.
"""

from collections.abc import Callable

from flask import g, request, session
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.access.browser import SESSION_TOKEN, principal_of_session
from app.access.certificates import NO_CERTIFICATE, certificate_digest, principal_of_certificate
from app.access.models import ApiKeyRow
from app.access.oauth.tokens import ACCESS_TOKEN_PREFIX, principal_of_access_token
from app.access.principals import API_KEY_PREFIX, machine_principal, refusal, scopes_of_words
from app.access.remembered import remember, remembered
from app.access.uses import note_use
from app.core.authorisation import ANONYMOUS, Principal, Role
from app.core.clock import now_ms
from app.core.database import request_session
from app.core.errors import NotSignedIn
from app.core.services import services
from app.core.tokens import token_hash

_MAX_HEADER = 100

Resolve = Callable[[Session, bytes], Principal]


def identify() -> None:
    """Set `g.principal` for this request (before_request)."""
    if request.path.startswith("/v1/"):
        g.principal = _machine()
    elif SESSION_TOKEN in session and request.endpoint != "static":
        g.principal = principal_of_session(request_session(), session[SESSION_TOKEN])
    else:
        g.principal = ANONYMOUS


def remembered_principal(header: str) -> Principal | None:
    """The caller behind an Authorization header whose key this process looked up a moment ago; None for all others."""
    credential = _credential(header)
    return None if credential is None else remembered(credential[0])


def principal_of_api_key(database: Session, digest: bytes) -> Principal:
    """The caller behind an API key's hash; raises NotSignedIn when unknown, revoked, expired or of a closed firm."""
    key = database.scalar(select(ApiKeyRow).where(ApiKeyRow.key_hash == digest))
    if key is None or key.revoked_at is not None or key.expires_at <= now_ms():
        raise refusal()
    return machine_principal(
        database,
        organisation_id=key.organisation_id,
        role=Role(key.role),
        scopes=scopes_of_words(key.scopes),
        machine=f"api-key:{key.id}",
        name=key.name,
    )


def _machine() -> Principal:
    header = request.headers.get("Authorization")
    certificate_header = services().settings.client_certificate_header
    certificate = request.headers.get(certificate_header) if certificate_header else None
    if certificate in NO_CERTIFICATE:
        certificate = None
    if header is None and certificate is None:
        return ANONYMOUS
    by_header = None if header is None else _of_header(header)
    by_certificate = None if certificate is None else _resolved(*_certificate(certificate))
    if by_header is not None and by_certificate is not None:
        # The certificate vouches for the connection, the token says what for: of two organisations they are a mix-up.
        if by_header.organisation_id != by_certificate.organisation_id:
            raise refusal()
        return by_header
    return by_header or by_certificate or ANONYMOUS


def _of_header(header: str) -> Principal:
    credential = _credential(header)
    if credential is None:
        raise NotSignedIn("The Authorization header must be: Bearer and an API key or access token of this registry.")
    return _resolved(*credential)


def _resolved(digest: bytes, resolve: Resolve) -> Principal:
    known = remembered(digest)
    if known is not None:
        return known
    principal = resolve(request_session(), digest)
    remember(digest, principal)
    note_use(services(), principal)
    return principal


def _credential(header: str) -> tuple[bytes, Resolve] | None:
    scheme, _, token = header.partition(" ")
    if scheme.lower() != "bearer" or len(token) > _MAX_HEADER:
        return None
    if token.startswith(API_KEY_PREFIX):
        return token_hash(token), principal_of_api_key
    if token.startswith(ACCESS_TOKEN_PREFIX):
        return token_hash(token), principal_of_access_token
    return None


def _certificate(header: str) -> tuple[bytes, Resolve]:
    def resolve(database: Session, _digest: bytes) -> Principal:
        return principal_of_certificate(database, header)

    return certificate_digest(header), resolve
