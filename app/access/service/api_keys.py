"""Keys of machines: shown once, kept as a hash, narrowed to scopes, expiring.

A key belongs to the organisation, not to the person who made it: it works on when that person leaves, for a till must
not stop because of that. The page of machines says so, and rotation gives the key a maker who is there.
"""

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.access.models import ApiKeyRow
from app.access.principals import API_KEY_PREFIX, scopes_of_words
from app.access.remembered import forget_machine
from app.access.service.granting import (
    DAY_MS,
    Grant,
    check_grant,
    common_values,
    end_machine,
    newest_first,
    refuse_too_many,
)
from app.access.uses import last_days
from app.access.values import ApiKey
from app.accounts import service as accounts
from app.core.authorisation import Permission, Principal, Role
from app.core.clock import to_iso
from app.core.errors import Conflict, Forbidden, Invalid, NotFound
from app.core.services import Services
from app.core.tokens import new_token, token_hash
from ledger.strict import encode_base64

PREFIX_LENGTH = 12
MAX_OVERLAP_HOURS = 720
"""How long a replaced key may work beside its successor."""


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

    What may be given is said by `granting.check_grant`. Raises Invalid, Forbidden, Conflict when there are too many.
    """
    grant = check_grant(services, principal=principal, name=name, role=role, scopes=scopes, days=days)
    secret = API_KEY_PREFIX + new_token()

    def apply(session: Session) -> ApiKey:
        refuse_too_many(session, ApiKeyRow, grant, code="too_many_api_keys")
        return _add(session, grant, secret)

    key = accounts.perform(
        services,
        accounts.Act.API_KEY_CREATED,
        organisation_id=grant.organisation_id,
        by=principal,
        details={**_named(secret), **grant.details()},
        apply=apply,
    )
    return key, secret


def rotate_api_key(
    services: Services, *, principal: Principal, prefix: str, overlap_hours: int = 24
) -> tuple[ApiKey, str]:
    """A new key in place of another, which works for `overlap_hours` more: time to hand the new one to the machine.

    The new key has the name, role, scopes and length of life of the old one. Raises NotFound, Invalid, Forbidden,
    Conflict when the old one does not work any more.
    """
    if principal.organisation_id is None:
        raise Forbidden
    if not 0 <= overlap_hours <= MAX_OVERLAP_HOURS:
        raise Invalid("The old key works for 0 to 720 hours more.", code="overlap")
    with Session(services.engine) as session:
        old = _row(session, principal.organisation_id, prefix)
        days = -(-(old.expires_at - old.created_at) // DAY_MS)
        role, scopes = Role(old.role), scopes_of_words(old.scopes)
    grant = check_grant(services, principal=principal, name=old.name, role=role, scopes=scopes, days=days)
    until = min(old.expires_at, grant.created_at + overlap_hours * 3_600_000)
    secret = API_KEY_PREFIX + new_token()

    def apply(session: Session) -> ApiKey:
        row = _row(session, grant.organisation_id, prefix)
        if row.revoked_at is not None or row.expires_at <= grant.created_at:
            raise Conflict("This key does not work any more. Make a new one instead.", code="api_key_ended")
        row.expires_at = until
        session.flush()
        # Each may overlap with its successor, and be replaced once more meanwhile, but not without end.
        refuse_too_many(session, ApiKeyRow, grant, code="too_many_api_keys", times=2)
        return _add(session, grant, secret)

    key = accounts.perform(
        services,
        accounts.Act.API_KEY_CREATED,
        organisation_id=grant.organisation_id,
        by=principal,
        details={
            **_named(secret),
            **grant.details(),
            "replaces": prefix,
            "replaced_until": to_iso(until),
        },
        apply=apply,
    )
    forget_machine(f"api-key:{old.id}")
    return key, secret


def list_api_keys(session: Session, *, organisation_id: int) -> list[ApiKey]:
    """The organisation's keys, newest first, those that no longer work included."""
    rows = newest_first(session, ApiKeyRow, organisation_id=organisation_id)
    used = last_days(session, [_machine(row) for row in rows])
    return [_value(row, used.get(_machine(row))) for row in rows]


def revoke_api_key(services: Services, *, principal: Principal, prefix: str) -> ApiKey:
    """End a key: at once here, within `CACHE_SECONDS` in other processes. Raises NotFound, Forbidden."""
    return end_machine(
        services,
        accounts.Act.API_KEY_REVOKED,
        principal=principal,
        details={"key": prefix},
        find=lambda session, organisation_id: _row(session, organisation_id, prefix),
        value=_value,
    )


def _row(session: Session, organisation_id: int, prefix: str) -> ApiKeyRow:
    row = session.scalar(
        select(ApiKeyRow).where(ApiKeyRow.prefix == prefix, ApiKeyRow.organisation_id == organisation_id)
    )
    if row is None:
        raise NotFound
    return row


def _add(session: Session, grant: Grant, secret: str) -> ApiKey:
    row = ApiKeyRow(key_hash=token_hash(secret), prefix=secret[:PREFIX_LENGTH], **grant.columns())
    session.add(row)
    session.flush()
    return _value(row, None)


def _named(secret: str) -> dict[str, str]:
    """The key as the ledger names it, and what it is known by: nobody gets in with that, and another one is noticed."""
    return {"key": secret[:PREFIX_LENGTH], "digest": encode_base64(token_hash(secret))}


def _machine(row: ApiKeyRow) -> str:
    return f"api-key:{row.id}"


def _value(row: ApiKeyRow, last_used_at: int | None) -> ApiKey:
    return ApiKey(prefix=row.prefix, **common_values(row, _machine(row), last_used_at))
