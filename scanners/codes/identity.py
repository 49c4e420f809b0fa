"""What a code is about: one unit of a GTIN, one item of a firm without GTINs, or one case.

An identity never contains lot, expiry, host or signature: those are properties of the code that was printed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import quote

from scanners.codes.check_digits import has_valid_check_digit
from scanners.codes.errors import CodeError

GS1_RESOLVER = "https://id.gs1.org"

# Crockford base 32, upper case: no I, L, O, U.
ISSUER_PATTERN = re.compile(r"[0-9A-HJKMNP-TV-Z]{4,12}")
ITEM_PATTERN = re.compile(r"[A-Z0-9._-]{1,20}")
# AI 21: X..20 of the 82 characters of GS1 General Specifications, figure 7.11-1.
SERIAL_PATTERN = re.compile(r"""[!"%&'()*+,\-./0-9:;<=>?A-Z_a-z]{1,20}""")

# `/i/<issuer>/01/<GTIN>` is a GS1 Digital Link with the stem `/i/<issuer>`: no item may be called like a primary key.
GS1_PRIMARY_KEYS = frozenset(
    {"00", "01", "253", "255", "401", "402", "414", "415", "417"}
    | {"8003", "8004", "8006", "8010", "8013", "8017", "8018"}
)

_GTIN = re.compile(r"[0-9]{14}")
_SSCC = re.compile(r"[0-9]{18}")


class CodeKind(StrEnum):
    """The three kinds of thing that carry a code."""

    GTIN = "gtin"
    ITEM = "item"
    CASE = "case"


@dataclass(frozen=True, slots=True)
class CodeIdentity:
    """The identity of one marked thing.

    | kind | identifier | serial |
    |---|---|---|
    | GTIN | 14 digits with a valid check digit | AI 21: 1 to 20 of the 82 GS1 characters |
    | ITEM | `<ISSUER>/<ITEM>` | the same rules as AI 21 |
    | CASE | empty | SSCC: 18 digits with a valid check digit |

    Raises CodeError ("gtin", "sscc", "check_digit", "issuer", "item", "serial") when a part breaks its rule.
    """

    kind: CodeKind
    identifier: str
    serial: str

    def __post_init__(self) -> None:
        if self.kind is CodeKind.CASE:
            _check_case(self.identifier, self.serial)
            return
        if self.kind is CodeKind.GTIN:
            _check_gtin(self.identifier)
        else:
            _check_item(self.identifier)
        if not SERIAL_PATTERN.fullmatch(self.serial):
            raise CodeError("serial", "A serial has 1 to 20 characters of the GS1 set of 82 (AI 21).")
        if self.serial in {".", ".."}:
            # RFC 3986, 5.2.4: a resolver removes such path segments, so the code would lose its serial on the way.
            raise CodeError("serial", "A serial can not be “.” or “..”: web software drops them from a path.")

    @property
    def issuer(self) -> str:
        """The issuer's namespace; empty unless this is an ITEM."""
        return self.identifier.partition("/")[0] if self.kind is CodeKind.ITEM else ""

    @property
    def item(self) -> str:
        """The item reference within the issuer's namespace; empty unless this is an ITEM."""
        return self.identifier.partition("/")[2] if self.kind is CodeKind.ITEM else ""

    def elements(self) -> tuple[tuple[str, str], ...]:
        """Return the GS1 application identifiers that state this identity; none for an ITEM."""
        if self.kind is CodeKind.GTIN:
            return (("01", self.identifier), ("21", self.serial))
        if self.kind is CodeKind.CASE:
            return (("00", self.serial),)
        return ()

    def uri(self) -> str:
        """Return the canonical URI: at the GS1 resolver for GTIN and CASE, a path of the registry for ITEM."""
        serial = quote(self.serial, safe="")
        if self.kind is CodeKind.GTIN:
            return f"{GS1_RESOLVER}/01/{self.identifier}/21/{serial}"
        if self.kind is CodeKind.CASE:
            return f"{GS1_RESOLVER}/00/{serial}"
        return f"/i/{self.identifier}/{serial}"


def _check_gtin(identifier: str) -> None:
    if not _GTIN.fullmatch(identifier):
        raise CodeError("gtin", "A GTIN has 14 digits; put zeros before a shorter one.")
    if not has_valid_check_digit(identifier):
        raise CodeError("check_digit", f"The check digit of GTIN {identifier} is wrong.")


def _check_case(identifier: str, serial: str) -> None:
    if identifier:
        raise CodeError("sscc", "A case is identified by its SSCC alone.")
    if not _SSCC.fullmatch(serial):
        raise CodeError("sscc", "An SSCC has 18 digits.")
    if not has_valid_check_digit(serial):
        raise CodeError("check_digit", f"The check digit of SSCC {serial} is wrong.")


def _check_item(identifier: str) -> None:
    issuer, _, item = identifier.partition("/")
    if not ISSUER_PATTERN.fullmatch(issuer):
        raise CodeError("issuer", "An issuer namespace has 4 to 12 characters of Crockford base 32, upper case.")
    if not ITEM_PATTERN.fullmatch(item) or item in {".", ".."}:
        raise CodeError("item", "An item reference has 1 to 20 of: A-Z, 0-9, dot, hyphen, underscore.")
    if item in GS1_PRIMARY_KEYS:
        raise CodeError("item", f"The item reference {item} would make the link read as a GS1 key; choose another one.")
