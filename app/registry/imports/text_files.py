"""CSV and its relatives: which encoding, which separator, and row numbers that count records, not lines."""

import csv
import io
import re
from collections.abc import Iterator

from app.core.errors import Malformed
from app.registry.imports.reading import MAX_COLUMNS, MAX_ROWS, Cell, Row, Table, too_many_rows

SEPARATORS = {",": "comma", ";": "semicolon", "\t": "tab"}
_SEPARATOR_LINE = re.compile(r"sep=([,;\t])\r?\n", re.IGNORECASE)
"""A first line that tells Excel the separator; Excel does not count it as a row, nor do we."""


def read_text(data: bytes) -> Table:
    """Rows of a text file; raises Malformed when its encoding can not be told or its quotes are broken."""
    text, encoding = _decode(data)
    if "\x00" in text:
        raise Malformed(
            "This is not a text file that can be read.", code="encoding", fix="Save it as CSV in UTF-8, or as .xlsx."
        )
    hint = _SEPARATOR_LINE.match(text)
    if hint:
        text = text[hint.end() :]
    separator = hint[1] if hint else _separator(text)
    return Table(_rows(text, separator), {"encoding": encoding, "separator": SEPARATORS[separator]})


def _decode(data: bytes) -> tuple[str, str]:
    for mark, codec, name in (
        (b"\xef\xbb\xbf", "utf-8-sig", "UTF-8"),
        (b"\xff\xfe", "utf-16", "UTF-16"),
        (b"\xfe\xff", "utf-16", "UTF-16"),
    ):
        if data.startswith(mark):
            try:
                return data.decode(codec), name
            except UnicodeDecodeError as error:
                raise _undecodable(name) from error
    try:
        return data.decode("utf-8"), "UTF-8"
    except UnicodeDecodeError:
        pass
    if b"\x00" in data:
        raise _undecodable("UTF-8")
    try:
        # What Excel writes as "CSV" on a Western European or Latin American Windows.
        return data.decode("cp1252"), "Windows-1252"
    except UnicodeDecodeError as error:
        raise _undecodable("UTF-8 nor Windows-1252") from error


def _undecodable(name: str) -> Malformed:
    return Malformed(
        "The letters of the file can not be read: it is not %(encoding)s.",
        code="encoding",
        fix="Save it as “CSV UTF-8”, or as .xlsx.",
        encoding=name,
    )


def _separator(text: str) -> str:
    """The separator of the first line that has anything in it: whichever of the three it has most of."""
    first = next((line for line in io.StringIO(text) if line.strip()), "")
    return max(SEPARATORS, key=first.count)


def _rows(text: str, separator: str) -> Iterator[Row]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    number = 0
    while True:
        number += 1
        try:
            record = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise Malformed(
                "Row %(row)s can not be read: %(reason)s.",
                code="csv",
                fix="Look for a quotation mark that is not closed.",
                row=number,
                reason=str(error),
            ) from error
        if number > MAX_ROWS:
            raise too_many_rows(MAX_ROWS)
        # Counted before any cell is made: a row may be ten million separators and nothing else.
        width = len(record)
        while width and not record[width - 1].strip():
            width -= 1
        if width > MAX_COLUMNS:
            raise Malformed("Row %(row)s has too many columns.", code="too_many_columns", row=number)
        if width:
            yield Row(number, tuple(Cell(text.strip()) for text in record[:width]))
