"""Whether the inspectors of an organisation have to sign their scans with a device."""

import time

from sqlalchemy.orm import Session

from app.accounts import service as accounts
from app.core.authorisation import Permission, Principal
from app.core.clock import now_ms
from app.core.errors import Forbidden
from app.core.services import Services
from app.devices.models import DeviceRuleRow

CACHE_SECONDS = 5.0
"""How long a process goes on with what it knows of an organisation: an inspector's scan is not slowed by asking."""
MOST_KNOWN = 10_000


class _Known(dict[int, tuple[float, bool]]):
    """Until when what is known of an organisation is good, and whether it requires devices."""


def devices_required(session: Session, *, organisation_id: int) -> bool:
    """Whether professional scans of the organisation's inspectors need the signature of a device."""
    row = session.get(DeviceRuleRow, organisation_id)
    return row is not None and row.required


def refuse_unsigned(services: Services, *, organisation_id: int | None) -> None:
    """Refuse, with Forbidden, an inspector's scan that no device signed, where the organisation requires that."""
    if organisation_id is None:
        return
    known: _Known = services.features.setdefault(_Known, _Known())
    until, required = known.get(organisation_id, (0.0, False))
    if until <= time.monotonic():
        if len(known) >= MOST_KNOWN:
            known.clear()
        with Session(services.engine) as session:
            required = devices_required(session, organisation_id=organisation_id)
        known[organisation_id] = time.monotonic() + CACHE_SECONDS, required
    if required:
        raise Forbidden(
            "Your organisation wants inspectors to scan with an enrolled device, which signs each scan.",
            code="device_required",
            fix="Enrol your device on the page of devices, then scan with it.",
        )


def require_devices(services: Services, *, principal: Principal, required: bool) -> bool:
    """Set whether inspectors have to sign; the act is on the ledger. Raises Forbidden. Nothing happens twice."""
    organisation_id = principal.organisation_id
    if organisation_id is None or not principal.may(Permission.DEVICE_MANAGE):
        raise Forbidden
    with Session(services.engine) as session:
        if devices_required(session, organisation_id=organisation_id) is required:
            return required

    def apply(session: Session) -> None:
        row = session.get(DeviceRuleRow, organisation_id)
        if row is None:
            session.add(DeviceRuleRow(organisation_id=organisation_id, required=required, changed_at=now_ms()))
        else:
            row.required, row.changed_at = required, now_ms()

    accounts.perform(
        services,
        accounts.Act.LIMITS_CHANGED,
        organisation_id=organisation_id,
        by=principal,
        details={"devices_required": required},
        apply=apply,
    )
    services.features.pop(_Known, None)
    return required
