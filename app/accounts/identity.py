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

from app.accounts.models import ApiKeyRow, MembershipRow, OrganisationRow, PersonRow, SignInSessionRow
from app.accounts.secrets import API_KEY_PREFIX, token_hash
from app.accounts.vocabulary import OrganisationKind, OrganisationStatus, permissions_in
from app.core.authorisation import ANONYMOUS, Permission, Principal, Role
from app.core.clock import now_ms
from app.core.database import request_session
from app.core.errors import NotSignedIn

CACHE_SECONDS = 5.0
"""How long a process trusts a looked-up API key: the longest a revoked key may still work. Documented in the API."""
CACHE_ENTRIES = 4096
SESSION_TOKEN = "token"  # noqa: S105  the name of a cookie member, not a secret

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
    found = database.execute(
        select(ApiKeyRow, OrganisationRow.status, OrganisationRow.kind)
        .join(OrganisationRow, OrganisationRow.id == ApiKeyRow.organisation_id)
        .where(ApiKeyRow.key_hash == digest)
    ).first()
    if found is None:
        raise NotSignedIn("This API key is not known, has expired or was revoked.")
    key, status, kind = found
    if key.revoked_at is not None or key.expires_at <= now_ms() or status != OrganisationStatus.APPROVED:
        raise NotSignedIn("This API key is not known, has expired or was revoked.")
    scopes = None if key.scopes is None else frozenset(Permission(word) for word in key.scopes.split())
    role = Role(key.role)
    return Principal(
        organisation_id=key.organisation_id,
        role=role,
        api_key_id=key.id,
        permissions=permissions_in(OrganisationKind(kind), role, scopes),
        name=key.name,
    )


def principal_of_session(database: Session, token: str) -> Principal:
    """The person behind a sign-in session; the public when it ended."""
    found = database.execute(
        select(SignInSessionRow, PersonRow.name, MembershipRow.role, OrganisationRow.status, OrganisationRow.kind)
        .join(PersonRow, PersonRow.id == SignInSessionRow.person_id)
        .join(
            MembershipRow,
            (MembershipRow.person_id == SignInSessionRow.person_id)
            & (MembershipRow.organisation_id == SignInSessionRow.organisation_id),
        )
        .join(OrganisationRow, OrganisationRow.id == SignInSessionRow.organisation_id)
        .where(SignInSessionRow.token_hash == token_hash(token))
    ).first()
    if found is None or found[0].expires_at <= now_ms() or found[3] == OrganisationStatus.SUSPENDED:
        return ANONYMOUS
    signed_in, name, role_name, status, kind = found
    role = Role(role_name)
    # Until the registry has approved a firm, its people can look at their own application and nothing else.
    allowed = permissions_in(OrganisationKind(kind), role)
    if status != OrganisationStatus.APPROVED:
        allowed &= frozenset({Permission.ORGANISATION_READ, Permission.ORGANISATION_MANAGE})
    return Principal(
        organisation_id=signed_in.organisation_id,
        role=role,
        person_id=signed_in.person_id,
        permissions=allowed,
        name=name,
    )
