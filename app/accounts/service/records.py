"""From rows to values, and the look-ups of organisations that other features share."""

from collections.abc import Collection
from time import monotonic
from typing import Any
from weakref import WeakKeyDictionary

from sqlalchemy import Connection, Engine, select
from sqlalchemy.orm import Session

from app.accounts.models import IssuingRightRow, OrganisationKeyRow, OrganisationRow
from app.accounts.values import KeyRecord, Organisation, Right
from app.accounts.vocabulary import (
    KeyHolder,
    OrganisationKeyPurpose,
    OrganisationKind,
    OrganisationStatus,
    RightKind,
    RightStatus,
)
from app.core.errors import NotFound

NAME_SECONDS = 60.0
"""How long a process shows an organisation's name without asking again."""

_names: WeakKeyDictionary[Engine, dict[int, tuple[float, str]]] = WeakKeyDictionary()


def engine_of(source: Session | Connection | Engine) -> Engine:
    """The engine behind a session or connection: caches are kept by engine, so that databases never mix."""
    bind: Any = source.get_bind() if isinstance(source, Session) else source
    engine: Engine = bind.engine
    return engine


def organisation_by_id(session: Session, organisation_id: int) -> Organisation:
    """The organisation; raises NotFound."""
    row = session.get(OrganisationRow, organisation_id, populate_existing=True)
    if row is None:
        raise NotFound("No organisation has this name in the registry.")
    return organisation(row)


def registry_organisations(session: Session) -> frozenset[int]:
    """The registry's own organisations, of which there is one once it has an administrator."""
    rows = session.scalars(select(OrganisationRow.id).where(OrganisationRow.kind == OrganisationKind.REGISTRY))
    return frozenset(rows)


def organisation_by_issuer(session: Session, issuer: str) -> Organisation:
    """The organisation with this name on the wire; raises NotFound."""
    row = session.scalar(
        select(OrganisationRow).where(OrganisationRow.issuer == issuer).execution_options(populate_existing=True)
    )
    if row is None:
        raise NotFound("No organisation has this name in the registry.")
    return organisation(row)


def organisation_names(session: Session, ids: Collection[int]) -> dict[int, str]:
    """Names by id, at most a minute old; unknown ids are left out."""
    cache = _names.setdefault(engine_of(session), {})
    now = monotonic()
    stale = {number for number in ids if number not in cache or cache[number][0] < now}
    if stale:
        found = session.execute(select(OrganisationRow.id, OrganisationRow.name).where(OrganisationRow.id.in_(stale)))
        cache.update({number: (now + NAME_SECONDS, name) for number, name in found})
    return {number: cache[number][1] for number in ids if number in cache}


def issuers_of(session: Session, ids: Collection[int]) -> dict[int, str]:
    """Names on the wire by id."""
    found = session.execute(select(OrganisationRow.id, OrganisationRow.issuer).where(OrganisationRow.id.in_(ids)))
    return dict(found.all())


def organisation(row: OrganisationRow) -> Organisation:
    """The value of a row."""
    return Organisation(
        id=row.id,
        issuer=row.issuer,
        name=row.name,
        country=row.country,
        kind=OrganisationKind(row.kind),
        status=OrganisationStatus(row.status),
        created_at=row.created_at,
        decided_at=row.decided_at,
        decision_reason=row.decision_reason,
        log_index=row.log_index,
        jurisdiction=frozenset((row.jurisdiction or "").split()),
    )


def right(row: IssuingRightRow) -> Right:
    """The value of a row."""
    return Right(
        reference=row.reference,
        organisation_id=row.organisation_id,
        kind=RightKind(row.kind),
        value=row.value,
        granted_by=row.granted_by,
        quota=row.quota,
        lot_quota=row.lot_quota,
        used=row.used,
        valid_from=row.valid_from,
        valid_until=row.valid_until,
        evidence=row.evidence,
        status=RightStatus(row.status),
        requested_at=row.requested_at,
        decided_at=row.decided_at,
        decision_reason=row.decision_reason,
        log_index=row.log_index,
        evidence_sha256=row.evidence_sha256,
    )


def key_record(row: OrganisationKeyRow) -> KeyRecord:
    """The value of a row, without the private key."""
    return KeyRecord(
        key_id=row.key_id,
        organisation_id=row.organisation_id,
        purpose=OrganisationKeyPurpose(row.purpose),
        holder=KeyHolder(row.holder),
        public_key=row.public_key,
        created_at=row.created_at,
        valid_until=row.valid_until,
        registered_index=row.registered_index,
        revoked_at=row.revoked_at,
        revoked_index=row.revoked_index,
        revoked_from=row.revoked_from,
        revocation_reason=row.revocation_reason,
    )
