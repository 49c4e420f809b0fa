"""Codes in images, PDFs and folders: read where they are, refused with a reason where they are not."""

import io
import random
import struct
import zlib
from pathlib import Path

import pytest
import zxingcpp
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from scanners import images
from scanners.codes.symbol import png
from scanners.images import FoundSymbol, ImageError, open_pdf, read_folder, read_symbols

CODE = "HTTPS://ID.EXAMPLE.ORG/01/09521234567899/21/ABCDE0123456789AB?S=" + "1" * 167
ELEMENTS = "(01)09521234567899(10)AB(21)X1"
ELEMENT_STRING = "010952123456789910AB\x1d21X1"


def picture(*, file_format: str = "PNG", mode: str = "L", angle: float = 0, **options: object) -> bytes:
    image = Image.open(io.BytesIO(png(CODE, module_pixels=5))).convert("L")
    page = Image.new("L", (image.width + 200, image.height + 200), 255)
    page.paste(image, (100, 100))
    out = io.BytesIO()
    page.rotate(angle, fillcolor=255).convert(mode).save(out, format=file_format, **options)
    return out.getvalue()


def symbol_image(text: str, barcode_format: zxingcpp.BarcodeFormat, **options: object) -> bytes:
    barcode = zxingcpp.create_barcode(text, barcode_format, **options)
    drawn = barcode.to_image(scale=4)
    out = io.BytesIO()
    Image.fromarray(drawn).save(out, format="PNG")
    return out.getvalue()


def pdf(*pages: bytes, resolution: float = 200) -> bytes:
    drawn = [Image.open(io.BytesIO(page)).convert("L") for page in pages]
    out = io.BytesIO()
    drawn[0].save(out, format="PDF", save_all=True, append_images=drawn[1:], resolution=resolution)
    return out.getvalue()


def blank() -> bytes:
    out = io.BytesIO()
    Image.new("L", (300, 300), 255).save(out, format="PNG")
    return out.getvalue()


@pytest.mark.parametrize(
    ("file_format", "mode"),
    [("PNG", "1"), ("PNG", "L"), ("PNG", "RGB"), ("PNG", "P"), ("JPEG", "L"), ("JPEG", "RGB"), ("JPEG", "CMYK"),
     ("WEBP", "RGB"), ("TIFF", "1"), ("TIFF", "L")],
)  # fmt: skip
def test_a_code_is_read_from_each_kind_of_image(file_format: str, mode: str) -> None:
    (found,) = read_symbols(picture(file_format=file_format, mode=mode))
    assert (found.text, found.page, found.format, found.symbology_identifier) == (CODE, 1, "QRCode", "]Q1")
    assert found.dpi is None


@pytest.mark.parametrize("angle", [0, 33, 90, 180, 271])
def test_a_turned_code_is_read_and_its_corners_turn_with_it(angle: float) -> None:
    (found,) = read_symbols(picture(angle=angle))
    assert found.text == CODE
    side = Image.open(io.BytesIO(picture())).width
    assert found.centre == pytest.approx((side / 2, side / 2), abs=6)


def test_position_names_the_corners_clockwise_from_the_top_left() -> None:
    (found,) = read_symbols(picture())
    top_left, top_right, bottom_right, bottom_left = found.position
    assert top_left == pytest.approx((120, 120), abs=3)
    assert top_right[0] > top_left[0]
    assert bottom_right[1] > top_right[1]
    assert bottom_left[0] < bottom_right[0]


def test_a_transparent_background_counts_as_paper() -> None:
    dark = Image.open(io.BytesIO(picture())).convert("L")
    ink = Image.new("RGBA", dark.size, (0, 0, 0, 0))
    ink.putalpha(dark.point(lambda value: 255 - value))
    out = io.BytesIO()
    ink.save(out, format="PNG")
    assert [found.text for found in read_symbols(out.getvalue())] == [CODE]


def test_a_sixteen_bit_scan_is_read() -> None:
    grey = Image.open(io.BytesIO(picture())).convert("I").point(lambda value: value * 257)
    out = io.BytesIO()
    grey.convert("I;16").save(out, format="TIFF")
    assert [found.text for found in read_symbols(out.getvalue())] == [CODE]


@pytest.mark.parametrize(
    ("barcode_format", "identifier"),
    [(zxingcpp.BarcodeFormat.DataMatrix, "]d2"), (zxingcpp.BarcodeFormat.Code128, "]C1")],
)
def test_gs1_symbols_keep_their_separator_and_say_what_they_are(
    barcode_format: zxingcpp.BarcodeFormat, identifier: str
) -> None:
    (found,) = read_symbols(symbol_image(ELEMENTS, barcode_format, gs1=True))
    assert (found.text, found.symbology_identifier) == (ELEMENT_STRING, identifier)
    assert found.scanner_text == identifier + ELEMENT_STRING


def test_a_reel_label_keeps_its_control_characters() -> None:
    reel = "[)>\x1e06\x1d1PABC\x1dQ5\x1e\x04"
    (found,) = read_symbols(symbol_image(reel, zxingcpp.BarcodeFormat.DataMatrix))
    assert (found.text, found.scanner_text) == (reel, reel)


def test_several_codes_of_one_image_are_all_read() -> None:
    left, right = (Image.open(io.BytesIO(png(text, module_pixels=4))).convert("L") for text in ("HTTPS://A.B/1", CODE))
    page = Image.new("L", (left.width + right.width, right.height), 255)
    page.paste(left, (0, 0))
    page.paste(right, (left.width, 0))
    out = io.BytesIO()
    page.save(out, format="PNG")
    assert {found.text for found in read_symbols(out.getvalue())} == {"HTTPS://A.B/1", CODE}


def test_a_pdf_is_read_page_by_page() -> None:
    found = read_symbols(pdf(picture(), blank(), symbol_image(ELEMENTS, zxingcpp.BarcodeFormat.DataMatrix, gs1=True)))
    assert [(one.page, one.text) for one in found] == [(1, CODE), (3, ELEMENT_STRING)]
    assert found[0].dpi == 300


def test_a_small_print_in_a_pdf_is_found_at_a_higher_resolution() -> None:
    found = read_symbols(pdf(picture(), resolution=1100), dpi=(100, 600))
    assert [(one.text, one.dpi) for one in found] == [(CODE, 600)]


def test_every_frame_of_a_tiff_is_a_page() -> None:
    frames = [Image.open(io.BytesIO(page)).convert("L") for page in (blank(), picture())]
    out = io.BytesIO()
    frames[0].save(out, format="TIFF", save_all=True, append_images=frames[1:])
    assert [found.page for found in read_symbols(out.getvalue())] == [2]


def test_a_file_is_read_by_its_path(tmp_path: Path) -> None:
    file = tmp_path / "label.png"
    file.write_bytes(picture())
    assert [found.text for found in read_symbols(file)] == [CODE]


def signed_texts(seed: int, count: int) -> list[str]:
    """Texts like those of signed codes, always the same for a seed."""
    generator = random.Random(seed)  # noqa: S311  test data
    alphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
    texts = []
    for _ in range(count):
        serial = "".join(generator.choice(alphabet) for _ in range(17))
        texts.append(f"HTTP://127.0.0.1:8000/01/09521234000013/21/{serial}?S={generator.randrange(10**166):0167d}")
    return texts


def test_no_linear_symbol_is_seen_in_the_modules_of_a_matrix_symbol() -> None:
    texts = signed_texts(0, 440)
    for number in (45, 197, 276, 439):  # in each of these the decoder sees an Interleaved 2 of 5 of four digits
        assert [symbol.text for symbol in read_symbols(png(texts[number], module_pixels=4))] == [texts[number]]


@pytest.mark.parametrize(("digits", "read"), [("09521234000013", True), ("09521234000014", False), ("952123", False)])
def test_interleaved_two_of_five_is_read_only_where_it_is_a_gtin(digits: str, read: bool) -> None:
    found = read_symbols(symbol_image(digits, zxingcpp.BarcodeFormat.ITF))
    assert [symbol.text for symbol in found] == ([digits] if read else [])


def test_an_image_without_a_code_is_no_error() -> None:
    assert read_symbols(blank()) == []


def test_a_folder_is_read_by_name_and_a_bad_file_does_not_stop_it(tmp_path: Path) -> None:
    (tmp_path / "b.PNG").write_bytes(picture())
    (tmp_path / "a.jpg").write_bytes(b"no image")
    (tmp_path / "notes.txt").write_text("not read")
    (tmp_path / "folder.png").mkdir()
    results = list(read_folder(tmp_path))
    assert [file.name for file, _ in results] == ["a.jpg", "b.PNG"]
    bad, good = (result for _, result in results)
    assert isinstance(bad, ImageError)
    assert bad.code == "not_an_image"
    assert isinstance(good, list)
    assert good[0].text == CODE


def refusal(source: Path | bytes) -> str:
    with pytest.raises(ImageError) as refused:
        read_symbols(source)
    assert refused.value.message
    return refused.value.code


def test_what_is_no_image_is_refused(tmp_path: Path) -> None:
    assert refusal(b"") == "not_an_image"
    assert refusal(b"GIF89a" + bytes(100)) == "not_an_image"
    assert refusal(tmp_path) == "not_found"
    assert refusal(tmp_path / "missing.png") == "not_found"
    assert refusal(Path("nul\0byte.png")) == "not_found"
    with pytest.raises(ImageError, match="no such folder"):
        list(read_folder(tmp_path / "missing"))


def test_truncated_files_are_refused() -> None:
    assert refusal(picture(file_format="PNG")[:400]) == "damaged"
    assert refusal(picture(file_format="JPEG")[:700]) == "damaged"
    assert refusal(b"%PDF-1.7\n garbage") == "damaged"


def test_a_file_over_the_size_limit_is_refused_unread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "MAXIMUM_BYTES", 1000)
    file = tmp_path / "big.png"
    file.write_bytes(bytes(1001))
    assert refusal(file) == "file_too_large"
    assert refusal(bytes(1001)) == "file_too_large"


def png_header(width: int, height: int) -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    rows = zlib.compress(bytes(10_000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


@pytest.mark.parametrize("side", [8_001, 10_000, 60_000])
def test_a_decompression_bomb_is_refused_by_its_header(side: int) -> None:
    assert refusal(png_header(side, side)) == "too_many_pixels"


def test_a_pdf_page_as_large_as_a_house_is_refused() -> None:
    assert refusal(pdf(blank(), resolution=1)) == "too_many_pixels"


def test_the_pixels_of_all_frames_count_together(monkeypatch: pytest.MonkeyPatch) -> None:
    frames = [Image.open(io.BytesIO(blank()))] * 3
    out = io.BytesIO()
    frames[0].save(out, format="TIFF", save_all=True, append_images=frames[1:])
    assert read_symbols(out.getvalue()) == []
    monkeypatch.setattr(images, "MAXIMUM_PIXELS", 2 * 300 * 300)
    assert refusal(out.getvalue()) == "too_many_pixels"


def test_too_many_pages_or_files_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "MAXIMUM_FILES", 1)
    with pytest.raises(ImageError, match="2 pages"), open_pdf(pdf(blank(), blank()), maximum_pages=1):
        pass
    frames = [Image.open(io.BytesIO(blank()))] * 2
    out = io.BytesIO()
    frames[0].save(out, format="TIFF", save_all=True, append_images=frames[1:])
    for content in (out.getvalue(), pdf(blank(), blank())):
        with pytest.raises(ImageError) as refused:
            read_symbols(content, maximum_pages=1)
        assert refused.value.code == "too_many_pages"
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_bytes(blank())
    with pytest.raises(ImageError, match="folder"):
        list(read_folder(tmp_path))


def test_a_resolution_out_of_range_is_refused() -> None:
    for dpi in (0, 35, 2401):
        with pytest.raises(ImageError) as refused:
            read_symbols(pdf(blank()), dpi=(dpi,))
        assert refused.value.code == "resolution"


SEEDS = {
    "png": picture(),
    "jpeg": picture(file_format="JPEG"),
    "webp": picture(file_format="WEBP", mode="RGB"),
    "tiff": picture(file_format="TIFF", compression="tiff_deflate"),
    "raw tiff": picture(file_format="TIFF"),
    "pdf": pdf(blank()),
}


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(sorted(SEEDS)),
    st.integers(1, 1000),
    st.lists(st.tuples(st.integers(0, 5000), st.binary(max_size=6)), max_size=6),
)
def test_no_damaged_file_ends_in_anything_but_an_image_error(
    kind: str, kept: int, damages: list[tuple[int, bytes]]
) -> None:
    content = bytearray(SEEDS[kind][: len(SEEDS[kind]) * kept // 1000])
    for position, replacement in damages:
        content[position : position + len(replacement)] = replacement
    try:
        found = read_symbols(bytes(content), dpi=(100,))
    except ImageError:
        return
    assert all(isinstance(symbol, FoundSymbol) for symbol in found)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=300))
def test_arbitrary_bytes_are_refused(content: bytes) -> None:
    with pytest.raises(ImageError):
        read_symbols(b"%PDF-" + content)
