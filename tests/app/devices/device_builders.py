"""Builders for devices: an inspector with a device in the hand, and the scans that it signs."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import count
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy.orm import Session

from app.accounts import service as accounts
from app.accounts.vocabulary import OrganisationKind
from app.core.authorisation import Principal, Role, permissions_of
from app.core.clock import now_ms
from app.core.services import Services
from app.devices import service as devices
from app.devices.service.powers import power_of
from app.devices.service.records import find_device
from app.devices.values import Device
from ledger.strict import encode_base64
from scanners.signed_scans import ScanStatement, sign_enrolment
from tests.builders import add_person, make_approved

_keys = count(1)


@dataclass
class Hand:
    """A device and its key, as the device holds them; `who` is its person, `as_caller` the device with a token."""

    services: Services
    organisation: accounts.Organisation
    email: str
    who: Principal
    device: Device
    key: Ed25519PrivateKey
    numbers: count[int] = field(default_factory=lambda: count(1))

    @property
    def as_caller(self) -> Principal:
        with Session(self.services.engine) as session:
            found = find_device(session, self.device.id)
            assert found is not None
            power = power_of(session, found)
        assert power is not None
        return power

    def signs(self, code: str, **circumstances: Any) -> str:
        """A signed scan of this code; by default the next number, a new key, now."""
        told: dict[str, Any] = {"action": "check", "scanned_at": now_ms(), "key": f"scan-{next(_keys)}"}
        told |= circumstances
        if "seq" not in told:
            told["seq"] = next(self.numbers)
        return ScanStatement(code=code, **told).sign(self.key, self.device.id)

    def is_lost(self, *, since: int | None = None) -> Device:
        return devices.revoke_device(
            self.services, principal=self.who, device_id=self.device.id, reason="Lost on the road.", since=since
        )


def person_of(services: Services, organisation: accounts.Organisation, role: Role) -> tuple[str, Principal]:
    """A new member, as a signed-in caller."""
    email = add_person(services, organisation, role)
    with Session(services.engine) as session:
        person = accounts.find_person(session, email=email)
    assert person is not None
    return email, Principal(
        organisation_id=organisation.id, role=role, person_id=person.id, permissions=permissions_of(role), name="Member"
    )


def enrolled(
    services: Services, who: Principal, *, key: Ed25519PrivateKey | None = None, name: str = "phone 1"
) -> tuple[Device, Ed25519PrivateKey]:
    """A device of this person, and its key."""
    key = key or Ed25519PrivateKey.generate()
    code = devices.request_code(services, principal=who).code
    device = devices.enrol(
        services,
        code=code,
        public_key=encode_base64(key.public_key().public_bytes_raw()),
        name=name,
        possession=sign_enrolment(key, code=code, name=name),
        remote_address="192.0.2.7",
    )
    return device, key


def make_hand(
    services: Services,
    role: Role = Role.INSPECTOR,
    kind: OrganisationKind = OrganisationKind.AUTHORITY,
    organisation: accounts.Organisation | None = None,
) -> Hand:
    """A person of a new organisation with an enrolled device."""
    organisation = organisation or make_approved(services, kind=kind)
    email, who = person_of(services, organisation, role)
    device, key = enrolled(services, who)
    return Hand(services, organisation, email, who, device, key)


def owner_of(organisation: accounts.Organisation) -> Principal:
    """Somebody who manages the organisation's devices."""
    return Principal(
        organisation_id=organisation.id, role=Role.OWNER, person_id=1, permissions=permissions_of(Role.OWNER)
    )
