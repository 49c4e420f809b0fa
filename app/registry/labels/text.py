"""Which characters a label prints, and how lines are made to fit.

The rule for characters. The fonts every printer and reader has hold Western European letters (Windows-1252: English,
Spanish, Portuguese, French, German, the Nordic languages). Letters beyond them are written with their base letter
where they have one (Łódź is printed Lódz); others become "?". A line of which more than half the letters would be
lost (Greek, Cyrillic, Arabic, Chinese ...) is left out whole: a row of question marks tells nobody anything, and the
symbol carries the code. Callers learn of both, see `Printed`.
"""

import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from app.registry.labels.helvetica import text_width

ELLIPSIS: Final = "…"

# Letters and marks without a Unicode decomposition, written as readers of their language do.
_REPLACEMENTS: Final = str.maketrans(
    {
        "Ł": "L", "ł": "l", "Đ": "D", "đ": "d", "ı": "i", "Ħ": "H", "ħ": "h", "Ŧ": "T", "ŧ": "t", "Ŋ": "N", "ŋ": "n",
        "ĸ": "k", "ẞ": "SS", "−": "-", "‐": "-", "‑": "-", "‒": "-", "―": "—", "′": "'", "″": '"', "⁄": "/", "∕": "/",
        "№": "No",
        # The saltillo and barred letters of Mexico's languages (Nahuatl, Mixtec, Chinantec ...).
        "ʼ": "’", "ꞌ": "'", "Ꞌ": "'", "ʻ": "‘", "ɨ": "i", "Ɨ": "I", "ʉ": "u", "Ʉ": "U", "ǀ": "|",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Printed:
    """A line as it can be printed; `exact` is False when a character was replaced or the line left out."""

    text: str
    exact: bool


@lru_cache(maxsize=1024)
def printable(line: str) -> Printed:
    """Return `line` in characters of Windows-1252, white space single, control and invisible characters gone."""
    wanted = unicodedata.normalize("NFC", line)
    wanted = "".join(" " if character.isspace() else character for character in wanted)
    # Category C: control and format characters (bidirectional marks, soft hyphens) and lone surrogates.
    wanted = "".join(character for character in wanted if unicodedata.category(character)[0] != "C")
    wanted = " ".join(wanted.split())
    if wanted.isascii():
        return Printed(wanted, exact=True)
    drawn = "".join(_drawable(character) for character in wanted)
    lost = drawn.count("?") - wanted.count("?")
    if lost * 2 > sum(not character.isspace() for character in wanted):
        return Printed("", exact=False)
    return Printed(" ".join(drawn.split()), exact=drawn == wanted)


def _drawable(character: str) -> str:
    if _in_fonts(character):
        return character
    replaced = character.translate(_REPLACEMENTS)
    if replaced != character:
        return replaced
    base = "".join(part for part in unicodedata.normalize("NFKD", character) if not unicodedata.combining(part))
    if base and all(map(_in_fonts, base)):
        return base
    return "" if unicodedata.combining(character) else "?"


def _in_fonts(character: str) -> bool:
    try:
        character.encode("cp1252")
    except UnicodeEncodeError:
        return False
    return True


@lru_cache(maxsize=1024)
def wrapped(text: str, *, width: float, size: float, bold: bool, lines: int) -> tuple[str, ...]:
    """Break `text` at spaces into at most `lines` lines of `width`; what is too much ends in an ellipsis."""
    result: list[str] = []
    rest = text
    while rest and len(result) < lines:
        if text_width(rest, size=size, bold=bold) <= width:
            result.append(rest)
            return tuple(result)
        if len(result) == lines - 1:
            result.append(_shortened(rest, width=width, size=size, bold=bold))
            return tuple(result)
        fitting = _fitting(rest, width=width, size=size, bold=bold)
        space = rest.rfind(" ", 0, fitting + 1)
        cut = space if space > 0 else fitting
        if cut == 0:
            return tuple(result)
        result.append(rest[:cut])
        rest = rest[cut:].lstrip()
    return tuple(result)


def folded(text: str, *, width: float, size: float) -> tuple[str, ...]:
    """Break `text` after any character into lines of `width`: an identifier is never shortened."""
    result: list[str] = []
    rest = text
    while rest:
        cut = max(1, _fitting(rest, width=width, size=size, bold=False))
        result.append(rest[:cut])
        rest = rest[cut:].lstrip()
    return tuple(result)


def _shortened(text: str, *, width: float, size: float, bold: bool) -> str:
    room = width - text_width(ELLIPSIS, size=size, bold=bold)
    return text[: _fitting(text, width=room, size=size, bold=bold)].rstrip() + ELLIPSIS


def _fitting(text: str, *, width: float, size: float, bold: bool) -> int:
    """Return how many leading characters of `text` fit into `width`."""
    if text_width(text, size=size, bold=bold) <= width:
        return len(text)
    for count in range(1, len(text) + 1):
        if text_width(text[:count], size=size, bold=bold) > width:
            return count - 1
    return 0
