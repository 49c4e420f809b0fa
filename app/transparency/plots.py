"""The geometry of small plots: pure functions from values to coordinates, which a template draws as SVG.

Coordinates are those of a view box of 360 by 200, about the width of a phone, so that the figures beside the axes have
the size of text there and grow on wider screens.
"""

from collections.abc import Sequence
from dataclasses import dataclass

WIDTH = 360
HEIGHT = 200
LEFT, RIGHT, TOP, BOTTOM = 50, 8, 10, 26
"""Room around the plotting area for the figures of the axes."""
Y_TICKS = 4
LABEL_WIDTH = 60
"""Room that a figure under the x axis takes: marks that are nearer than this would print on top of each other."""


@dataclass(frozen=True, slots=True)
class Tick:
    """A mark on an axis: where it is, and the value that it stands for."""

    at: float
    value: int


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar; x and y of its upper left corner."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Plot:
    """What a template draws: the data as a path or as bars, and the axes. line and area are SVG path data."""

    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    line: str = ""
    area: str = ""
    bars: tuple[Bar, ...] = ()
    width: int = WIDTH
    height: int = HEIGHT
    left: float = LEFT
    right: float = WIDTH - RIGHT
    top: float = TOP
    bottom: float = HEIGHT - BOTTOM


def line_plot(points: Sequence[tuple[int, int]], *, x_ticks: int = 4) -> Plot:
    """Plot values over x, both from 0 up; at least two points with rising x."""
    start, end = points[0][0], points[-1][0]
    top_value, ticks = _y_axis(max(value for _, value in points))

    def place(x: int, value: int) -> str:
        return f"{_x(x, start, end):.1f} {_y(value, top_value):.1f}"

    line = "M" + "L".join(place(x, value) for x, value in points)
    base = HEIGHT - BOTTOM
    area = f"{line}L{WIDTH - RIGHT} {base}L{LEFT} {base}Z"
    # Inside of the ends, where a figure has room to be centred under its mark.
    marks: list[Tick] = []
    for x, _ in _spread(points, x_ticks):
        at = round(_x(x, start, end), 1)
        if not marks or at - marks[-1].at >= LABEL_WIDTH:
            marks.append(Tick(at, x))
    return Plot(tuple(marks), ticks, line=line, area=area)


def bar_plot(values: Sequence[tuple[int, int]], *, x_ticks: int = 4) -> Plot:
    """Plot one bar a value, evenly spaced; the first of each pair names the bar."""
    top_value, ticks = _y_axis(max(value for _, value in values))
    step = (WIDTH - RIGHT - LEFT) / len(values)
    bars = []
    for number, (_, value) in enumerate(values):
        y = _y(value, top_value)
        # What is not nothing must be seen, however small.
        height = max(HEIGHT - BOTTOM - y, 1.0 if value else 0.0)
        bars.append(
            Bar(
                round(LEFT + step * (number + 0.12), 1),
                round(HEIGHT - BOTTOM - height, 1),
                round(step * 0.76, 1),
                round(height, 1),
            )
        )
    chosen = {x for x, _ in _spread(values, x_ticks)}
    marks = tuple(
        Tick(round(LEFT + step * (number + 0.5), 1), x) for number, (x, _) in enumerate(values) if x in chosen
    )
    return Plot(marks, ticks, bars=tuple(bars))


def _x(value: int, start: int, end: int) -> float:
    return LEFT + (WIDTH - RIGHT - LEFT) * (value - start) / max(1, end - start)


def _y(value: int, top_value: int) -> float:
    return HEIGHT - BOTTOM - (HEIGHT - BOTTOM - TOP) * value / top_value


def _y_axis(greatest: int) -> tuple[int, tuple[Tick, ...]]:
    """Give the value at the top of the axis and its marks: round numbers, few of them."""
    step = _round_step(greatest)
    top_value = step * max(1, -(-greatest // step))
    marks = range(0, top_value + 1, step)
    return top_value, tuple(Tick(round(_y(value, top_value), 1), value) for value in marks)


def _round_step(greatest: int) -> int:
    """Give the smallest of 1, 2, 5, 10, 20, 50 ... that reaches `greatest` in four steps."""
    power = 1
    while True:
        for step in (power, 2 * power, 5 * power):
            if step * Y_TICKS >= greatest:
                return step
        power *= 10


def _spread(points: Sequence[tuple[int, int]], count: int) -> list[tuple[int, int]]:
    """Choose `count` points, evenly, leaving half a step free at either end."""
    if len(points) <= count:
        return list(points)
    return [points[(2 * number + 1) * len(points) // (2 * count)] for number in range(count)]
