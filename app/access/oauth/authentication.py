"""Which client sends a token request: by its secret (RFC 6749 section 2.3.1) or by its signature (RFC 7523).

Exactly one way is used in a request. Whatever is wrong, the refusal is the same, and about as much is computed for a
client that does not exist.
"""

import hmac
from binascii import Error as Base64Error
from collections.abc import Mapping
from urllib.parse import unquote_plus

from authlib.oauth2.rfc6749 import InvalidClientError, InvalidRequestError
from sqlalchemy.orm import Session

from app.access.oauth.assertions import ASSERTION_TYPE, LEEWAY_SECONDS, proves, read_assertion
from app.access.oauth.clients import OAuthClient, find_client
from app.core.clock import now_ms
from app.core.services import Services
from app.core.token_ids import use_token_id
from app.core.tokens import token_hash
from ledger.errors import FormatError
from ledger.strict import decode_base64

METHODS = ("client_secret_basic", "client_secret_post", "private_key_jwt")
_MAX_SECRET = 200


def claimed_client_id(form: Mapping[str, str], authorization: str | None) -> str:
    """The identifier that a request names, for counting attempts; empty when it names none."""
    if authorization is not None:
        return _basic(authorization)[0]
    if "client_assertion" in form:
        try:
            return read_assertion(form["client_assertion"]).client_id
        except FormatError:
            return ""
    return form.get("client_id", "")


def authenticate(
    services: Services, session: Session, form: Mapping[str, str], authorization: str | None, *, audience: str
) -> OAuthClient:
    """The client that sent the request; raises InvalidRequestError, InvalidClientError (RFC 6749 section 5.2)."""
    by_assertion = "client_assertion" in form or "client_assertion_type" in form
    if (authorization is not None) + ("client_secret" in form) + by_assertion > 1:
        raise InvalidRequestError("The request uses more than one way of client authentication.")
    if by_assertion:
        client = _by_assertion(services, session, form, audience)
    elif authorization is not None:
        client_id, secret = _basic(authorization)
        client = _by_secret(session, client_id, secret) if form.get("client_id", client_id) == client_id else None
    else:
        client = _by_secret(session, form.get("client_id", ""), form.get("client_secret", ""))
    if client is None or not client.valid:
        raise refused_client()
    return client


def refused_client() -> InvalidClientError:
    """The one refusal of every client that is not known or did not prove who it is."""
    return InvalidClientError("The client is not known, or did not prove that it is the one it names.", status_code=401)


def _by_secret(session: Session, client_id: str, secret: str) -> OAuthClient | None:
    client = find_client(session, client_id)
    expected = client.secret_hash if client is not None else None
    given = token_hash(secret if len(secret) <= _MAX_SECRET else "")
    fits = hmac.compare_digest(given, expected or bytes(32))
    return client if fits and expected is not None else None


def _by_assertion(services: Services, session: Session, form: Mapping[str, str], audience: str) -> OAuthClient | None:
    if form.get("client_assertion_type") != ASSERTION_TYPE:
        return None
    try:
        assertion = read_assertion(form.get("client_assertion", ""))
    except FormatError:
        return None
    client = find_client(session, assertion.client_id)
    jwk = client.public_jwk if client is not None else None
    if not proves(assertion, jwk, audience=audience, now_seconds=now_ms() // 1000):
        return None
    if client is None or not client.valid or form.get("client_id", client.client_id) != client.client_id:
        return None
    is_new = use_token_id(
        services,
        issuer=f"client:{client.client_id}",
        token_id=assertion.claims["jti"],
        expires_at=(assertion.claims["exp"] + LEEWAY_SECONDS) * 1000,
    )
    return client if is_new else None


def _basic(authorization: str) -> tuple[str, str]:
    """Identifier and secret of HTTP Basic, each form-encoded as RFC 6749 asks; empty texts when it is none."""
    scheme, _, encoded = authorization.partition(" ")
    if scheme.lower() != "basic" or len(encoded) > 4 * _MAX_SECRET:
        return "", ""
    try:
        name, colon, secret = decode_base64(encoded.strip()).decode("utf-8").partition(":")
    except (FormatError, UnicodeDecodeError, Base64Error):
        return "", ""
    return (unquote_plus(name), unquote_plus(secret)) if colon else ("", "")
