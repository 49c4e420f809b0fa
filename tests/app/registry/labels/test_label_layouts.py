"""Layouts: every label on its page, none over another, and a place for every point."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.registry.labels.layouts import LAYOUTS, SheetLayout, layout_named
from app.registry.labels.sheets import LabelError
from scanners.codes.symbol import QUIET_ZONE

layouts = pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
VERSION_7 = 45


@layouts
def test_the_labels_fill_the_page_with_equal_margins(layout: SheetLayout) -> None:
    right = layout.left + (layout.columns - 1) * layout.pitch_x + layout.label_width
    bottom = layout.top + (layout.rows - 1) * layout.pitch_y + layout.label_height
    assert layout.page_width - right == pytest.approx(layout.left, abs=0.01)
    assert layout.page_height - bottom == pytest.approx(layout.top, abs=0.01)
    assert layout.pitch_x >= layout.label_width
    assert layout.pitch_y >= layout.label_height


@layouts
def test_a_signed_symbol_fits_with_its_quiet_zone(layout: SheetLayout) -> None:
    side = (VERSION_7 + 2 * QUIET_ZONE) * layout.module
    assert side <= min(layout.label_width, layout.label_height) - 2 * layout.inset


@layouts
def test_the_name_tells_the_truth(layout: SheetLayout) -> None:
    assert LAYOUTS[layout.name] is layout
    assert layout_named(layout.name) is layout
    if layout.name.startswith("roll-"):
        assert layout.name == f"roll-{layout.label_width:g}x{layout.label_height:g}"
    else:
        assert layout.name.endswith(f"-{layout.columns}x{layout.rows}")
        assert f"{layout.labels_per_page} labels" in layout.title


@given(st.sampled_from(sorted(LAYOUTS)), st.data())
def test_the_place_of_a_point_on_a_label_is_that_label(name: str, data: st.DataObject) -> None:
    layout = LAYOUTS[name]
    place = data.draw(st.integers(0, layout.labels_per_page - 1))
    x, y = layout.corner(place)
    across = data.draw(st.floats(0.01, layout.label_width - 0.01))
    down = data.draw(st.floats(0.01, layout.label_height - 0.01))
    assert layout.place_of(x + across, y + down) == place


def test_a_point_in_a_gap_or_off_the_labels_has_no_place() -> None:
    layout = LAYOUTS["letter-5x7"]
    assert layout.place_of(layout.left + layout.label_width + 1, layout.top + 1) is None
    assert layout.place_of(layout.left + 1, layout.top + layout.label_height + 1) is None
    assert layout.place_of(1, 1) is None
    assert layout.place_of(layout.page_width - 1, layout.page_height - 1) is None


def test_an_unknown_layout_is_refused_with_the_known_ones() -> None:
    with pytest.raises(LabelError) as refused:
        layout_named("letter-9x9")
    assert refused.value.code == "unknown_layout"
    assert "letter-3x10" in str(refused.value.fix)
