"""Labels for thermal printers in ZPL II: one `^XA ... ^XZ` block a label.

The symbol is sent as a bitmap of whole dots that we draw and read back (`check.verify_zpl`), not as the printer's own
`^BQ`: printers do not cut a text into segments, so theirs is four versions larger and nobody has checked it. Lines are
printed with the printer's scalable font 0; every byte that is no letter, digit or space travels in hexadecimal
(`^FH`), so a product's name can hold no command.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Final

from app.registry.labels.compose import Composition, Label, TextMark, compose
from app.registry.labels.errors import LabelError
from app.registry.labels.layouts import SheetLayout
from app.registry.labels.pdf import packed
from scanners.codes.symbol import ErrorCorrection

# Heads called "203 dpi" have 8 dots a millimetre; the others are what they say, 11.8 and 23.6.
_DOTS_PER_MILLIMETRE: Final = {203: 8.0, 300: 300 / 25.4, 600: 600 / 25.4}
_PLAIN: Final = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789 ")

_GRAPHIC: Final = re.compile(r"\^GFA,\d+,\d+,(\d+),([0-9A-F:\s]*)\^FS")
_MARGIN: Final = 32
_DOT_TO_GREY: Final = bytes(0 if value == ord("1") else 255 for value in range(256))


def render_zpl(
    labels: Iterable[Label], layout: SheetLayout, *, dpi: int = 203, error_correction: str = ErrorCorrection.M
) -> Iterator[str]:
    """Yield the commands of each label for a printer of 203, 300 or 600 dpi; of a sheet layout, its label is used.

    A module is a whole number of dots, so at 300 dpi a symbol comes out 10 % smaller (4 dots, 0.339 mm).
    Raises LabelError `printer_resolution` and as `compose` does.
    """
    dots = _DOTS_PER_MILLIMETRE.get(dpi)
    if dots is None:
        raise LabelError("printer_resolution", "A label printer has 203, 300 or 600 dots an inch.")
    for label in labels:
        yield _commands(compose(label, layout, error_correction=error_correction), layout, dots)


def bitmaps(commands: str) -> Iterator[memoryview]:
    """Yield each graphic of commands written here as a grey (height, width) buffer, one pixel a dot, margin added."""
    for row_bytes, data in _GRAPHIC.findall(commands):
        width = int(row_bytes) * 8 + 2 * _MARGIN
        blank = [b"\xff" * width] * _MARGIN
        rows = list(blank)
        for line in data.split():
            rows.append(rows[-1] if line == ":" else _grey_row(bytes.fromhex(line)))
        rows += blank
        yield memoryview(b"".join(rows)).cast("B", shape=[len(rows), width])


def _grey_row(packed_row: bytes) -> bytes:
    dots = f"{int.from_bytes(packed_row, 'big'):0{len(packed_row) * 8}b}".encode("ascii")
    margin = b"\xff" * _MARGIN
    return margin + dots.translate(_DOT_TO_GREY) + margin


def _commands(composition: Composition, layout: SheetLayout, dots: float) -> str:
    parts = [
        f"^XA^CI28^LH0,0^PW{round(layout.label_width * dots)}^LL{round(layout.label_height * dots)}\n",
        _graphic(composition, dots),
        *(_text(mark, dots) for mark in composition.texts),
        "^XZ\n",
    ]
    return "".join(parts)


def _graphic(composition: Composition, dots: float) -> str:
    symbol = composition.symbol
    scale = int(composition.module * dots + 0.01)
    width = symbol.size * scale
    row_bytes = (width + 7) // 8
    rows = []
    for y in range(symbol.size):
        wide = b"".join(bytes([module]) * scale for module in symbol.row(y))
        rows += [packed(wide, width).hex().upper(), *([":"] * (scale - 1))]  # a colon repeats the row before
    total = row_bytes * width
    x, y = round(composition.symbol_x * dots), round(composition.symbol_y * dots)
    data = "\n".join(rows)
    return f"^FO{x},{y}^GFA,{total},{total},{row_bytes},\n{data}\n^FS\n"


def _text(mark: TextMark, dots: float) -> str:
    size = round(mark.size * 25.4 / 72 * dots)
    escaped = "".join(chr(byte) if byte in _PLAIN else f"_{byte:02X}" for byte in mark.text.encode("utf-8"))
    return f"^FT{round(mark.x * dots)},{round(mark.y * dots)}^A0N,{size},{size}^FH_^FD{escaped}^FS\n"
