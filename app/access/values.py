"""Values of the access feature: what its use cases give back. Nothing here knows the database."""

from dataclasses import dataclass

from app.core.authorisation import Permission, Role


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A machine's key without its secret; `prefix`, the first characters of the secret, is its name on the wire."""

    prefix: str
    name: str
    role: Role
    scopes: frozenset[Permission] | None
    created_by: str
    created_at: int
    expires_at: int
    revoked_at: int | None
