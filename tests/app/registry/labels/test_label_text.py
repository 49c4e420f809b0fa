"""Lines on labels: which characters print, how long lines end, and that identifiers are never shortened."""

import pytest
from fpdf.fonts import CORE_FONTS_CHARWIDTHS
from hypothesis import given
from hypothesis import strategies as st

from app.registry.labels.helvetica import text_width
from app.registry.labels.text import ELLIPSIS, Printed, folded, printable, wrapped

drawable = st.text(st.characters(codec="cp1252", categories=("L", "N", "P", "S")), min_size=1, max_size=60)
sentences = st.lists(drawable, min_size=1, max_size=8).map(" ".join)


@pytest.mark.parametrize("bold", [False, True])
def test_widths_are_those_of_the_standard_fonts(bold: bool) -> None:
    reference = CORE_FONTS_CHARWIDTHS["helveticaB" if bold else "helvetica"]
    for byte in range(32, 256):
        character = bytes([byte]).decode("cp1252", "replace")
        if character != "\ufffd":
            assert text_width(character, size=1000, bold=bold) == reference[chr(byte)]


@pytest.mark.parametrize(
    ("line", "printed"),
    [
        ("Café «Ñandú» ¿Qué? 5 € — äöüß œ", Printed("Café «Ñandú» ¿Qué? 5 € — äöüß œ", exact=True)),
        ("Cafe\u0301", Printed("Café", exact=True)),
        ("  two\t \n lines\u00a0", Printed("two lines", exact=True)),
        ("Łódź, Škoda, İstanbul, đồng", Printed("Lódz, Škoda, Istanbul, dong", exact=False)),
        ("right\u202eleft\u200b\x1b[31m", Printed("rightleft[31m", exact=True)),
        ("Ñuu Savi, kꞌuꞌ, Tepēhuān, nɨɨ", Printed("Ñuu Savi, k'u', Tepehuan, nii", exact=False)),
        ("№ 5 ≈ 7", Printed("No 5 ? 7", exact=False)),
        ("Chip 芯片", Printed("Chip ??", exact=False)),
        ("集成电路 CMOS", Printed("???? CMOS", exact=False)),
        ("Ελληνικός καφές", Printed("", exact=False)),
        ("茶", Printed("", exact=False)),
        ("really?", Printed("really?", exact=True)),
        ("", Printed("", exact=True)),
        ("\ud800", Printed("", exact=True)),
    ],
)
def test_characters_print_by_the_rule(line: str, printed: Printed) -> None:
    assert printable(line) == printed


@given(st.text(max_size=80))
def test_whatever_is_given_the_fonts_can_draw_it(line: str) -> None:
    shown = printable(line).text
    assert shown == shown.strip()
    assert all(byte >= 32 for byte in shown.encode("cp1252"))


@given(sentences, st.floats(20, 200), st.integers(1, 3), st.booleans())
def test_wrapped_lines_keep_the_width_and_the_beginning(text: str, width: float, lines: int, bold: bool) -> None:
    result = wrapped(text, width=width, size=7, bold=bold, lines=lines)
    assert len(result) <= lines
    assert all(text_width(line, size=7, bold=bold) <= width for line in result)
    joined = "".join(result).replace(" ", "")
    if joined != text.replace(" ", ""):
        assert result[-1].endswith(ELLIPSIS)
        assert text.replace(" ", "").startswith(joined.removesuffix(ELLIPSIS))


@given(drawable, st.floats(20, 200))
def test_a_folded_identifier_loses_nothing(text: str, width: float) -> None:
    result = folded(text, width=width, size=6)
    assert "".join(result) == text
    assert all(text_width(line, size=6) <= width for line in result)


def test_a_name_breaks_at_a_space() -> None:
    assert wrapped("Café molido de Chiapas", width=60, size=7, bold=True, lines=2) == ("Café molido de", "Chiapas")
