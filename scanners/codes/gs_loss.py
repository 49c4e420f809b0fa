"""Element strings whose separators a scanner dropped: they still parse, but wrongly."""

from __future__ import annotations

import re

from scanners.codes.ai import check_values, dictionary
from scanners.codes.errors import CodeError

# What follows serial or lot on medicines and parts, and can be told from data: a date AI with a real date, or lot or
# serial after such a date.
_DATE_INSIDE = re.compile(r"(?=(?P<ai>11|13|15|17)(?P<date>[0-9]{6})(?P<rest>(?:10|21).{1,20}|)$)")
_CARRIERS = ("10", "21")
_SEPARATORS = ("\x1d", "^")


def may_have_lost_gs(text: str) -> bool:
    """Tell whether a raw element string without any separator hides further elements in its last value.

    True where a serial or lot (AI 21, 10) ends in a date AI with a valid date, alone or followed by a lot or serial.
    A value may look like that by chance: this is a suspicion, never a proof.
    """
    body = text[3:] if text.startswith("]") else text
    body = body[1:] if body.startswith(_SEPARATORS) else body
    if body.startswith("(") or any(separator in body for separator in _SEPARATORS):
        return False
    value = _last_value(body)
    if value is None:
        return False
    return any(_is_date(match["ai"], match["date"]) for match in _DATE_INSIDE.finditer(value, 1))


def _last_value(body: str) -> str | None:
    """Return what follows the first serial or lot, after elements of predefined length only."""
    position = 0
    while position < len(body):
        if body.startswith(_CARRIERS, position):
            return body[position + 2 :]
        entry = dictionary().get(body[position : position + 2])
        if entry is None or not entry.fixed_length:
            return None
        position += len(entry.ai) + entry.maximum_length
    return None


def _is_date(ai: str, date: str) -> bool:
    try:
        check_values([(ai, date)], deep=True)
    except CodeError:
        return False
    return True
