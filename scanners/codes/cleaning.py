"""What scanners really send: white space, Enter twice, control characters written out, other keyboards.

What can be undone without doubt is undone and named in a diagnosis; everything else is refused with the cause. The
caller always learns what was found: nothing is repaired silently.
"""

from __future__ import annotations

import re
from enum import StrEnum

from scanners.codes.ai import MAXIMUM_LENGTH
from scanners.codes.errors import CodeError
from scanners.codes.keyboard import find_layout_flip

SET_UP_FIX = "Scan the scanner's set-up code."


class Diagnosis(StrEnum):
    """What happened to the text between symbol and computer."""

    CASE_SWAPPED = "case_swapped"
    KEYBOARD_LAYOUT = "keyboard_layout"
    GS_LOST = "gs_lost"
    GS_AS_TEXT = "gs_as_text"
    DOUBLE_ENTER = "double_enter"
    WHITE_SPACE = "white_space"


_PLAIN = re.compile(r"[!-~]{1,2048}")
_WHITE_SPACE = " \t\r\n\ufeff\u00a0"
_ONE_ENTER = ("", "\r", "\n", "\r\n", "\t")
_LINE_ENDS = re.compile(r"[\r\n]+")
# GS, RS and EOT are data in element strings and reel labels.
_CONTROL = re.compile(r"[\x00-\x03\x05-\x1c\x1f\x7f]")
_WRITTEN_CONTROLS = {
    "\x1d": (
        "<GS>",
        "{GS}",
        "[GS]",
        "<FNC1>",
        "{FNC1}",
        "\\x1d",
        "\\x1D",
        "\\u001d",
        "\\u001D",
        "␝",
        "~d029",
        "^]",
        "|",
    ),
    "\x1e": (
        "<RS>",
        "{RS}",
        "[RS]",
        "\\x1e",
        "\\x1E",
        "\\u001e",
        "\\u001E",
        "␞",
        "~d030",
        "^^",
    ),
    "\x04": (
        "<EOT>",
        "{EOT}",
        "[EOT]",
        "\\x04",
        "\\u0004",
        "␄",
        "~d004",
        "^D",
    ),
}
_CONTROL_OF = {written: control for control, forms in _WRITTEN_CONTROLS.items() for written in forms}
_WRITTEN = re.compile("|".join(re.escape(form) for form in sorted(_CONTROL_OF, key=len, reverse=True)))


def clean(text: str | bytes) -> tuple[str, tuple[Diagnosis, ...]]:
    """Return the text without what surrounds it, and what was found.

    Raises CodeError: "empty", "too_long", "two_codes", "control_character", "keyboard_layout", "characters".
    """
    if len(text) > MAXIMUM_LENGTH:
        raise CodeError("too_long", f"A code has at most {MAXIMUM_LENGTH} characters.")
    if isinstance(text, bytes):
        text = _decode(text)
    body, found = (text, ()) if _PLAIN.fullmatch(text) else _strip(text)
    if not body:
        raise CodeError("empty", "The scanner sent nothing.")
    if not body.startswith(("HTTPS://", "https://")):
        _refuse_other_keyboards(body)
    if (control := _CONTROL.search(body)) is not None:
        raise CodeError("control_character", f"The code contains the control character {ord(control[0]):#04x}.")
    return body, found


def read_written_controls(text: str) -> tuple[str, tuple[Diagnosis, ...]]:
    """Turn written-out GS, RS and EOT ("<GS>", "{RS}", "^]" ...) of element strings and labels into characters.

    Only forms are known that GS1 data can not contain or that nobody prints by chance. Raises CodeError ("mixed_gs")
    where both real and written-out separators come.
    """
    if not _WRITTEN.search(text):
        return text, ()
    if "\x1d" in text or "\x1e" in text:
        raise CodeError("mixed_gs", "The code contains real and written-out separators.", fix=SET_UP_FIX)
    return _WRITTEN.sub(lambda match: _CONTROL_OF[match[0]], text), (Diagnosis.GS_AS_TEXT,)


def _decode(raw: bytes) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def _strip(text: str) -> tuple[str, tuple[Diagnosis, ...]]:
    found: list[Diagnosis] = []
    body = text.strip(_WHITE_SPACE)
    tail = text[len(text.rstrip(_WHITE_SPACE)) :]
    lines = [line.strip(_WHITE_SPACE) for line in _LINE_ENDS.split(body)]
    if len(lines) > 1:
        if len(set(lines)) > 1:
            raise CodeError("two_codes", "Two different codes arrived at once.", fix="Scan one code at a time.")
        body = lines[0]
        found.append(Diagnosis.DOUBLE_ENTER)
    elif tail and not tail.strip("\r\n") and tail not in _ONE_ENTER:
        found.append(Diagnosis.DOUBLE_ENTER)
    if text.startswith(tuple(_WHITE_SPACE)) or (tail.strip("\r\n") and tail not in _ONE_ENTER):
        found.append(Diagnosis.WHITE_SPACE)
    return body, tuple(found)


def _refuse_other_keyboards(body: str) -> None:
    flip = find_layout_flip(body)
    if flip is not None:
        raise CodeError(
            Diagnosis.KEYBOARD_LAYOUT.value,
            f"The scanner seems to type on a {flip.scanner} keyboard, this computer on a {flip.computer} one.",
            fix=f"{SET_UP_FIX} Or set the scanner's keyboard to this computer's layout.",
        )
    if not body.isascii() and not _WRITTEN.search(body):
        raise CodeError("characters", "The code contains characters that no code has.", fix=SET_UP_FIX)
