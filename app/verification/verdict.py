"""The verdict: four axes that are never one colour, the reasons, and how they are summed up for a person.

Pure. Wire names of the axes are the enum values, in capitals as published; reason codes are stable: customs systems
branch on them.
"""

from dataclasses import dataclass
from enum import StrEnum

from app.facts.vocabulary import Status

__all__ = ["AskerRole", "Authenticity", "Labour", "Reason", "Risk", "Status", "Summary", "Verdict"]


class Authenticity(StrEnum):
    """Whether the registry issued this code for this unit."""

    REGISTERED = "REGISTERED"
    SIGNATURE_VALID_NOT_CONFIRMED = "SIGNATURE_VALID_NOT_CONFIRMED"
    UNKNOWN_UNIT = "UNKNOWN_UNIT"
    INVALID_SIGNATURE = "INVALID_SIGNATURE"
    SIGNATURE_MISSING = "SIGNATURE_MISSING"
    KEY_REVOKED = "KEY_REVOKED"
    KEY_EXPIRED = "KEY_EXPIRED"
    KEY_NOT_ENTITLED = "KEY_NOT_ENTITLED"
    FOREIGN_HOST = "FOREIGN_HOST"
    UNREADABLE = "UNREADABLE"
    NOT_CHECKED = "NOT_CHECKED"


class Risk(StrEnum):
    """How much the scans and events around this unit look like a copy."""

    NONE = "NONE"
    NOTE = "NOTE"
    REVIEW = "REVIEW"
    SUSPECT = "SUSPECT"


class Labour(StrEnum):
    """What is known about forced labour for the jurisdiction asked; no answer (None) when it was not asked."""

    NO_ADVERSE_FINDING = "NO_ADVERSE_FINDING"
    INCOMPLETE = "INCOMPLETE"
    REVIEW = "REVIEW"
    HOLD = "HOLD"
    PROHIBITED = "PROHIBITED"


class Summary(StrEnum):
    """The one word for a person."""

    PASS = "PASS"  # noqa: S105  a verdict, not a password
    CHECK = "CHECK"
    STOP = "STOP"


class AskerRole(StrEnum):
    """For whom the verdict is summed up."""

    PUBLIC = "public"
    SHOP = "shop"
    INSPECTOR = "inspector"
    CUSTOMS = "customs"


class Reason(StrEnum):
    """Why the verdict is what it is."""

    # authenticity
    SIGNATURE_VALID = "signature_valid"
    SERIAL_CONFIRMED = "serial_confirmed"  # compact profile: the unguessable serial itself is what was checked
    SIGNATURE_DOES_NOT_FIT = "signature_does_not_fit"
    SIGNATURE_ABSENT = "signature_absent"
    SIGNATURE_KEY_UNKNOWN = "signature_key_unknown"
    SIGNED_BY_ANOTHER_KEY = "signed_by_another_key"  # not the key recorded for this batch
    UNIT_NOT_REGISTERED = "unit_not_registered"
    NO_SERIAL = "no_serial"
    NOT_A_REGISTRY_CODE = "not_a_registry_code"
    KEY_REVOKED_BEFORE_BATCH = "key_revoked_before_batch"
    KEY_EXPIRED_BEFORE_BATCH = "key_expired_before_batch"
    KEY_REGISTERED_AFTER_BATCH = "key_registered_after_batch"
    ISSUER_NOT_ENTITLED = "issuer_not_entitled"
    ISSUER_SUSPENDED = "issuer_suspended"  # the registry has closed the issuer's access for now
    CODE_UNREADABLE = "code_unreadable"
    LOT_DIFFERS = "lot_differs"
    EXPIRY_DIFFERS = "expiry_differs"
    # status
    STOLEN = "stolen"
    SEIZED = "seized"
    RECALLED = "recalled"
    DESTROYED = "destroyed"
    LOCKED = "locked"
    HELD = "held"
    EXPIRED = "expired"
    EXPORTED = "exported"
    SOLD = "sold"
    DISPENSED = "dispensed"
    SAMPLED = "sampled"
    RETURNED = "returned"
    NOT_ACTIVATED = "not_activated"
    # risk
    SAME_SESSION = "same_session"
    SOLD_TWICE = "sold_twice"
    SOLD_ELSEWHERE = "sold_elsewhere"
    SEEN_AFTER_SALE = "seen_after_sale"
    RETAIL_BEFORE_ACTIVATION = "retail_before_activation"
    MANY_DEVICES = "many_devices"
    # circumstances
    DEVICE_CLOCK_AHEAD = "device_clock_ahead"
    SCANNED_OFFLINE = "scanned_offline"


@dataclass(frozen=True, slots=True)
class Verdict:
    """One answer. `labour` is None when that axis is not part of the answer; `risk` likewise."""

    authenticity: Authenticity
    status: frozenset[Status]
    risk: Risk | None
    labour: Labour | None
    summary: Summary
    reasons: tuple[Reason, ...]
