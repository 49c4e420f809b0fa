"""A PDF written page by page (ISO 32000-1): what label sheets need and nothing else.

fpdf2 keeps every page in memory until the end; a run of a million labels has 33,000 pages. This writer holds one page
and eight bytes for each object. The same labels give the same bytes: no date, no random identifier.
"""

import zlib
from array import array
from typing import BinaryIO, Final

from app.registry.labels.compose import POINT, Composition, TextMark

_CATALOGUE, _PAGE_TREE, _INFORMATION, _REGULAR, _BOLD = 1, 2, 3, 4, 5
_FIRST_FREE: Final = 6
_FONTS: Final = {_REGULAR: b"Helvetica", _BOLD: b"Helvetica-Bold"}
_BITS: Final = bytes([48, 49]) + bytes(254)  # modules 0 and 1 to the digits "0" and "1"


class PdfWriter:
    """Writes pages of compositions to a stream that need not be seekable; `close` completes the file."""

    def __init__(self, out: BinaryIO, *, page_width: float, page_height: float, title: str) -> None:
        """Begin a document of pages `page_width` x `page_height` mm."""
        self._out = out
        self._position = 0
        self._offsets = array("Q", [0] * _FIRST_FREE)
        self._pages = array("Q")
        self._page_height = page_height
        self._box = f"0 0 {page_width / POINT:.3f} {page_height / POINT:.3f}".encode("ascii")
        self._title = title
        # The four bytes above 127 tell transports that the file is binary (7.5.2).
        self._write(b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n")
        for number, name in _FONTS.items():
            font = b"<</Type/Font/Subtype/Type1/BaseFont/%b/Encoding/WinAnsiEncoding>>" % name
            self._object(number, font)

    @property
    def pages(self) -> int:
        """Pages written so far."""
        return len(self._pages)

    def page(self, placed: list[tuple[float, float, Composition]]) -> None:
        """Write one page; each composition stands with its label's corner at (x, y) mm from the page's top left."""
        marks = b"".join(self._marks(x, y, composition) for x, y, composition in placed)
        content = zlib.compress(marks, 1)
        stream = self._next()
        self._object(
            stream,
            b"<</Length %d/Filter/FlateDecode>>stream\n%b\nendstream" % (len(content), content),
        )
        page = self._next()
        fonts = b"/Font<</R %d 0 R/B %d 0 R>>" % (_REGULAR, _BOLD)
        self._object(
            page,
            b"<</Type/Page/Parent %d 0 R/MediaBox[%b]/Contents %d 0 R/Resources<<%b>>>>"
            % (_PAGE_TREE, self._box, stream, fonts),
        )
        self._pages.append(page)

    def close(self) -> None:
        """Write the page tree, the catalogue and the cross-reference table."""
        kids = b"\n".join(b"%d 0 R" % page for page in self._pages)
        self._object(_PAGE_TREE, b"<</Type/Pages/Count %d/Kids[%b]>>" % (len(self._pages), kids))
        title = b"\xfe\xff" + self._title.encode("utf-16-be", "replace")
        self._object(_INFORMATION, b"<</Title<%b>/Producer(Marchamo)>>" % title.hex().encode("ascii"))
        # PrintScaling None: a dialogue that shrinks the page to the printer's margins would shrink the modules too.
        self._object(
            _CATALOGUE,
            b"<</Type/Catalog/Pages %d 0 R/ViewerPreferences<</PrintScaling/None/DisplayDocTitle true>>>>" % _PAGE_TREE,
        )
        table = self._position
        self._write(b"xref\n0 %d\n0000000000 65535 f \n" % len(self._offsets))
        for first in range(1, len(self._offsets), 4096):
            self._write(b"".join(b"%010d 00000 n \n" % offset for offset in self._offsets[first : first + 4096]))
        self._write(
            b"trailer\n<</Size %d/Root %d 0 R/Info %d 0 R>>\nstartxref\n%d\n%%%%EOF\n"
            % (len(self._offsets), _CATALOGUE, _INFORMATION, table)
        )

    def _marks(self, x: float, y: float, composition: Composition) -> bytes:
        symbol = composition.symbol
        side = symbol.size * composition.module / POINT
        left = (x + composition.symbol_x) / POINT
        bottom = (self._page_height - y - composition.symbol_y) / POINT - side
        # An image mask of one bit a module: no seams between modules, however a viewer smooths edges, and the bits
        # in hexadecimal, so that none of them can be taken for the end of the inline image.
        parts = [
            b"q %.4f 0 0 %.4f %.4f %.4f cm BI/W %d/H %d/IM true/D[1 0]/F/AHx ID %b>\nEI Q\n"
            % (side, side, left, bottom, symbol.size, symbol.size, packed(symbol.modules, symbol.size).hex().encode()),
        ]
        parts += [self._text(x, y, mark) for mark in composition.texts]
        return b"".join(parts)

    def _text(self, x: float, y: float, mark: TextMark) -> bytes:
        return b"BT/%b %.2f Tf %.3f %.3f Td<%b>Tj ET\n" % (
            b"B" if mark.bold else b"R",
            mark.size,
            (x + mark.x) / POINT,
            (self._page_height - y - mark.y) / POINT,
            mark.text.encode("cp1252").hex().encode("ascii"),
        )

    def _next(self) -> int:
        self._offsets.append(0)
        return len(self._offsets) - 1

    def _object(self, number: int, body: bytes) -> None:
        self._offsets[number] = self._position
        self._write(b"%d 0 obj\n%b\nendobj\n" % (number, body))

    def _write(self, content: bytes) -> None:
        self._out.write(content)
        self._position += len(content)


def packed(modules: bytes, width: int) -> bytes:
    """Pack rows of `width` modules (0 or 1) into bits, each row filled up to whole bytes with zeros."""
    padding = -width % 8
    row_bytes = (width + 7) // 8
    digits = modules.translate(_BITS)
    return b"".join(
        (int(digits[start : start + width], 2) << padding).to_bytes(row_bytes, "big")
        for start in range(0, len(digits), width)
    )
