"""One observation of one code, and what every store of scans promises."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from app.facts.epcis import Place

RECENT = 50
"""Earlier scans of a unit that come back with a new one, newest first."""

PAGE = 1_000
"""Scans read at once when all are gone through."""

PART_BITS = 4
"""A store has at most sixteen parts, each with an order of arrival of its own."""

MOST_COUNTED = 1_000
"""Where `ScanStore.count_since` stops: its figure is for orientation."""

MAX_DEVICE = 64
MAX_KEY = 64
MAX_OPERATOR_SAW = 64


class Scan(NamedTuple):
    """What somebody saw, where and when. Times in milliseconds; latitude and longitude in millionths of a degree.

    unit_id: a unit of ours, or for any other code a negative number made from the code's digest. device and key
    together make the scan unique for the unit: the same again is a retry, not a second scan. scanned_at: the device's
    clock, received_at: ours; their difference is the clock's offset. signature: what the check of the code's signature
    gave when it was scanned. code_digest: SHA-256 of the code's canonical form. statement: for a scan that its device
    signed, the digest of what it signed (`app.devices`), 43 characters; None for all others.
    """

    unit_id: int
    device: str
    key: str
    received_at: int
    scanned_at: int
    role: str
    organisation_id: int | None
    action: str
    latitude: int | None
    longitude: int | None
    accuracy: int | None
    place_source: str
    offline: bool
    operator_saw: str | None
    signature: str
    code_digest: bytes
    statement: str | None = None

    @property
    def place(self) -> Place:
        """Where the code was scanned."""
        return Place(self.latitude, self.longitude, self.accuracy, self.place_source)


@dataclass(frozen=True, slots=True)
class RecordedScan:
    """A scan that is stored, whether it was new, and the unit's other scans, newest first, at most `RECENT`."""

    scan: Scan
    first: bool
    earlier: tuple[Scan, ...]


@dataclass(frozen=True, slots=True)
class ScanCount:
    """A number of scans for orientation; `at_least` when counting stopped early."""

    scans: int
    at_least: bool


class ScanStore(Protocol):
    """Keeps scans. A scan that `record` returned survives what the setting `scan_durability` names."""

    def record(self, scan: Scan) -> RecordedScan:
        """Store a scan; a retry stores nothing and gives back the first copy."""

    def record_many(self, found: Sequence[Scan]) -> list[RecordedScan]:
        """Store scans as `record` does, with one wait for the disk instead of one each."""

    def recent(self, unit_id: int, limit: int = RECENT) -> list[Scan]:
        """Give the newest scans of a unit, newest first."""

    def count(self) -> int:
        """Count all scans."""

    def count_since(self, units: Sequence[range], since: int) -> ScanCount:
        """Count the scans of ranges of unit numbers that came in at `since` (ms) or later.

        Scans are kept by unit, not by time: an index by time would cost every recording. So this looks at the scans in
        the order of the ranges, and stops when it has found `MOST_COUNTED` or looked at as many as each store bears.
        """

    def settled(self) -> dict[int, int]:
        """Give, for each part of the store, an arrival up to which nothing can come any more.

        Arrivals count the scans of a part as they become visible, whatever clock a device or a process had: all scans
        up to the number given are there, now and for ever. Parts without scans are left out.
        """

    def arrived(self, part: int, after: int, upto: int) -> Iterator[tuple[int, Scan]]:
        """Give (arrival, scan) of a part in order, from behind `after` up to and including `upto`."""

    def signed(self) -> Iterator[tuple[int, int, Scan]]:
        """Give (part, arrival, scan) of every scan that a device signed: for audits, since all scans are looked at."""

    def place_of(self, unit_id: int, device: str, key: str) -> tuple[int, int] | None:
        """Give the part in which a scan lies and its arrival there; None when there is no such scan."""

    def replace(self, part: int, redacted: Sequence[tuple[int, Scan]]) -> None:
        """Put scans of a part in the place of those with their arrivals, in one transaction: for redaction alone."""

    def sweep(self) -> None:
        """Overwrite what is kept of rows that were replaced, where the store can."""

    def close(self) -> None:
        """Close what is held open."""


def count_within(most_visited: int, parts: Iterable[Callable[[int], Sequence[int]]]) -> ScanCount:
    """Add parts up within the bounds of `ScanStore.count_since`.

    A part takes the number of scans it may look at and gives how many it looked at, and how many of these count.
    """
    visited = counted = 0
    for part in parts:
        more, found = part(most_visited - visited)
        visited, counted = visited + more, counted + found
        if counted >= MOST_COUNTED or visited >= most_visited:
            return ScanCount(min(counted, MOST_COUNTED), at_least=True)
    return ScanCount(counted, at_least=False)


def scan_id(scan: Scan) -> str:
    """Give the name of a scan for receipts: 128 bits that say nothing about it and are the same for each retry."""
    text = f"{scan.unit_id}\0{scan.device}\0{scan.key}"
    return hashlib.blake2s(text.encode(), digest_size=16, person=b"scan id").hexdigest()


def scan_number(part: int, arrival: int) -> int:
    """Give the number under which the ledger's commitments know a scan: unique within the registry."""
    return arrival << PART_BITS | part


def digest_id(code_digest: bytes) -> int:
    """Give the negative number under which a code that is no unit of ours is counted."""
    return -1 - (int.from_bytes(code_digest[:8], "big") >> 2)
