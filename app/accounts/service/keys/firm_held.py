"""Code keys that a firm holds itself: it registers the public half and proves that it has the other.

Two steps, because the number that the registry gives the key stands in what the key signs to prove it.
"""

import secrets
from dataclasses import dataclass
from datetime import timedelta

from cryptography.exceptions import InvalidSignature
from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from app.accounts.models import KeyRegistrationRow, OrganisationKeyRow
from app.accounts.service import records
from app.accounts.service.keys.registering import KEY_VALIDITY, MAX_KEY_ID, NumberTaken, register
from app.accounts.service.keys.using import newest_usable
from app.accounts.values import KeyRecord, Organisation
from app.accounts.vocabulary import KeyHolder, OrganisationKeyPurpose, OrganisationKind, OrganisationStatus
from app.core.clock import now_ms
from app.core.database import write_session
from app.core.errors import Conflict, Invalid, NotFound
from app.core.services import Services
from scanners.codes.errors import CodeError
from scanners.codes.key_messages import possession_message
from scanners.codes.signature import load_public_key

REGISTRATION_DAYS = 7
"""How long a number is set aside: a key ceremony without a network takes its time."""
MAX_REGISTRATIONS = 10
"""Numbers that are set aside for one organisation at once."""
LEAST_VALIDITY = timedelta(days=1)
MOST_VALIDITY = timedelta(days=1826)
SIGNATURE_SIZE = 64
_DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class KeyRegistration:
    """A number set aside for a key; `message` is exactly what the key has to sign. expires_at in milliseconds."""

    key_id: int
    issuer: str
    purpose: OrganisationKeyPurpose
    message: bytes
    expires_at: int


def begin_registration(services: Services, *, organisation_id: int, public_key: bytes) -> KeyRegistration:
    """Set a number aside for a code key that the firm holds. Raises Invalid for a key that is none or weak, Conflict.

    public_key: 32 bytes. Nothing is registered yet.
    """
    with Session(services.engine) as session:
        organisation = _signing_firm(session, organisation_id)
        _check_key(public_key)
        _refuse_known(session, public_key)
    now = now_ms()
    with write_session(services.engine) as session:
        waiting = KeyRegistrationRow.organisation_id == organisation_id
        session.execute(
            delete(KeyRegistrationRow).where(KeyRegistrationRow.created_at < now - REGISTRATION_DAYS * _DAY_MS)
        )
        if (session.scalar(select(func.count()).where(waiting)) or 0) >= MAX_REGISTRATIONS:
            raise Conflict(
                "At most %(limit)s keys can be waiting to be registered.",
                code="too_many_registrations",
                fix="Finish one of them, or wait until they end.",
                limit=MAX_REGISTRATIONS,
            )
        while True:
            key_id = secrets.randbelow(MAX_KEY_ID) + 1
            if all(session.get(table, key_id) is None for table in (OrganisationKeyRow, KeyRegistrationRow)):
                break
        purpose = OrganisationKeyPurpose.CODE
        session.add(
            KeyRegistrationRow(key_id=key_id, organisation_id=organisation_id, purpose=purpose.value, created_at=now)
        )
    return KeyRegistration(
        key_id=key_id,
        issuer=organisation.issuer,
        purpose=purpose,
        message=_message(key_id, organisation, public_key),
        expires_at=now + REGISTRATION_DAYS * _DAY_MS,
    )


def register_firm_key(
    services: Services,
    *,
    organisation_id: int,
    key_id: int,
    public_key: bytes,
    possession: bytes,
    valid_until: int | None = None,
    actor: str | None = None,
) -> KeyRecord:
    """Register a code key that the firm holds; it is in use from now on, and the same request again changes nothing.

    possession: the key's signature (64 bytes) of the message that `begin_registration` gave. valid_until: ms; two
    years from now when None. actor: who asked (``person:7``). Raises NotFound, Invalid, Conflict.
    """
    now = now_ms()
    end = now + _ms(KEY_VALIDITY) if valid_until is None else valid_until
    with Session(services.engine) as session:
        organisation = _signing_firm(session, organisation_id)
        known = session.get(OrganisationKeyRow, key_id)
        if known is not None and (known.organisation_id, known.public_key) == (organisation_id, public_key):
            return records.key_record(known)
        waiting = session.get(KeyRegistrationRow, key_id)
        if waiting is None or waiting.organisation_id != organisation_id:
            raise NotFound(
                "No key with this number waits to be registered.", code="unknown_registration", fix="Start again."
            )
        _check_key(public_key)
        _refuse_known(session, public_key)
        in_use = newest_usable(session, organisation_id=organisation_id, purpose=OrganisationKeyPurpose.CODE, at_ms=now)
        replaces = None if in_use is None else in_use.key_id
    if not now + _ms(LEAST_VALIDITY) <= end <= now + _ms(MOST_VALIDITY):
        raise Invalid("A key is valid for at least a day and at most five years.", code="valid_until")
    _check_possession(public_key, possession, _message(key_id, organisation, public_key))
    row = OrganisationKeyRow(
        key_id=key_id,
        organisation_id=organisation_id,
        purpose=OrganisationKeyPurpose.CODE.value,
        holder=KeyHolder.FIRM.value,
        public_key=public_key,
        sealed_private_key=None,
        created_at=now,
        valid_until=end,
    )
    try:
        return register(services, organisation, row, possession=possession, replaces=replaces, actor=actor)
    except NumberTaken as error:
        raise _known_key() from error


def _signing_firm(session: Session, organisation_id: int) -> Organisation:
    organisation = records.organisation_by_id(session, organisation_id)
    if organisation.status is not OrganisationStatus.APPROVED:
        raise Conflict("Only an approved organisation has keys.", code="organisation_not_approved")
    if organisation.kind is not OrganisationKind.FIRM:
        raise Conflict("Only a firm that makes or brands goods signs codes.", code="no_codes")
    return organisation


def _check_key(public_key: bytes) -> None:
    try:
        load_public_key(public_key)
    except CodeError as error:
        raise Invalid(error.message, code=error.code) from error


def _refuse_known(session: Session, public_key: bytes) -> None:
    if session.scalar(select(OrganisationKeyRow.key_id).where(OrganisationKeyRow.public_key == public_key)) is not None:
        raise _known_key()


def _known_key() -> Conflict:
    return Conflict(
        "This key is registered already; a key is registered once.", code="key_known", fix="Make a new key."
    )


def _check_possession(public_key: bytes, possession: bytes, message: bytes) -> None:
    try:
        load_public_key(public_key).verify(possession, message)
    except InvalidSignature as error:
        raise Invalid(
            "The signature does not show that you hold this key.",
            code="possession",
            fix="Sign exactly the message that the first step gave, with the key that you register.",
        ) from error


def _message(key_id: int, organisation: Organisation, public_key: bytes) -> bytes:
    return possession_message(
        key_id=key_id,
        issuer=organisation.issuer,
        purpose=OrganisationKeyPurpose.CODE.value,
        public_key=public_key,
    )


def _ms(span: timedelta) -> int:
    return int(span.total_seconds() * 1000)
