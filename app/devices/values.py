"""Values of the devices feature. Nothing here knows the database."""

from dataclasses import dataclass
from enum import StrEnum

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from app.core.authorisation import Principal, Role
from scanners.signed_scans import ScanStatement


class Standing(StrEnum):
    """What a device's signature under a scan was worth when the scan came in."""

    GOOD = "good"
    LATE = "late"  # signed while the lease ran, handed in after it
    LEASE_ENDED = "lease_ended"  # signed after the lease had ended
    REVOKED = "revoked"  # came in after the device was revoked, whatever time it names
    NO_ROLE = "no_role"  # the device's person has no role any more that could make professional scans

    @property
    def counts(self) -> bool:
        """Whether the scan may count as that of a professional."""
        return self in (Standing.GOOD, Standing.LATE)


@dataclass(frozen=True, slots=True)
class Device:
    """A device that signs the scans of one person; times in ms. `revoked_from` is the time its loss is dated to."""

    id: str
    organisation_id: int
    person_id: int
    name: str
    role: Role
    public_key: Ed25519PublicKey
    enrolled_at: int
    lease_until: int
    last_contact_at: int
    revoked_at: int | None
    revoked_from: int | None
    revocation_reason: str | None

    @property
    def machine(self) -> str:
        """The device's name in records, in tokens and as the key id of what it signs."""
        return f"device:{self.id}"

    def works(self, now: int) -> bool:
        """Whether the device is neither revoked nor past its lease."""
        return self.revoked_at is None and now < self.lease_until


@dataclass(frozen=True, slots=True)
class EnrolmentCode:
    """A code that was just made; shown once."""

    code: str
    expires_at: int


@dataclass(frozen=True, slots=True)
class SignedCounts:
    """The signed scans of a device.

    missing: numbers below the highest that did not come in. conflicts: scans under a number that was used for another.
    since_loss: scans that, by their own time, were signed after the time its loss is dated to.
    """

    received: int = 0
    missing: int = 0
    conflicts: int = 0
    since_loss: int = 0


@dataclass(frozen=True, slots=True)
class ListedDevice:
    """A device as lists show it; the person is named there, and only there."""

    device: Device
    person_name: str
    counts: SignedCounts


@dataclass(frozen=True, slots=True)
class SignedScan:
    """A signed scan that was taken in. power: for whom the scan is made; None when the signature does not count."""

    device_id: str
    statement: ScanStatement
    digest: str
    standing: Standing
    power: Principal | None
