"""Reading labels back: no label is released before its symbol was decoded from the finished file.

What is compared is the file that will be printed, drawn at the resolutions of label printers, against the texts that
were ordered: the right text at the right place of the sheet, on every page, at every resolution.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final

import zxingcpp

from app.registry.labels.layouts import SheetLayout
from app.registry.labels.zpl import bitmaps
from scanners.images import FoundSymbol, PdfPages, decode, open_pdf

RESOLUTIONS: Final = (203, 300)
"""Dots an inch of the two common kinds of label printer."""

_KEPT: Final = 100  # a report names so many faults of a kind; the counts are whole


@dataclass(frozen=True, slots=True)
class Fault:
    """A symbol that is missing or wrong: page from 1, place on its sheet (None off the labels), the texts."""

    page: int
    dpi: int
    place: int | None
    expected: str | None
    found: str | None


@dataclass(frozen=True, slots=True)
class CheckReport:
    """The result of a reading.

    `read` counts labels read rightly at every resolution, `expected` those ordered. `missing` are labels with no
    readable symbol, `wrong` are symbols with another text or off their place; at most 100 of each are kept.
    """

    expected: int
    read: int
    missing: tuple[Fault, ...]
    wrong: tuple[Fault, ...]

    @property
    def released(self) -> bool:
        """Whether the labels may leave: every one was read, and nothing else was found."""
        return self.expected > 0 and self.read == self.expected and not self.missing and not self.wrong


class _Tally:
    """Adds up the pages of one reading."""

    def __init__(self) -> None:
        self.expected = self.read = 0
        self.missing: list[Fault] = []
        self.wrong: list[Fault] = []

    def add(self, report: CheckReport) -> None:
        self.expected += report.expected
        self.read += report.read
        self.missing += report.missing[: _KEPT - len(self.missing)]
        self.wrong += report.wrong[: _KEPT - len(self.wrong)]

    def report(self) -> CheckReport:
        return CheckReport(self.expected, self.read, tuple(self.missing), tuple(self.wrong))


def verify_pdf(
    source: Path | bytes,
    expected: Iterable[str],
    *,
    layout: SheetLayout | None = None,
    skip: int = 0,
    dpi: Sequence[int] = RESOLUTIONS,
    progress: Callable[[int], None] | None = None,
) -> CheckReport:
    """Draw each page of a PDF at each of `dpi`, read every symbol and compare.

    With `layout` (and the `skip` of its rendering) every text must stand on its own label, and the expected texts
    are taken page by page, so a long run needs little memory. Without it, each page must hold the next of the
    expected texts in any order, counted with their repetitions. `progress` is told the labels compared so far.

    Raises ImageError for a file that is no PDF.
    """
    tally = _Tally()
    texts = iter(expected)
    with open_pdf(source, maximum_pages=None) as pages:
        for page in range(1, pages.count + 1):
            if layout is None:
                tally.add(_compare_any_order(pages, page, texts, dpi))
            else:
                first = skip if page == 1 else 0
                due = dict(enumerate(islice(texts, layout.labels_per_page - first), start=first))
                tally.add(_compare_places(pages, page, due, layout, dpi))
            if progress:
                progress(tally.expected)
        for text in texts:
            tally.add(CheckReport(1, 0, (Fault(pages.count + 1, dpi[0], None, text, None),), ()))
    return tally.report()


def verify_zpl(zpl: Iterable[str], expected: Sequence[str]) -> CheckReport:
    """Read the bitmap of each ZPL label, dot for dot as the printer will burn it, and compare in order.

    Raises ValueError when there are more or fewer labels than texts.
    """
    tally = _Tally()
    for number, (commands, text) in enumerate(zip(zpl, expected, strict=True), start=1):
        found = [symbol for bitmap in bitmaps(commands) for symbol in decode(bitmap)]
        tally.add(_compare_texts(Counter([text]), found, page=number, dpi=0))
    return tally.report()


def _compare_places(
    pages: PdfPages, page: int, due: dict[int, str], layout: SheetLayout, dpi: Sequence[int]
) -> CheckReport:
    right = set(due)
    missing: list[Fault] = []
    wrong: list[Fault] = []
    for resolution in dpi:
        read: set[int] = set()
        occupied: set[int] = set()
        for symbol in _read_page(pages, page, resolution, at_least=len(due)):
            x, y = (pixels / resolution * 25.4 for pixels in symbol.centre)
            place = layout.place_of(x, y)
            text = None if place is None else due.get(place)
            if place is not None and place not in occupied and symbol.text == text:
                read.add(place)
            else:
                wrong.append(Fault(page, resolution, place, text, symbol.text))
                read.discard(-1 if place is None else place)
            if place is not None:
                occupied.add(place)
        missing += [Fault(page, resolution, place, due[place], None) for place in sorted(due.keys() - occupied)]
        right &= read
    return CheckReport(len(due), len(right), tuple(missing), tuple(wrong))


def _compare_any_order(pages: PdfPages, page: int, texts: Iterator[str], dpi: Sequence[int]) -> CheckReport:
    readings = {resolution: _read_page(pages, page, resolution, at_least=1) for resolution in dpi}
    due = Counter(islice(texts, max(map(len, readings.values()))))
    reports = [_compare_texts(due, found, page=page, dpi=resolution) for resolution, found in readings.items()]
    return CheckReport(
        expected=due.total(),
        read=min(report.read for report in reports),
        missing=tuple(fault for report in reports for fault in report.missing),
        wrong=tuple(fault for report in reports for fault in report.wrong),
    )


def _compare_texts(due: Counter[str], found: list[FoundSymbol], *, page: int, dpi: int) -> CheckReport:
    got = Counter(symbol.text for symbol in found)
    missing = [Fault(page, dpi, None, text, None) for text in (due - got).elements()]
    wrong = [Fault(page, dpi, None, None, text) for text in (got - due).elements()]
    return CheckReport(due.total(), (due & got).total(), tuple(missing[:_KEPT]), tuple(wrong[:_KEPT]))


def _read_page(pages: PdfPages, page: int, dpi: int, *, at_least: int) -> list[FoundSymbol]:
    """Read the QR symbols of a page strictly; only when some are missing, with the decoder's second chances."""
    with pages.drawn(page, dpi, hard=True) as pixels:
        found = decode(pixels, page=page, dpi=dpi, formats=zxingcpp.BarcodeFormat.QRCodeModel2, strict=True)
        if len(found) < at_least:
            found = decode(pixels, page=page, dpi=dpi, formats=zxingcpp.BarcodeFormat.QRCodeModel2)
    return found
