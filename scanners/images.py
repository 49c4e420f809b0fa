"""Codes in pictures and documents: PNG, JPEG, WebP and TIFF images, PDF files, and folders of them.

Everything read here comes from outside, so it is bounded before it is decoded: the size of a file, the pixels of an
image (a decompression bomb is refused by its header), the pages of a document. Whatever is wrong with a file ends in
an `ImageError`; no input ends the program. One limit is not held here: how long PDFium takes over a page that was
drawn to be slow. A service that accepts PDF files from strangers reads them in a worker process with a time limit.

PDFium is not safe to call from two threads, so every call runs under one lock of this module.
"""

import ctypes
import io
import os
import struct
import threading
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import pypdfium2
import zxingcpp
from PIL import Image, UnidentifiedImageError

from scanners.codes.check_digits import has_valid_check_digit
from scanners.hard_images import second_looks

MAXIMUM_BYTES: Final = 64 * 1024 * 1024
"""Size of one file."""

MAXIMUM_PIXELS: Final = 64_000_000
"""Pixels of one image, all frames together, or of one drawn page: a letter page at 600 dpi has 34 million."""

MAXIMUM_PAGES: Final = 2_000
"""Pages of one PDF or frames of one TIFF."""

MAXIMUM_FILES: Final = 10_000
"""Files of one folder."""

IMAGE_SUFFIXES: Final = frozenset({".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".pdf"})

Pixels = Any
"""What the decoder takes: a grey image as a buffer of (height, width) bytes, or a Pillow image."""

_IMAGE_FORMATS: Final = ("PNG", "JPEG", "WEBP", "TIFF")
_PDF_MAGIC: Final = b"%PDF-"
_DPI: Final = (300, 203, 600)

# Symbols that carry a code of this field. Others only add false readings: inside a dense QR code the decoder sees a
# Micro QR code now and then, and ITF of free length or Codabar anywhere.
_FORMATS: Final = zxingcpp.BarcodeFormats(
    [
        zxingcpp.BarcodeFormat.QRCodeModel2,
        zxingcpp.BarcodeFormat.DataMatrix,
        zxingcpp.BarcodeFormat.Aztec,
        zxingcpp.BarcodeFormat.PDF417,
        zxingcpp.BarcodeFormat.Code128,
        zxingcpp.BarcodeFormat.Code39,
        zxingcpp.BarcodeFormat.EANUPC,
        zxingcpp.BarcodeFormat.ITF14,
        zxingcpp.BarcodeFormat.DataBar,
    ]
)

_MATRIX_FORMATS: Final = zxingcpp.BarcodeFormats(
    [zxingcpp.BarcodeFormat.QRCodeModel2, zxingcpp.BarcodeFormat.DataMatrix]
)

_MATRIX_NAMES: Final = frozenset({"QRCode", "DataMatrix", "Aztec", "PDF417"})

# What Pillow's decoders raise on damaged files, beside its own UnidentifiedImageError (an OSError).
_DECODER_ERRORS: Final = (
    OSError,
    ValueError,
    SyntaxError,
    TypeError,
    LookupError,
    EOFError,
    OverflowError,
    MemoryError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
    Warning,  # where warnings are errors: Pillow warns of truncated files
)

_pdfium: Final = threading.RLock()


class ImageError(ValueError):
    """A file that could not be read for codes: `code` is stable, the message is for people, `fix` says what helps."""

    def __init__(self, code: str, message: str, *, fix: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.fix = fix


@dataclass(frozen=True, slots=True)
class FoundSymbol:
    """One symbol that was read.

    `text` is the content as the symbol holds it: a GS1 separator stays the character GS (0x1D).
    `page` counts from 1. `position` has the symbol's four corners as (x, y), from its own top left clockwise, in
    pixels of the image or, for a PDF, of the page drawn at `dpi`. `format` is the symbology ("QRCode", "DataMatrix",
    "Code128", "EAN13"), `symbology_identifier` its AIM form ("]Q1", "]d2", "]C1").
    """

    text: str
    page: int
    position: tuple[tuple[int, int], tuple[int, int], tuple[int, int], tuple[int, int]]
    format: str
    symbology_identifier: str
    dpi: int | None = None

    @property
    def centre(self) -> tuple[float, float]:
        """The middle of the four corners, in the same pixels."""
        return sum(x for x, _ in self.position) / 4, sum(y for _, y in self.position) / 4

    def shrunk(self, factor: int) -> "FoundSymbol":
        """Return the same symbol at its place in the image before it was enlarged by `factor`."""
        first, second, third, fourth = ((x // factor, y // factor) for x, y in self.position)
        return replace(self, position=(first, second, third, fourth))

    @property
    def scanner_text(self) -> str:
        """The text as a hand scanner sends it: GS1 element strings and reel labels start with the AIM identifier."""
        return (
            self.symbology_identifier + self.text if self.symbology_identifier in {"]d2", "]C1", "]e0"} else self.text
        )


def read_symbols(
    source: Path | str | bytes, *, dpi: Sequence[int] = _DPI, maximum_pages: int = MAXIMUM_PAGES
) -> list[FoundSymbol]:
    """Read every symbol of one image or PDF, given as a path or as its bytes.

    A PDF page is drawn at the first of `dpi`; if nothing is found on it, at the next. An image in which nothing is
    found gets the second looks of `scanners.hard_images`. An image without a symbol gives an empty list, no error.
    A service that reads what strangers send sets `maximum_pages` to a few: a page takes up to a second.

    Raises ImageError: `not_found`, `file_too_large`, `not_an_image`, `damaged`, `too_many_pixels`,
    `too_many_pages`, `pdf_encrypted`, `resolution`.
    """
    content = source if isinstance(source, bytes) else _read_file(Path(source))
    if len(content) > MAXIMUM_BYTES:
        raise _file_too_large()
    if _PDF_MAGIC in content[:1024]:
        return _read_pdf(content, dpi, maximum_pages)
    return _read_image(content, maximum_pages)


def read_folder(folder: Path | str) -> Iterator[tuple[Path, list[FoundSymbol] | ImageError]]:
    """Read each image and PDF directly in `folder`, by name; a file that fails yields its error, the rest go on.

    Raises ImageError: `not_found` when `folder` is none, `too_many_files` above 10,000.
    """
    root = Path(folder)
    if not root.is_dir():
        raise ImageError("not_found", "There is no such folder.")
    files = sorted(file for file in root.iterdir() if file.suffix.lower() in IMAGE_SUFFIXES and file.is_file())
    if len(files) > MAXIMUM_FILES:
        raise ImageError("too_many_files", f"A folder may hold {MAXIMUM_FILES:,} images.", fix="Split the folder.")
    for file in files:
        try:
            yield file, read_symbols(file)
        except ImageError as error:
            yield file, error


def decode(
    pixels: Pixels,
    *,
    page: int = 1,
    dpi: int | None = None,
    formats: zxingcpp.BarcodeFormats | zxingcpp.BarcodeFormat = _FORMATS,
    strict: bool = False,
) -> list[FoundSymbol]:
    """Read the symbols of a grey image.

    `strict` is for clean images of our own making: one threshold for the whole image, and none of the decoder's
    second chances (rotated, inverted and shrunk copies). It takes a third of the time and asks more of the print.
    """
    again = not strict
    barcodes = zxingcpp.read_barcodes(
        pixels,
        formats=formats,  # type: ignore[arg-type]  # the stub leaves out that a single format converts
        text_mode=zxingcpp.TextMode.Plain,
        try_rotate=again,
        try_downscale=again,
        try_invert=again,
        binarizer=zxingcpp.Binarizer.LocalAverage if again else zxingcpp.Binarizer.GlobalHistogram,
    )
    found = [_found(barcode, page, dpi) for barcode in barcodes if barcode.valid]
    return [symbol for symbol in found if not _is_phantom(symbol, found)]


@contextmanager
def open_pdf(source: Path | bytes, *, maximum_pages: int | None = MAXIMUM_PAGES) -> Iterator["PdfPages"]:
    """Open a PDF for drawing its pages; `maximum_pages` None is for documents of our own making.

    Raises ImageError: `damaged`, `pdf_encrypted`, `too_many_pages`.
    """
    with _pdfium:
        try:
            document = pypdfium2.PdfDocument(source)
        except (pypdfium2.PdfiumError, OSError) as error:
            if getattr(error, "err_code", None) == pypdfium2.raw.FPDF_ERR_PASSWORD:
                raise ImageError(
                    "pdf_encrypted", "The PDF is protected by a password.", fix="Save it without a password."
                ) from error
            raise ImageError("damaged", "The PDF is damaged or not a PDF.") from error
    try:
        with _pdfium:
            count = len(document)
        if maximum_pages is not None and count > maximum_pages:
            raise ImageError(
                "too_many_pages", f"The PDF has {count:,} pages; {maximum_pages:,} are read.", fix="Split the PDF."
            )
        yield PdfPages(document, count)
    finally:
        with _pdfium:
            document.close()


class PdfPages:
    """The pages of an open PDF, drawn in grey one at a time, on one canvas that all of them share."""

    def __init__(self, document: "pypdfium2.PdfDocument", count: int) -> None:
        self._document = document
        self._canvas = bytearray()
        self.count = count

    @contextmanager
    def drawn(self, page: int, dpi: int, *, hard: bool = False) -> Iterator[Pixels]:
        """Draw `page` (from 1) at `dpi`; the (height, width) buffer lives as long as the `with` block.

        `hard` draws images without smoothing, as the dots of a thermal printer, which are black or white.

        Raises ImageError: `resolution`, `too_many_pixels`, `damaged`.
        """
        if not 36 <= dpi <= 2400:
            raise ImageError("resolution", "A page is drawn at 36 to 2,400 dots an inch.")
        bitmap = self._draw(page, dpi, hard=hard)
        try:
            yield memoryview(bitmap.buffer).cast("B").cast("B", shape=[bitmap.height, bitmap.stride])
        finally:
            with _pdfium:
                bitmap.close()

    def _draw(self, page: int, dpi: int, *, hard: bool) -> "pypdfium2.PdfBitmap":
        with _pdfium:
            try:
                opened = self._document[page - 1]
            except pypdfium2.PdfiumError as error:
                raise ImageError("damaged", f"Page {page} of the PDF is damaged.") from error
            try:
                width, height = opened.get_size()
                if not 0 < width * height * (dpi / 72) ** 2 <= MAXIMUM_PIXELS:
                    raise _too_many_pixels()
                return opened.render(
                    scale=dpi / 72, grayscale=True, may_draw_forms=False, no_smoothimage=hard, bitmap_maker=self._bitmap
                )
            except pypdfium2.PdfiumError as error:
                raise ImageError("damaged", f"Page {page} of the PDF is damaged.") from error
            finally:
                opened.close()

    def _bitmap(self, width: int, height: int, **options: Any) -> "pypdfium2.PdfBitmap":
        # A fresh canvas for each page costs a third of the time in page faults.
        if len(self._canvas) < width * height:
            self._canvas = bytearray(width * height)
        canvas = (ctypes.c_ubyte * (width * height)).from_buffer(self._canvas)
        return pypdfium2.PdfBitmap.new_native(width, height, buffer=canvas, **options)


def _read_file(path: Path) -> bytes:
    try:
        if not path.is_file():
            raise ImageError("not_found", "There is no such file.")
        with path.open("rb") as file:
            # The size is asked of the open file, and one byte more is read: the file may grow meanwhile.
            if os.fstat(file.fileno()).st_size > MAXIMUM_BYTES:
                raise _file_too_large()
            return file.read(MAXIMUM_BYTES + 1)
    except OSError as error:
        raise ImageError("not_found", "The file cannot be opened.") from error


def _read_pdf(content: bytes, resolutions: Sequence[int], maximum_pages: int) -> list[FoundSymbol]:
    found: list[FoundSymbol] = []
    with open_pdf(content, maximum_pages=maximum_pages) as pages:
        for page in range(1, pages.count + 1):
            for dpi in resolutions:
                with pages.drawn(page, dpi) as pixels:
                    here = decode(pixels, page=page, dpi=dpi)
                if here:
                    found += here
                    break
    return found


def _read_image(content: bytes, maximum_pages: int) -> list[FoundSymbol]:
    found: list[FoundSymbol] = []
    try:
        with Image.open(io.BytesIO(content), formats=_IMAGE_FORMATS) as image:
            frames = getattr(image, "n_frames", 1)
            for frame in _frames(image, frames, maximum_pages):
                grey = _grey(image)
                found += _look(grey) if frames == 1 else decode(grey, page=frame + 1)
    except ImageError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise _too_many_pixels() from error
    except UnidentifiedImageError as error:
        raise ImageError(
            "not_an_image", "The file is no PNG, JPEG, WebP, TIFF or PDF.", fix="Save the picture as PNG or JPEG."
        ) from error
    except _DECODER_ERRORS as error:
        raise ImageError("damaged", "The image is damaged.") from error
    return found


def _look(grey: Image.Image) -> list[FoundSymbol]:
    found = decode(grey)
    if found:
        return found
    for factor, image in second_looks(grey):
        # Two-dimensional symbols only: they correct errors, where the bars of a sharpened picture could be misread.
        found = decode(image, formats=_MATRIX_FORMATS)
        if found:
            return [symbol.shrunk(factor) for symbol in found]
    return []


def _frames(image: Image.Image, frames: int, maximum_pages: int) -> Iterator[int]:
    """Move through the frames of an image; their pixels, added up, are checked before each is decoded."""
    if frames > maximum_pages:
        raise ImageError("too_many_pages", f"The image has {frames:,} frames; {maximum_pages:,} are read.")
    pixels = 0
    for frame in range(frames):
        image.seek(frame)
        pixels += image.width * image.height
        if pixels > MAXIMUM_PIXELS:
            raise _too_many_pixels()
        yield frame


def _grey(image: Image.Image) -> Image.Image:
    """Return the image as 8-bit grey, transparent parts white as on paper."""
    if image.mode.startswith("I;16") or image.mode == "I":
        return image.convert("I").point(lambda value: value / 256).convert("L")
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        paper = Image.new("RGBA", rgba.size, "white")
        return Image.alpha_composite(paper, rgba).convert("L")
    return image.convert("L")


def _found(barcode: zxingcpp.Barcode, page: int, dpi: int | None) -> FoundSymbol:
    place = barcode.position
    corners = (place.top_left, place.top_right, place.bottom_right, place.bottom_left)
    first, second, third, fourth = ((corner.x, corner.y) for corner in corners)
    return FoundSymbol(
        text=barcode.text,
        page=page,
        position=(first, second, third, fourth),
        format=barcode.format.name,
        symbology_identifier=barcode.symbology_identifier,
        dpi=dpi,
    )


def _is_phantom(symbol: FoundSymbol, found: Sequence[FoundSymbol]) -> bool:
    """Tell a linear symbol that the decoder saw in something else.

    The modules of one matrix symbol in seven hundred contain a row that reads as a short Interleaved 2 of 5, which has
    no check of its own: only GTIN-14s with their check digit are symbols of this field, and no linear symbol is
    printed inside a matrix symbol.
    """
    if symbol.format in _MATRIX_NAMES:
        return False
    if symbol.format.startswith("ITF") and not (len(symbol.text) == 14 and has_valid_check_digit(symbol.text)):
        return True
    return any(_holds(other, *symbol.centre) for other in found if other.format in _MATRIX_NAMES)


def _holds(symbol: FoundSymbol, x: float, y: float) -> bool:
    """Whether a point lies inside the symbol's four corners, given clockwise."""
    corners = symbol.position
    return all(
        (x2 - x1) * (y - y1) - (y2 - y1) * (x - x1) >= 0
        for (x1, y1), (x2, y2) in zip(corners, (*corners[1:], corners[0]), strict=True)
    )


def _file_too_large() -> ImageError:
    return ImageError("file_too_large", "A file may have 64 MiB.", fix="Save it smaller, or split the PDF.")


def _too_many_pixels() -> ImageError:
    return ImageError(
        "too_many_pixels",
        f"An image or a drawn page may have {MAXIMUM_PIXELS // 1_000_000} million pixels.",
        fix="Save it smaller, or crop it to the code.",
    )
