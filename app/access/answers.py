"""Values of access as the API says them: wire names, RFC 3339 times, never a secret."""

from typing import Any

from app.access.values import ApiKey
from app.core.clock import to_iso


def api_key_answer(key: ApiKey) -> dict[str, Any]:
    """One API key without its secret."""
    return {
        "prefix": key.prefix,
        "name": key.name,
        "role": key.role.value,
        "scopes": None if key.scopes is None else sorted(key.scopes),
        "created_by": key.created_by,
        "created_at": to_iso(key.created_at),
        "expires_at": to_iso(key.expires_at),
        "revoked_at": None if key.revoked_at is None else to_iso(key.revoked_at),
    }
