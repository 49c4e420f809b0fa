"""Values of the accounts feature: what its use cases give back. Nothing here knows the database."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from app.accounts.vocabulary import (
    OrganisationKeyPurpose,
    OrganisationKind,
    OrganisationStatus,
    RightKind,
    RightStatus,
)
from app.core.authorisation import Role
from ledger.statement import STATEMENT_TYPE, sign_statement


@dataclass(frozen=True, slots=True)
class Organisation:
    """A firm, shop, authority or the registry itself; `issuer` is its name on the wire."""

    id: int
    issuer: str
    name: str
    country: str
    kind: OrganisationKind
    status: OrganisationStatus
    created_at: int
    decided_at: int | None
    decision_reason: str | None
    log_index: int | None


@dataclass(frozen=True, slots=True)
class Right:
    """A right to issue codes, asked for or decided; `reference` is its name on the wire."""

    reference: str
    organisation_id: int
    kind: RightKind
    value: str
    granted_by: int | None
    quota: int | None
    used: int
    valid_from: int
    valid_until: int | None
    evidence: str
    status: RightStatus
    requested_at: int
    decided_at: int | None
    decision_reason: str | None
    log_index: int | None


@dataclass(frozen=True, slots=True)
class Entitlement:
    """The right under which a GTIN or case may be commissioned now."""

    right_id: int
    organisation_id: int
    kind: RightKind
    value: str
    quota: int | None
    used: int

    @property
    def remaining(self) -> int | None:
        """Units that may still be commissioned; None where there is no quota."""
        return None if self.quota is None else max(0, self.quota - self.used)


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """What everybody may know of an organisation's key; positions are ledger indexes, times milliseconds."""

    key_id: int
    organisation_id: int
    purpose: OrganisationKeyPurpose
    public_key: bytes
    created_at: int
    valid_until: int
    registered_index: int
    revoked_at: int | None
    revoked_index: int | None
    revocation_reason: str | None


@dataclass(frozen=True, slots=True)
class OrganisationKey:
    """A key to sign with, opened."""

    key_id: int
    private_key: Ed25519PrivateKey
    public_key: Ed25519PublicKey
    valid_until: int
    registered_index: int
    revoked_index: int | None


@dataclass(frozen=True, slots=True)
class PublicCodeKey:
    """The key named in a code's `S`, ready to verify with."""

    key_id: int
    organisation_id: int
    public_key: Ed25519PublicKey
    valid_until: int
    registered_index: int
    revoked_at: int | None
    revoked_index: int | None


@dataclass(frozen=True, slots=True)
class Signer:
    """Signs statements in one organisation's name; `key_id` is the JWS `kid`: ``org:<key id>``."""

    key_id: str
    private_key: Ed25519PrivateKey

    def sign(self, payload: Mapping[str, Any]) -> bytes:
        """The payload as a compact JWS of type ``marchamo-statement+jws``."""
        return sign_statement(payload, private_key=self.private_key, key_id=self.key_id, typ=STATEMENT_TYPE)


@dataclass(frozen=True, slots=True)
class Member:
    """A person's place in an organisation."""

    email: str
    name: str
    role: Role


@dataclass(frozen=True, slots=True)
class Membership:
    """An organisation in which a person has a role."""

    organisation: Organisation
    role: Role
