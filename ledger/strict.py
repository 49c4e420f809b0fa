"""Strict readers for the small encodings inside the ledger's formats.

Each accepts exactly one spelling of a value: two spellings of the same thing would let one signed object have two
hashes. They raise `FormatError`; the callers turn that into the error of their own format.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from typing import Any

from ledger.errors import FormatError

MAX_INTEGER = 2**63 - 1
"""Greatest tree size and index: a signed 64-bit integer, as in Go's sumdb and in SQL."""

_MAX_DECIMAL_DIGITS = len(str(MAX_INTEGER))
_MAX_JSON_DEPTH = 32
# Whatever follows a quote matches, closed or not, and nothing is tried twice: the time is linear for any text.
_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.DOTALL)
_NO_BRACKETS = bytes(byte for byte in range(256) if byte not in b"[]{}")
_canonical = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False)


def encode_base64(data: bytes) -> str:
    """Encode as standard padded base64 (RFC 4648 section 4)."""
    return binascii.b2a_base64(data, newline=False).decode("ascii")


def decode_base64(text: str, *, size: int | None = None) -> bytes:
    """Decode standard padded base64, refusing every spelling that encoding would not give back.

    Raises FormatError, also when `size` is given and the result has another length.
    """
    try:
        data = binascii.a2b_base64(text.encode("ascii"), strict_mode=True)
    except ValueError:
        raise FormatError("this is not base64") from None
    if encode_base64(data) != text:
        raise FormatError("base64 with stray bits or missing padding")
    if size is not None and len(data) != size:
        raise FormatError(f"expected {size} bytes in base64, found {len(data)}")
    return data


def encode_base64url(data: bytes) -> bytes:
    """Encode as unpadded base64url (RFC 7515 section 2)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def decode_base64url(text: bytes) -> bytes:
    """Decode unpadded base64url, refusing padding, stray bits and characters of the standard alphabet."""
    try:
        data = base64.urlsafe_b64decode(text + b"=" * (-len(text) % 4))
    except ValueError:
        raise FormatError("this is not base64url") from None
    if encode_base64url(data) != text:
        raise FormatError("base64url that is padded, has stray bits or foreign characters")
    return data


def decode_decimal(text: str) -> int:
    """Read an ASCII decimal without sign or leading zeroes, at most `MAX_INTEGER`."""
    if not (text.isascii() and text.isdigit()) or len(text) > _MAX_DECIMAL_DIGITS or (text[0] == "0" and text != "0"):
        raise FormatError("expected a decimal number without sign or leading zeroes")
    value = int(text)
    if value > MAX_INTEGER:
        raise FormatError(f"number above {MAX_INTEGER}")
    return value


def encode_json(value: Any) -> bytes:
    """Encode as the one canonical form used here: sorted keys, no white space, ASCII only, no NaN."""
    return _canonical.encode(value).encode("ascii")


def decode_json_object(data: bytes) -> dict[str, Any]:
    """Read one JSON object in UTF-8; refuses duplicate members, NaN, huge numbers and deep nesting."""
    if _nesting(data) > _MAX_JSON_DEPTH:
        raise FormatError(f"JSON nested deeper than {_MAX_JSON_DEPTH}")
    try:
        value = json.loads(
            data.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_no_constant, parse_float=_finite
        )
    except ValueError:  # JSONDecodeError, UnicodeDecodeError and integers of thousands of digits
        raise FormatError("this is not valid JSON") from None
    if not isinstance(value, dict):
        raise FormatError("expected a JSON object")
    if b"\\u" in data:
        _refuse_lone_surrogates(value)
    return value


def _nesting(data: bytes) -> int:
    """Bound the nesting from above without parsing (of text that is no JSON, up to where it stops being JSON)."""
    depth = deepest = 0
    if data.count(b"{") + data.count(b"[") <= _MAX_JSON_DEPTH:
        return 0
    for byte in _STRING.sub(b"", data).translate(None, _NO_BRACKETS):
        if byte in b"{[":
            depth += 1
            deepest = max(deepest, depth)
        else:
            depth -= 1
    return deepest


def _refuse_lone_surrogates(value: dict[str, Any]) -> None:
    """Half a surrogate pair, written as an escape, is no character: nothing could store or hash it as text."""
    try:
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        raise FormatError("JSON text with half a surrogate pair") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise FormatError("JSON object with a member given twice")
    return members


def _no_constant(name: str) -> Any:
    raise FormatError(f"JSON does not know {name}")


def _finite(text: str) -> float:
    value = float(text)
    if value in {float("inf"), float("-inf")}:
        raise FormatError("JSON number out of range")
    return value
