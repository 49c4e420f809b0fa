"""A registration on the ledger, whoever holds the key."""

from datetime import timedelta

from sqlalchemy import Connection, delete
from sqlalchemy.exc import IntegrityError

from app.accounts.models import KeyRegistrationRow, OrganisationKeyRow
from app.accounts.service import records
from app.accounts.service.statements import ledger_subject, organisation_subject, payload, registry_entry
from app.accounts.values import KeyRecord, Organisation
from app.accounts.vocabulary import KeyHolder
from app.core.clock import to_iso
from app.core.database import session_on
from app.core.errors import AppError
from app.core.notices import NoticeKind, notify
from app.core.services import Services
from ledger.strict import encode_base64

KEY_VALIDITY = timedelta(days=730)
"""How long a key may sign after its registration."""
MAX_KEY_ID = 2**32 - 1


class NumberTaken(AppError):
    """The key's number, or the key itself, stands in the register already."""

    def __init__(self) -> None:
        super().__init__("This key number is taken.", code="key_number_taken")


def register(
    services: Services,
    organisation: Organisation,
    row: OrganisationKeyRow,
    *,
    possession: bytes,
    replaces: int | None,
    actor: str | None,
) -> KeyRecord:
    """Put the registration of a new key on the ledger and its row into the table, both or neither.

    possession: the key's signature of `possession_message`, verified or just made. actor: who asked, None when the
    registry's approval did. Raises NumberTaken.
    """
    statement = payload(
        kind="key",
        organisation=organisation.issuer,
        at_ms=row.created_at,
        action="registered",
        key_id=row.key_id,
        purpose=row.purpose,
        algorithm="Ed25519",
        public_key=encode_base64(row.public_key),
        holder=KeyHolder(row.holder).value,
        valid_until=to_iso(row.valid_until),
        replaces=replaces,
        possession=encode_base64(possession),
        by=actor,
    )

    def apply(connection: Connection, index: int) -> KeyRecord:
        with session_on(connection) as session:
            row.registered_index = index
            session.execute(delete(KeyRegistrationRow).where(KeyRegistrationRow.key_id == row.key_id))
            session.add(row)
            try:
                session.flush()
            except IntegrityError as error:
                raise NumberTaken from error
            if actor is not None:  # somebody's doing, which the others should hear of: a thief's first step
                notify(
                    session,
                    organisation_id=row.organisation_id,
                    kind=NoticeKind.KEY_REGISTERED,
                    data={"key_id": row.key_id, "purpose": row.purpose, "holder": row.holder, "by": actor},
                )
            return records.key_record(row)

    subjects = key_subjects(services, row.key_id, organisation.issuer)
    appended = services.log.append(registry_entry(services, *subjects, statement=statement), apply)
    if appended.result is None:
        raise NumberTaken  # the very same registration, sent twice at once
    return appended.result


def key_subjects(services: Services, key_id: int, issuer: str) -> tuple[bytes, bytes]:
    """What an entry about a key is about: the key and its organisation."""
    return ledger_subject(services.sealer, "key", str(key_id)), organisation_subject(services.sealer, issuer)
