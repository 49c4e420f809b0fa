"""Who calls: an API key in the Authorization header, or a browser's sign-in session.

The API under /v1 looks at the header only, the pages at the cookie only: a page elsewhere can not make a browser call
the API in a person's name.
"""

import hashlib
import time
from threading import Lock

from flask import g, request, session
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.access.browser import SESSION_TOKEN, principal_of_session
from app.access.models import ApiKeyRow
from app.accounts import service as accounts
from app.accounts.vocabulary import OrganisationStatus, permissions_in
from app.core.authorisation import ANONYMOUS, Permission, Principal, Role
from app.core.clock import now_ms
from app.core.database import request_session
from app.core.errors import NotSignedIn

API_KEY_PREFIX = "mch_"
CACHE_SECONDS = 5.0
"""How long a process trusts a looked-up API key: the longest a revoked key may still work. Documented in the API."""
CACHE_ENTRIES = 4096

_REFUSAL = "This API key is not known, has expired or was revoked."

_cache: dict[bytes, tuple[float, Principal]] = {}
_cache_lock = Lock()


def identify() -> None:
    """Set `g.principal` for this request (before_request)."""
    if request.path.startswith("/v1/"):
        header = request.headers.get("Authorization")
        g.principal = _principal_of_header(header) if header else ANONYMOUS
    elif SESSION_TOKEN in session and request.endpoint != "static":
        g.principal = principal_of_session(request_session(), session[SESSION_TOKEN])
    else:
        g.principal = ANONYMOUS


def _principal_of_header(header: str) -> Principal:
    digest = _digest_of_header(header)
    if digest is None:
        raise NotSignedIn("The Authorization header must be: Bearer and an API key of this registry.")
    known = _remembered(digest)
    if known is not None:
        return known
    principal = principal_of_api_key(request_session(), digest)
    with _cache_lock:
        if len(_cache) >= CACHE_ENTRIES:
            _cache.clear()
        _cache[digest] = (time.monotonic() + CACHE_SECONDS, principal)
    return principal


def remembered_principal(header: str) -> Principal | None:
    """The caller behind an Authorization header whose key this process looked up a moment ago; None for all others."""
    digest = _digest_of_header(header)
    return None if digest is None else _remembered(digest)


def _digest_of_header(header: str) -> bytes | None:
    scheme, _, token = header.partition(" ")
    if scheme.lower() != "bearer" or not token.startswith(API_KEY_PREFIX) or len(token) > 100:
        return None
    return hashlib.sha256(token.encode()).digest()


def _remembered(digest: bytes) -> Principal | None:
    known = _cache.get(digest)
    return known[1] if known is not None and known[0] > time.monotonic() else None


def forget_api_key(digest: bytes) -> None:
    """Stop trusting a key in this process at once."""
    with _cache_lock:
        _cache.pop(digest, None)


def principal_of_api_key(database: Session, digest: bytes) -> Principal:
    """The caller behind an API key's hash; raises NotSignedIn when unknown, revoked, expired or of a closed firm."""
    key = database.scalar(select(ApiKeyRow).where(ApiKeyRow.key_hash == digest))
    if key is None or key.revoked_at is not None or key.expires_at <= now_ms():
        raise NotSignedIn(_REFUSAL)
    organisation = accounts.organisation_by_id(database, key.organisation_id)
    if organisation.status is not OrganisationStatus.APPROVED:
        raise NotSignedIn(_REFUSAL)
    scopes = None if key.scopes is None else frozenset(Permission(word) for word in key.scopes.split())
    role = Role(key.role)
    return Principal(
        organisation_id=key.organisation_id,
        role=role,
        machine=f"api-key:{key.id}",
        permissions=permissions_in(organisation.kind, role, scopes),
        name=key.name,
    )
