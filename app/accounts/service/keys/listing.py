"""Keys of organisations and their history, as everybody may know them."""

from dataclasses import dataclass

from sqlalchemy import Connection, select
from sqlalchemy.orm import Session

from app.accounts.models import OrganisationKeyRow, OrganisationRow
from app.accounts.service import records
from app.accounts.values import KeyRecord, Organisation
from app.accounts.vocabulary import KeyHolder, OrganisationKeyPurpose, OrganisationStatus
from app.core.errors import NotFound
from app.core.services import Services
from ledger.strict import encode_base64


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


def find_key(session: Session, *, organisation_id: int, key_id: int) -> KeyRecord:
    """One key of the organisation; raises NotFound."""
    row = session.get(OrganisationKeyRow, key_id, populate_existing=True)
    if row is None or row.organisation_id != organisation_id:
        raise NotFound
    return records.key_record(row)


def list_keys(session: Session, *, organisation_id: int) -> list[KeyRecord]:
    """Every key the organisation ever had, newest first."""
    rows = session.scalars(
        select(OrganisationKeyRow)
        .where(OrganisationKeyRow.organisation_id == organisation_id)
        .order_by(OrganisationKeyRow.registered_index.desc())
    )
    return [records.key_record(row) for row in rows]


def list_all_keys(session: Session) -> list[tuple[Organisation, KeyRecord]]:
    """Every key of every organisation with its organisation, oldest first: what a trust list is made of."""
    rows = session.execute(
        select(OrganisationRow, OrganisationKeyRow)
        .join(OrganisationRow, OrganisationRow.id == OrganisationKeyRow.organisation_id)
        .order_by(OrganisationKeyRow.registered_index)
    )
    return [(records.organisation(owner), records.key_record(row)) for owner, row in rows]


def taken_over_at(connection: Connection, key_id: int) -> int | None:
    """Where the firm took the signing into its own hands after this key, which the service holds, was registered.

    From there on no batch may be registered under it. None for a key of the firm, or when it never did.
    """
    keys = OrganisationKeyRow.__table__.c
    key = connection.execute(
        select(keys.organisation_id, keys.registered_index).where(
            keys.key_id == key_id, keys.purpose == OrganisationKeyPurpose.CODE, keys.holder == KeyHolder.SERVICE
        )
    ).first()
    if key is None:
        return None
    return connection.scalar(
        select(keys.registered_index)
        .where(
            keys.organisation_id == key.organisation_id,
            keys.purpose == OrganisationKeyPurpose.CODE,
            keys.holder == KeyHolder.FIRM,
            keys.registered_index > key.registered_index,
        )
        .order_by(keys.registered_index)
        .limit(1)
    )


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
