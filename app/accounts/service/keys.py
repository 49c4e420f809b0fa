"""Keys of organisations: made, replaced and revoked on the ledger; sealed at rest; cached opened in each process.

A key counts from the ledger position of its registration to that of its revocation: what matters is where a batch
stands, never the date of a scan.
"""

import secrets
from dataclasses import dataclass
from datetime import timedelta
from threading import Lock
from time import monotonic
from weakref import WeakKeyDictionary

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import Connection, Engine, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from app.accounts.models import OrganisationKeyRow, OrganisationRow
from app.accounts.service import records
from app.accounts.service.statements import ledger_subject, organisation_subject, payload, registry_entry
from app.accounts.values import KeyRecord, Organisation, OrganisationKey, PublicCodeKey, Signer
from app.accounts.vocabulary import OrganisationKeyPurpose, OrganisationKind, OrganisationStatus
from app.core.clock import now_ms, to_iso
from app.core.database import session_on
from app.core.errors import AppError, Conflict, NotFound
from app.core.sealing import Sealer
from app.core.services import Services
from ledger.strict import encode_base64
from scanners.codes.signature import load_public_key

KEY_VALIDITY = timedelta(days=730)
"""How long a key may sign after its registration."""
PUBLIC_KEY_SECONDS = 5.0
"""How long a process trusts a looked-up public key: the longest a revocation may take to be seen everywhere."""
PUBLIC_KEY_ENTRIES = 8192
POSSESSION_DOMAIN = b"marchamo key possession v1\n"

_opened: WeakKeyDictionary[Engine, dict[int, Ed25519PrivateKey]] = WeakKeyDictionary()
_public: WeakKeyDictionary[Engine, dict[int, tuple[float, PublicCodeKey]]] = WeakKeyDictionary()
_lock = Lock()


@dataclass(frozen=True, slots=True)
class ClearEntry:
    """A ledger entry whose body everybody may read: SHA-256(salt || body) is the leaf's commitment."""

    index: int
    salt: str
    body: str


@dataclass(frozen=True, slots=True)
class KeyHistory:
    """An issuer's keys, newest first, and their ledger entries in the log's order."""

    organisation: Organisation
    keys: list[KeyRecord]
    entries: list[ClearEntry]


def possession_message(*, key_id: int, issuer: str, purpose: OrganisationKeyPurpose, public_key: bytes) -> bytes:
    """What a new key signs to prove that its owner holds it; stands in its registration as ``possession``."""
    return POSSESSION_DOMAIN + key_id.to_bytes(4, "big") + public_key + f"{issuer}\n{purpose.value}".encode()


def issue_missing_keys(services: Services, organisation: Organisation) -> list[KeyRecord]:
    """Register the keys that an approved organisation lacks: one to state with and, for a firm, one to sign codes."""
    purposes = [OrganisationKeyPurpose.STATEMENT]
    if organisation.kind is OrganisationKind.FIRM:
        purposes.insert(0, OrganisationKeyPurpose.CODE)
    with Session(services.engine) as session:
        missing = [
            purpose
            for purpose in purposes
            if _newest(session, organisation_id=organisation.id, purpose=purpose, at_ms=now_ms()) is None
        ]
    return [_register(services, organisation, purpose, replaces=None) for purpose in missing]


def rotate_key(services: Services, *, organisation_id: int, key_id: int) -> KeyRecord:
    """Register a successor that signs from now on; the old key stays valid for what it signed. Raises NotFound."""
    with Session(services.engine) as session:
        old = _own_key(session, organisation_id, key_id)
        organisation = records.organisation_by_id(session, organisation_id)
    if organisation.status is not OrganisationStatus.APPROVED:
        raise Conflict("Only an approved organisation has keys.", code="organisation_not_approved")
    return _register(services, organisation, old.purpose, replaces=key_id)


def revoke_key(services: Services, *, organisation_id: int, key_id: int, reason: str) -> KeyRecord:
    """Revoke from the entry's ledger position on; a successor is registered when it was the last of its purpose.

    Raises NotFound, Conflict when it is revoked already.
    """
    with Session(services.engine) as session:
        _own_key(session, organisation_id, key_id)
        organisation = records.organisation_by_id(session, organisation_id)
    now = now_ms()
    statement = payload(
        kind="key", organisation=organisation.issuer, at_ms=now, action="revoked", key_id=key_id, reason=reason
    )

    def apply(connection: Connection, index: int) -> KeyRecord:
        with session_on(connection) as session:
            row = session.get_one(OrganisationKeyRow, key_id)
            if row.revoked_index is not None:
                raise Conflict("This key is revoked already.", code="key_revoked")
            row.revoked_at = now
            row.revoked_index = index
            row.revocation_reason = reason
            return records.key_record(row)

    subjects = _subjects(services, key_id, organisation.issuer)
    appended = services.log.append(registry_entry(services, *subjects, statement=statement), apply)
    if appended.result is None:
        raise Conflict("This key is revoked already.", code="key_revoked")
    with _lock:
        _public.get(services.engine, {}).pop(key_id, None)
    if organisation.status is OrganisationStatus.APPROVED:
        issue_missing_keys(services, organisation)
    return appended.result


def list_keys(session: Session, *, organisation_id: int) -> list[KeyRecord]:
    """Every key the organisation ever had, newest first."""
    rows = session.scalars(
        select(OrganisationKeyRow)
        .where(OrganisationKeyRow.organisation_id == organisation_id)
        .order_by(OrganisationKeyRow.registered_index.desc())
    )
    return [records.key_record(row) for row in rows]


def list_all_keys(session: Session) -> list[tuple[str, KeyRecord]]:
    """Every key of every organisation with its issuer, oldest first: what a trust list is made of."""
    rows = session.execute(
        select(OrganisationRow.issuer, OrganisationKeyRow)
        .join(OrganisationRow, OrganisationRow.id == OrganisationKeyRow.organisation_id)
        .order_by(OrganisationKeyRow.registered_index)
    )
    return [(issuer, records.key_record(row)) for issuer, row in rows]


def key_history(services: Services, *, issuer: str) -> KeyHistory:
    """An issuer's keys and the ledger entries that say so, in clear; raises NotFound, also before its approval."""
    with Session(services.engine) as session:
        organisation = records.organisation_by_issuer(session, issuer)
        if organisation.log_index is None or organisation.status is OrganisationStatus.REFUSED:
            raise NotFound
        keys = list_keys(session, organisation_id=organisation.id)
    positions = {key.registered_index for key in keys} | {
        key.revoked_index for key in keys if key.revoked_index is not None
    }
    entries = []
    for index in sorted(positions):
        stored = services.log.entry(index)
        if stored.body is not None and stored.salt is not None:
            entries.append(ClearEntry(index, encode_base64(stored.salt), stored.body.to_bytes().decode("ascii")))
    return KeyHistory(organisation, keys, entries)


def code_key(session: Session, sealer: Sealer, *, organisation_id: int) -> OrganisationKey:
    """The key that signs the organisation's codes now; raises Conflict when it has none."""
    return _signing_key(session, sealer, organisation_id, OrganisationKeyPurpose.CODE)


def statement_signer(session: Session, sealer: Sealer, *, organisation_id: int) -> Signer:
    """What signs statements in the organisation's name; raises Conflict when it has no key."""
    key = _signing_key(session, sealer, organisation_id, OrganisationKeyPurpose.STATEMENT)
    return Signer(f"org:{key.key_id}", key.private_key)


def code_key_by_id(session: Session, sealer: Sealer, *, organisation_id: int, key_id: int) -> OrganisationKey:
    """One key of the organisation, valid or not: signatures of an old batch are made again with the key of then.

    Raises NotFound.
    """
    row = session.get(OrganisationKeyRow, key_id, populate_existing=True)
    if row is None or row.organisation_id != organisation_id or row.purpose != OrganisationKeyPurpose.CODE:
        raise NotFound
    return _open(records.engine_of(session), sealer, row)


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
    query = select(OrganisationKeyRow.__table__).where(
        OrganisationKeyRow.key_id == key_id, OrganisationKeyRow.purpose == OrganisationKeyPurpose.CODE
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
        revoked_index=row.revoked_index,
    )
    with _lock:
        cache = _public.setdefault(engine, {})
        if len(cache) >= PUBLIC_KEY_ENTRIES:
            cache.clear()
        cache[key_id] = (monotonic() + PUBLIC_KEY_SECONDS, found)
    return found


def refuse_unusable_key(connection: Connection, *, organisation_id: int, key_id: int) -> None:
    """Inside the `apply` that publishes a batch: raises Conflict when its key was revoked or expired meanwhile."""
    row = connection.execute(
        select(
            OrganisationKeyRow.organisation_id, OrganisationKeyRow.revoked_index, OrganisationKeyRow.valid_until
        ).where(OrganisationKeyRow.key_id == key_id, OrganisationKeyRow.purpose == OrganisationKeyPurpose.CODE)
    ).first()
    if row is None or row.organisation_id != organisation_id:
        raise Conflict("This key is not a code key of the organisation.", code="key_unknown")
    if row.revoked_index is not None:
        raise Conflict(
            "The signing key was revoked meanwhile.", code="key_revoked", fix="Start again: a new key signs."
        )
    if row.valid_until <= now_ms():
        raise Conflict("The signing key has expired.", code="key_expired", fix="Replace the key, then start again.")


def refuse_revoked_signer(connection: Connection, signer: Signer) -> None:
    """Inside the `apply` of what an organisation states: raises Conflict when the signing key was revoked meanwhile.

    So the ledger holds no statement behind the revocation of its key, and an audit may take one for a forgery.
    """
    number = signer.key_id.removeprefix("org:")
    revoked = select(OrganisationKeyRow.revoked_index).where(OrganisationKeyRow.key_id == int(number))
    if connection.scalar(revoked) is not None:
        raise Conflict(
            "The signing key was revoked meanwhile.", code="key_revoked", fix="Start again: a new key signs."
        )


def _register(
    services: Services, organisation: Organisation, purpose: OrganisationKeyPurpose, *, replaces: int | None
) -> KeyRecord:
    private_key = Ed25519PrivateKey.generate()
    public = private_key.public_key().public_bytes_raw()
    now = now_ms()
    valid_until = now + int(KEY_VALIDITY.total_seconds() * 1000)
    while True:
        # Random, so that a code does not tell how many firms there are; rows are never deleted, so never reused.
        key_id = secrets.randbelow(2**32 - 1) + 1
        possession = private_key.sign(
            possession_message(key_id=key_id, issuer=organisation.issuer, purpose=purpose, public_key=public)
        )
        statement = payload(
            kind="key",
            organisation=organisation.issuer,
            at_ms=now,
            action="registered",
            key_id=key_id,
            purpose=purpose.value,
            algorithm="Ed25519",
            public_key=encode_base64(public),
            holder="service",
            valid_until=to_iso(valid_until),
            replaces=replaces,
            possession=encode_base64(possession),
        )
        row = OrganisationKeyRow(
            key_id=key_id,
            organisation_id=organisation.id,
            purpose=purpose.value,
            public_key=public,
            sealed_private_key=services.sealer.seal(private_key.private_bytes_raw(), _context(key_id)),
            created_at=now,
            valid_until=valid_until,
        )

        def apply(connection: Connection, index: int, row: OrganisationKeyRow = row) -> KeyRecord:
            with session_on(connection) as session:
                row.registered_index = index
                session.add(row)
                try:
                    session.flush()
                except IntegrityError as error:
                    raise _NumberTakenError from error
                return records.key_record(row)

        subjects = _subjects(services, key_id, organisation.issuer)
        try:
            appended = services.log.append(registry_entry(services, *subjects, statement=statement), apply)
        except _NumberTakenError:
            continue
        assert appended.result is not None  # noqa: S101  the statement holds a fresh signature: apply has run
        return appended.result


def _subjects(services: Services, key_id: int, issuer: str) -> tuple[bytes, bytes]:
    return ledger_subject(services.sealer, "key", str(key_id)), organisation_subject(services.sealer, issuer)


class _NumberTakenError(AppError):
    """The random key number is in use: draw another."""

    def __init__(self) -> None:
        super().__init__("This key number is taken.", code="key_number_taken")


def _signing_key(
    session: Session, sealer: Sealer, organisation_id: int, purpose: OrganisationKeyPurpose
) -> OrganisationKey:
    row = _newest(session, organisation_id=organisation_id, purpose=purpose, at_ms=now_ms())
    if row is None:
        raise Conflict(
            "The organisation has no valid key for this.", code="no_key", fix="Replace the key on the page Keys."
        )
    return _open(records.engine_of(session), sealer, row)


def _newest(
    session: Session, *, organisation_id: int, purpose: OrganisationKeyPurpose, at_ms: int
) -> OrganisationKeyRow | None:
    return session.scalar(
        select(OrganisationKeyRow)
        .where(
            OrganisationKeyRow.organisation_id == organisation_id,
            OrganisationKeyRow.purpose == purpose,
            OrganisationKeyRow.revoked_index.is_(None),
            OrganisationKeyRow.valid_until > at_ms,
        )
        .order_by(OrganisationKeyRow.registered_index.desc())
        .limit(1)
        .execution_options(populate_existing=True)
    )


def _open(engine: Engine, sealer: Sealer, row: OrganisationKeyRow) -> OrganisationKey:
    cache = _opened.setdefault(engine, {})
    private_key = cache.get(row.key_id)
    if private_key is None:
        raw = sealer.open(row.sealed_private_key, _context(row.key_id))
        private_key = cache[row.key_id] = Ed25519PrivateKey.from_private_bytes(raw)
    return OrganisationKey(
        key_id=row.key_id,
        private_key=private_key,
        public_key=private_key.public_key(),
        valid_until=row.valid_until,
        registered_index=row.registered_index,
        revoked_index=row.revoked_index,
    )


def _own_key(session: Session, organisation_id: int, key_id: int) -> KeyRecord:
    row = session.get(OrganisationKeyRow, key_id, populate_existing=True)
    if row is None or row.organisation_id != organisation_id:
        raise NotFound
    return records.key_record(row)


def _context(key_id: int) -> str:
    return f"organisation key {key_id}"
