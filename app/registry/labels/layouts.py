"""Where labels lie on paper: sheets of die-cut labels and rolls, in millimetres.

A version-7 symbol at 0.375 mm a module (3 dots of a 203 dpi printer, which has 8 dots a millimetre) is 19.875 mm wide
with its quiet zone, so every layout here is at least 25 mm high and wide. A layout is named for its real sizes;
`fits` names the label sheets of the trade that have them.
"""

from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from app.registry.labels.errors import LabelError

MODULE_MILLIMETRES: Final = 0.375
"""Side of one module: 3 dots at 203 dpi; phones and hand scanners read it from 10 to 20 cm."""


class TextPlace(StrEnum):
    """Where the human-readable lines stand."""

    RIGHT = "right"
    BELOW = "below"


@dataclass(frozen=True, slots=True)
class SheetLayout:
    """A page of equal labels; all lengths in millimetres, positions from the page's top left corner.

    `pitch_x` and `pitch_y` are the distances from one label's edge to the next one's, gaps included. `inset` is kept
    free inside each edge of a label: presses cut and printers feed up to a millimetre off.
    """

    name: str
    title: str
    page_width: float
    page_height: float
    columns: int
    rows: int
    label_width: float
    label_height: float
    left: float
    top: float
    pitch_x: float
    pitch_y: float
    text_place: TextPlace
    inset: float = 1.25
    module: float = MODULE_MILLIMETRES
    fits: str = ""

    @property
    def labels_per_page(self) -> int:
        """Labels of one page."""
        return self.columns * self.rows

    def corner(self, place: int) -> tuple[float, float]:
        """Return the top left corner of the label at `place` (0 is top left, then row by row), in mm."""
        row, column = divmod(place, self.columns)
        return self.left + column * self.pitch_x, self.top + row * self.pitch_y

    def place_of(self, x: float, y: float) -> int | None:
        """Return the place whose label holds the point (x, y) in mm, or None when it lies on none."""
        column, row = int((x - self.left) // self.pitch_x), int((y - self.top) // self.pitch_y)
        if not (0 <= column < self.columns and 0 <= row < self.rows):
            return None
        inside = x - self.left - column * self.pitch_x <= self.label_width
        inside &= y - self.top - row * self.pitch_y <= self.label_height
        return row * self.columns + column if inside else None


def _roll(width: float, height: float, text_place: TextPlace, module: float = MODULE_MILLIMETRES) -> SheetLayout:
    return SheetLayout(
        name=f"roll-{width:g}x{height:g}",
        title=f"Roll, {width:g} × {height:g} mm",
        page_width=width,
        page_height=height,
        columns=1,
        rows=1,
        label_width=width,
        label_height=height,
        left=0,
        top=0,
        pitch_x=width,
        pitch_y=height,
        text_place=text_place,
        inset=1.0,
        module=module,
    )


_ALL: Final = (
    SheetLayout(
        name="letter-3x10",
        title="Letter, 30 labels of 66.7 × 25.4 mm",
        page_width=215.9,
        page_height=279.4,
        columns=3,
        rows=10,
        label_width=66.675,
        label_height=25.4,
        left=4.7625,
        top=12.7,
        pitch_x=69.85,
        pitch_y=25.4,
        text_place=TextPlace.RIGHT,
        fits="Avery 5160",
    ),
    SheetLayout(
        name="letter-5x7",
        title="Letter, 35 labels of 30 × 34 mm",
        page_width=215.9,
        page_height=279.4,
        columns=5,
        rows=7,
        label_width=30,
        label_height=34,
        left=22.95,
        top=14.7,
        pitch_x=35,
        pitch_y=36,
        text_place=TextPlace.BELOW,
    ),
    SheetLayout(
        name="a4-3x7",
        title="A4, 21 labels of 63.5 × 38.1 mm",
        page_width=210,
        page_height=297,
        columns=3,
        rows=7,
        label_width=63.5,
        label_height=38.1,
        left=7.25,
        top=15.15,
        pitch_x=66.0,
        pitch_y=38.1,
        text_place=TextPlace.RIGHT,
        fits="Avery L7160",
    ),
    SheetLayout(
        name="a4-5x8",
        title="A4, 40 labels of 34 × 32 mm",
        page_width=210,
        page_height=297,
        columns=5,
        rows=8,
        label_width=34,
        label_height=32,
        left=12,
        top=13.5,
        pitch_x=38,
        pitch_y=34,
        text_place=TextPlace.BELOW,
    ),
    _roll(25, 25, TextPlace.BELOW),
    _roll(50, 25, TextPlace.RIGHT),
    _roll(50, 30, TextPlace.RIGHT),
    _roll(100, 50, TextPlace.RIGHT, module=2 * MODULE_MILLIMETRES),  # cases and pallets, read at arm's length
)

LAYOUTS: Final = MappingProxyType({layout.name: layout for layout in _ALL})
"""The layouts by name."""


def layout_named(name: str) -> SheetLayout:
    """Return the layout of that name; raises LabelError `unknown_layout`."""
    layout = LAYOUTS.get(name)
    if layout is None:
        raise LabelError("unknown_layout", "There is no such label layout.", fix=f"Choose one of {', '.join(LAYOUTS)}.")
    return layout
