"""Label sheets: labels in, a printable file out.

    with open("labels.pdf", "wb") as out:
        run = render_pdf(labels, LAYOUTS["letter-3x10"], out=out, title="Lot 7")
    report = verify_pdf(Path("labels.pdf"), texts, layout=LAYOUTS["letter-3x10"])

A sheet is released only after `app.registry.labels.check` has read every symbol of the finished file.
"""

import io
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import BinaryIO
from xml.sax.saxutils import escape, quoteattr

from PIL import Image

from app.registry.labels.compose import POINT, Label, TextMark, compose
from app.registry.labels.errors import LabelError
from app.registry.labels.layouts import LAYOUTS, SheetLayout, TextPlace, layout_named
from app.registry.labels.pdf import PdfWriter
from scanners.codes.symbol import QUIET_ZONE, ErrorCorrection, svg_path, terminal
from scanners.images import open_pdf

__all__ = [
    "LAYOUTS",
    "Label",
    "LabelError",
    "LabelRun",
    "SheetLayout",
    "TextPlace",
    "layout_named",
    "render_pdf",
    "render_png",
    "render_svg",
    "render_terminal",
]


@dataclass(frozen=True, slots=True)
class LabelRun:
    """What was drawn: labels, pages, and on how many labels a line was shortened, changed or left out."""

    count: int
    pages: int
    incomplete: int


def render_pdf(
    labels: Iterable[Label],
    layout: SheetLayout,
    *,
    out: BinaryIO,
    title: str,
    error_correction: str = ErrorCorrection.M,
    skip: int = 0,
    progress: Callable[[int], None] | None = None,
) -> LabelRun:
    """Write `labels` as pages of `layout` to `out`, which need not be seekable; one page is held in memory.

    `skip` leaves that many places of the first sheet free, for a sheet already begun. `progress` is told the number
    of labels drawn after each page. Raises LabelError `no_labels`, `skip`, and as `compose` does.
    """
    if not 0 <= skip < layout.labels_per_page:
        raise LabelError("skip", f"Of one sheet 0 to {layout.labels_per_page - 1} labels can be skipped.")
    writer = PdfWriter(out, page_width=layout.page_width, page_height=layout.page_height, title=title)
    count = incomplete = 0
    for first, sheet in _sheets(iter(labels), layout, skip):
        composed = [compose(label, layout, error_correction=error_correction) for label in sheet]
        writer.page([(*layout.corner(place), one) for place, one in enumerate(composed, start=first)])
        count += len(composed)
        incomplete += sum(not one.complete for one in composed)
        if progress:
            progress(count)
    if not count:
        raise LabelError("no_labels", "There are no labels to draw.")
    writer.close()
    return LabelRun(count=count, pages=writer.pages, incomplete=incomplete)


def render_png(
    labels: Iterable[Label],
    layout: SheetLayout,
    *,
    dpi: int = 203,
    error_correction: str = ErrorCorrection.M,
    skip: int = 0,
) -> bytes:
    """Draw the first page of `labels` as a grey PNG, from the very PDF that would be printed.

    Raises LabelError as `render_pdf`, ImageError `resolution` and `too_many_pixels`.
    """
    page = io.BytesIO()
    first_page = islice(labels, layout.labels_per_page - skip)
    render_pdf(first_page, layout, out=page, title="", error_correction=error_correction, skip=skip)
    with open_pdf(page.getvalue()) as pages, pages.drawn(1, dpi) as pixels:
        height, width = pixels.shape
        image = Image.frombytes("L", (width, height), bytes(pixels))
    png = io.BytesIO()
    image.save(png, format="PNG", dpi=(dpi, dpi))
    return png.getvalue()


def render_svg(label: Label, layout: SheetLayout, *, error_correction: str = ErrorCorrection.M) -> str:
    """Draw one label as an SVG image of its true size."""
    composition = compose(label, layout, error_correction=error_correction)
    width, height = f"{layout.label_width:g}", f"{layout.label_height:g}"
    place = f"translate({composition.symbol_x:g} {composition.symbol_y:g}) scale({composition.module:g})"
    read_aloud = " ".join(mark.text for mark in composition.texts) or "QR code"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}mm" height="{height}mm" '
        f'viewBox="0 0 {width} {height}" role="img" aria-label={quoteattr(read_aloud)}>'
        f'<path fill="#fff" d="M0 0h{width}v{height}H0z"/>'
        f'<path shape-rendering="crispEdges" transform="{place}" d="{svg_path(composition.symbol)}"/>'
        f"{''.join(map(_svg_text, composition.texts))}</svg>\n"
    )


def _svg_text(mark: TextMark) -> str:
    weight = "bold" if mark.bold else "normal"
    return (
        f'<text x="{mark.x:.3f}" y="{mark.y:.3f}" font-family="Helvetica, Arial, Liberation Sans, sans-serif" '
        f'font-size="{mark.size * POINT:.3f}" font-weight="{weight}">{escape(mark.text)}</text>'
    )


def render_terminal(label: Label, *, error_correction: str = ErrorCorrection.M) -> str:
    """Draw one label for a terminal: the symbol in half blocks, the lines under it without control characters."""
    margin = " " * QUIET_ZONE
    lines = ["".join(filter(str.isprintable, line)) for line in (*label.lines, label.note) if line]
    return terminal(label.text, error_correction=error_correction) + "".join(f"{margin}{line}\n" for line in lines)


def _sheets(labels: Iterator[Label], layout: SheetLayout, skip: int) -> Iterator[tuple[int, list[Label]]]:
    """Yield the first place and the labels of each page."""
    first = skip
    while sheet := list(islice(labels, layout.labels_per_page - first)):
        yield first, sheet
        first = 0
