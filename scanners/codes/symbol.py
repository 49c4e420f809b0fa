"""QR symbols (ISO/IEC 18004:2015): the text of a code as dark and light modules, and as PNG, SVG or terminal blocks.

Two encoders stand behind one value, `Symbol`:

* `symbol_matrix` draws with `qrcode`: about a hundred a second, for single images and the terminal. It is not the
  library that reads labels back, so a mistake of one is seen by the other.
* `fast_symbol` draws with zxing-cpp: thousands a second, for sheets.

Both cut the text into the same numeric, alphanumeric and byte segments, so both give the same version for one text
(a test holds them to it). Cutting is what keeps a signed code small: 167 digits of signature cost 3 1/3 bits each in
numeric mode and 8 in byte mode, version 7 instead of version 11.
"""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from itertools import groupby
from typing import Any, Final, Literal

import qrcode
import zxingcpp
from PIL import Image
from qrcode.exceptions import DataOverflowError
from qrcode.util import QRData

from scanners.codes.errors import CodeError

QUIET_ZONE: Final = 4
"""Light modules kept free on each side of a symbol (ISO/IEC 18004, 9.1)."""

MAXIMUM_TEXT: Final = 2048
"""Characters of one code; the same bound as the reader's."""

# Mode indicators (ISO/IEC 18004, table 2) and the bits of a segment's length field at versions 1, 10 and 27 (table 3).
_Mode = Literal[1, 2, 4]
_NUMERIC_MODE: Final = 1
_ALPHANUMERIC_MODE: Final = 2
_BYTE_MODE: Final = 4
_LENGTH_BITS: Final[dict[_Mode, tuple[int, int, int]]] = {
    _NUMERIC_MODE: (10, 12, 14),
    _ALPHANUMERIC_MODE: (9, 11, 13),
    _BYTE_MODE: (8, 16, 16),
}

_ALPHANUMERIC: Final = frozenset("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:")
_DIGITS: Final = frozenset("0123456789")
_LIGHT_OR_DARK: Final = bytes([1]) + bytes(255)
"""Translates a grey pixel of zxing-cpp (0 dark, 255 light) to a module (1 dark, 0 light)."""


class ErrorCorrection(StrEnum):
    """How much of a damaged symbol can be restored: M survives 4 % of the data area lost, Q 6 to 8 %, H 10 %.

    Level L is not offered: it already fails at 4 %.
    """

    M = "M"
    Q = "Q"
    H = "H"


_QRCODE_LEVELS: Final = {
    ErrorCorrection.M: qrcode.ERROR_CORRECT_M,
    ErrorCorrection.Q: qrcode.ERROR_CORRECT_Q,
    ErrorCorrection.H: qrcode.ERROR_CORRECT_H,
}


@dataclass(frozen=True, slots=True)
class Symbol:
    """A QR symbol without its quiet zone.

    `modules` holds size x size bytes, row by row from the top left: 1 is dark, 0 is light.
    """

    size: int
    modules: bytes

    @property
    def version(self) -> int:
        """The QR version, 1 to 40: version v has 17 + 4v modules a side."""
        return (self.size - 17) // 4

    @property
    def rows(self) -> tuple[tuple[bool, ...], ...]:
        """The modules as rows of truth values, True for dark."""
        return tuple(tuple(map(bool, self.row(y))) for y in range(self.size))

    def row(self, y: int) -> bytes:
        """One row of modules, 1 for dark."""
        return self.modules[y * self.size : (y + 1) * self.size]

    def runs(self) -> Iterator[tuple[int, int, int]]:
        """Yield (x, y, length) of each horizontal run of dark modules, for drawing as rectangles."""
        for y in range(self.size):
            x = 0
            for dark, run in groupby(self.row(y)):
                length = len(tuple(run))
                if dark:
                    yield x, y, length
                x += length


def symbol_matrix(text: str, *, error_correction: str = ErrorCorrection.M) -> Symbol:
    """Draw `text` with `qrcode`: the smallest version that holds it, the best of the eight masks.

    Raises CodeError: `symbol_text` for an empty text or one with other than printable ASCII characters,
    `too_long` when no version holds it, `error_correction` for a level other than M, Q, H.
    """
    level = _checked(text, error_correction)
    # Length fields grow at versions 10 and 27, and with them the best cut changes: take the first class of versions
    # whose own cut fits inside it.
    for first, last in ((1, 9), (10, 26), (27, 40)):
        code = qrcode.QRCode(error_correction=_QRCODE_LEVELS[level], border=0)
        for mode, run in _segments(text, first):
            code.add_data(QRData(run.encode("ascii"), mode=mode, check_data=False))
        try:
            version = code.best_fit(start=first)
        except (DataOverflowError, ValueError):
            # qrcode 8.2 raises ValueError when it looks for a version 41.
            continue
        if version <= last:
            code.make(fit=False)
            modules = bytes(bool(module) for row in code.modules for module in row)
            return Symbol(code.modules_count, modules)
    raise _too_long(text)


def fast_symbol(text: str, level: str = ErrorCorrection.M) -> Symbol:
    """Draw `text` with zxing-cpp: the same version as `symbol_matrix`, perhaps another mask, and far faster.

    Raises CodeError as `symbol_matrix` does.
    """
    checked = _checked(text, level)
    try:
        barcode = zxingcpp.create_barcode(text, zxingcpp.BarcodeFormat.QRCode, ec_level=checked.value)
    except ValueError as error:
        raise _too_long(text) from error
    image: Any = barcode.to_image(scale=1, add_quiet_zones=False)
    return Symbol(image.shape[0], bytes(image).translate(_LIGHT_OR_DARK))


def png(text: str, *, error_correction: str = ErrorCorrection.M, module_pixels: int = 8) -> bytes:
    """Draw `text` as a one-bit PNG with its quiet zone; `module_pixels` (1 to 64) is the side of one module."""
    if not 1 <= module_pixels <= 64:
        raise CodeError("module_pixels", "A module of a symbol is drawn 1 to 64 pixels wide.")
    symbol = symbol_matrix(text, error_correction=error_correction)
    side = symbol.size + 2 * QUIET_ZONE
    image = Image.new("1", (side, side), 1)
    dark = Image.frombytes("L", (symbol.size, symbol.size), symbol.modules).point(lambda module: 255 * (1 - module))
    image.paste(dark.convert("1"), (QUIET_ZONE, QUIET_ZONE))
    enlarged = image.resize((side * module_pixels, side * module_pixels), Image.Resampling.NEAREST)
    out = io.BytesIO()
    enlarged.save(out, format="PNG", optimize=True)
    return out.getvalue()


def svg_path(symbol: Symbol, left: int = 0, top: int = 0) -> str:
    """Return the SVG path data of the dark modules, one unit a module, moved by (left, top) modules."""
    return "".join(f"M{left + x} {top + y}h{length}v1h-{length}z" for x, y, length in symbol.runs())


def terminal(text: str, *, error_correction: str = ErrorCorrection.M) -> str:
    """Draw `text` in half-block characters, two rows of modules a line, with its quiet zone.

    Light modules are the drawn blocks, as suits a terminal of light letters on a dark ground; zxing-cpp and phone
    cameras also read the inverse that a light terminal shows.
    """
    symbol = symbol_matrix(text, error_correction=error_correction)
    side = symbol.size + 2 * QUIET_ZONE
    margin = bytes(QUIET_ZONE)
    rows = [bytes(side)] * QUIET_ZONE
    rows += [margin + symbol.row(y) + margin for y in range(symbol.size)]
    rows += [bytes(side)] * QUIET_ZONE
    if len(rows) % 2:
        rows.append(bytes([1]) * side)
    blocks = {(0, 0): "█", (0, 1): "▀", (1, 0): "▄", (1, 1): " "}
    lines = (
        "".join(blocks[pair] for pair in zip(upper, lower, strict=True))
        for upper, lower in zip(rows[::2], rows[1::2], strict=True)
    )
    return "\n".join(lines) + "\n"


def _checked(text: str, level: str) -> ErrorCorrection:
    if not text or not text.isascii() or not text.isprintable():
        raise CodeError("symbol_text", "The text of a symbol is one or more printable ASCII characters.")
    if len(text) > MAXIMUM_TEXT:
        raise _too_long(text)
    try:
        return ErrorCorrection(level)
    except ValueError:
        raise CodeError("error_correction", "The error correction level of a symbol is M, Q or H.") from None


def _too_long(text: str) -> CodeError:
    return CodeError("too_long", f"A text of {len(text)} characters does not fit into one QR symbol.")


def _segments(text: str, version: int) -> list[tuple[_Mode, str]]:
    """Cut `text` into (mode, characters) so that the bits of a symbol of this version's class are fewest.

    Dynamic programming over the characters: for each mode in which the text so far may end, the cheapest way there.
    Costs are sixths of a bit: a digit takes 20/6 bits in numeric mode, an alphanumeric character 33/6; the real
    encoder rounds each segment up to a whole bit, and so does a change of mode here.
    """
    size_class = 0 if version < 10 else 1 if version < 27 else 2
    headers = {mode: 6 * (4 + length_bits[size_class]) for mode, length_bits in _LENGTH_BITS.items()}
    costs = dict(headers)
    choices: list[dict[_Mode, _Mode]] = []  # for each character: mode of its segment -> mode of the one before it
    for character in text:
        best: dict[_Mode, int] = {}
        origin: dict[_Mode, _Mode] = {}
        for mode, cost in _costs(character):
            cheapest, _, before = min(
                (known if before == mode else -(-known // 6) * 6 + headers[mode], before != mode, before)
                for before, known in costs.items()
            )
            best[mode] = cheapest + cost
            origin[mode] = before
        costs = best
        choices.append(origin)
    mode = min(costs, key=lambda last: -(-costs[last] // 6))
    modes = []
    for origin in reversed(choices):
        modes.append(mode)
        mode = origin[mode]
    modes.reverse()
    runs = groupby(zip(modes, text, strict=True), key=lambda pair: pair[0])
    return [(mode, "".join(character for _, character in run)) for mode, run in runs]


def _costs(character: str) -> Iterator[tuple[_Mode, int]]:
    """Yield each mode that can hold the character and its cost in sixths of a bit."""
    yield _BYTE_MODE, 48
    if character in _ALPHANUMERIC:
        yield _ALPHANUMERIC_MODE, 33
    if character in _DIGITS:
        yield _NUMERIC_MODE, 20
