"""The page that shows everybody how the ledger is."""

from dataclasses import dataclass

from flask import Blueprint, render_template

from app.core.authorisation import public
from app.core.clock import now_ms
from app.core.services import services
from app.transparency import service
from app.transparency.plots import Plot, bar_plot, line_plot
from app.transparency.service import Growth, WitnessHealth
from app.transparency.service.growing import DAY_MS

blueprint = Blueprint("health_pages", __name__)

SHORT_MS = 10 * 60_000
"""Below this, minutes alone would be the same under two marks."""

PLOTTED_WITNESSES = 6
"""Witnesses whose lag is drawn; the table has them all."""


@dataclass(frozen=True, slots=True)
class GrowthView:
    """Growth as it is drawn. days: (day, lines at its start, new lines of it), newest first."""

    size: Plot
    daily: Plot
    days: tuple[tuple[int, int, int], ...]
    most: int

    @classmethod
    def of(cls, growth: Growth) -> "GrowthView":
        """Draw it."""
        daily = growth.entries_per_day()
        sizes = dict(growth.days)
        return cls(
            size=line_plot(growth.days),
            daily=bar_plot(daily),
            days=tuple((day, sizes[day], count) for day, count in reversed(daily)),
            most=max(count for _, count in daily),
        )


@dataclass(frozen=True, slots=True)
class LagView:
    """One witness's lag as it is drawn; longest in ms.

    by_day: its times span days, so days are shown; seconds: they span minutes, so seconds are shown too.
    """

    name: str
    plot: Plot
    longest: int
    by_day: bool
    seconds: bool


@blueprint.get("/ledger")
@public
def ledger() -> str:
    """Show size, growth, checkpoint, witnesses, audits and alarms."""
    found = service.health(services(), now=now_ms())
    return render_template(
        "transparency/ledger.html",
        health=found,
        growth=GrowthView.of(found.growth),
        lags=[_lag(witness) for witness in found.witnesses if len(witness.lags) > 1][:PLOTTED_WITNESSES],
    )


def _lag(witness: WitnessHealth) -> LagView:
    span = witness.lags[-1][0] - witness.lags[0][0]
    return LagView(
        witness.name,
        line_plot(witness.lags, x_ticks=3),
        max(lag for _, lag in witness.lags),
        by_day=span > 2 * DAY_MS,
        seconds=span < SHORT_MS,
    )
