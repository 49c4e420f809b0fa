"""A label as marks at places: what every output form (PDF, SVG, ZPL) draws the same.

The symbol stands at the left with the lines right of it, or at the top with the lines below it. Module size is never
changed to make a symbol fit: a label that is too small is refused.
"""

from dataclasses import dataclass
from itertools import product
from typing import Final

from app.registry.labels.errors import LabelError
from app.registry.labels.helvetica import text_width
from app.registry.labels.layouts import SheetLayout, TextPlace
from app.registry.labels.text import folded, printable, wrapped
from scanners.codes.symbol import QUIET_ZONE, ErrorCorrection, Symbol, fast_symbol

POINT: Final = 25.4 / 72
"""Millimetres of a typographic point."""

NAME_SIZE: Final = 7.5
LINE_SIZE: Final = 6.5
NOTE_SIZE: Final = 5.5
_WHOLE_SCALES: Final = (1.6, 1.4, 1.2, 1.0, 0.9)  # tried first, and taken only if nothing is lost
_SCALES: Final = (1.0, 0.9, 0.8, 0.72)  # the last leaves identifiers 4.7 points

_LEADING: Final = 1.18
_SYMBOL_GRID: Final = 0.125  # one dot at 8 dots a millimetre: modules then meet the dots of a 203 dpi printer


@dataclass(frozen=True, slots=True)
class Label:
    """What one label shows.

    `text` is the code in the symbol. `lines` stand beside it for people: first the product's name, which may take two
    lines and end in an ellipsis; then identifiers (GTIN, lot, serial), which are never shortened. The last of several
    lines, by custom the serial, is printed even where nothing else fits. `note` is small print, such as where to check.
    """

    text: str
    lines: tuple[str, ...] = ()
    note: str = ""


@dataclass(frozen=True, slots=True)
class TextMark:
    """One line of text: left end of the base line in mm from the label's top left corner, size in points."""

    x: float
    y: float
    size: float
    bold: bool
    text: str


@dataclass(frozen=True, slots=True)
class Composition:
    """A label ready to draw.

    `symbol_x`, `symbol_y` are the top left corner of the symbol's first module in mm from the label's corner, quiet
    zone outside. `complete` is False when a line was shortened, changed by the rule for characters, or left out.
    """

    symbol: Symbol
    symbol_x: float
    symbol_y: float
    module: float
    texts: tuple[TextMark, ...]
    complete: bool


@dataclass(frozen=True, slots=True)
class _Block:
    """Lines broken to a width at one scale, as (size in points, bold, text); `folds` counts cuts in identifiers."""

    lines: tuple[tuple[float, bool, str], ...]
    folds: int
    complete: bool

    @property
    def height(self) -> float:
        """Height in millimetres."""
        return sum(size for size, _, _ in self.lines) * _LEADING * POINT


def compose(label: Label, layout: SheetLayout, *, error_correction: str = ErrorCorrection.M) -> Composition:
    """Place the symbol and lines of `label`.

    Raises CodeError for a text no symbol holds, LabelError `symbol_too_large` and `text_does_not_fit`.
    """
    symbol = fast_symbol(label.text, error_correction)
    quiet = QUIET_ZONE * layout.module
    side = symbol.size * layout.module + 2 * quiet
    width, height = layout.label_width - 2 * layout.inset, layout.label_height - 2 * layout.inset
    if side > min(width, height) + 1e-6:
        raise LabelError(
            "symbol_too_large",
            f"A version {symbol.version} symbol with its quiet zone is {side:.1f} mm wide; "
            f"the label {layout.name} has {min(width, height):.1f} mm.",
            fix="Choose a larger label, or shorten the host, the lot or the serial.",
        )
    if layout.text_place is TextPlace.RIGHT:
        left, top = layout.inset, (layout.label_height - side) / 2
        box_width, box_height = width - side - quiet, height
    else:
        left, top = (layout.label_width - side) / 2, layout.inset
        box_width, box_height = width, height - side
    left, top = _on_grid(left), _on_grid(top)
    block = _fitted(label, box_width, box_height)
    if layout.text_place is TextPlace.RIGHT:
        marks = _marks(block, left + side, (layout.label_height - block.height) / 2)
    else:
        marks = _marks(block, layout.inset, top + side, centred_in=box_width)
    return Composition(
        symbol=symbol,
        symbol_x=left + quiet,
        symbol_y=top + quiet,
        module=layout.module,
        texts=marks,
        complete=block.complete,
    )


def _on_grid(millimetres: float) -> float:
    return round(millimetres / _SYMBOL_GRID) * _SYMBOL_GRID


def _fitted(label: Label, width: float, height: float) -> _Block:
    """Return the largest block that shows everything, or the first of these that fits.

    In this order: all, with the name shortened; smaller; without note; without name; the last line alone. An
    identifier is folded onto a second line only where no block without a fold fits.
    """
    shown = [printable(line) for line in label.lines]
    note = printable(label.note)
    exact = note.exact and all(line.exact for line in shown)
    texts = [line.text for line in shown]
    name, identifiers = (texts[0], texts[1:]) if len(texts) > 1 else ("", texts)
    attempts = (
        (name, 2, identifiers, note.text),
        (name, 1, identifiers, note.text),
        (name, 1, identifiers, ""),
        ("", 1, identifiers, ""),
        ("", 1, identifiers[-1:], ""),
    )
    for scale in _WHOLE_SCALES if exact else ():
        block = _block(name, 2, identifiers, note.text, width=width, scale=scale, whole=True)
        if block.complete and not block.folds and block.height <= height + 1e-6:
            return block
    for may_fold, (name_text, name_lines, kept, note_text) in product((False, True), attempts):
        whole = exact and (name_text, kept, note_text) == (name, identifiers, note.text)
        for scale in _SCALES:
            block = _block(name_text, name_lines, kept, note_text, width=width, scale=scale, whole=whole)
            if block.height <= height + 1e-6 and (may_fold or not block.folds):
                return block
    raise LabelError(
        "text_does_not_fit",
        "The lines do not fit on the label beside the symbol.",
        fix="Choose a larger label, or print the symbol without lines.",
    )


def _block(
    name: str, name_lines: int, identifiers: list[str], note: str, *, width: float, scale: float, whole: bool
) -> _Block:
    name_size, line_size, note_size = (round(size * scale, 2) for size in (NAME_SIZE, LINE_SIZE, NOTE_SIZE))
    points = width / POINT
    shown_name = wrapped(name, width=points, size=name_size, bold=True, lines=name_lines)
    shown_note = wrapped(note, width=points, size=note_size, bold=False, lines=2)
    lines = [(name_size, True, text) for text in shown_name]
    shown = [folded(identifier, width=points, size=line_size) for identifier in identifiers]
    lines += [(line_size, False, text) for parts in shown for text in parts]
    lines += [(note_size, False, text) for text in shown_note]
    kept = " ".join(shown_name) == name and " ".join(shown_note) == note
    folds = sum(len(parts) for parts in shown) - sum(map(bool, identifiers))
    return _Block(tuple(lines), folds=folds, complete=whole and kept)


def _marks(block: _Block, left: float, top: float, *, centred_in: float | None = None) -> tuple[TextMark, ...]:
    marks = []
    y = top
    for size, bold, text in block.lines:
        indent = 0.0 if centred_in is None else (centred_in - text_width(text, size=size, bold=bold) * POINT) / 2
        # Helvetica's letters rise to 0.72 of the size; the leading's rest falls below the base line.
        marks.append(TextMark(x=left + indent, y=y + size * 0.9 * POINT, size=size, bold=bold, text=text))
        y += size * _LEADING * POINT
    return tuple(marks)
