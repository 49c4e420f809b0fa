"""Labels of reels, trays and boxes of parts: ANSI MH10.8.2 data identifiers in an ISO/IEC 15434 envelope.

A message is `[)>` RS, then formats, each led by two digits and closed by RS, then EOT. Read are format 06 (data
identifiers); the fields within are separated by GS. Scanners often drop the closing RS and EOT: a two-dimensional
symbol is read whole or not at all, so nothing is lost with them. A linear symbol holds one field without envelope.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from scanners.codes.ai import MAXIMUM_LENGTH
from scanners.codes.code_lists import COUNTRIES_ALPHA2
from scanners.codes.errors import CodeError

GS, RS, EOT = "\x1d", "\x1e", "\x04"
ENVELOPE = "[)>"
MAXIMUM_FIELDS = 63

_FIELD = re.compile(r"(?P<identifier>[0-9]{0,3}[A-Z])(?P<value>[ -~]{1,100})")
_LOWER_CASE_FIELD = re.compile(r"[0-9]{0,3}[a-z]")
_QUANTITY = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,6})?")
# One digit and a letter: with more digits it may be a GS1 element string ("10LOT7" is AI 10).
_SINGLE_FIELD = re.compile(r"[0-9][A-Z]")
_LICENCE_PLATES = ("J", "1J", "2J", "3J", "4J", "5J", "6J")


@dataclass(frozen=True, slots=True)
class ReelLabel:
    """The fields of a label in their order: (data identifier, value)."""

    fields: tuple[tuple[str, str], ...]

    def value(self, identifier: str) -> str | None:
        """Return the value of a data identifier, None where it is absent."""
        return dict(self.fields).get(identifier)

    @property
    def part_number(self) -> str | None:
        """The manufacturer's part number (1P)."""
        return self.value("1P")

    @property
    def customer_part_number(self) -> str | None:
        """The buyer's part number (P)."""
        return self.value("P")

    @property
    def lot(self) -> str | None:
        """The lot (1T)."""
        return self.value("1T")

    @property
    def quantity(self) -> str | None:
        """The quantity (Q) in pieces, as printed: digits, perhaps a decimal point."""
        return self.value("Q")

    @property
    def date_code(self) -> str | None:
        """The date code: 9D, whose meaning the partners agree on, else 10D (year and week)."""
        return self.value("9D") or self.value("10D")

    @property
    def serial(self) -> str | None:
        """The serial number (S)."""
        return self.value("S")

    @property
    def origin(self) -> str | None:
        """The country of origin (4L), ISO 3166-1 alpha-2."""
        return self.value("4L")

    @property
    def licence_plate(self) -> str | None:
        """The licence plate of the transport unit (J, 1J to 6J; ISO/IEC 15459)."""
        return next((value for identifier, value in self.fields if identifier in _LICENCE_PLATES), None)

    def canonical(self) -> str:
        """Return the one full form of this label: envelope, fields in order, closing RS and EOT."""
        fields = "".join(GS + identifier + value for identifier, value in self.fields)
        return f"{ENVELOPE}{RS}06{fields}{RS}{EOT}"


def looks_like_reel_label(text: str) -> bool:
    """Tell whether a text is led by an ISO/IEC 15434 envelope or by one digit and a letter, as no GS1 text is."""
    return text.startswith(ENVELOPE) or _SINGLE_FIELD.match(text) is not None


def parse_reel_label(text: str) -> ReelLabel:
    """Parse a label, with envelope or as fields separated by GS.

    Raises CodeError: "too_long", "gs_lost" (control characters lost), "envelope", "envelope_format" (not 06), "field",
    "case_swapped", "repeated_identifier", "quantity", "country", "too_many_fields".
    """
    if len(text) > MAXIMUM_LENGTH:
        raise CodeError("too_long", f"A code has at most {MAXIMUM_LENGTH} characters.")
    body = _open_envelope(text) if text.startswith(ENVELOPE) else text
    parts = body.split(GS)
    if len(parts) > MAXIMUM_FIELDS:
        raise CodeError("too_many_fields", f"A label has at most {MAXIMUM_FIELDS} fields.")
    fields: dict[str, str] = {}
    for part in parts:
        identifier, value = _parse_field(part)
        if identifier in fields:
            raise CodeError("repeated_identifier", f"Data identifier {identifier} is repeated.")
        fields[identifier] = value
    return ReelLabel(tuple(fields.items()))


def _open_envelope(text: str) -> str:
    if RS not in text or GS not in text:
        raise CodeError(
            "gs_lost",
            "The scanner dropped the label's control characters (GS, RS).",
            fix="Scan the scanner's set-up code, or switch on the transmission of control characters.",
        )
    head, body = text[:7], text[7:]
    if not head.startswith(ENVELOPE + RS) or not head.endswith(GS):
        raise CodeError("envelope", "The label does not begin like an ISO/IEC 15434 message.")
    if head[4:6] != "06":
        raise CodeError("envelope_format", f"The label has format {head[4:6]!r}; only 06 (data identifiers) is read.")
    body = body.removesuffix(EOT).removesuffix(RS)
    if RS in body or EOT in body:
        raise CodeError("envelope", "The label holds more than one format.")
    return body


def _parse_field(part: str) -> tuple[str, str]:
    match = _FIELD.fullmatch(part)
    if not match:
        if _LOWER_CASE_FIELD.match(part):
            raise CodeError(
                "case_swapped", "The scanner swaps upper and lower case.", fix="Scan the scanner's set-up code."
            )
        raise CodeError("field", "A field of the label is not a data identifier and a value.")
    identifier, value = match["identifier"], match["value"]
    if identifier == "Q" and not _QUANTITY.fullmatch(value):
        raise CodeError("quantity", "The quantity (Q) is not a number.")
    if identifier == "4L" and value not in COUNTRIES_ALPHA2:
        raise CodeError("country", "The country of origin (4L) is not a code of two letters of ISO 3166-1.")
    return identifier, value
