"""GS1 element strings: what GS1 DataMatrix, GS1-128 and GS1 QR carry, and their bracketed form for people."""

from __future__ import annotations

from collections.abc import Iterable

from scanners.codes.ai import (
    MAXIMUM_ELEMENTS,
    MAXIMUM_LENGTH,
    ApplicationIdentifier,
    Elements,
    check_associations,
    check_values,
    dictionary,
)
from scanners.codes.errors import CodeError

GS = "\x1d"
FNC1_MARK = "^"
# ISO/IEC 15424 symbology identifiers that announce GS1 element strings.
SYMBOLOGY_IDENTIFIERS = ("]d2", "]C1", "]Q3", "]e0", "]J1")


def format_element_string(elements: Iterable[tuple[str, str]], *, fnc1: str = FNC1_MARK) -> str:
    """Write elements as an element string: FNC1 first, and after each value whose length is not predefined."""
    entries = dictionary()
    text = fnc1
    separated = True
    for ai, value in elements:
        text += ("" if separated else fnc1) + ai + value
        separated = entries[ai].fixed_length
    return text


def parse_element_string(text: str, *, associations: bool = False) -> Elements:
    """Parse an element string: raw (GS, 0x1D, or "^" for FNC1; with or without symbology identifier) or bracketed.

    Values are linted; `associations` adds the rules about AIs that need or exclude each other, which hold for all
    codes of an item together. Raises CodeError ("too_long", "no_ai", "unknown_ai", "brackets", "value_length" ...).
    """
    if len(text) > MAXIMUM_LENGTH:
        raise CodeError("too_long", f"A code has at most {MAXIMUM_LENGTH} characters.")
    elements = _parse_bracketed(text) if text.startswith("(") else _parse_raw(text)
    if len(elements) > MAXIMUM_ELEMENTS:
        raise CodeError("too_many_ais", f"A code has at most {MAXIMUM_ELEMENTS} application identifiers.")
    check_values(elements, deep=True)
    if associations:
        check_associations(elements)
    return elements


def _parse_raw(text: str) -> Elements:
    body = text
    for identifier in SYMBOLOGY_IDENTIFIERS:
        body = body.removeprefix(identifier)
    separator = GS if GS in body or FNC1_MARK not in body else FNC1_MARK
    body = body.removeprefix(separator)
    if not body:
        raise CodeError("no_ai", "The code is empty.")
    elements: list[tuple[str, str]] = []
    while body:
        entry = _leading_ai(body)
        body = body[len(entry.ai) :]
        value, _, rest = body.partition(separator)
        if entry.fixed_length and len(value) > entry.maximum_length:
            value, rest = body[: entry.maximum_length], body[entry.maximum_length :]
        entry.check(value)
        elements.append((entry.ai, value))
        body = rest
    return tuple(elements)


def _parse_bracketed(text: str) -> Elements:
    elements: list[tuple[str, str]] = []
    position = 0
    while position < len(text):
        end = text.find(")", position)
        if text[position] != "(" or end < 0:
            raise CodeError("brackets", "Brackets must enclose each application identifier.")
        ai = text[position + 1 : end]
        if ai not in dictionary():
            raise CodeError("unknown_ai", f"({ai[:8]}) is not a GS1 application identifier.")
        value, position = _bracketed_value(text, end + 1)
        dictionary()[ai].check(value)
        elements.append((ai, value))
    return tuple(elements)


def _bracketed_value(text: str, position: int) -> tuple[str, int]:
    """Read up to the next opening bracket; a bracket that belongs to the value is written with a backslash."""
    value = ""
    while position < len(text) and text[position] != "(":
        if text.startswith("\\(", position):
            position += 1
        value += text[position]
        position += 1
    return value, position


def _leading_ai(body: str) -> ApplicationIdentifier:
    for length in (2, 3, 4):
        entry = dictionary().get(body[:length])
        if entry is not None and len(body) >= length:
            return entry
    raise CodeError("unknown_ai", f"“{body[:4]!r}” does not begin with a GS1 application identifier.")
