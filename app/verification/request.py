"""What comes with a code that somebody scanned."""

import hashlib
import hmac
import secrets
from dataclasses import dataclass

from app.core.authorisation import Principal, Role
from app.devices.values import SignedScan
from app.facts.epcis import NOWHERE, Place
from app.facts.scans import Scan
from app.facts.scans.coarse import coarse
from app.facts.scans.scan import digest_id
from app.verification.actions import Action
from app.verification.authenticity import SignatureCheck
from app.verification.verdict import AskerRole


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanRequest:
    """The circumstances of one scan, as its sender tells them.

    device: the sender's own name for the device that scanned. device_time: its clock in ms, None when not told. key:
    makes the scan unique for the unit and device; the same again is a retry. nonce: comes back in the receipt.
    operator_saw: the verdict shown to the person, for scans made offline. on_offer: the goods are for sale. note goes
    with the event of an action; country says where an authority acts. statement: what the device signed about the
    scan, as it came in; signed: the same once it was taken in.
    """

    action: Action = Action.CHECK
    device: str | None = None
    device_time: int | None = None
    key: str | None = None
    nonce: str | None = None
    offline: bool = False
    operator_saw: str | None = None
    on_offer: bool = False
    place: Place = NOWHERE
    note: str = ""
    country: str | None = None
    correlation: str | None = None
    remote_address: str = ""
    statement: str | None = None
    signed: SignedScan | None = None


_ASKERS: dict[Role, AskerRole] = {
    Role.INSPECTOR: AskerRole.INSPECTOR,
    Role.ANALYST: AskerRole.INSPECTOR,
    Role.AUDITOR: AskerRole.INSPECTOR,
    Role.CUSTOMS_CLIENT: AskerRole.CUSTOMS,
}


def asker_role(principal: Principal, *, professional: bool) -> AskerRole:
    """Give the column of the summary table that is meant for the caller."""
    if not professional or principal.role is None:
        return AskerRole.PUBLIC
    return _ASKERS.get(principal.role, AskerRole.SHOP)


def make_scan(
    request: ScanRequest,
    *,
    principal: Principal,
    professional: bool,
    check: SignatureCheck,
    code_digest: bytes,
    subject: str,
    now: int,
    device_secret: bytes,
) -> Scan:
    """Make the scan to be stored, under the number for codes that are no unit of ours.

    subject: what the code names, so that scans of one unknown identity count together. A consumer's device is a
    pseudonym made from the address with the day's salt (`app.core.daily_salts`); its place is coarse.
    """
    place = request.place if professional else coarse(request.place)
    return Scan(
        unit_id=digest_id(hashlib.sha256(subject.encode()).digest()),
        device=_device(device_secret, request, principal=principal, professional=professional),
        key=request.key or secrets.token_hex(12),
        received_at=now,
        scanned_at=now if request.device_time is None else request.device_time,
        role=principal.role.value if professional and principal.role is not None else "public",
        organisation_id=principal.organisation_id if professional else None,
        action=request.action.value,
        latitude=place.latitude,
        longitude=place.longitude,
        accuracy=place.accuracy,
        place_source=place.source,
        offline=request.offline,
        operator_saw=request.operator_saw,
        signature=check.value,
        code_digest=code_digest,
        statement=None if request.signed is None else request.signed.digest,
    )


def _device(secret: bytes, request: ScanRequest, *, principal: Principal, professional: bool) -> str:
    if professional:
        # The organisation in front keeps two organisations that call a till "1" apart.
        return f"{principal.organisation_id}:{request.device or principal.actor}"[:64]
    told = f"{request.remote_address}\0{request.device or ''}"
    return "p:" + hmac.digest(secret, told.encode(), hashlib.sha256)[:12].hex()
