"""Uploaded files: what people's programs write is read; what nobody's program writes is refused with a reason."""

from __future__ import annotations

import io
import time
import zipfile
from collections.abc import Sequence
from datetime import date
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openpyxl import Workbook

from app.core.errors import AppError
from app.registry.imports.batches import Reading, read_batches
from app.registry.imports.reading import read_table
from app.registry.imports.xlsx_files import MAX_XLSX_ROWS
from app.registry.service import Profile
from tests.builders import gtin

SHEET = "xl/worksheets/sheet1.xml"


def rows(data: bytes) -> list[tuple[int, list[str]]]:
    return [(row.number, [cell.text for cell in row.cells]) for row in read_table(data).rows]


def refusal(data: bytes) -> str:
    with pytest.raises(AppError) as refused:
        rows(data)
    return refused.value.code


def workbook(lines: Sequence[Sequence[Any]]) -> bytes:
    book = Workbook()
    sheet = book.active
    assert sheet is not None
    for line in lines:
        sheet.append(list(line))
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def reading(data: bytes, **more: Any) -> Reading:
    given: dict[str, Any] = {"product": None, "profile": Profile.SIGNED, "issuer": "ABCDEF", **more}
    return read_batches(read_table(data), **given)


def faults(data: bytes, **more: Any) -> list[tuple[str, str]]:
    return [(fault.where, fault.code) for fault in reading(data, **more).faults.items]


@pytest.mark.parametrize(
    "data",
    [
        "serie,lote\nñ1,é\n".encode(),
        "serie,lote\r\nñ1,é\r\n".encode("utf-8-sig"),
        "serie\tlote\nñ1\té\n".encode("utf-16"),
        "serie;lote\r\nñ1;é\r\n".encode("cp1252"),
        b"sep=;\r\n" + "serie;lote\r\nñ1;é\r\n".encode(),
        '"serie","lote"\n"ñ1","é"'.encode(),
    ],
)
def test_encodings_and_separators_of_common_programs_are_told_apart(data: bytes) -> None:
    assert rows(data) == [(1, ["serie", "lote"]), (2, ["ñ1", "é"])]


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "empty_file"),
        (b"\xef\xbb\xbf\xff", "encoding"),
        (b"a\x81b", "encoding"),
        (b"serial\nA\x00B\n", "encoding"),
        ("serial\nA\n".encode("utf-16-le"), "encoding"),
        (b'serial\n"A\n', "csv"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "old_excel"),
        (b"PK\x03\x04 and no archive", "xlsx"),
        (b"x" * (10 * 1024 * 1024 + 1), "file_too_large"),
        (b"," * 40 + b"x", "too_many_columns"),
    ],
)
def test_what_can_not_be_read_is_refused_with_a_reason(data: bytes, code: str) -> None:
    assert refusal(data) == code


def test_a_row_of_separators_and_nothing_else_costs_no_more_than_its_reading() -> None:
    started = time.process_time()
    assert rows(b"serial\n" + b"," * 1_000_000 + b"\nA\n") == [(1, ["serial"]), (3, ["A"])]
    assert time.process_time() - started < 10, "cut cell by cell it took hours"


def test_row_numbers_are_those_of_the_spreadsheet() -> None:
    # A blank line and a cell of two lines each are one row on the screen.
    assert [number for number, _ in rows(b'a,b\n\n"one\ntwo",x\n\n\ny,z\n')] == [1, 3, 6]
    assert [number for number, _ in rows(workbook([["a"], [], ["b"], [None], [None], ["c"]]))] == [1, 3, 6]


def test_a_workbook_gives_its_texts_numbers_and_dates() -> None:
    data = workbook([["gtin", "lot", "expiry", "quantity"], [9521234000013, "007", date(2027, 6, 30), 5.0]])
    assert rows(data)[1] == (2, ["9521234000013", "007", "2027-06-30", "5"])


@pytest.mark.parametrize("cell", ["=1+1", 10**15, "=HYPERLINK(A1)"])
def test_formulas_and_rounded_numbers_are_refused_by_row(cell: object) -> None:
    with pytest.raises(AppError, match="Row 2"):
        rows(workbook([["serial"], [cell]]))


def test_a_workbook_with_too_many_rows_is_refused() -> None:
    book = Workbook(write_only=True)
    sheet = book.create_sheet()
    sheet.append(["serial"])
    out = io.BytesIO()
    book.save(out)
    # A row number far below costs the sender nothing; it must not cost us a million empty rows.
    far = rewrite(out.getvalue(), SHEET, lambda xml: xml.replace(b'<row r="1"', b'<row r="9999999"'))
    assert refusal(far) == "too_many_rows"
    assert MAX_XLSX_ROWS < 9_999_999


def rewrite(data: bytes, name: str, change: Any) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as source, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as target:
        for entry in source.infolist():
            content = source.read(entry)
            target.writestr(entry.filename, change(content) if entry.filename == name else content)
    return out.getvalue()


def test_an_archive_bomb_is_refused_before_it_is_unpacked() -> None:
    bomb = rewrite(workbook([["serial"]]), SHEET, lambda xml: b" " * 60_000_000 + xml)
    assert len(bomb) < 100_000
    assert refusal(bomb) == "workbook_too_large"
    many = io.BytesIO()
    with zipfile.ZipFile(many, "w") as archive:
        for number in range(600):
            archive.writestr(str(number), "")
    assert refusal(many.getvalue()) == "workbook_too_large"


def test_nested_entities_are_refused() -> None:
    def entities(xml: bytes) -> bytes:
        declaration = b'<!DOCTYPE a [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>'
        return declaration + xml.replace(b"serial", b"&b;")

    data = workbook([["serial"], ["A"]])
    for part in (SHEET, "xl/workbook.xml"):
        assert refusal(rewrite(data, part, entities)) == "xlsx"


def test_one_row_makes_one_batch() -> None:
    data = f"GTIN,Lote,Caducidad,Cantidad,Nota\n{gtin()[1:]},A,2027-02-28,5,hola\n{gtin(2)},,,7\n".encode()
    first, second = reading(data).requests
    assert (first.product, first.lot, first.expiry, first.quantity, first.note) == (gtin(), "A", "270228", 5, "hola")
    assert (second.product, second.lot, second.expiry, second.quantity) == (gtin(2), None, None, 7)


def test_serials_make_one_batch_for_each_lot_and_date() -> None:
    data = b"serial,lot,expiry\nA1,L1,271231\nA2,L2,271231\nA3,L1,271231\n"
    first, second = reading(data, product=gtin()).requests
    assert (first.serials, first.lot) == (("A1", "A3"), "L1")
    assert list(first.serial_places or ()) == ["row 2, column serial", "row 4, column serial"]
    assert (second.serials, second.lot) == (("A2",), "L2")


def test_items_may_be_named_without_their_issuer() -> None:
    assert [one.product for one in reading(b"item,quantity\nQUESO,1\nABCDEF/PAN,2\n").requests] == [
        "ABCDEF/QUESO",
        "ABCDEF/PAN",
    ]


def test_every_fault_has_the_row_and_the_heading_of_the_file() -> None:
    data = (
        f"GTIN,Lote,Caducidad,Cantidad,Perfil\n"
        f"{gtin()},ñ,270230,5\n"
        f"{gtin()},,2027-02-30,5\n"
        f"{gtin()[:-1]}x,,,5\n"
        f"{gtin()},,,0\n"
        f"{gtin()},,,5,gold\n"
        f"{gtin()},,,5,signed,extra\n"
    ).encode()
    assert [where for where, _ in faults(data)] == [
        "row 2, column Lote",
        "row 2, column Caducidad",
        "row 3, column Caducidad",
        "row 4, column GTIN",
        "row 5, column Cantidad",
        "row 6, column Perfil",
        "row 7",
    ]


def test_a_serial_twice_in_a_file_is_a_fault_even_under_two_lots() -> None:
    found = faults(b"serial,lot\nA,L1\nB,L1\nA,L2\nB,L1\n", product=gtin())
    assert found == [("row 4, column serial", "duplicate_serial"), ("row 5, column serial", "duplicate_serial")]


def test_numbers_in_a_serial_column_of_a_workbook_are_refused() -> None:
    assert faults(workbook([["serial"], ["007"], [7]]), product=gtin()) == [("row 3, column serial", "number")]


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"\n\n", "empty_file"),
        (b"serial\n", "empty_file"),
        (b"gtin,colour\n1,red\n", "unknown_column"),
        (b"gtin,item,quantity\n", "duplicate_column"),
        (b"gtin,lot\n", "columns"),
        (b"serial,quantity\n", "columns"),
    ],
)
def test_a_file_without_a_usable_heading_is_refused(data: bytes, code: str) -> None:
    with pytest.raises(AppError) as refused:
        reading(data)
    assert refused.value.code == code


@settings(deadline=None)
@given(st.binary(max_size=400) | st.text(max_size=200).map(str.encode))
def test_no_bytes_whatever_make_the_reader_fail_otherwise(data: bytes) -> None:
    for prefix in (b"", b"serial\n", b"gtin,quantity\n", b"PK\x03\x04"):
        try:
            reading(prefix + data, product=gtin())
        except AppError:
            continue
