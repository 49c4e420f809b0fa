"""What a device signs: that it shall be enrolled, that its lease shall go on, and each scan that it makes.

All are compact JWS as in `ledger.statement`, one type each, so that none can be taken for another. Pure: the device
signs with these functions and the registry reads with them. Formats: docs/formats.md, "Signed scans".
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from ledger.errors import StatementError
from ledger.statement import read_key_id, sign_statement, verify_statement
from ledger.strict import MAX_INTEGER, encode_base64, encode_base64url

SCAN_TYPE = "marchamo-scan+jws"
ENROLMENT_TYPE = "marchamo-enrolment+jws"
LEASE_TYPE = "marchamo-lease+jws"
VERSION = 1
ASSERTION_TYPE = "JWT"
ASSERTION_SECONDS = 120
NEW_DEVICE = "device:new"
"""The `kid` of an enrolment: the device has no name yet."""
MAX_TOKEN = 16_384
"""Characters of one signed scan; one of a printed code takes about 800."""
MAX_CODE = 2_048
MAX_PLACE_METRES = 20_000_000
PLACE_SOURCES = frozenset({"gps", "ip", "site"})

_KEY_ID = re.compile(r"device:([0-9a-hjkmnp-tv-z]{12})")
_PLAIN = re.compile(r"[!-~]{1,64}")
_ACTION = re.compile(r"[a-z_]{1,16}")
_MEMBERS = frozenset({"v", "code", "action", "scanned_at", "key", "place", "operator_saw", "offline", "seq"})


@dataclass(frozen=True, slots=True)
class ScanPlace:
    """Where a device was: millionths of a degree, metres (None: not known), and how that is known."""

    latitude: int
    longitude: int
    accuracy: int | None
    source: str


@dataclass(frozen=True, slots=True)
class ScanStatement:
    """One scan as its device states it.

    code: the text as it was scanned. scanned_at: the device's clock, ms since 1970. key: makes a retry recognisable.
    operator_saw: the verdict that the person was shown, for scans made offline. seq: the device's running number,
    counted from 1, never used twice.
    """

    code: str
    action: str
    scanned_at: int
    key: str
    seq: int
    place: ScanPlace | None = None
    operator_saw: str | None = None
    offline: bool = False

    def sign(self, private_key: Ed25519PrivateKey, device_id: str) -> str:
        """Give the signed scan; raises StatementError when it would be larger than anybody accepts."""
        place = self.place
        payload = {
            "v": VERSION,
            "code": self.code,
            "action": self.action,
            "scanned_at": self.scanned_at,
            "key": self.key,
            "place": None
            if place is None
            else {
                "latitude": place.latitude,
                "longitude": place.longitude,
                "accuracy": place.accuracy,
                "source": place.source,
            },
            "operator_saw": self.operator_saw,
            "offline": self.offline,
            "seq": self.seq,
        }
        token = sign_statement(payload, private_key=private_key, key_id=key_id_of(device_id), typ=SCAN_TYPE)
        if len(token) > MAX_TOKEN:
            raise StatementError(f"a signed scan has at most {MAX_TOKEN} characters")
        return token.decode("ascii")


def key_id_of(device_id: str) -> str:
    """Give the `kid` of a device's statements."""
    return f"device:{device_id}"


def device_named_in(token: str) -> str:
    """Give the id of the device that a token names as its signer: unverified. Raises StatementError."""
    if len(token) > MAX_TOKEN:
        raise StatementError(f"a statement of a device has at most {MAX_TOKEN} characters")
    found = _KEY_ID.fullmatch(read_key_id(token))
    if found is None:
        raise StatementError("the key id of the statement names no device")
    return found[1]


def read_scan(token: str, public_key: Ed25519PublicKey) -> ScanStatement:
    """Read a scan that exactly this key signed; raises StatementError for everything else."""
    members = verify_statement(token, public_key=public_key, typ=SCAN_TYPE, max_bytes=MAX_TOKEN).payload
    if members.keys() != _MEMBERS or not _is_whole(members["v"], VERSION, VERSION):
        raise StatementError("a signed scan has exactly the members of version 1")
    if not (isinstance(members["code"], str) and 1 <= len(members["code"]) <= MAX_CODE):
        raise StatementError(f"the code of a signed scan is a text of 1 to {MAX_CODE} characters")
    if not (isinstance(members["action"], str) and _ACTION.fullmatch(members["action"])):
        raise StatementError("the action of a signed scan is a word")
    if not _is_whole(members["scanned_at"], 0, MAX_INTEGER) or not _is_whole(members["seq"], 1, MAX_INTEGER):
        raise StatementError("the time and the running number of a signed scan are whole numbers")
    saw = members["operator_saw"]
    if not _is_plain(members["key"]) or not (saw is None or _is_plain(saw)):
        raise StatementError("the key of a signed scan, and what the operator saw, are 1 to 64 visible characters")
    if not isinstance(members["offline"], bool):
        raise StatementError("a signed scan was made offline or not")
    return ScanStatement(
        code=members["code"],
        action=members["action"],
        scanned_at=members["scanned_at"],
        key=members["key"],
        seq=members["seq"],
        place=_place(members["place"]),
        operator_saw=saw,
        offline=members["offline"],
    )


def scan_digest(token: str) -> str:
    """Give the SHA-256 of a signed scan in base64url: what the scan, and the ledger through it, keeps of it."""
    return encode_base64url(hashlib.sha256(token.encode("ascii")).digest()).decode("ascii")


def sign_enrolment(private_key: Ed25519PrivateKey, *, code: str, name: str) -> str:
    """Show that the device has the key that it wants to be known by."""
    payload = _enrolment(private_key.public_key(), code=code, name=name)
    return sign_statement(payload, private_key=private_key, key_id=NEW_DEVICE, typ=ENROLMENT_TYPE).decode("ascii")


def check_enrolment(token: str, public_key: Ed25519PublicKey, *, code: str, name: str) -> None:
    """Check that the holder of this key asks for this enrolment; raises StatementError."""
    statement = verify_statement(token, public_key=public_key, typ=ENROLMENT_TYPE, max_bytes=MAX_TOKEN)
    if statement.payload != _enrolment(public_key, code=code, name=name):
        raise StatementError("the device asked for another enrolment")


def sign_lease(private_key: Ed25519PrivateKey, *, device_id: str, at: int) -> str:
    """Ask for the lease to go on; at: the device's clock, ms."""
    payload = {"v": VERSION, "device": device_id, "time": at}
    token = sign_statement(payload, private_key=private_key, key_id=key_id_of(device_id), typ=LEASE_TYPE)
    return token.decode("ascii")


def sign_assertion(private_key: Ed25519PrivateKey, *, device_id: str, endpoint: str, now: int, nonce: str) -> str:
    """Ask the token endpoint for an access token (RFC 7523 section 3). now: seconds; nonce: used once."""
    name = key_id_of(device_id)
    claims = {"iss": name, "sub": name, "aud": endpoint, "iat": now, "exp": now + ASSERTION_SECONDS, "jti": nonce}
    return sign_statement(claims, private_key=private_key, key_id=name, typ=ASSERTION_TYPE).decode("ascii")


def read_lease(token: str, public_key: Ed25519PublicKey, *, device_id: str) -> int:
    """Give the time at which the device asked for its lease to go on; raises StatementError."""
    members = verify_statement(token, public_key=public_key, typ=LEASE_TYPE, max_bytes=MAX_TOKEN).payload
    at = members.get("time")
    if members != {"v": VERSION, "device": device_id, "time": at} or not _is_whole(at, 0, MAX_INTEGER):
        raise StatementError("this is no request of this device for its lease")
    return int(members["time"])


def _enrolment(public_key: Ed25519PublicKey, *, code: str, name: str) -> dict[str, Any]:
    return {"v": VERSION, "code": code, "name": name, "public_key": encode_base64(public_key.public_bytes_raw())}


def _place(value: object) -> ScanPlace | None:
    if value is None:
        return None
    names = {"latitude", "longitude", "accuracy", "source"}
    if not (isinstance(value, Mapping) and value.keys() == names):
        raise StatementError("the place of a signed scan is malformed")
    accuracy, source = value["accuracy"], value["source"]
    if not (isinstance(source, str) and source in PLACE_SOURCES):
        raise StatementError("the source of a place is gps, ip or site")
    if not (
        _is_whole(value["latitude"], -90_000_000, 90_000_000)
        and _is_whole(value["longitude"], -180_000_000, 180_000_000)
        and (accuracy is None or _is_whole(accuracy, 0, MAX_PLACE_METRES))
    ):
        raise StatementError("the place of a signed scan is not on Earth")
    return ScanPlace(value["latitude"], value["longitude"], accuracy, source)


def _is_whole(value: object, least: int, greatest: int) -> bool:
    return type(value) is int and least <= value <= greatest


def _is_plain(value: object) -> bool:
    return isinstance(value, str) and _PLAIN.fullmatch(value) is not None
