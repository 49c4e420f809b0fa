"""XLSX: an archive of XML from a stranger. Its sizes are checked before anything is unpacked, formulas are refused."""

import io
import zipfile
from collections.abc import Iterator
from datetime import date, datetime
from typing import Any

from openpyxl import load_workbook
from openpyxl.xml import DEFUSEDXML

from app.core.errors import AppError, Malformed, TooLarge
from app.registry.imports.reading import MAX_COLUMNS, Cell, Row, Table, too_many_rows

MAX_XLSX_ROWS = 50_000
"""XML is slow to read: longer lists are welcome as CSV."""
MAX_ENTRIES = 500
MAX_UNPACKED = 64 * 1024 * 1024
MAX_RATIO = 300
"""A sheet of repeated rows packs to about a hundredth; bombs to a thousandth."""
EXACT_INTEGERS = 10**15
"""Spreadsheets keep 15 digits of a number."""

if not DEFUSEDXML:
    raise ImportError("defusedxml is needed: without it a spreadsheet could fill the memory by nested entities")


def read_xlsx(data: bytes) -> Table:
    """Rows of the first sheet; raises Malformed or TooLarge, here or while the rows are read."""
    _check_archive(data)
    try:
        book = load_workbook(io.BytesIO(data), read_only=True, data_only=False, keep_links=False)
        sheet = book.worksheets[0]
    except Exception as error:
        # A library reads a stranger's file: whatever it stumbles over, the file is what is wrong.
        raise _unreadable() from error
    return Table(_rows(sheet), {"sheet": str(sheet.title)})


def _check_archive(data: bytes) -> None:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError) as error:
        raise _unreadable() from error
    # Reading an entry never yields more than the size stated here, so checking what is stated is enough.
    unpacked = sum(entry.file_size for entry in entries)
    packed = sum(entry.compress_size for entry in entries)
    if len(entries) > MAX_ENTRIES or unpacked > MAX_UNPACKED or unpacked > MAX_RATIO * max(packed, 1024):
        raise TooLarge(
            "This workbook is too large when unpacked.",
            code="workbook_too_large",
            fix="Remove other sheets and pictures, or save the list as CSV.",
        )
    if any(entry.flag_bits & 1 for entry in entries):
        raise Malformed("This workbook has a password.", code="encrypted", fix="Save it without one.")
    if len({entry.filename for entry in entries}) != len(entries):
        raise _unreadable()


def _rows(sheet: Any) -> Iterator[Row]:
    sheet.reset_dimensions()  # what the file claims about its size need not be true
    rows = sheet.iter_rows(max_col=MAX_COLUMNS)
    number = 0
    while True:
        number += 1
        try:
            cells = next(rows)
        except StopIteration:
            return
        except Exception as error:
            raise _unreadable() from error
        if number > MAX_XLSX_ROWS:
            raise too_many_rows(MAX_XLSX_ROWS)
        width = len(cells)
        while width and cells[width - 1].value is None:
            width -= 1  # rows come padded to the largest width
        read = tuple(_cell(cell, number) for cell in cells[:width])
        while read and not read[-1].text:
            read = read[:-1]
        if read:
            yield Row(number, read)


def _cell(cell: Any, row: int) -> Cell:
    value = cell.value
    if value is None:
        return Cell("")
    if cell.data_type == "f":
        raise _bad_cell(row, "a formula", "Paste the values instead of the formulas.")
    if isinstance(value, str):
        if cell.data_type == "e":
            raise _bad_cell(row, f"the error {value}", "Mend the cell.")
        return Cell(value.strip())
    if isinstance(value, (datetime, date)):
        return Cell(value.strftime("%Y-%m-%d"))
    if isinstance(value, bool):
        return Cell(str(value).lower())
    if isinstance(value, (int, float)):
        if value != int(value):
            return Cell(repr(value), is_number=True)
        if abs(value) >= EXACT_INTEGERS:
            raise _bad_cell(row, "a number of over 15 digits, which Excel rounds", "Format the column as text.")
        return Cell(str(int(value)), is_number=True)
    raise _bad_cell(row, "something that is no text, number or date", "Paste the values as text.")


def _bad_cell(row: int, what: str, fix: str) -> AppError:
    return Malformed("Row %(row)s contains %(what)s.", code="cell", fix=fix, row=row, what=what)


def _unreadable() -> Malformed:
    return Malformed(
        "This file can not be read as an Excel workbook (.xlsx).", code="xlsx", fix="Save it again, or save it as CSV."
    )
