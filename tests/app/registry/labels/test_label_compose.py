"""A composed label: symbol on the dot grid with its quiet zone free, lines inside the label."""

import pytest

from app.registry.labels.compose import POINT, Composition, Label, compose
from app.registry.labels.helvetica import text_width
from app.registry.labels.layouts import LAYOUTS, SheetLayout
from app.registry.labels.sheets import LabelError
from scanners.codes.symbol import QUIET_ZONE
from tests.app.registry.labels.label_builders import NAME, code, label

layouts = pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)


def shown(composition: Composition) -> list[str]:
    return [mark.text for mark in composition.texts]


@layouts
def test_nothing_leaves_the_label_nor_enters_the_quiet_zone(layout: SheetLayout) -> None:
    composition = compose(label(1), layout)
    quiet = QUIET_ZONE * composition.module
    side = composition.symbol.size * composition.module
    left, top = composition.symbol_x - quiet, composition.symbol_y - quiet
    right, bottom = composition.symbol_x + side + quiet, composition.symbol_y + side + quiet
    assert left >= 0.9
    assert top >= 0.9
    assert right <= layout.label_width - 0.9
    assert bottom <= layout.label_height - 0.9
    for mark in composition.texts:
        end = mark.x + text_width(mark.text, size=mark.size, bold=mark.bold) * POINT
        highest, lowest = mark.y - 0.74 * mark.size * POINT, mark.y + 0.22 * mark.size * POINT
        assert 0.9 <= mark.x < end <= layout.label_width - 0.9
        assert 0.9 <= highest < lowest <= layout.label_height - 0.9
        assert mark.x >= right - 0.01 or highest >= bottom - 0.15


@layouts
def test_modules_meet_the_dots_of_a_203_dpi_printer(layout: SheetLayout) -> None:
    composition = compose(label(1), layout)
    for length in (composition.symbol_x, composition.symbol_y, composition.module):
        assert length * 8 == pytest.approx(round(length * 8))


@layouts
def test_the_serial_is_printed_whole_on_every_layout(layout: SheetLayout) -> None:
    serial = label(1).lines[-1]
    assert serial.replace(" ", "") in "".join(shown(compose(label(1), layout))).replace(" ", "")


def test_a_label_that_shows_everything_says_so() -> None:
    composition = compose(label(1), LAYOUTS["letter-3x10"])
    assert composition.complete
    assert " ".join(shown(composition)) == " ".join((*label(1).lines, label(1).note))
    assert [mark.bold for mark in composition.texts] == [
        NAME.startswith(text) or NAME.endswith(text) for text in shown(composition)
    ]


def test_a_long_name_is_shortened_and_the_label_says_so() -> None:
    lines = ("Cooperativa de productores de altura " * 4, *label(1).lines[1:])
    composition = compose(Label(code(1), lines), LAYOUTS["letter-3x10"])
    assert not composition.complete
    assert composition.texts[1].text.endswith("…")
    assert shown(composition)[2:] == list(lines[1:])


def test_the_note_goes_before_the_name_and_the_name_before_the_identifiers() -> None:
    roll = LAYOUTS["roll-50x25"]
    lines = (NAME, *(f"({number}) 12345678" for number in range(10, 21)))
    composition = compose(Label(code(1), lines, "Compruebe en id.marchamo.org"), roll)
    assert shown(composition)[-11:] == list(lines[1:])
    assert "Compruebe en id.marchamo.org" not in shown(composition)
    assert not composition.complete


def test_where_only_one_line_fits_it_is_the_last() -> None:
    assert shown(compose(label(1), LAYOUTS["roll-25x25"])) == [label(1).lines[-1]]


def test_a_single_line_is_an_identifier_and_folded_not_shortened() -> None:
    serial = "(21) " + "W" * 40
    composition = compose(Label(code(1), (serial,)), LAYOUTS["roll-50x25"])
    assert "".join(shown(composition)) == serial
    assert len(composition.texts) > 1
    assert composition.complete


def test_a_label_without_lines_has_a_symbol_only() -> None:
    assert compose(Label(code(1)), LAYOUTS["roll-25x25"]).texts == ()


def test_a_symbol_larger_than_the_label_is_refused_with_a_fix() -> None:
    with pytest.raises(LabelError) as refused:
        compose(Label("https://long.example/" + "x" * 300), LAYOUTS["roll-25x25"])
    assert refused.value.code == "symbol_too_large"
    assert refused.value.fix


def test_an_identifier_that_cannot_fit_is_refused_not_cut() -> None:
    with pytest.raises(LabelError) as refused:
        compose(Label(code(1), ("(21) " + "W" * 80,)), LAYOUTS["roll-25x25"])
    assert refused.value.code == "text_does_not_fit"


def test_a_higher_level_of_error_correction_makes_a_larger_symbol() -> None:
    layout = LAYOUTS["letter-3x10"]
    assert compose(label(1), layout, error_correction="Q").symbol.size > compose(label(1), layout).symbol.size
