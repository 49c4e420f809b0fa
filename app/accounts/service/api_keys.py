"""Keys of machines: shown once, kept as a hash, narrowed to scopes, expiring."""

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.accounts.identity import forget_api_key
from app.accounts.models import ApiKeyRow, OrganisationRow
from app.accounts.secrets import API_KEY_PREFIX, new_token, token_hash
from app.accounts.service import records
from app.accounts.values import ApiKey
from app.accounts.vocabulary import ROLES_OF_KIND, OrganisationKind
from app.core.authorisation import Permission, Principal, Role, permissions_of
from app.core.clock import now_ms
from app.core.database import write_session
from app.core.errors import Conflict, Faults, Forbidden, Invalid, NotFound
from app.core.services import Services

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
    if principal.api_key_id is not None and not permissions_of(role, scopes) <= principal.permissions:
        raise Forbidden("An API key can not make a key that may do more than itself.")
    secret = API_KEY_PREFIX + new_token()
    now = now_ms()
    with write_session(services.engine) as session:
        kind = OrganisationKind(session.get_one(OrganisationRow, principal.organisation_id).kind)
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
        return records.api_key(row), secret


def list_api_keys(session: Session, *, organisation_id: int) -> list[ApiKey]:
    """The organisation's keys, newest first, those that no longer work included."""
    rows = session.scalars(
        select(ApiKeyRow)
        .where(ApiKeyRow.organisation_id == organisation_id)
        .order_by(ApiKeyRow.created_at.desc(), ApiKeyRow.id.desc())
    )
    return [records.api_key(row) for row in rows]


def revoke_api_key(services: Services, *, organisation_id: int, prefix: str) -> ApiKey:
    """End a key: at once here, within the seconds of `identity.CACHE_SECONDS` in other processes. Raises NotFound."""
    with write_session(services.engine) as session:
        row = session.scalar(
            select(ApiKeyRow).where(ApiKeyRow.prefix == prefix, ApiKeyRow.organisation_id == organisation_id)
        )
        if row is None:
            raise NotFound
        row.revoked_at = row.revoked_at or now_ms()
        revoked, digest = records.api_key(row), row.key_hash
    forget_api_key(digest)
    return revoked
