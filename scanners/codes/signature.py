"""The signature inside a code: what is signed, how `S` is written, and which public keys are refused.

`S` is the zero-padded decimal of one version byte, four bytes of key id (big endian) and the 64 bytes of an Ed25519
signature (RFC 8032): 69 bytes, so 167 digits, which a QR code packs in numeric mode. There is exactly one way to
write a signature, and nothing is ever repaired.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from scanners.codes.errors import CodeError
from scanners.codes.identity import CodeIdentity, CodeKind

SIGNATURE_VERSION = 1
SIGNATURE_KEY = "S"
SIGNATURE_DIGITS = 167
DOMAIN = b"marchamo code v1\n"

_DIGITS = re.compile(r"[0-9]{167}")
_MAXIMUM_KEY_ID = 0xFFFFFFFF
_PAYLOAD_BYTES = 69

Elements = Iterable[tuple[str, str]]

# RFC 8032, 5.1: the field prime and the order of the prime-order subgroup of edwards25519.
_PRIME = 2**255 - 19
_D = -121665 * pow(121666, -1, _PRIME) % _PRIME


@dataclass(frozen=True, slots=True)
class CodeSignature:
    """A decoded `S`: format version, registry-assigned key id, 64 bytes of Ed25519 signature."""

    version: int
    key_id: int
    signature: bytes


def encode_signature(key_id: int, signature: bytes) -> str:
    """Return the 167 digits of `S`. Raises CodeError ("key_id", "signature_length")."""
    if len(signature) != 64:
        raise CodeError("signature_length", "An Ed25519 signature has 64 bytes.")
    payload = bytes((SIGNATURE_VERSION,)) + _key_id_bytes(key_id) + signature
    return str(int.from_bytes(payload, "big")).zfill(SIGNATURE_DIGITS)


def decode_signature(text: str) -> CodeSignature:
    """Parse `S`.

    Raises CodeError: "signature_length" (not 167 characters), "signature_digits" (something else than digits),
    "signature_range" (more than 69 bytes), "signature_version" (a version this program does not know).
    """
    if len(text) != SIGNATURE_DIGITS:
        raise CodeError("signature_length", f"The signature has {len(text)} characters instead of {SIGNATURE_DIGITS}.")
    if not _DIGITS.fullmatch(text):
        raise CodeError("signature_digits", "The signature contains something else than digits.")
    number = int(text)
    if number.bit_length() > 8 * _PAYLOAD_BYTES:
        raise CodeError("signature_range", "The signature's number is out of range.")
    payload = number.to_bytes(_PAYLOAD_BYTES, "big")
    if payload[0] != SIGNATURE_VERSION:
        raise CodeError(
            "signature_version",
            f"The signature has format version {payload[0]}; this program knows version {SIGNATURE_VERSION}.",
            fix="Update the scanner's program.",
        )
    return CodeSignature(payload[0], int.from_bytes(payload[1:5], "big"), payload[5:])


def all_elements(identity: CodeIdentity, elements: Elements) -> tuple[tuple[str, str], ...]:
    """Return every GS1 element of a code in ascending AI order, those of the identity included.

    `elements` may contain the identity's own elements or leave them out; they must not contradict it, and no AI may
    come twice with different values. Raises CodeError ("contradiction").
    """
    merged = dict(identity.elements())
    for ai, value in elements:
        if merged.setdefault(ai, value) != value:
            raise CodeError("contradiction", f"AI ({ai}) is stated twice with different values.")
    return tuple(sorted(merged.items()))


def signed_message(identity: CodeIdentity, elements: Elements, key_id: int) -> bytes:
    """Return the bytes that are signed: a domain prefix, the key id and length-prefixed fields in fixed order.

    A field is one byte of name length, the name, two bytes of value length (big endian), the value; all ASCII. GTIN
    and CASE codes sign every AI of the code, from path or query, ascending as text ("01", "10", "17", "21"). ITEM
    codes sign "issuer", "item", "serial", then the AIs of the query. Host, letter case, extension keys (`S`,
    `linkType`) and fragment are never part: a change of them must not break the signature.
    """
    fields = all_elements(identity, elements)
    if identity.kind is CodeKind.ITEM:
        own = (("issuer", identity.issuer), ("item", identity.item), ("serial", identity.serial))
        fields = own + fields
    parts = [DOMAIN, _key_id_bytes(key_id)]
    for name, value in fields:
        raw_name, raw_value = name.encode("ascii"), value.encode("ascii")
        parts += (bytes((len(raw_name),)), raw_name, len(raw_value).to_bytes(2, "big"), raw_value)
    return b"".join(parts)


def sign_code(private_key: Ed25519PrivateKey, identity: CodeIdentity, elements: Elements, key_id: int) -> str:
    """Sign a code and return the digits of `S`."""
    return encode_signature(key_id, private_key.sign(signed_message(identity, elements, key_id)))


def verify_code(public_key: Ed25519PublicKey, message: bytes, signature: bytes) -> bool:
    """Tell whether `signature` (64 bytes) is the key's signature of `message`; take keys from `load_public_key`."""
    try:
        public_key.verify(signature, message)
    except InvalidSignature:
        return False
    return True


def load_public_key(raw: bytes) -> Ed25519PublicKey:
    """Load a 32-byte Ed25519 public key. Raises CodeError ("key_length", "weak_key").

    Common libraries accept small-order points, such as 01 00 .. 00, under which one signature fits every message, and
    encodings that are not canonical, so that one key has two names. Both are refused here (RFC 8032, 5.1.3). The
    divisions can not meet a zero: d is no square of the field, -1 is one. Keep loaded keys; this costs 0.2 ms.
    """
    if len(raw) != 32:
        raise CodeError("key_length", "An Ed25519 public key has 32 bytes.")
    y = int.from_bytes(raw, "little") & ((1 << 255) - 1)
    negative = bool(raw[31] >> 7)
    x_squared = (y * y - 1) * pow(_D * y * y + 1, -1, _PRIME) % _PRIME
    on_curve = x_squared == 0 or pow(x_squared, (_PRIME - 1) // 2, _PRIME) == 1
    if y >= _PRIME or (x_squared == 0 and negative) or not on_curve:
        raise CodeError("weak_key", "These bytes are not the canonical encoding of a point of the curve.")
    if _order_divides_eight(x_squared, y):
        raise CodeError("weak_key", "This public key has small order: one signature would fit every message.")
    return Ed25519PublicKey.from_public_bytes(raw)


def _order_divides_eight(x_squared: int, y: int) -> bool:
    """Double the point three times, in coordinates that need only x² and y (the y coordinate of 2P needs no x).

    RFC 8032, 5.1.4: y(2P) = (y² + x²) / (1 - d x² y²) for a = -1; the neutral point is the only one with y = 1.
    """
    for _ in range(3):
        y_squared = y * y % _PRIME
        y = (y_squared + x_squared) * pow(1 - _D * x_squared * y_squared, -1, _PRIME) % _PRIME
        x_squared = (y * y - 1) * pow(_D * y * y + 1, -1, _PRIME) % _PRIME
    return y == 1


def _key_id_bytes(key_id: int) -> bytes:
    if not 0 <= key_id <= _MAXIMUM_KEY_ID:
        raise CodeError("key_id", "A key id has four bytes.")
    return key_id.to_bytes(4, "big")
