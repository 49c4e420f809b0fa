"""Label sheets as finished files: drawn, read back, and every fault of a sheet found."""

import io
import re
import tracemalloc
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path

import pypdfium2
import pytest
from PIL import Image

from app.registry.labels.check import CheckReport, verify_pdf, verify_zpl
from app.registry.labels.layouts import LAYOUTS, SheetLayout
from app.registry.labels.sheets import (
    Label,
    LabelError,
    LabelRun,
    render_pdf,
    render_png,
    render_svg,
    render_terminal,
)
from app.registry.labels.zpl import render_zpl
from scanners.images import ImageError, read_symbols
from tests.app.registry.labels.label_builders import code, label, labels

layouts = pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
LETTER = LAYOUTS["letter-3x10"]
ROLL = LAYOUTS["roll-50x25"]


def sheet(these: list[Label], layout: SheetLayout = LETTER, *, skip: int = 0) -> bytes:
    out = io.BytesIO()
    render_pdf(these, layout, out=out, title="Lote 47", skip=skip)
    return out.getvalue()


def codes(count: int) -> list[str]:
    return [code(number) for number in range(count)]


@layouts
def test_every_label_of_every_layout_is_read_back_at_both_resolutions(layout: SheetLayout) -> None:
    count = layout.labels_per_page + 2
    report = verify_pdf(sheet(labels(count), layout), codes(count), layout=layout)
    assert report == CheckReport(expected=count, read=count, missing=(), wrong=())
    assert report.released


def test_a_run_counts_labels_pages_and_what_was_left_out() -> None:
    seen: list[int] = []
    out = io.BytesIO()
    run = render_pdf(
        [*labels(31), Label(code(31), ("茶", "(21) A"))], LETTER, out=out, title="Lote 47", progress=seen.append
    )
    assert run == LabelRun(count=32, pages=2, incomplete=1)
    assert seen == [30, 32]


def test_the_same_labels_give_the_same_bytes() -> None:
    assert sheet(labels(3)) == sheet(labels(3))


def test_the_file_has_its_title_true_pages_and_is_printed_unscaled() -> None:
    content = sheet(labels(31))
    document = pypdfium2.PdfDocument(content)
    try:
        assert document.get_metadata_dict()["Title"] == "Lote 47"
        assert len(document) == 2
        assert document.get_page_size(0) == pytest.approx((612, 792))
    finally:
        document.close()
    assert b"/PrintScaling/None" in content


def test_the_text_of_a_label_can_be_selected_with_its_accents() -> None:
    document = pypdfium2.PdfDocument(sheet([label(1)], ROLL))
    try:
        page = document[0]
        text = page.get_textpage().get_text_range()
        page.close()
    finally:
        document.close()
    assert "Café molido" in text
    assert label(1).lines[-1] in text


def test_every_offset_of_the_cross_reference_table_points_at_its_object() -> None:
    content = sheet(labels(31))
    start = int(re.search(rb"startxref\n(\d+)\n%%EOF\n$", content)[1])  # type: ignore[index]
    head, count = re.match(rb"xref\n0 (\d+)\n", content[start:]), 0
    assert head
    for number in range(1, int(head[1])):
        entry = content[start + head.end() + 20 * number :][:20]
        assert re.fullmatch(rb"\d{10} 00000 n \n", entry)
        assert content[int(entry[:10]) :].startswith(b"%d 0 obj\n" % number)
        count += 1
    assert count == 5 + 2 * 2


def test_a_sheet_already_begun_is_continued_where_it_was_left() -> None:
    content = sheet(labels(5), skip=27)
    assert verify_pdf(content, codes(5), layout=LETTER, skip=27).released
    assert not verify_pdf(content, codes(5), layout=LETTER).released


def test_a_long_run_needs_the_memory_of_a_page() -> None:
    class Counter(io.RawIOBase):
        def writable(self) -> bool:
            return True

        def write(self, content: object) -> int:
            return len(content)  # type: ignore[arg-type]

    def peak(count: int) -> int:
        tracemalloc.start()
        try:
            render_pdf((label(number) for number in range(count)), LETTER, out=Counter(), title="")  # type: ignore[arg-type]
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(30)
    assert peak(1200) < peak(300) + 200_000


@pytest.mark.parametrize("skip", [-1, 30, 31])
def test_a_whole_sheet_cannot_be_skipped(skip: int) -> None:
    with pytest.raises(LabelError) as refused:
        sheet(labels(1), skip=skip)
    assert refused.value.code == "skip"


def test_no_labels_make_no_file() -> None:
    with pytest.raises(LabelError) as refused:
        sheet([])
    assert refused.value.code == "no_labels"


@pytest.mark.parametrize("layout", [LETTER, None], ids=["by place", "by text"])
def test_a_wrong_missing_or_surplus_label_holds_the_sheet_back(layout: SheetLayout | None) -> None:
    content = sheet(labels(12))
    other = [*codes(5), code(99), *codes(12)[6:]]
    swapped = verify_pdf(content, other, layout=layout)
    assert (swapped.expected, swapped.read, swapped.released) == (12, 11, False)
    assert {fault.found for fault in swapped.wrong} == {code(5)}
    one_more = verify_pdf(content, codes(13), layout=layout)
    assert (one_more.expected, one_more.read, one_more.released) == (13, 12, False)
    assert {fault.expected for fault in one_more.missing} == {code(12)}
    one_less = verify_pdf(content, codes(11), layout=layout)
    assert not one_less.released
    next_page = verify_pdf(content, codes(40), layout=layout)
    assert (next_page.expected, next_page.read, next_page.released) == (40, 12, False)


def test_two_labels_that_changed_places_are_found() -> None:
    content = sheet(labels(4))
    first, second, *rest = codes(4)
    report = verify_pdf(content, [second, first, *rest], layout=LETTER)
    assert (report.read, report.released) == (2, False)
    assert {fault.place for fault in report.wrong} == {0, 1}
    assert verify_pdf(content, [second, first, *rest]).released


def test_a_symbol_printed_unreadably_is_missing_at_its_place() -> None:
    picture = Image.open(io.BytesIO(render_png(labels(4), LETTER, dpi=300))).convert("L")
    x, y = (round(millimetres / 25.4 * 300) for millimetres in LETTER.corner(2))
    picture.paste(255, (x, y, x + 150, y + 300))
    out = io.BytesIO()
    picture.save(out, format="PDF", resolution=300)
    report = verify_pdf(out.getvalue(), codes(4), layout=LETTER)
    assert (report.expected, report.read) == (4, 3)
    assert {(fault.place, fault.expected) for fault in report.missing} == {(2, code(2))}


def test_progress_is_told_page_by_page_and_the_texts_may_stream() -> None:
    def texts() -> Iterator[str]:
        yield from codes(35)

    seen: list[int] = []
    assert verify_pdf(sheet(labels(35)), texts(), layout=LETTER, dpi=(203,), progress=seen.append).released
    assert seen == [30, 35]


def test_an_empty_order_is_never_released() -> None:
    assert not verify_pdf(sheet(labels(1)), [], layout=LETTER).released


def test_what_is_no_pdf_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ImageError):
        verify_pdf(b"no pdf", codes(1))
    with pytest.raises(ImageError):
        verify_pdf(tmp_path / "missing.pdf", codes(1))


def test_a_report_stays_small_however_much_is_wrong() -> None:
    report = verify_pdf(sheet(labels(30)), (code(number + 1000) for number in range(500)), layout=LETTER)
    assert (report.expected, report.read) == (500, 0)
    assert len(report.missing) == 100
    assert len(report.wrong) == 60


@layouts
def test_a_preview_has_the_size_of_the_page_and_is_read(layout: SheetLayout) -> None:
    png = render_png(labels(layout.labels_per_page + 1), layout)
    with Image.open(io.BytesIO(png)) as image:
        assert image.width == pytest.approx(layout.page_width / 25.4 * 203, abs=2)
    assert sorted(symbol.text for symbol in read_symbols(png)) == sorted(codes(layout.labels_per_page))


def test_an_svg_holds_the_same_modules_as_the_label_and_escapes_its_lines() -> None:
    drawing = render_svg(Label(code(1), ('<script>&"', "(21) A<B")), ROLL)
    root = ET.fromstring(drawing)  # noqa: S314 - our own text
    assert (root.get("width"), root.get("height")) == ("50mm", "25mm")
    namespace = "{http://www.w3.org/2000/svg}"
    assert [element.text for element in root.iter(namespace + "text")] == ['<script>&"', "(21) A<B"]
    path = list(root.iter(namespace + "path"))[1].get("d") or ""
    image = Image.new("L", (61, 61), 255)
    for x, y, length in re.findall(r"M(\d+) (\d+)h(\d+)v1h-\d+z", path):
        image.paste(0, (int(x) + 8, int(y) + 8, int(x) + 8 + int(length), int(y) + 9))
    out = io.BytesIO()
    image.resize((244, 244), Image.Resampling.NEAREST).save(out, format="PNG")
    assert [found.text for found in read_symbols(out.getvalue())] == [code(1)]


def test_a_terminal_label_shows_its_lines_without_control_characters() -> None:
    shown = render_terminal(Label(code(1), ("Café \x1b[31mrojo", "(21) A"), "nota"))
    assert "\x1b" not in shown
    assert shown.endswith("Café [31mrojo\n    (21) A\n    nota\n")


@layouts
@pytest.mark.parametrize("dpi", [203, 300, 600])
def test_the_bitmap_sent_to_a_thermal_printer_is_read_back(layout: SheetLayout, dpi: int) -> None:
    assert verify_zpl(render_zpl(labels(2), layout, dpi=dpi), codes(2)).released


def test_a_thermal_label_with_another_code_is_held_back() -> None:
    report = verify_zpl(render_zpl(labels(3), ROLL), [code(0), code(7), code(2)])
    assert (report.read, report.released) == (2, False)
    assert [(fault.page, fault.found) for fault in report.wrong] == [(2, code(1))]
    without = [commands.replace("^GFA", "^GFB") for commands in render_zpl(labels(1), ROLL)]
    assert [fault.expected for fault in verify_zpl(without, codes(1)).missing] == [code(0)]


def test_a_product_name_cannot_hold_a_printer_command() -> None:
    (commands,) = render_zpl([Label(code(1), ("^XZ~JA _5E ¿Ñ?", "(21) A"))], ROLL)
    assert commands.count("^XZ") == 1
    assert "~" not in commands
    assert commands.startswith("^XA^CI28^LH0,0^PW400^LL200\n")
    fields = re.findall(r"\^FH_\^FD(.*?)\^FS", commands)
    shown = [re.sub(rb"_(..)", lambda match: bytes.fromhex(match[1].decode()), field.encode()) for field in fields]
    assert b" ".join(shown).decode() == "^XZ~JA _5E ¿Ñ? (21) A"


def test_a_module_is_a_whole_number_of_dots() -> None:
    for dpi, dots in ((203, 3), (300, 4), (600, 8)):
        (commands,) = render_zpl([label(1)], ROLL, dpi=dpi)
        total, row_bytes = re.search(r"\^GFA,(\d+),\d+,(\d+),", commands).groups()  # type: ignore[union-attr]
        assert int(total) // int(row_bytes) == 45 * dots


def test_a_printer_of_unknown_resolution_is_refused() -> None:
    with pytest.raises(LabelError) as refused:
        list(render_zpl(labels(1), ROLL, dpi=72))
    assert refused.value.code == "printer_resolution"
