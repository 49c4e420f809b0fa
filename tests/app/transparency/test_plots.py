"""The geometry of plots: everything lies inside of the frame, and says what the values say."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.transparency.plots import LABEL_WIDTH, Plot, bar_plot, line_plot

VALUES = st.lists(st.integers(0, 2**50), min_size=2, max_size=60)


def numbered(values: list[int]) -> list[tuple[int, int]]:
    return [(1_700_000_000_000 + 86_400_000 * day, value) for day, value in enumerate(values)]


def corners(path: str) -> list[tuple[float, float]]:
    assert re.fullmatch(r"M[\d.]+ [\d.]+(L[\d.]+ [\d.]+)*Z?", path)
    return [(float(x), float(y)) for x, y in re.findall(r"([\d.]+) ([\d.]+)", path)]


def axes_are_sound(plot: Plot, values: list[int]) -> None:
    marks = [tick.value for tick in plot.y_ticks]
    assert marks[0] == 0
    assert marks[-1] >= max(values)
    assert 2 <= len(marks) <= 6
    assert len({after - before for before, after in pairwise(marks)}) == 1
    assert all(plot.top <= tick.at <= plot.bottom for tick in plot.y_ticks)
    assert all(plot.left <= tick.at <= plot.right for tick in plot.x_ticks)
    assert [tick.at for tick in plot.x_ticks] == sorted({tick.at for tick in plot.x_ticks})


@given(VALUES)
def test_a_line_stays_in_its_frame_and_rises_where_the_values_rise(values: list[int]) -> None:
    plot = line_plot(numbered(values))
    axes_are_sound(plot, values)
    points = corners(plot.line)
    assert len(points) == len(values)
    assert all(plot.left <= x <= plot.right and plot.top <= y <= plot.bottom for x, y in points)
    for (before, after), ((_, y_before), (_, y_after)) in zip(pairwise(values), pairwise(points), strict=True):
        assert (y_before >= y_after) if after >= before else (y_before <= y_after)
    assert corners(plot.area)[: len(points)] == points


@given(VALUES)
def test_bars_stand_on_the_axis_and_none_is_lost(values: list[int]) -> None:
    plot = bar_plot(numbered(values))
    axes_are_sound(plot, values)
    assert len(plot.bars) == len(values)
    for bar, value in zip(plot.bars, values, strict=True):
        assert plot.left <= bar.x
        assert bar.x + bar.width <= plot.right + 0.1
        assert bar.y + bar.height == pytest.approx(plot.bottom)
        assert (bar.height >= 1) if value else (bar.height == 0)
        assert bar.y >= plot.top - 1


@pytest.mark.parametrize(
    ("greatest", "marks"),
    [(0, [0, 1]), (1, [0, 1]), (4, [0, 1, 2, 3, 4]), (5, [0, 2, 4, 6]), (29_073, [0, 10_000, 20_000, 30_000])],
)
def test_the_marks_of_an_axis_are_round_numbers(greatest: int, marks: list[int]) -> None:
    assert [tick.value for tick in line_plot(numbered([0, greatest])).y_ticks] == marks


def test_a_single_moment_is_no_division_by_zero() -> None:
    assert line_plot([(5, 1), (5, 2)]).line


def test_marks_of_the_x_axis_are_never_printed_on_top_of_each_other() -> None:
    points = [(0, 5), (1, 5), (2, 5), (3, 5), (1_000, 5)]
    marks = line_plot(points, x_ticks=3).x_ticks
    assert marks
    assert all(right.at - left.at >= LABEL_WIDTH for left, right in pairwise(marks))
