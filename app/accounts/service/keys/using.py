"""Which key is in use, and opening those that the service holds."""

from weakref import WeakKeyDictionary

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import ColumnElement, Connection, Engine, ScalarSelect, func, or_, select
from sqlalchemy.orm import Session, aliased

from app.accounts.models import OrganisationKeyRow, OrganisationRow
from app.accounts.service import records
from app.accounts.values import KeyRecord, OrganisationKey, Signer
from app.accounts.vocabulary import KeyHolder, OrganisationKeyPurpose, OrganisationStatus
from app.core.clock import now_ms
from app.core.errors import Conflict, NotFound
from app.core.sealing import Sealer

_opened: WeakKeyDictionary[Engine, dict[int, Ed25519PrivateKey]] = WeakKeyDictionary()


def code_key_in_use(session: Session, *, organisation_id: int) -> KeyRecord:
    """The key under which the organisation's next batch is registered, whoever holds it; raises Conflict."""
    return records.key_record(_in_use(session, organisation_id, OrganisationKeyPurpose.CODE))


def has_code_key(session: Session, *, organisation_id: int) -> bool:
    """Whether there is a key under which the organisation's next batch could be registered."""
    code = OrganisationKeyPurpose.CODE
    return newest_usable(session, organisation_id=organisation_id, purpose=code, at_ms=now_ms()) is not None


def statement_signer(session: Session, sealer: Sealer, *, organisation_id: int) -> Signer:
    """What signs statements in the organisation's name; raises Conflict when it has no key."""
    key = _open(records.engine_of(session), sealer, _in_use(session, organisation_id, OrganisationKeyPurpose.STATEMENT))
    return Signer(f"org:{key.key_id}", key.private_key)


def code_key_by_id(session: Session, sealer: Sealer, *, organisation_id: int, key_id: int) -> OrganisationKey:
    """One key of the organisation, valid or not: signatures of an old batch are made again with the key of then.

    Raises NotFound, Conflict for a key that the firm holds.
    """
    row = session.get(OrganisationKeyRow, key_id, populate_existing=True)
    if row is None or row.organisation_id != organisation_id or row.purpose != OrganisationKeyPurpose.CODE:
        raise NotFound
    return _open(records.engine_of(session), sealer, row)


def refuse_unusable_key(connection: Connection, *, organisation_id: int, key_id: int) -> None:
    """Inside the `apply` that publishes a batch: raises Conflict when its key may not be used any more.

    It was revoked or has expired meanwhile, or the firm has taken the signing into its own hands.
    """
    row = connection.execute(
        select(
            OrganisationKeyRow.organisation_id,
            OrganisationKeyRow.revoked_index,
            OrganisationKeyRow.valid_until,
            _still_counts(OrganisationKeyRow).label("counts"),
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
    if not row.counts:
        raise Conflict(
            "The firm has registered a key of its own meanwhile; the service no longer signs its codes.",
            code="key_superseded",
            fix="Start again: the firm's key signs.",
        )


def refuse_revoked_signer(connection: Connection, signer: Signer) -> None:
    """Inside the `apply` of what an organisation states: raises Conflict when the signing key was revoked meanwhile.

    So the ledger holds no statement behind the revocation of its key, and an audit may take one for a forgery. The
    same goes for an organisation that was suspended meanwhile.
    """
    number = signer.key_id.removeprefix("org:")
    standing = (
        select(OrganisationKeyRow.revoked_index, OrganisationRow.status)
        .join(OrganisationRow, OrganisationRow.id == OrganisationKeyRow.organisation_id)
        .where(OrganisationKeyRow.key_id == int(number))
    )
    row = connection.execute(standing).first()
    if row is None or row.status != OrganisationStatus.APPROVED:
        raise Conflict(
            "The registry has closed your organisation's access; nothing more is recorded in its name.",
            code="organisation_not_approved",
            fix="Write to the registry.",
        )
    if row.revoked_index is not None:
        raise Conflict(
            "The signing key was revoked meanwhile.", code="key_revoked", fix="Start again: a new key signs."
        )


def newest_usable(
    session: Session, *, organisation_id: int, purpose: OrganisationKeyPurpose, at_ms: int
) -> OrganisationKeyRow | None:
    """The newest key that is neither revoked nor expired at `at_ms`.

    A key that the service held before the firm registered its own is not: who holds the signing is the firm's
    choice, which must not lapse together with its key.
    """
    return session.scalar(
        select(OrganisationKeyRow)
        .where(
            OrganisationKeyRow.organisation_id == organisation_id,
            OrganisationKeyRow.purpose == purpose,
            OrganisationKeyRow.revoked_index.is_(None),
            OrganisationKeyRow.valid_until > at_ms,
            _still_counts(OrganisationKeyRow),
        )
        .order_by(OrganisationKeyRow.registered_index.desc())
        .limit(1)
        .execution_options(populate_existing=True)
    )


def newest_registered(
    session: Session, *, organisation_id: int, purpose: OrganisationKeyPurpose
) -> OrganisationKeyRow | None:
    """The key that was registered last, whatever became of it."""
    return session.scalar(
        select(OrganisationKeyRow)
        .where(OrganisationKeyRow.organisation_id == organisation_id, OrganisationKeyRow.purpose == purpose)
        .order_by(OrganisationKeyRow.registered_index.desc())
        .limit(1)
        .execution_options(populate_existing=True)
    )


def key_context(key_id: int) -> str:
    """What a sealed private key is for."""
    return f"organisation key {key_id}"


def _still_counts(key: type[OrganisationKeyRow]) -> ColumnElement[bool]:
    later = aliased(OrganisationKeyRow)
    firms: ScalarSelect[int] = (
        select(func.coalesce(func.max(later.registered_index), -1))
        .where(
            later.organisation_id == key.organisation_id,
            later.purpose == key.purpose,
            later.holder == KeyHolder.FIRM,
        )
        .scalar_subquery()
    )
    return or_(key.holder == KeyHolder.FIRM, key.registered_index > firms)


def _in_use(session: Session, organisation_id: int, purpose: OrganisationKeyPurpose) -> OrganisationKeyRow:
    row = newest_usable(session, organisation_id=organisation_id, purpose=purpose, at_ms=now_ms())
    if row is None:
        raise Conflict(
            "The organisation has no valid key for this.",
            code="no_key",
            fix="Replace the key on the page Keys, or register one that your firm holds.",
        )
    return row


def _open(engine: Engine, sealer: Sealer, row: OrganisationKeyRow) -> OrganisationKey:
    if row.sealed_private_key is None:
        raise Conflict("The firm holds this key; the service cannot sign with it.", code="key_held_by_firm")
    cache = _opened.setdefault(engine, {})
    private_key = cache.get(row.key_id)
    if private_key is None:
        raw = sealer.open(row.sealed_private_key, key_context(row.key_id))
        private_key = cache[row.key_id] = Ed25519PrivateKey.from_private_bytes(raw)
    return OrganisationKey(
        key_id=row.key_id,
        private_key=private_key,
        public_key=private_key.public_key(),
        valid_until=row.valid_until,
        registered_index=row.registered_index,
        revoked_index=row.revoked_index,
    )
