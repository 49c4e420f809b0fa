"""Signed statements: compact JWS (RFC 7515) over a JSON object, signed with Ed25519 (RFC 8037).

One algorithm and one shape: the protected header holds exactly `alg`, `kid` and `typ`. `alg` is "EdDSA" and the key
must be an Ed25519 key. RFC 9864 deprecates that name because it leaves the curve open; here the key fixes the curve,
and "EdDSA" is the name that JOSE libraries in the field verify. Its successor "Ed25519" is not accepted beside it: two
names for one thing would be two encodings of one statement. `typ` separates the domains: a receipt can never be taken
for a statement, whoever signed it. The bytes that were signed are the bytes that are stored and hashed; nothing is
ever serialised again.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from ledger.errors import FormatError, StatementError
from ledger.strict import decode_base64url, decode_json_object, encode_base64url, encode_json

ALGORITHM = "EdDSA"
STATEMENT_TYPE = "marchamo-statement+jws"
"""What an actor states and the log records."""
RECEIPT_TYPE = "marchamo-receipt+jws"
"""What the service answers to a verification."""

MAX_STATEMENT_SIZE = 131_072
"""An event that names 1,000 units takes about 81,000."""
_HEADER_MEMBERS = frozenset({"alg", "kid", "typ"})
_MAX_HEADER_SIZE = 512
_NAME = re.compile(r"[!-~]{1,128}")


@dataclass(frozen=True, slots=True)
class Statement:
    """A verified statement: its JSON object, the key id and type of its header, and the token byte for byte."""

    payload: Mapping[str, Any]
    key_id: str
    typ: str
    token: bytes


def sign_statement(payload: Mapping[str, Any], *, private_key: Ed25519PrivateKey, key_id: str, typ: str) -> bytes:
    """Sign a JSON object and give the compact JWS as ASCII bytes.

    Raises StatementError when the result would be larger than anybody accepts.
    """
    return sign_encoded(encode_json(payload), private_key=private_key, key_id=key_id, typ=typ)


def sign_encoded(payload: bytes, *, private_key: Ed25519PrivateKey, key_id: str, typ: str) -> bytes:
    """Sign the UTF-8 JSON object `payload` as it stands; for callers with an encoder of their own on a hot path.

    Raises StatementError when the result would be larger than anybody accepts.
    """
    signed = _header(key_id, typ) + encode_base64url(payload)
    token = signed + b"." + encode_base64url(private_key.sign(signed))
    if len(token) > MAX_STATEMENT_SIZE:
        raise StatementError(f"a statement has at most {MAX_STATEMENT_SIZE} bytes, this has {len(token)}")
    return token


def verify_statement(
    token: bytes | str, *, public_key: Ed25519PublicKey, typ: str, max_bytes: int = MAX_STATEMENT_SIZE
) -> Statement:
    """Read a statement of exactly this type, signed by exactly this key.

    Raises StatementError for everything else: another algorithm, a further header member (`crit`, `jwk`, ...), a JSON
    member given twice, another spelling of the base64, a payload that is no JSON object, a size above max_bytes.
    """
    data, (header, payload, signature) = _split(token, max_bytes)
    key_id, stated_typ = _read_header(header)
    if stated_typ != typ:
        raise StatementError(f"expected a {typ}, found another type of statement")
    try:
        public_key.verify(_decode(signature, "signature"), data[: -len(signature) - 1])
    except InvalidSignature:
        raise StatementError(
            "the signature of the statement does not fit: it was changed or signed by another key"
        ) from None
    return Statement(_read_payload(payload), key_id, typ, data)


def read_key_id(token: bytes | str) -> str:
    """Give the key id a statement names, to look its key up. Unverified: trust nothing before verify_statement."""
    _, (header, _, _) = _split(token, MAX_STATEMENT_SIZE)
    return _read_header(header)[0]


def read_unverified(token: bytes | str) -> Statement:
    """Read a well-formed statement without checking who signed it.

    For auditors who hold no key of the issuer and want to see what was logged; never for a decision.
    """
    data, (header, payload, _) = _split(token, MAX_STATEMENT_SIZE)
    key_id, typ = _read_header(header)
    return Statement(_read_payload(payload), key_id, typ, data)


@lru_cache(maxsize=1024)
def _header(key_id: str, typ: str) -> bytes:
    """Encode the header with its dot; a signer uses few, and receipts are signed on the hot path."""
    _check_names(key_id, typ)
    encoded = encode_base64url(encode_json({"alg": ALGORITHM, "kid": key_id, "typ": typ}))
    if len(encoded) > _MAX_HEADER_SIZE:
        raise StatementError("the key id or the type of the statement is too long")
    return encoded + b"."


def _split(token: bytes | str, max_bytes: int) -> tuple[bytes, tuple[bytes, bytes, bytes]]:
    if len(token) > max_bytes:
        raise StatementError(f"a statement has at most {max_bytes} bytes")
    try:
        data = token.encode("ascii") if isinstance(token, str) else bytes(token)
    except UnicodeEncodeError:
        raise StatementError("a statement is ASCII text") from None
    parts = data.split(b".")
    if len(parts) != 3:
        raise StatementError("a statement has three parts, separated by dots")
    return data, (parts[0], parts[1], parts[2])


def _decode(part: bytes, name: str) -> bytes:
    try:
        return decode_base64url(part)
    except FormatError as error:
        raise StatementError(f"the {name} of the statement is malformed: {error.message}") from None


@lru_cache(maxsize=1024)
def _read_header(part: bytes) -> tuple[str, str]:
    """Give key id and type of an encoded header. Few distinct ones exist: they are read once."""
    if len(part) > _MAX_HEADER_SIZE:
        raise StatementError("the header of the statement is too long")
    try:
        header = decode_json_object(_decode(part, "header"))
    except FormatError as error:
        raise StatementError(f"the header of the statement is malformed: {error.message}") from None
    if header.keys() != _HEADER_MEMBERS:
        raise StatementError("the header of a statement has exactly the members alg, kid and typ")
    if header["alg"] != ALGORITHM:
        raise StatementError(f"the algorithm of a statement is {ALGORITHM}, nothing else")
    key_id, typ = header["kid"], header["typ"]
    _check_names(key_id, typ)
    return key_id, typ


def _check_names(key_id: object, typ: object) -> None:
    for name, value in (("kid", key_id), ("typ", typ)):
        if not isinstance(value, str) or not _NAME.fullmatch(value):
            raise StatementError(f"the {name} of a statement is 1 to 128 visible ASCII characters")


def _read_payload(part: bytes) -> dict[str, Any]:
    try:
        return decode_json_object(_decode(part, "payload"))
    except FormatError as error:
        raise StatementError(f"the payload of the statement is malformed: {error.message}") from None
