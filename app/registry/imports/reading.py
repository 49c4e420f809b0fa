"""An uploaded file as rows of texts, numbered as the person sees them in the spreadsheet."""

from collections.abc import Iterator
from dataclasses import dataclass

from app.core.errors import Malformed, TooLarge

MAX_FILE = 10 * 1024 * 1024
"""Bytes of an uploaded file."""
MAX_ROWS = 1_000_000
MAX_COLUMNS = 30
_OLD_EXCEL = bytes.fromhex("d0cf11e0")
_ZIP = b"PK\x03\x04"


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell. `is_number`: the spreadsheet held a number, so leading zeros may have been lost."""

    text: str
    is_number: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """One row with anything in it, and its number as the spreadsheet shows it (1-based)."""

    number: int
    cells: tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """A file ready to be read once: its rows in order, and how it was understood (encoding, separator, sheet)."""

    rows: Iterator[Row]
    details: dict[str, str]


def read_table(data: bytes) -> Table:
    """Read CSV or XLSX bytes. Raises Malformed or TooLarge, here or while the rows are read."""
    from app.registry.imports.text_files import read_text  # noqa: PLC0415  these two import the values above
    from app.registry.imports.xlsx_files import read_xlsx  # noqa: PLC0415

    if not data:
        raise Malformed("The file is empty.", code="empty_file")
    if len(data) > MAX_FILE:
        raise TooLarge("The file has more than 10 MB.", code="file_too_large", fix="Split it into several files.")
    if data.startswith(_OLD_EXCEL):
        raise Malformed(
            "This is a file of an old Excel, or one with a password.",
            code="old_excel",
            fix="Save it as .xlsx or CSV, without a password.",
        )
    return read_xlsx(data) if data.startswith(_ZIP) else read_text(data)


def too_many_rows(limit: int) -> TooLarge:
    """The refusal of a file with too many rows."""
    return TooLarge(
        "The file has more than %(limit)s rows.", code="too_many_rows", fix="Split it into several files.", limit=limit
    )
