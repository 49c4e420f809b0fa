"""Values of the access feature: what its use cases give back. Nothing here knows the database."""

from dataclasses import dataclass

from app.core.authorisation import Permission, Role


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What every machine has that acts for an organisation. Times are milliseconds; last_used_at: begin of the day."""

    machine: str
    name: str
    role: Role
    scopes: frozenset[Permission] | None
    created_by: str
    created_at: int
    expires_at: int
    revoked_at: int | None
    last_used_at: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey(Machine):
    """A machine's key without its secret; `prefix`, the first characters of the secret, is its name on the wire."""

    prefix: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientRecord(Machine):
    """A client of the token endpoint, without its secret. public_jwk: the key it signs with; None with a secret."""

    client_id: str
    public_jwk: dict[str, str] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateRecord(Machine):
    """A registered client certificate; `thumbprint` is SHA-256 in lower-case hexadecimal digits."""

    thumbprint: str
