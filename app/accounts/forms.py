"""Fields of the accounts pages: what a browser posted, bounded and read strictly."""

from contextlib import closing
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TypeVar
from urllib.parse import quote

from flask import current_app, request

from app.core.clock import from_datetime
from app.core.errors import Invalid, Malformed

MAX_FIELD = 4000
NOT_A_GOAL = frozenset({"/", "/sign-in", "/sign-up"})
"""Who signs in from these pages wants to come to the overview."""

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


def posted_document() -> bytes | None:
    """The bytes of the posted file `document`, None when none was chosen; the request's own limit bounds them."""
    file = request.files.get("document")
    if file is None or not file.filename:
        return None
    with closing(file):
        return file.stream.read()


def country_codes(name: str) -> list[str]:
    """The posted country codes, in capitals, written with blanks or commas between them."""
    return text(name).upper().replace(",", " ").split()


def sign_in_address() -> str:
    """The sign-in form, which leads back to the page of this request, with its query, where there is such a page."""
    back = own_path(request.full_path.rstrip("?"))
    if back is None or not _is_page(request.path) or request.path in NOT_A_GOAL:
        return "/sign-in"
    return f"/sign-in?next={quote(back)}"


def _is_page(path: str) -> bool:
    """Whether a browser can open `path`: the address of a form that was sent may be none."""
    adapter = current_app.create_url_adapter(request)
    return adapter is not None and adapter.test(path, "GET")


def own_path(value: str) -> str | None:
    """A path of this site from an untrusted address, None for anything that could lead elsewhere."""
    if value.startswith("/") and not value.startswith(("//", "/\\")) and value.isprintable() and len(value) <= 500:
        return value
    return None
