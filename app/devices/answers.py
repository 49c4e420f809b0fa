"""Values of devices as the API says them: wire names, RFC 3339 times."""

from typing import Any

from app.accounts.values import Organisation
from app.core.clock import to_iso
from app.devices.values import Device, ListedDevice


def enrolled_answer(device: Device, organisation: Organisation, *, token_endpoint: str) -> dict[str, Any]:
    """What a device learns of itself."""
    return {
        "id": device.id,
        "client_id": device.machine,
        "token_endpoint": token_endpoint,
        "name": device.name,
        "organisation": organisation.name,
        "role": device.role.value,
        "lease_until": to_iso(device.lease_until),
    }


def device_answer(listed: ListedDevice) -> dict[str, Any]:
    """One device for those who look after it."""
    device, counts = listed.device, listed.counts
    return {
        "id": device.id,
        "name": device.name,
        "person": listed.person_name,
        "role": device.role.value,
        "enrolled_at": to_iso(device.enrolled_at),
        "lease_until": to_iso(device.lease_until),
        "last_contact_at": to_iso(device.last_contact_at),
        "revoked_at": None if device.revoked_at is None else to_iso(device.revoked_at),
        "revoked_from": None if device.revoked_from is None else to_iso(device.revoked_from),
        "revocation_reason": device.revocation_reason,
        "scans": counts.received,
        "missing": counts.missing,
        "conflicts": counts.conflicts,
        "since_loss": counts.since_loss,
    }
