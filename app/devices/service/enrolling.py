"""Enrolment: a person asks for a code, the device shows it together with a key of its own."""

import hashlib
import hmac
import secrets

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from sqlalchemy import delete, func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from app.accounts import service as accounts
from app.accounts.vocabulary import OrganisationStatus, permissions_in
from app.core.attempts import count_attempt, forgive_attempt
from app.core.authorisation import Permission, Principal
from app.core.clock import now_ms
from app.core.database import write_session
from app.core.errors import Conflict, Forbidden, Invalid
from app.core.services import Services
from app.devices.models import ID_LENGTH, DeviceCodeRow, DeviceRow
from app.devices.service.records import device
from app.devices.values import Device, EnrolmentCode
from ledger.errors import FormatError, StatementError
from ledger.strict import decode_base64, encode_base64
from scanners.codes.errors import CodeError
from scanners.codes.serial import ALPHABET
from scanners.codes.signature import load_public_key
from scanners.signed_scans import check_enrolment

CODE_LENGTH = 10
"""Characters of a code, 50 bits: with `GUESSES` a quarter of an hour nobody finds one of a million codes in a year."""
CODE_MS = 15 * 60 * 1000
MOST_CODES = 10
"""Codes of one person that wait at the same time."""
MOST_DEVICES = 50
"""Devices of one person that are not revoked."""
GUESSES = 20
"""Codes tried from one address in a quarter of an hour."""
DAY_MS = 24 * 3600 * 1000
MAX_NAME = 100


def request_code(services: Services, *, principal: Principal) -> EnrolmentCode:
    """Make a code with which one device can be enrolled for the signed-in person. Raises Forbidden, Conflict."""
    if principal.person_id is None or principal.organisation_id is None:
        raise Forbidden("Only a person can enrol a device.", code="person_needed")
    code = "".join(secrets.choice(ALPHABET) for _ in range(CODE_LENGTH))
    now = now_ms()
    with write_session(services.engine) as session:
        session.execute(delete(DeviceCodeRow).where(DeviceCodeRow.expires_at <= now))
        own = DeviceCodeRow.person_id == principal.person_id
        waiting = session.scalar(select(func.count()).select_from(DeviceCodeRow).where(own))
        if (waiting or 0) >= MOST_CODES:
            raise Conflict(
                "You have ten codes that wait for a device.",
                code="too_many_codes",
                fix="Use one, or wait until they run out: that takes a quarter of an hour.",
            )
        session.add(
            DeviceCodeRow(
                code_hash=_keyed(services, code),
                organisation_id=principal.organisation_id,
                person_id=principal.person_id,
                expires_at=now + CODE_MS,
            )
        )
    return EnrolmentCode(f"{code[:5]}-{code[5:]}", now + CODE_MS)


def enrol(services: Services, *, code: str, public_key: str, name: str, possession: str, remote_address: str) -> Device:
    """Enrol the device that has this key, for the person who asked for the code; the act is on the ledger.

    code: as a person types it. public_key: base64 of the 32 bytes. possession: `sign_enrolment` by that key. Raises
    Invalid, Forbidden (one shape for every code that does not work), Conflict, TooMany.
    """
    limits = {f"enrolment:{remote_address}": GUESSES}
    count_attempt(services, limits)
    plain = _plain(code)
    key = _checked_key(public_key, code=code, name=name, possession=possession)
    with Session(services.engine) as session:
        row = session.get(DeviceCodeRow, _keyed(services, plain))
        if row is None or row.expires_at <= now_ms():
            raise _refused()
        person_id, organisation_id = row.person_id, row.organisation_id
        membership = accounts.membership_in(session, person_id=person_id, organisation_id=organisation_id)
    if (
        membership is None
        or membership.organisation.status is not OrganisationStatus.APPROVED
        or Permission.DEVICE_ENROL not in permissions_in(membership.organisation.kind, membership.role)
    ):
        raise _refused()
    role = membership.role
    device_id = "".join(secrets.choice(ALPHABET).lower() for _ in range(ID_LENGTH))
    now = now_ms()

    def apply(session: Session) -> Device:
        used = session.execute(delete(DeviceCodeRow).where(DeviceCodeRow.code_hash == _keyed(services, plain)))
        if used.rowcount != 1:  # type: ignore[attr-defined]  # a CursorResult, as for every DELETE
            raise _refused()
        working = select(func.count()).select_from(DeviceRow)
        working = working.where(DeviceRow.person_id == person_id, DeviceRow.revoked_at.is_(None))
        if (session.scalar(working) or 0) >= MOST_DEVICES:
            raise Conflict(
                "This person has fifty devices.", code="too_many_devices", fix="Revoke those that are not in use."
            )
        row = DeviceRow(
            id=device_id,
            organisation_id=organisation_id,
            person_id=person_id,
            name=name,
            role=role.value,
            public_key=key.public_bytes_raw(),
            enrolled_at=now,
            lease_until=now + services.settings.device_lease_days * DAY_MS,
            last_contact_at=now,
        )
        session.add(row)
        try:
            session.flush()
        except IntegrityError:
            raise Conflict(
                "This key is enrolled already.", code="device_key_known", fix="A device makes a new key each time."
            ) from None
        return device(row)

    enrolled = accounts.perform(
        services,
        accounts.Act.DEVICE_ENROLLED,
        organisation_id=organisation_id,
        by=Principal(organisation_id=organisation_id, role=role, person_id=person_id),
        details={
            "device": device_id,
            "role": role.value,
            "person": f"person:{person_id}",
            "public_key": encode_base64(key.public_bytes_raw()),
        },
        apply=apply,
    )
    forgive_attempt(services, limits)
    return enrolled


def _refused() -> Forbidden:
    """The one answer to every code that does not work: it says nothing about why."""
    return Forbidden(
        "This code is not known, was used or has run out.",
        code="enrolment_refused",
        fix="Ask for a new one on the page of devices; it works for 15 minutes.",
    )


def _keyed(services: Services, code: str) -> bytes:
    """The only form in which a code is stored. Keyed, since 50 bits are few for whoever reads a copy of the table."""
    return hmac.digest(services.sealer.derive("device codes"), code.encode(), hashlib.sha256)


def _plain(code: str) -> str:
    """Read a code as people type it: any case, hyphens and spaces, and the letters that look like digits."""
    plain = code.upper().replace("-", "").replace(" ", "")
    return plain.replace("O", "0").replace("I", "1").replace("L", "1")


def _checked_key(public_key: str, *, code: str, name: str, possession: str) -> Ed25519PublicKey:
    if not 1 <= len(name) <= MAX_NAME or not name.isprintable() or name != " ".join(name.split()):
        raise Invalid("The name has 1 to 100 characters, with single spaces between its words.", code="device_name")
    try:
        key = load_public_key(decode_base64(public_key, size=32))  # under a weak one everything would be signed
        check_enrolment(possession, key, code=code, name=name)
    except (FormatError, StatementError, CodeError) as error:
        raise Invalid(
            "The device does not show that it has this key: %(reason)s.",
            code="possession_not_shown",
            reason=error.message,
        ) from error
    return key
