"""Signed scans as they come in: whose, whether the signature counts, and each running number once.

What a device signed is kept before anything else happens with it: a scan that is then refused leaves its evidence.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from app.core.authorisation import Principal
from app.core.clock import now_ms
from app.core.database import write_session
from app.core.errors import AppError, Conflict, Forbidden, Invalid
from app.core.notices import NoticeKind, notify
from app.core.services import Services
from app.devices.models import DeviceConflictRow, DeviceRow, DeviceStatementRow
from app.devices.service.ending import CLOCK_MS, heard_of
from app.devices.service.powers import power_of
from app.devices.service.records import device
from app.devices.values import Device, SignedScan, Standing
from ledger.errors import StatementError
from scanners.signed_scans import ScanStatement, device_named_in, read_scan, scan_digest

MOST_CONFLICTS = 100
"""Conflicting statements of one device that are kept: two would prove it."""
CONTACT_EVERY_MS = 3600 * 1000
"""A device that scans all day has its lease moved on so often."""
CHUNK = 100
"""Statements of one INSERT."""


@dataclass(frozen=True, slots=True)
class _Read:
    """A statement whose signature is right, and what it is worth now."""

    device: Device
    statement: ScanStatement
    token: str
    digest: str
    standing: Standing
    power: Principal | None


Key = tuple[str, int]


def take_scans(services: Services, tokens: Sequence[str], *, caller: Principal) -> list[SignedScan | AppError]:
    """Take signed scans in, in their order; for one that is refused the error stands in its place.

    Refused are: what no device of ours signed, a device of another organisation than the caller's, another device that
    speaks for this one, a time after now or before the enrolment, a running number that was used for something else.
    Kept, but of no power (`SignedScan.power` is None): what came in after the device was revoked or after its person
    lost the role, and what it signed after its lease. The same statement again is a retry and stands as at first.
    """
    now = now_ms()
    found: list[_Read | AppError] = []
    with Session(services.engine) as session:
        devices: dict[str, tuple[Device, Principal | None]] = {}
        for token in tokens:
            try:
                found.append(_read(session, devices, token, caller=caller, now=now))
            except AppError as error:
                found.append(error)
    read = [one for one in found if isinstance(one, _Read)]
    if not read:
        return [one for one in found if isinstance(one, AppError)]
    with write_session(services.engine) as session:
        kept = _keep(session, read, now)
        for one in {each.device.id: each for each in read}.values():
            _note_contact(session, [each for each in read if each.device.id == one.device.id], services, now)
        return [one if isinstance(one, AppError) else _taken(session, one, kept, now) for one in found]


def _read(
    session: Session,
    devices: dict[str, tuple[Device, Principal | None]],
    token: str,
    *,
    caller: Principal,
    now: int,
) -> _Read:
    try:
        signer, power = _signer(session, devices, device_named_in(token))
        statement = read_scan(token, signer.public_key)
    except StatementError as error:
        raise Invalid(
            "The signed scan is not accepted: %(reason)s.",
            code="device_statement",
            fix="If the device was enrolled with another registry, enrol it here.",
            reason=error.message,
        ) from error
    if not caller.is_anonymous and not _speaks_for(caller, signer):
        raise Forbidden("This scan was signed by a device that is not yours.", code="device_of_another")
    if not signer.enrolled_at - CLOCK_MS <= statement.scanned_at <= now + CLOCK_MS:
        raise Invalid(
            "The device's clock says a time after now, or before the device was enrolled.",
            code="device_clock",
            fix="Set the device's clock, then scan again.",
        )
    standing = _standing(signer, power, statement, now)
    return _Read(signer, statement, token, scan_digest(token), standing, power if standing.counts else None)


def _signer(
    session: Session, devices: dict[str, tuple[Device, Principal | None]], device_id: str
) -> tuple[Device, Principal | None]:
    """Give a device and its power, looked up once for all its statements."""
    if device_id not in devices:
        row = session.get(DeviceRow, device_id)
        if row is None:
            raise StatementError("no device of this registry has that key id")
        devices[device_id] = device(row), power_of(session, device(row))
    return devices[device_id]


def _speaks_for(caller: Principal, signer: Device) -> bool:
    """Whether the caller may hand in what the device signed: its own organisation, but no other device."""
    another = caller.machine is not None and caller.machine.startswith("device:") and caller.machine != signer.machine
    return caller.organisation_id == signer.organisation_id and not another


def _standing(signer: Device, power: Principal | None, statement: ScanStatement, now: int) -> Standing:
    if signer.revoked_at is not None:
        return Standing.REVOKED  # whoever has the device now can write any time into what it signs
    if power is None:
        return Standing.NO_ROLE
    if statement.scanned_at >= signer.lease_until:
        return Standing.LEASE_ENDED
    return Standing.GOOD if now < signer.lease_until else Standing.LATE


def _keep(session: Session, read: Sequence[_Read], now: int) -> Mapping[Key, tuple[str, Standing]]:
    """Store each statement whose number is free; gives the digest and standing that now stand under each number."""
    insert = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    # In one order everywhere: two requests with the same numbers never wait for each other's row.
    values = [
        {
            "device_id": one.device.id,
            "seq": one.statement.seq,
            "digest": one.digest,
            "standing": one.standing.value,
            "scanned_at": one.statement.scanned_at,
            "received_at": now,
            "statement": one.token,
        }
        for one in sorted(read, key=lambda one: (one.device.id, one.statement.seq))
    ]
    table = DeviceStatementRow
    for at in range(0, len(values), CHUNK):
        # Whoever else brings the same number at this moment is waited for; one of the two is then there already.
        session.execute(insert(table).values(values[at : at + CHUNK]).on_conflict_do_nothing())
    kept: dict[Key, tuple[str, Standing]] = {}
    for device_id in {one.device.id for one in read}:
        numbers = sorted({one.statement.seq for one in read if one.device.id == device_id})
        for at in range(0, len(numbers), CHUNK):
            stored = select(table.seq, table.digest, table.standing).where(
                table.device_id == device_id, table.seq.in_(numbers[at : at + CHUNK])
            )
            for seq, digest, standing in session.execute(stored):
                kept[device_id, seq] = digest, Standing(standing)
    return kept


def _taken(session: Session, one: _Read, kept: Mapping[Key, tuple[str, Standing]], now: int) -> SignedScan | AppError:
    digest, standing = kept[one.device.id, one.statement.seq]
    if digest != one.digest:
        _keep_conflict(session, one, now)
        return Conflict(
            "The device signed another scan under the number %(seq)s.",
            code="device_sequence",
            fix="Its key may be in two places, or an old copy of it was put back: revoke the device, enrol it anew.",
            seq=one.statement.seq,
        )
    return SignedScan(one.device.id, one.statement, digest, standing, one.power if standing.counts else None)


def _keep_conflict(session: Session, one: _Read, now: int) -> None:
    """Keep the second statement, which proves together with the first that the key was used twice; tell the firm."""
    conflicts = DeviceConflictRow
    known = session.execute(
        select(conflicts.digest, conflicts.received_at).where(conflicts.device_id == one.device.id)
    ).all()
    if one.digest in {digest for digest, _ in known} or len(known) >= MOST_CONFLICTS:
        return
    session.add(
        conflicts(
            device_id=one.device.id,
            seq=one.statement.seq,
            digest=one.digest,
            received_at=now,
            statement=one.token,
        )
    )
    session.flush()
    if not any(received_at > now - CONTACT_EVERY_MS for _, received_at in known):
        notify(
            session,
            organisation_id=one.device.organisation_id,
            kind=NoticeKind.DEVICE_CONFLICT,
            data={"device": one.device.id, "seq": one.statement.seq},
        )


def _note_contact(session: Session, read: Sequence[_Read], services: Services, now: int) -> None:
    """Let the lease go on for a device that signed something just now."""
    fresh = any(one.standing is Standing.GOOD and now - one.statement.scanned_at <= CLOCK_MS for one in read)
    if not fresh or now - read[0].device.last_contact_at < CONTACT_EVERY_MS:
        return
    row = session.get(DeviceRow, read[0].device.id)
    if row is not None and row.revoked_at is None:
        heard_of(row, services.settings.device_lease_days, now)
