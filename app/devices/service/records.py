"""Rows of devices as values, and who may see which."""

from collections.abc import Sequence

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.accounts import service as accounts
from app.core.authorisation import Permission, Principal, Role
from app.core.errors import NotFound
from app.devices.models import DeviceConflictRow, DeviceRow, DeviceStatementRow
from app.devices.values import Device, ListedDevice, SignedCounts

MOST_LISTED = 500
"""Devices of one list, the newest."""


def device(row: DeviceRow) -> Device:
    """Make the value of a row."""
    return Device(
        id=row.id,
        organisation_id=row.organisation_id,
        person_id=row.person_id,
        name=row.name,
        role=Role(row.role),
        public_key=Ed25519PublicKey.from_public_bytes(row.public_key),
        enrolled_at=row.enrolled_at,
        lease_until=row.lease_until,
        last_contact_at=row.last_contact_at,
        revoked_at=row.revoked_at,
        revoked_from=row.revoked_from,
        revocation_reason=row.revocation_reason,
    )


def row_for(session: Session, principal: Principal, device_id: str) -> DeviceRow:
    """Give a device that is the caller's, or of an organisation whose devices the caller manages; raises NotFound."""
    row = session.get(DeviceRow, device_id)
    if row is None or row.organisation_id != principal.organisation_id:
        raise NotFound
    own = principal.person_id is not None and row.person_id == principal.person_id
    if not own and not principal.may(Permission.DEVICE_MANAGE):
        raise NotFound
    return row


def find_device(session: Session, device_id: str) -> Device | None:
    """Give a device by its id, whosever it is."""
    row = session.get(DeviceRow, device_id)
    return None if row is None else device(row)


def find_device_for(session: Session, principal: Principal, device_id: str) -> ListedDevice:
    """Give one device that the caller may see; raises NotFound."""
    return _listed(session, [row_for(session, principal, device_id)])[0]


def list_devices(session: Session, principal: Principal) -> list[ListedDevice]:
    """Give the caller's devices, or with DEVICE_MANAGE those of the organisation, newest first."""
    query = select(DeviceRow).where(DeviceRow.organisation_id == principal.organisation_id)
    if not principal.may(Permission.DEVICE_MANAGE):
        query = query.where(DeviceRow.person_id == principal.person_id)
    rows = session.scalars(query.order_by(DeviceRow.enrolled_at.desc(), DeviceRow.id).limit(MOST_LISTED))
    return _listed(session, rows.all())


def _listed(session: Session, rows: Sequence[DeviceRow]) -> list[ListedDevice]:
    counts = _counts(session, rows)
    names = {number: accounts.person_by_id(session, number).name for number in {row.person_id for row in rows}}
    return [ListedDevice(device(row), names[row.person_id], counts[row.id]) for row in rows]


def _counts(session: Session, rows: Sequence[DeviceRow]) -> dict[str, SignedCounts]:
    ids = [row.id for row in rows]
    signed = DeviceStatementRow
    received = {
        device_id: (count, highest)
        for device_id, count, highest in session.execute(
            select(signed.device_id, func.count(), func.max(signed.seq))
            .where(signed.device_id.in_(ids))
            .group_by(signed.device_id)
        )
    }
    twice = (
        select(DeviceConflictRow.device_id, func.count())
        .where(DeviceConflictRow.device_id.in_(ids))
        .group_by(DeviceConflictRow.device_id)
    )
    conflicts: dict[str, int] = dict(session.execute(twice).all())
    found = {}
    for row in rows:
        count, highest = received.get(row.id, (0, 0))
        since_loss = 0
        if row.revoked_from is not None:
            since_loss = (
                session.scalar(
                    select(func.count())
                    .select_from(signed)
                    .where(signed.device_id == row.id, signed.scanned_at >= row.revoked_from)
                )
                or 0
            )
        found[row.id] = SignedCounts(count, highest - count, conflicts.get(row.id, 0), since_loss)
    return found
