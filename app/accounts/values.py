"""Values of the accounts feature: what its use cases give back. Nothing here knows the database."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from app.accounts.vocabulary import (
    KeyHolder,
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
    """A firm, shop, authority or the registry itself; `issuer` is its name on the wire.

    jurisdiction: ISO 3166-1 alpha-2 codes of the countries in which an authority may act; empty for all others.
    """

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
    jurisdiction: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Right:
    """A right to issue codes, asked for or decided; `reference` is its name on the wire.

    quota: units in all. lot_quota: units of one GTIN and lot, whoever makes them. Both None for no limit.
    evidence_sha256: of the document handed in, in hexadecimal digits.
    """

    reference: str
    organisation_id: int
    kind: RightKind
    value: str
    granted_by: int | None
    quota: int | None
    lot_quota: int | None
    used: int
    valid_from: int
    valid_until: int | None
    evidence: str
    status: RightStatus
    requested_at: int
    decided_at: int | None
    decision_reason: str | None
    log_index: int | None
    evidence_sha256: str | None = None


@dataclass(frozen=True, slots=True)
class Entitlement:
    """The right under which a GTIN or case may be commissioned now.

    lot_quota: the largest number of units of one lot, by this right or by that of the owner behind a delegation.
    """

    right_id: int
    organisation_id: int
    kind: RightKind
    value: str
    quota: int | None
    lot_quota: int | None
    used: int
    granted_by: int | None = None

    @property
    def remaining(self) -> int | None:
        """Units that may still be commissioned; None where there is no quota."""
        return None if self.quota is None else max(0, self.quota - self.used)


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """What everybody may know of an organisation's key; positions are ledger indexes, times milliseconds.

    revoked_index: where the revocation stands. revoked_from: from which position on batches of this key do not count;
    the same one, or an earlier one when the theft was earlier.
    """

    key_id: int
    organisation_id: int
    purpose: OrganisationKeyPurpose
    holder: KeyHolder
    public_key: bytes
    created_at: int
    valid_until: int
    registered_index: int
    revoked_at: int | None
    revoked_index: int | None
    revoked_from: int | None
    revocation_reason: str | None


@dataclass(frozen=True, slots=True)
class OrganisationKey:
    """A key that the service holds, opened to sign with."""

    key_id: int
    private_key: Ed25519PrivateKey
    public_key: Ed25519PublicKey
    valid_until: int
    registered_index: int
    revoked_index: int | None


@dataclass(frozen=True, slots=True)
class PublicCodeKey:
    """The key named in a code's `S`, ready to verify with.

    revoked_from: the first ledger position at which a batch of this key does not count any more. issuer_suspended:
    the registry has closed its organisation's access for now.
    """

    key_id: int
    organisation_id: int
    public_key: Ed25519PublicKey
    valid_until: int
    registered_index: int
    revoked_at: int | None
    revoked_from: int | None
    holder: KeyHolder = KeyHolder.SERVICE
    issuer_suspended: bool = False


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
