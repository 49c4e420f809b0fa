"""What a device may do: what its person might when it was enrolled, and never more than the person may now."""

from sqlalchemy.orm import Session

from app.access.oauth import OAuthClient
from app.accounts import service as accounts
from app.accounts.vocabulary import OrganisationStatus, permissions_in
from app.core.authorisation import Permission, Principal, Role
from app.core.clock import now_ms
from app.devices.service.records import find_device
from app.devices.values import Device
from ledger.strict import encode_base64url

DEVICE_POWERS = frozenset(
    {
        Permission.VERIFY_PROFESSIONAL,
        Permission.VERIFY_BATCH,
        Permission.PROOF_READ,
        Permission.UNIT_ACTIVATE,
        Permission.UNIT_SELL,
        Permission.UNIT_RECALL,
        Permission.UNIT_DETAIN,
    }
)
"""All that a device could ever do: goods in the hand. A lost one opens no account and manages nothing."""


def power_of(session: Session, device: Device) -> Principal | None:
    """Give the device as a caller; None when its person has no role any more in which it could scan for anybody."""
    membership = accounts.membership_in(session, person_id=device.person_id, organisation_id=device.organisation_id)
    if membership is None or membership.organisation.status is not OrganisationStatus.APPROVED:
        return None
    kind = membership.organisation.kind
    then, now = permissions_in(kind, device.role), permissions_in(kind, membership.role)
    allowed = then & now & DEVICE_POWERS
    if Permission.VERIFY_PROFESSIONAL not in allowed:
        return None
    return Principal(
        organisation_id=device.organisation_id,
        role=_role(device.role, membership.role, then, now),
        machine=device.machine,
        permissions=allowed,
        name=device.name,
    )


def client_of_device(session: Session, client_id: str) -> OAuthClient | None:
    """Give the device as an OAuth client that signs its assertions; asked again every few seconds while it works."""
    kind, _, device_id = client_id.partition(":")
    device = find_device(session, device_id) if kind == "device" else None
    if device is None:
        return None
    power = power_of(session, device)
    public = encode_base64url(device.public_key.public_bytes_raw()).decode("ascii")
    return OAuthClient(
        client_id=device.machine,
        organisation_id=device.organisation_id,
        role=device.role if power is None or power.role is None else power.role,
        machine=device.machine,
        name=device.name,
        scopes=frozenset() if power is None else power.permissions,
        public_jwk={"kty": "OKP", "crv": "Ed25519", "x": public, "kid": device.machine},
        valid=power is not None and device.works(now_ms()),
    )


def _role(enrolled: Role, present: Role, then: frozenset[Permission], now: frozenset[Permission]) -> Role:
    """The role that answers are made for: the enrolled one, unless the present one may less."""
    return enrolled if then <= now else present
