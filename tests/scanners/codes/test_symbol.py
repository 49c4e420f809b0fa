"""QR symbols: size, equality of the two encoders, and every form read back by a decoder."""

import io
import re
import string
from collections.abc import Callable

import pytest
import zxingcpp
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from scanners.codes.errors import CodeError
from scanners.codes.symbol import (
    MAXIMUM_TEXT,
    QUIET_ZONE,
    ErrorCorrection,
    Symbol,
    fast_symbol,
    png,
    svg_path,
    symbol_matrix,
    terminal,
)

SIGNED = "HTTPS://ID.MARCHAMO.ORG/01/09521234567899/21/ABCDE0123456789AB?S=" + "1" + "0123456789" * 16 + "012345"

DRAW: list[Callable[[str], Symbol]] = [symbol_matrix, fast_symbol]

pieces = st.one_of(
    st.text(string.digits, min_size=1, max_size=60),
    st.text(string.digits + string.ascii_uppercase + "$%*+-./: ", min_size=1, max_size=30),
    st.text(string.printable[:95], min_size=1, max_size=20),
)
texts = st.lists(pieces, min_size=1, max_size=8).map("".join)
levels = st.sampled_from(ErrorCorrection)


def read(symbol: Symbol, *, scale: int = 4) -> str:
    side = (symbol.size + 2 * QUIET_ZONE) * scale
    image = Image.new("L", (symbol.size, symbol.size))
    image.putdata([0 if dark else 255 for row in symbol.rows for dark in row])
    page = Image.new("L", (side, side), 255)
    page.paste(image.resize((symbol.size * scale, symbol.size * scale)), (QUIET_ZONE * scale, QUIET_ZONE * scale))
    return read_image(page)


def read_image(image: Image.Image) -> str:
    barcode = zxingcpp.read_barcode(image, text_mode=zxingcpp.TextMode.Plain)
    assert barcode is not None
    return barcode.text


@pytest.mark.parametrize("draw", DRAW)
def test_a_signed_code_is_a_version_7_symbol_of_45_modules_at_level_m(draw: Callable[[str], Symbol]) -> None:
    symbol = draw(SIGNED)
    assert (symbol.version, symbol.size, len(symbol.modules)) == (7, 45, 45 * 45)
    assert read(symbol) == SIGNED


@pytest.mark.parametrize("draw", DRAW)
@pytest.mark.parametrize(
    ("text", "version"),
    [
        # The profiles of the code: compact (no signature) and case (SSCC), and a long host with lot and serial.
        ("HTTPS://ID.REGISTRY.EXAMPLE.ORG/01/09521234567899/21/ABCDE0123456789AB", 4),
        ("HTTPS://A.ORG/01/09521234567899/21/ABCDE0123456789AB", 3),
        ("HTTPS://ID.EXAMPLE.ORG/00/095212345678901230?S=" + "8" * 167, 6),
        ("HTTPS://ID.REGISTRY.EXAMPLE.ORG/01/09521234567899/10/LOT-2026-47/21/ABCDE0123456789AB?S=" + "8" * 167, 8),
    ],
)
def test_the_profiles_keep_their_symbol_sizes(draw: Callable[[str], Symbol], text: str, version: int) -> None:
    assert draw(text).version == version


@settings(max_examples=60, deadline=None)
@given(texts, levels)
def test_both_encoders_give_the_same_version_and_both_read_back(text: str, level: ErrorCorrection) -> None:
    slow, fast = symbol_matrix(text, error_correction=level), fast_symbol(text, level)
    assert slow.version == fast.version
    assert read(slow) == read(fast) == text


def test_a_symbol_knows_its_rows_and_its_dark_runs() -> None:
    symbol = fast_symbol("HTTPS://A.B")
    drawn = [[False] * symbol.size for _ in range(symbol.size)]
    for x, y, length in symbol.runs():
        drawn[y][x : x + length] = [True] * length
    assert tuple(map(tuple, drawn)) == symbol.rows
    assert symbol.rows[0][:8] == (True,) * 7 + (False,)


@pytest.mark.parametrize("level", ErrorCorrection)
def test_a_higher_level_never_gives_a_smaller_symbol_and_is_the_level_read(level: ErrorCorrection) -> None:
    barcode = zxingcpp.read_barcode(Image.open(io.BytesIO(png(SIGNED, error_correction=level))))
    assert barcode is not None
    assert barcode.ec_level == level
    assert fast_symbol(SIGNED, level).version >= 7


@pytest.mark.parametrize("draw", DRAW)
@pytest.mark.parametrize("text", ["", "CAFÉ", "A\x1dB", "A\nB", "\ud800"])
def test_only_printable_ascii_is_drawn(draw: Callable[[str], Symbol], text: str) -> None:
    with pytest.raises(CodeError) as refused:
        draw(text)
    assert refused.value.code == "symbol_text"


@pytest.mark.parametrize("draw", DRAW)
@pytest.mark.parametrize("text", ["a" * (MAXIMUM_TEXT + 1), "a" * 2000])
def test_a_text_no_symbol_holds_is_refused(draw: Callable[..., Symbol], text: str) -> None:
    with pytest.raises(CodeError) as refused:
        draw(text, **{"error_correction" if draw is symbol_matrix else "level": "Q"})
    assert refused.value.code == "too_long"


@pytest.mark.parametrize("level", ["L", "m", "", "X"])
def test_an_unknown_or_too_weak_level_is_refused(level: str) -> None:
    with pytest.raises(CodeError) as refused:
        symbol_matrix("A", error_correction=level)
    assert refused.value.code == "error_correction"
    with pytest.raises(CodeError) as refused:
        fast_symbol("A", level)
    assert refused.value.code == "error_correction"


def test_a_png_is_one_bit_deep_with_a_quiet_zone_of_four_modules() -> None:
    with Image.open(io.BytesIO(png(SIGNED, module_pixels=3))) as image:
        assert image.mode == "1"
        assert image.size == ((45 + 8) * 3, (45 + 8) * 3)
        assert read_image(image.convert("L")) == SIGNED
        inverted = image.convert("L").point(lambda value: 255 - value)
        assert inverted.getbbox() == (12, 12, 12 + 135, 12 + 135)


@pytest.mark.parametrize("pixels", [0, 65, -1])
def test_a_module_of_a_png_has_a_bounded_size(pixels: int) -> None:
    with pytest.raises(CodeError, match="module"):
        png("A", module_pixels=pixels)


def test_the_path_of_an_svg_reads_back() -> None:
    symbol = symbol_matrix(SIGNED)
    side = symbol.size + 2 * QUIET_ZONE
    image = Image.new("L", (side, side), 255)
    for x, y, length in re.findall(r"M(\d+) (\d+)h(\d+)v1h-\d+z", svg_path(symbol, QUIET_ZONE, QUIET_ZONE)):
        image.paste(0, (int(x), int(y), int(x) + int(length), int(y) + 1))
    assert read_image(image.resize((side * 4, side * 4), Image.Resampling.NEAREST)) == SIGNED


def test_the_terminal_form_reads_back_from_its_blocks() -> None:
    lines = terminal(SIGNED).splitlines()
    assert len({len(line) for line in lines}) == 1
    light = {"█": (255, 255), "▀": (255, 0), "▄": (0, 255), " ": (0, 0)}
    image = Image.new("L", (len(lines[0]), 2 * len(lines)))
    for row, line in enumerate(lines):
        for column, block in enumerate(line):
            for half in (0, 1):
                image.putpixel((column, 2 * row + half), light[block][half])
    assert read_image(image.resize((image.width * 4, image.height * 4), Image.Resampling.NEAREST)) == SIGNED
