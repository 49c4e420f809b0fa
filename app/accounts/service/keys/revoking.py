"""Revocation of a key: from its ledger position on, or from an earlier one when the theft was earlier."""

from sqlalchemy import Connection
from sqlalchemy.orm import Session

from app.accounts.models import OrganisationKeyRow
from app.accounts.service import records
from app.accounts.service.keys.listing import find_key
from app.accounts.service.keys.public import forget_public_keys
from app.accounts.service.keys.registering import key_subjects
from app.accounts.service.keys.service_held import issue_missing_keys
from app.accounts.service.statements import payload, registry_entry
from app.accounts.values import KeyRecord
from app.accounts.vocabulary import OrganisationKeyPurpose, OrganisationStatus
from app.core.clock import now_ms
from app.core.database import session_on
from app.core.errors import Conflict, Invalid
from app.core.notices import NoticeKind, notify
from app.core.services import Services


def revoke_key(
    services: Services,
    *,
    organisation_id: int,
    key_id: int,
    reason: str,
    from_index: int | None = None,
    actor: str | None = None,
) -> KeyRecord:
    """Revoke a key; a successor is registered when it was the last of its purpose and the service held it.

    from_index: the ledger position from which on batches of this key do not count; that of the revocation itself when
    None. actor: who asked, as statements name people (``person:7``). Raises NotFound, Invalid, and Conflict when it is
    revoked already.
    """
    with Session(services.engine) as session:
        key = find_key(session, organisation_id=organisation_id, key_id=key_id)
        organisation = records.organisation_by_id(session, organisation_id)
    check_from_index(services, key, from_index)
    now = now_ms()
    statement = payload(
        kind="key",
        organisation=organisation.issuer,
        at_ms=now,
        action="revoked",
        key_id=key_id,
        reason=reason,
        from_index=from_index,
        by=actor,
    )

    def apply(connection: Connection, index: int) -> KeyRecord:
        with session_on(connection) as session:
            row = session.get_one(OrganisationKeyRow, key_id)
            if row.revoked_index is not None:
                raise _revoked_already()
            row.revoked_at = now
            row.revoked_index = index
            row.revoked_from = index if from_index is None else from_index
            row.revocation_reason = reason
            notify(
                session,
                organisation_id=organisation_id,
                kind=NoticeKind.KEY_REVOKED,
                data={"key_id": key_id, "revoked_from": row.revoked_from},
            )
            return records.key_record(row)

    subjects = key_subjects(services, key_id, organisation.issuer)
    appended = services.log.append(registry_entry(services, *subjects, statement=statement), apply)
    if appended.result is None:
        raise _revoked_already()
    forget_public_keys(services.engine, organisation_id=organisation_id)
    if organisation.status is OrganisationStatus.APPROVED:
        issue_missing_keys(services, organisation)
    return appended.result


def check_from_index(services: Services, key: KeyRecord, from_index: int | None) -> None:
    """Refuse with Invalid a position before the key's registration or beyond the ledger, or of a statement key."""
    if from_index is None:
        return
    if key.purpose is not OrganisationKeyPurpose.CODE:
        # Its statements are acts of others' trust already: they are taken back one by one, in the open.
        raise Invalid("A key for records is revoked from now on only.", code="from_index")
    size, _ = services.log.head()
    if not key.registered_index < from_index <= size:
        raise Invalid(
            "A key is revoked from a position after %(first)s, where it was registered, and up to %(last)s, where the "
            "ledger ends.",
            code="from_index",
            first=key.registered_index,
            last=size,
        )


def _revoked_already() -> Conflict:
    return Conflict("This key is revoked already.", code="key_revoked")
