"""Values of access as the API says them: wire names, RFC 3339 times, never a secret."""

from typing import Any

from app.access.values import ApiKey, CertificateRecord, ClientRecord, Machine
from app.core.clock import to_iso


def api_key_answer(key: ApiKey) -> dict[str, Any]:
    """One API key without its secret."""
    return {"prefix": key.prefix, **_machine_answer(key)}


def client_answer(client: ClientRecord) -> dict[str, Any]:
    """One client of the token endpoint without its secret."""
    return {"client_id": client.client_id, "public_jwk": client.public_jwk, **_machine_answer(client)}


def certificate_answer(certificate: CertificateRecord) -> dict[str, Any]:
    """One client certificate."""
    return {"thumbprint": certificate.thumbprint, **_machine_answer(certificate)}


def _machine_answer(machine: Machine) -> dict[str, Any]:
    return {
        "machine": machine.machine,
        "name": machine.name,
        "role": machine.role.value,
        "scopes": None if machine.scopes is None else sorted(machine.scopes),
        "created_by": machine.created_by,
        "created_at": to_iso(machine.created_at),
        "expires_at": to_iso(machine.expires_at),
        "revoked_at": None if machine.revoked_at is None else to_iso(machine.revoked_at),
        "last_used_on": None if machine.last_used_at is None else to_iso(machine.last_used_at)[:10],
    }
