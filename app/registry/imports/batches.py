"""Rows to batches: either one batch a row, or serials that make one batch for each product, lot and expiry date."""

import unicodedata
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import overload

from app.core.clock import now_ms
from app.core.errors import AppError, Faults, FieldFault, Malformed
from app.registry.expiry import from_date_text
from app.registry.imports.reading import Cell, Row, Table
from app.registry.references import parse_reference
from app.registry.rules import MAX_FAULTS, MAX_PARTS, check_expiry, check_lot, check_request, shown
from app.registry.unit_id import MAX_BATCH_SIZE
from app.registry.values import CommissionRequest
from app.registry.vocabulary import Profile
from scanners.codes.identity import CodeKind

COLUMNS = {
    "gtin": "product",
    "item": "product",
    "product": "product",
    "producto": "product",
    "articulo": "product",
    "serial": "serial",
    "serie": "serial",
    "numero de serie": "serial",
    "lot": "lot",
    "lote": "lot",
    "expiry": "expiry",
    "caducidad": "expiry",
    "quantity": "quantity",
    "cantidad": "quantity",
    "profile": "profile",
    "perfil": "profile",
    "note": "note",
    "nota": "note",
}
"""Headings in English and Spanish, without accents, and the column that each names."""


@dataclass(slots=True)
class Reading:
    """What a file asks for: batches, faults with their places, and for each batch the row that first named it."""

    requests: list[CommissionRequest] = field(default_factory=list)
    first_rows: list[int] = field(default_factory=list)
    faults: Faults = field(default_factory=Faults)
    rows: int = 0
    headings: dict[str, str] = field(default_factory=dict)

    def place(self, row: int, column: str) -> str:
        """Where something stands, in the words of the file's own headings."""
        return f"row {row}, column {self.headings.get(column, column)}"

    @property
    def is_full(self) -> bool:
        """Whether enough faults were found that looking for more helps nobody."""
        return len(self.faults.items) >= MAX_FAULTS


def read_batches(table: Table, *, product: str | None, profile: Profile, issuer: str) -> Reading:
    """The batches that a file asks for. `product` is that of a file of serials; `issuer` completes plain item names.

    Raises Malformed when the file has no usable heading; everything else is a fault at its row and column.
    """
    header = next(table.rows, None)
    if header is None:
        raise Malformed("The file has no rows.", code="empty_file")
    reading = Reading()
    columns = _columns(header, reading)
    defaults = _Defaults(product, profile, issuer)
    if "serial" in columns:
        _read_serials(table.rows, columns, defaults, reading)
    else:
        _read_quantities(table.rows, columns, defaults, reading)
    if not reading.requests and not reading.faults.items:
        raise Malformed("The file has a heading but no rows below it.", code="empty_file")
    if len(reading.requests) > MAX_PARTS:
        raise Malformed("One file makes at most %(limit)s batches.", code="too_many_batches", limit=MAX_PARTS)
    return reading


@dataclass(frozen=True, slots=True)
class _Defaults:
    product: str | None
    profile: Profile
    issuer: str


@dataclass(frozen=True, slots=True)
class _Line:
    """The cells of one row by column."""

    number: int
    cells: dict[str, Cell]

    def text(self, column: str) -> str:
        cell = self.cells.get(column)
        return cell.text if cell is not None else ""


def _columns(header: Row, reading: Reading) -> dict[str, int]:
    found: dict[str, int] = {}
    for position, cell in enumerate(header.cells):
        name = COLUMNS.get(_plain(cell.text))
        if name is None:
            raise Malformed(
                "Row %(row)s should be the heading; there is no column called %(name)s.",
                code="unknown_column",
                fix="The columns are gtin or item, serial, lot, expiry, quantity, profile, note.",
                row=header.number,
                name=shown(cell.text),
            )
        if name in found:
            raise Malformed(
                "Two columns mean the same: %(first)s and %(second)s.",
                code="duplicate_column",
                first=shown(reading.headings[name]),
                second=shown(cell.text),
            )
        found[name] = position
        reading.headings[name] = cell.text
    if "serial" in found and "quantity" in found:
        raise Malformed("A file lists either serials or quantities, not both.", code="columns")
    if "serial" not in found and not {"product", "quantity"} <= found.keys():
        raise Malformed(
            "The file needs the columns gtin (or item) and quantity, or the column serial.",
            code="columns",
            fix="Write these names into the first row.",
        )
    return found


def _plain(text: str) -> str:
    decomposed = unicodedata.normalize("NFKD", text.strip().casefold())
    return " ".join("".join(mark for mark in decomposed if not unicodedata.combining(mark)).replace("_", " ").split())


def _lines(rows: Iterator[Row], columns: dict[str, int], reading: Reading) -> Iterator[_Line]:
    width = len(columns)
    for row in rows:
        reading.rows += 1
        if reading.is_full:
            return
        if len(row.cells) > width:
            reading.faults.add(f"row {row.number}", "This row has more cells than the heading.", "cells")
            continue
        yield _Line(row.number, {name: row.cells[at] for name, at in columns.items() if at < len(row.cells)})


def _read_quantities(rows: Iterator[Row], columns: dict[str, int], defaults: _Defaults, reading: Reading) -> None:
    for line in _lines(rows, columns, reading):
        kind, product = _product(line, defaults, reading)
        quantity = line.text("quantity")
        if not (quantity.isascii() and quantity.isdigit() and 1 <= int(quantity[:12]) <= MAX_BATCH_SIZE):
            place = reading.place(line.number, "quantity")
            reading.faults.add(place, f"The quantity is a whole number from 1 to {MAX_BATCH_SIZE:,}.", "quantity")
            continue
        if kind is None:
            continue
        request = CommissionRequest(
            product=product,
            profile=_profile(line, defaults, reading),
            quantity=int(quantity),
            lot=line.text("lot") or None,
            expiry=_expiry(line, reading),
            note=line.text("note"),
        )
        faults = Faults()
        check_request(request, kind, faults)
        for fault in faults.items:
            reading.faults.add(reading.place(line.number, fault.where.lstrip("/")), fault.message, fault.code)
        reading.requests.append(request)
        reading.first_rows.append(line.number)


@dataclass(frozen=True, slots=True)
class RowPlaces(Sequence[str]):
    """Where each serial of a batch stood: numbers until somebody asks, since only a fault is ever shown."""

    rows: "array[int]"
    heading: str

    def __len__(self) -> int:
        return len(self.rows)

    @overload
    def __getitem__(self, index: int) -> str: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[str]: ...

    def __getitem__(self, index: int | slice) -> str | Sequence[str]:
        if isinstance(index, slice):
            return RowPlaces(self.rows[index], self.heading)
        return f"row {self.rows[index]}, column {self.heading}"


@dataclass(slots=True)
class _Group:
    """Serials that make one batch."""

    first_row: int
    serials: list[str] = field(default_factory=list)
    rows: "array[int]" = field(default_factory=lambda: array("l"))


_GroupKey = tuple[CodeKind, str, Profile, str | None, str | None]


def _read_serials(rows: Iterator[Row], columns: dict[str, int], defaults: _Defaults, reading: Reading) -> None:
    groups: dict[_GroupKey, _Group] = {}
    seen: dict[tuple[str, str], int] = {}
    for line in _lines(rows, columns, reading):
        kind, product = _product(line, defaults, reading)
        serial = line.cells.get("serial", Cell(""))
        if serial.is_number:
            sentence = "The serial is a number here, which loses leading zeros: format the column as text."
            reading.faults.add(reading.place(line.number, "serial"), sentence, "number")
            continue
        if kind is None:
            continue
        earlier = seen.setdefault((product, serial.text), line.number)
        if earlier != line.number:
            sentence = f"The serial {shown(serial.text)} stands already in row {earlier}."
            reading.faults.add(reading.place(line.number, "serial"), sentence, "duplicate_serial")
            continue
        lot, expiry = line.text("lot") or None, _expiry(line, reading)
        if lot is not None:
            check_lot(lot, reading.place(line.number, "lot"), reading.faults)
        if expiry is not None:
            check_expiry(expiry, reading.place(line.number, "expiry"), reading.faults)
        key = (kind, product, _profile(line, defaults, reading), lot, expiry)
        group = groups.setdefault(key, _Group(line.number))
        group.serials.append(serial.text)
        group.rows.append(line.number)
    for (kind, product, profile, lot, expiry), group in groups.items():
        request = CommissionRequest(
            product=product,
            profile=profile,
            serials=tuple(group.serials),
            serial_places=RowPlaces(group.rows, reading.headings["serial"]),
            lot=lot,
            expiry=expiry,
        )
        faults = Faults()
        check_request(request, kind, faults)
        for fault in faults.items:
            if fault.where.startswith("row "):
                reading.faults.items.append(fault)
            elif fault.where not in ("/lot", "/expiry"):  # those two were noted row by row
                place = reading.place(group.first_row, fault.where.lstrip("/"))
                reading.faults.items.append(FieldFault(place, fault.message, fault.code))
        reading.requests.append(request)
        reading.first_rows.append(group.first_row)


def _product(line: _Line, defaults: _Defaults, reading: Reading) -> tuple[CodeKind | None, str]:
    """Kind and reference of the row's product; no kind when it is wrong (and noted)."""
    text = line.text("product") or defaults.product or ""
    if not text:
        sentence = "The product is missing: its GTIN, or the item reference."
        reading.faults.add(reading.place(line.number, "product"), sentence, "product")
        return None, ""
    if "/" not in text and not text.isdigit():
        text = f"{defaults.issuer}/{text}"
    try:
        return parse_reference(text)
    except AppError as error:
        reading.faults.add(reading.place(line.number, "product"), str(error), error.code)
        return None, ""


def _profile(line: _Line, defaults: _Defaults, reading: Reading) -> Profile:
    text = line.text("profile").lower()
    if not text:
        return defaults.profile
    try:
        return Profile(text)
    except ValueError:
        place = reading.place(line.number, "profile")
        reading.faults.add(place, "The profile is signed or compact.", "profile")
        return defaults.profile


def _expiry(line: _Line, reading: Reading) -> str | None:
    """The row's expiry date as AI 17 writes it, from YYMMDD or YYYY-MM-DD."""
    text = line.text("expiry")
    if len(text) == len("2027-12-31") and text[4] == text[7] == "-":
        try:
            return from_date_text(text, now=now_ms())
        except ValueError:
            place = reading.place(line.number, "expiry")
            reading.faults.add(place, f"There is no such date: {shown(text)}.", "expiry")
            return None
    return text or None
