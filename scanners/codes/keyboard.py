"""Keyboards: a handheld scanner types, so its layout and the computer's must agree.

Each layout is the row of characters that the same keys give, unshifted and then shifted, in the order of the US row.
Sources: the national layouts as shipped by common operating systems. Dead keys are listed by the sign they show.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

_US = """`1234567890-=qwertyuiop[]\\asdfghjkl;'zxcvbnm,./~!@#$%^&*()_+QWERTYUIOP{}|ASDFGHJKL:"ZXCVBNM<>?"""

_LAYOUTS = {
    "Spanish": (
        """º1234567890'¡qwertyuiop`+çasdfghjklñ´zxcvbnm,.-"""
        """ª!"·$%&/()=?¿QWERTYUIOP^*ÇASDFGHJKLÑ¨ZXCVBNM;:_"""
    ),
    "Latin American": (
        """|1234567890'¿qwertyuiop´+}asdfghjklñ{zxcvbnm,.-"""
        """°!"#$%&/()=?¡QWERTYUIOP¨*]ASDFGHJKLÑ[ZXCVBNM;:_"""
    ),
    "German": (
        """^1234567890ß´qwertzuiopü+#asdfghjklöäyxcvbnm,.-"""
        """°!"§$%&/()=?`QWERTZUIOPÜ*'ASDFGHJKLÖÄYXCVBNM;:_"""
    ),
    "French": (
        """²&é"'(-è_çà)=azertyuiop^$*qsdfghjklmùwxcvbn,;:!"""
        """²1234567890°+AZERTYUIOP¨£µQSDFGHJKLM%WXCVBN?./§"""
    ),
    "Italian": (
        """\\1234567890'ìqwertyuiopè+ùasdfghjklòàzxcvbnm,.-"""
        """|!"£$%&/()=?^QWERTYUIOPé*§ASDFGHJKLç°ZXCVBNM;:_"""
    ),
    "Brazilian": (
        """'1234567890-=qwertyuiop´[]asdfghjklç~zxcvbnm,.;"""
        """"!@#$%¨&*()_+QWERTYUIOP`{}ASDFGHJKLÇ^ZXCVBNM<>:"""
    ),
}

# How the texts we read begin, in upper case.
_BEGINNINGS = ("HTTP://", "HTTPS://", "[)>", "]D2", "]C1", "]Q3", "(01)", "(00)")


@dataclass(frozen=True, slots=True)
class LayoutFlip:
    """Which keyboard the scanner seems to type on and which one the computer uses, by name."""

    scanner: str
    computer: str


def find_layout_flip(text: str) -> LayoutFlip | None:
    """Tell which pair of layouts would make `text` begin like a code; None where none does or it begins so already."""
    beginning = text[:8]
    if beginning.upper().startswith(_BEGINNINGS):
        return None
    for flip, table in _tables():
        typed = beginning.translate(table).upper()
        if typed.startswith(_BEGINNINGS) or _is_gtin_of_shifted_digits(text, table):
            return flip
    return None


def as_typed_on(text: str, *, scanner: str, computer: str) -> str:
    """Return what a computer with one layout shows when a scanner types `text` on another's keys (for tests, set-up).

    Raises KeyError for a layout this module does not know.
    """
    rows = {"US": _US, **_LAYOUTS}
    return text.translate(str.maketrans(rows[scanner], rows[computer]))


def _is_gtin_of_shifted_digits(text: str, table: dict[int, int]) -> bool:
    """On a French computer a bare element string has no digits at all."""
    beginning = text[:16]
    typed = beginning.translate(table)
    shifted = len(typed) == 16 and typed.isdigit() and not any(map(str.isdigit, beginning))
    return shifted and typed.startswith(("00", "01"))


@cache
def _tables() -> tuple[tuple[LayoutFlip, dict[int, int]], ...]:
    """Return, for each pair of layouts, the table from what is seen to what was meant."""
    tables = []
    for name, row in _LAYOUTS.items():
        tables.append((LayoutFlip("US", name), str.maketrans(row, _US)))
        tables.append((LayoutFlip(name, "US"), str.maketrans(_US, row)))
    return tuple(tables)
