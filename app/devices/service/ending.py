"""The end of a device, and before that its lease: how long it works without being heard of."""

from sqlalchemy.orm import Session

from app.access.remembered import forget_machine
from app.accounts import service as accounts
from app.core.authorisation import Permission, Principal
from app.core.clock import now_ms
from app.core.database import write_session
from app.core.errors import Conflict, Forbidden, Invalid, NotFound
from app.core.notices import NoticeKind, notify
from app.core.services import Services
from app.devices.models import DeviceRow
from app.devices.service.enrolling import DAY_MS
from app.devices.service.powers import power_of
from app.devices.service.records import device, find_device, row_for
from app.devices.values import Device
from ledger.errors import StatementError
from scanners.signed_scans import read_lease

CLOCK_MS = 5 * 60 * 1000
"""How far a device's clock may be from ours where it has to show that it speaks now."""
MAX_REASON = 500


def renew_by_device(services: Services, *, device_id: str, statement: str) -> Device:
    """Let the lease go on because the device itself asked for it just now.

    Raises NotFound, Forbidden for a device that was revoked, whose lease has ended or whose person may not scan any
    more, Invalid for a request that it did not sign now.
    """
    now = now_ms()
    with Session(services.engine) as session:
        known = find_device(session, device_id)
    if known is None:
        raise NotFound
    # Before anything is locked: everybody can send such a request, and few can sign it.
    _refuse_unless_signed_now(known, statement, now)
    with write_session(services.engine) as session:
        row = session.get_one(DeviceRow, device_id)
        found = device(row)
        refuse_ended(found, now)
        if power_of(session, found) is None:
            raise Forbidden("The person of this device has no role any more that scans.", code="device_no_role")
        heard_of(row, services.settings.device_lease_days, now)
        return device(row)


def _refuse_unless_signed_now(asker: Device, statement: str, now: int) -> None:
    try:
        at = read_lease(statement, asker.public_key, device_id=asker.id)
    except StatementError as error:
        raise Invalid(
            "This is no request of this device: %(reason)s.", code="device_statement", reason=error.message
        ) from error
    if abs(at - now) > CLOCK_MS:
        raise Invalid(
            "The device's clock differs from ours by more than five minutes.",
            code="device_clock",
            fix="Set the device's clock, then try again.",
        )


def refuse_ended(found: Device, now: int) -> None:
    """Refuse a device that was revoked or whose lease has ended, with Forbidden and what to do."""
    if found.revoked_at is not None:
        raise Forbidden("This device was revoked.", code="device_revoked", fix="Enrol it again, with a new key.")
    if now >= found.lease_until:
        raise Forbidden(
            "The lease of this device has ended.",
            code="device_lease_ended",
            fix="Enrol it again, or let somebody who manages the devices renew it.",
        )


def heard_of(row: DeviceRow, lease_days: int, now: int) -> None:
    """Note that the device was heard of: from now its lease runs anew."""
    row.last_contact_at = now
    row.lease_until = now + lease_days * DAY_MS


def renew_for_device(services: Services, *, principal: Principal, device_id: str) -> Device:
    """Let the lease of a device go on that was not heard of for long; for who manages the devices.

    Raises NotFound, Forbidden, Conflict for one that was revoked.
    """
    if not principal.may(Permission.DEVICE_MANAGE):
        raise Forbidden
    now = now_ms()
    with Session(services.engine) as session:
        row_for(session, principal, device_id)

    def apply(session: Session) -> Device:
        row = row_for(session, principal, device_id)
        if row.revoked_at is not None:
            raise Conflict("This device was revoked.", code="device_revoked", fix="Enrol it again, with a new key.")
        row.lease_until = now + services.settings.device_lease_days * DAY_MS
        session.flush()
        return device(row)

    return accounts.perform(
        services,
        accounts.Act.DEVICE_RENEWED,
        organisation_id=_organisation(principal),
        by=principal,
        details={"device": device_id},
        apply=apply,
    )


def revoke_device(
    services: Services, *, principal: Principal, device_id: str, reason: str, since: int | None = None
) -> Device:
    """End a device for ever: by its person, or by who manages the devices.

    since: ms, when it was lost, if that was earlier than now: what it signed from then on is named on its page. Raises
    NotFound, Invalid, Conflict for one that was revoked already.
    """
    reason = " ".join(reason.split())
    now = now_ms()
    if not 1 <= len(reason) <= MAX_REASON or not reason.isprintable():
        raise Invalid("The reason has 1 to 500 characters.", code="reason")
    with Session(services.engine) as session:
        enrolled_at = row_for(session, principal, device_id).enrolled_at
    lost = now if since is None else since
    if not enrolled_at <= lost <= now:
        raise Invalid("Give a time between the enrolment of the device and now, or none.", code="lost_when")

    def apply(session: Session) -> Device:
        row = row_for(session, principal, device_id)
        if row.revoked_at is not None:
            raise Conflict("This device was revoked already.", code="device_revoked")
        row.revoked_at, row.revoked_from = now, lost
        row.revoked_by, row.revocation_reason = principal.actor, reason
        notify(
            session,
            organisation_id=row.organisation_id,
            kind=NoticeKind.DEVICE_REVOKED,
            data={"device": device_id, "revoked_from": lost},
        )
        session.flush()
        return device(row)

    revoked = accounts.perform(
        services,
        accounts.Act.DEVICE_REVOKED,
        organisation_id=_organisation(principal),
        by=principal,
        details={"device": device_id, "revoked_from": lost},
        apply=apply,
    )
    forget_machine(revoked.machine)
    return revoked


def _organisation(principal: Principal) -> int:
    if principal.organisation_id is None:
        raise Forbidden
    return principal.organisation_id
