"""Sentences that other parts wrote in English, in the reader's language.

Most are keys of the catalogue as they stand. Faults of a file and problems of a finished job arrive with their figures
filled in ("The serial A-1 stands already in row 7."); they are recognised by the sentence around the figures, whose
places `messages` named %(a)s, %(b)s ... when it collected them, or which have the names of the refusal's parameters.
"""

import re
from functools import cache

from flask import Flask
from flask_babel import get_translations, gettext

from app.core.i18n import choose_language

_PLACE = re.compile(r"%\((\w+)\)s")


def _mark(text: str) -> str:
    """Mark a text for the translators."""
    return text


WHERE = (_mark("row %(a)s, column %(b)s"), _mark("row %(a)s"), _mark("line %(a)s"))
"""Places in files as the registry writes them."""

LAYOUTS = (
    _mark("Letter, %(a)s labels of %(b)s × %(c)s mm"),
    _mark("A4, %(a)s labels of %(b)s × %(c)s mm"),
    _mark("Roll, %(a)s × %(b)s mm"),
)
"""Sheets and rolls as the label layouts are titled."""

API = _mark("Registry of signed codes: register, commission, verify, prove.")
"""What the OpenAPI document says of itself."""

ALARMS = (
    _mark("An audit found a fault at %(a)s: %(b)s"),
    _mark("The witness %(a)s saw another history of this ledger up to entry %(b)s, or errs: %(c)s"),
    _mark(
        "The witness %(a)s saw %(b)s entries of this ledger, which has only %(c)s: entries were lost, the key signs a"
        " second ledger, or the witness errs."
    ),
    _mark(
        "%(a)s acknowledged entries, %(b)s to %(c)s, are not in the database (known by: %(d)s)."
        " Entry %(e)s says why the ledger goes on: %(f)s"
    ),
    _mark(
        "The database holds another history than was acknowledged (known by: %(a)s)."
        " Entry %(b)s says why the ledger goes on: %(c)s"
    ),
    _mark(
        "%(a)s acknowledged entries, %(b)s to %(c)s, are not in the database (known by: %(d)s). The database holds"
        " another history than was acknowledged (known by: %(e)s). Entry %(f)s says why the ledger goes on: %(g)s"
    ),
)
"""What the ledger package says of an alarm."""

WITNESSES = (
    _mark("it answered %(a)s: %(b)s"),
    _mark("its answer cannot be used: %(a)s"),
    _mark("its answer holds no cosignature of the key in the policy"),
    _mark("it tells another size each time"),
    _mark("it states a conflict, but no size"),
    _mark("it states a conflict, but no other size"),
    _mark("%(a)s gave no answer: %(b)s"),
)
"""What the ledger package says of a witness that does not cosign."""

OF_THE_SERVER = (
    _mark(
        "The requested URL was not found on the server."
        " If you entered the URL manually please check your spelling and try again."
    ),
    _mark("The method is not allowed for the requested URL."),
    _mark("The data value transmitted exceeds the capacity limit."),
    _mark("The browser (or proxy) sent a request that this server could not understand."),
)
"""What Werkzeug says about addresses and bodies."""

ENTRIES = {
    "/name": _mark("Name"),
    "/brand": _mark("Brand"),
    "/description": _mark("Description"),
    "/gtin": _mark("Bar code number (GTIN)"),
    "/item": _mark("Or an article number of your own"),
    "/product": _mark("Product"),
    "/quantity": _mark("How many units"),
    "/serials": _mark("Serial numbers of your own"),
    "/lot": _mark("Lot"),
    "/expiry": _mark("Expiry date"),
    "/note": _mark("Note"),
    "/profile": _mark("Kind of code"),
    "/person_name": _mark("Your name"),
    "/email": _mark("E-mail address"),
    "/password": _mark("Password"),
    "/country": _mark("Country"),
    "/kind": _mark("Kind"),
    "/reason": _mark("Reason"),
    "/evidence": _mark("What proves that it is yours"),
    "/valid_until": _mark("Until"),
    "/days": _mark("Days it works"),
    "/scopes": _mark("Narrow what it may do"),
}
"""Fields by the pointer that a fault carries, as their forms call them."""


def translated(text: object) -> str:
    """Give the sentence in the reader's language; as it stands where no translation is known."""
    sentence = str(text) if text else ""
    if not sentence or choose_language() == "en":
        return sentence
    found = str(gettext(sentence))
    if found != sentence:
        return found
    for pattern, key in _patterns(choose_language()):
        match = pattern.fullmatch(sentence)
        if match is not None:
            return str(gettext(key)) % match.groupdict()
    return sentence


def place(where: str) -> str:
    """Say in the reader's language where a fault is: a row of a file, or a field of a form."""
    return str(gettext(ENTRIES[where])) if where in ENTRIES else translated(where)


@cache
def _patterns(_language: str) -> tuple[tuple[re.Pattern[str], str], ...]:
    """Every key with places in it, as a pattern; those with the longest fixed text first, as they say most."""
    catalogue = getattr(get_translations(), "_catalog", {})
    keys = [key for key in catalogue if isinstance(key, str) and _PLACE.search(key) and "\x04" not in key]
    keys.sort(key=lambda key: -len(_PLACE.sub("", key)))
    return tuple((_pattern(key), key) for key in keys)


def _pattern(key: str) -> re.Pattern[str]:
    parts = _PLACE.split(key)  # text, name, text, name, ..., text
    expression, seen = "", set()
    for position, part in enumerate(parts):
        if position % 2 == 0:
            expression += re.escape(part.replace("%%", "%"))
        elif part in seen:
            expression += f"(?P={part})"
        else:
            seen.add(part)
            expression += f"(?P<{part}>.+?)"
    return re.compile(expression, re.DOTALL)


def install(app: Flask) -> None:
    """Make both available in templates as filters."""
    app.jinja_env.filters.update(translated=translated, place=place)
