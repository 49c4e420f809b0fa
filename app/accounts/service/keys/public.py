"""Public code keys on the hot path of a verification: looked up once in five seconds, with their issuer's standing."""

from threading import Lock
from time import monotonic
from weakref import WeakKeyDictionary

from sqlalchemy import Connection, Engine, select
from sqlalchemy.orm import Session

from app.accounts.models import OrganisationKeyRow, OrganisationRow
from app.accounts.service import records
from app.accounts.values import PublicCodeKey
from app.accounts.vocabulary import KeyHolder, OrganisationKeyPurpose, OrganisationStatus
from scanners.codes.signature import load_public_key

PUBLIC_KEY_SECONDS = 5.0
"""How long a process trusts a looked-up public key: the longest a revocation may take to be seen everywhere."""
PUBLIC_KEY_ENTRIES = 8192

_public: WeakKeyDictionary[Engine, dict[int, tuple[float, PublicCodeKey]]] = WeakKeyDictionary()
_lock = Lock()


def public_code_key(source: Session | Connection | Engine, key_id: int) -> PublicCodeKey | None:
    """The code key with this number, at most 5 seconds old; None when no code can carry it.

    The hot path of a verification: with an Engine nothing is opened unless the key must be looked up. Unknown numbers
    are not remembered, so that a new key counts at once.
    """
    engine = source if isinstance(source, Engine) else records.engine_of(source)
    cache = _public.get(engine)
    known = cache.get(key_id) if cache is not None else None
    if known is not None and known[0] > monotonic():
        return known[1]
    query = (
        select(OrganisationKeyRow.__table__, OrganisationRow.status)
        .join(OrganisationRow, OrganisationRow.id == OrganisationKeyRow.organisation_id)
        .where(OrganisationKeyRow.key_id == key_id, OrganisationKeyRow.purpose == OrganisationKeyPurpose.CODE)
    )
    if isinstance(source, Engine):
        with source.connect() as connection:
            row = connection.execute(query).first()
    else:
        row = source.execute(query).first()
    if row is None:
        return None
    found = PublicCodeKey(
        key_id=row.key_id,
        organisation_id=row.organisation_id,
        public_key=load_public_key(row.public_key),
        valid_until=row.valid_until,
        registered_index=row.registered_index,
        revoked_at=row.revoked_at,
        revoked_from=row.revoked_from,
        holder=KeyHolder(row.holder),
        issuer_suspended=row.status == OrganisationStatus.SUSPENDED,
    )
    with _lock:
        cache = _public.setdefault(engine, {})
        if len(cache) >= PUBLIC_KEY_ENTRIES:
            cache.clear()
        cache[key_id] = (monotonic() + PUBLIC_KEY_SECONDS, found)
    return found


def forget_public_keys(engine: Engine, *, organisation_id: int) -> None:
    """Let what was just decided about the organisation or its keys count at once, in this process."""
    with _lock:
        cache = _public.get(engine, {})
        for key_id in [key_id for key_id, (_, key) in cache.items() if key.organisation_id == organisation_id]:
            del cache[key_id]
