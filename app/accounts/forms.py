"""Fields of the accounts pages: what a browser posted, bounded and read strictly."""

from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TypeVar

from flask import request

from app.core.clock import from_datetime
from app.core.errors import Invalid, Malformed

MAX_FIELD = 4000

Word = TypeVar("Word", bound=StrEnum)


def text(name: str) -> str:
    """The posted field, empty when it is missing; raises Malformed when it is longer than any field here."""
    value = request.form.get(name, "")
    if len(value) > MAX_FIELD:
        raise Malformed("A field of this form is too long.", code="too_long")
    return value


def word(vocabulary: type[Word], name: str) -> Word:
    """The posted word of a vocabulary; raises Malformed."""
    try:
        return vocabulary(text(name))
    except ValueError:
        raise Malformed("A choice of this form is missing.", code="choice_missing") from None


def whole_number(name: str) -> int | None:
    """The posted whole number, None when the field is empty; raises Invalid."""
    value = text(name).strip()
    if not value:
        return None
    if not (value.isascii() and value.isdigit()) or len(value) > 15:
        raise Invalid("This must be a whole number.", code="not_a_number")
    return int(value)


def end_of_day(name: str) -> int | None:
    """The end of the posted day in UTC (milliseconds), None when the field is empty; raises Invalid."""
    value = text(name).strip()
    if not value:
        return None
    try:
        day = datetime.strptime(value, "%Y-%m-%d").replace(tzinfo=UTC)
        return from_datetime(day + timedelta(days=1)) - 1
    except (ValueError, OverflowError):
        raise Invalid("This must be a day such as 2027-12-31.", code="not_a_day") from None


def own_path(value: str) -> str | None:
    """A path of this site from an untrusted address, None for anything that could lead elsewhere."""
    if value.startswith("/") and not value.startswith(("//", "/\\")) and value.isprintable() and len(value) <= 500:
        return value
    return None
