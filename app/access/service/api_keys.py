"""Keys of machines: shown once, kept as a hash, narrowed to scopes, expiring."""

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.access.identity import API_KEY_PREFIX, forget_api_key
from app.access.models import ApiKeyRow
from app.access.values import ApiKey
from app.accounts import service as accounts
from app.accounts.vocabulary import ROLES_OF_KIND
from app.core.authorisation import Permission, Principal, Role, permissions_of
from app.core.clock import now_ms
from app.core.database import write_session
from app.core.errors import Conflict, Faults, Forbidden, Invalid, NotFound
from app.core.services import Services
from app.core.tokens import new_token, token_hash

DAY_MS = 24 * 3600 * 1000
MAX_DAYS = 366
MAX_KEYS = 100
"""How many keys that still work an organisation may have."""
PREFIX_LENGTH = 12


def create_api_key(
    services: Services,
    *,
    principal: Principal,
    name: str,
    role: Role,
    scopes: frozenset[Permission] | None,
    days: int,
) -> tuple[ApiKey, str]:
    """The new key and its secret, which nobody can read again.

    A person who manages the organisation may give a machine any role that a member could have; a machine never more
    than it may itself. Raises Invalid, Forbidden, Conflict when there are too many.
    """
    if principal.organisation_id is None or principal.role is None:
        raise Forbidden
    faults = Faults()
    name = " ".join(name.split())
    if not 1 <= len(name) <= 100 or not name.isprintable():
        faults.add("/name", "The name has 1 to 100 characters.")
    if not 1 <= days <= MAX_DAYS:
        faults.add("/days", "A key works for 1 to 366 days.")
    if scopes is not None and not scopes <= permissions_of(role):
        faults.add("/scopes", "The scopes must be permissions of the role.")
    faults.refuse_if_any("Some of the entries can not be used.")
    if principal.machine is not None and not permissions_of(role, scopes) <= principal.permissions:
        raise Forbidden("An API key can not make a key that may do more than itself.")
    secret = API_KEY_PREFIX + new_token()
    now = now_ms()
    with write_session(services.engine) as session:
        kind = accounts.organisation_by_id(session, principal.organisation_id).kind
        if role not in ROLES_OF_KIND[kind]:
            raise Invalid(
                "Nobody can be %(role)s in an organisation of kind %(kind)s.",
                code="role_not_of_kind",
                role=role.value,
                kind=kind.value,
            )
        working = session.scalar(
            select(func.count())
            .select_from(ApiKeyRow)
            .where(
                ApiKeyRow.organisation_id == principal.organisation_id,
                ApiKeyRow.revoked_at.is_(None),
                ApiKeyRow.expires_at > now,
            )
        )
        if (working or 0) >= MAX_KEYS:
            raise Conflict("The organisation has 100 API keys already.", code="too_many_api_keys")
        row = ApiKeyRow(
            key_hash=token_hash(secret),
            prefix=secret[:PREFIX_LENGTH],
            organisation_id=principal.organisation_id,
            name=name,
            role=role.value,
            scopes=None if scopes is None else " ".join(sorted(scopes)),
            created_by=principal.actor,
            created_at=now,
            expires_at=now + days * DAY_MS,
        )
        session.add(row)
        session.flush()
        return _value(row), secret


def list_api_keys(session: Session, *, organisation_id: int) -> list[ApiKey]:
    """The organisation's keys, newest first, those that no longer work included."""
    rows = session.scalars(
        select(ApiKeyRow)
        .where(ApiKeyRow.organisation_id == organisation_id)
        .order_by(ApiKeyRow.created_at.desc(), ApiKeyRow.id.desc())
    )
    return [_value(row) for row in rows]


def revoke_api_key(services: Services, *, organisation_id: int, prefix: str) -> ApiKey:
    """End a key: at once here, within the seconds of `identity.CACHE_SECONDS` in other processes. Raises NotFound."""
    with write_session(services.engine) as session:
        row = session.scalar(
            select(ApiKeyRow).where(ApiKeyRow.prefix == prefix, ApiKeyRow.organisation_id == organisation_id)
        )
        if row is None:
            raise NotFound
        row.revoked_at = row.revoked_at or now_ms()
        revoked, digest = _value(row), row.key_hash
    forget_api_key(digest)
    return revoked


def _value(row: ApiKeyRow) -> ApiKey:
    """The value of a row, without anything that opens a door."""
    return ApiKey(
        prefix=row.prefix,
        name=row.name,
        role=Role(row.role),
        scopes=None if row.scopes is None else frozenset(Permission(word) for word in row.scopes.split()),
        created_by=row.created_by,
        created_at=row.created_at,
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
    )
