"""Measured figures beside their goals, and the page that states them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from loadtests.machine import Machine


class Engine(StrEnum):
    """Where a figure was measured; its value is the key in `servers.databases`."""

    SQLITE = "sqlite"
    POSTGRESQL = "postgresql"
    NONE = "none"  # no database takes part


@dataclass(frozen=True, slots=True)
class Goal:
    """A limit that a figure must keep: at most, or at least, so much."""

    limit: float
    at_least: bool = False

    def met_by(self, value: float) -> bool:
        """Whether the value keeps the limit."""
        return value >= self.limit if self.at_least else value <= self.limit

    def __str__(self) -> str:
        return f"{'>=' if self.at_least else '<='} {number(self.limit)}"


def at_most(limit: float) -> Goal:
    """A goal that a smaller value keeps."""
    return Goal(limit)


def at_least(limit: float) -> Goal:
    """A goal that a larger value keeps."""
    return Goal(limit, at_least=True)


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure: what was measured, in which unit, on which engine; `goal` is None for what only informs."""

    what: str
    unit: str
    value: float
    engine: Engine = Engine.NONE
    goal: Goal | None = None

    @property
    def met(self) -> bool:
        """Whether the goal is kept; a figure without goal misses nothing."""
        return self.goal is None or self.goal.met_by(self.value)


@dataclass(frozen=True, slots=True)
class Bench:
    """The figures of one row of the benchmark, with the command that makes them.

    skipped: why there are none (a tool is absent), or None. failed: the error that stopped the row, or None.
    """

    name: str
    command: str
    figures: tuple[Figure, ...] = ()
    seconds: float = 0.0
    skipped: str | None = None
    failed: str | None = None

    @property
    def met(self) -> bool:
        """Whether the row ran and kept every goal; a row skipped for want of a tool misses nothing."""
        return self.failed is None and all(figure.met for figure in self.figures)


def number(value: float) -> str:
    """Three significant digits, and whole numbers above a hundred: no more is reproducible."""
    if value == 0:
        return "0"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def lines_of(figures: Iterable[Figure]) -> list[tuple[str, str, str, str, str]]:
    """Rows of (what, goal, SQLite, PostgreSQL, met?); the two engines of one figure share a row."""
    grouped: dict[tuple[str, str, Goal | None], dict[Engine, Figure]] = {}
    for figure in figures:
        grouped.setdefault((figure.what, figure.unit, figure.goal), {})[figure.engine] = figure
    rows = []
    for (what, unit, goal), by_engine in grouped.items():
        if Engine.NONE in by_engine:
            sqlite = postgresql = number(by_engine[Engine.NONE].value)
        else:
            sqlite, postgresql = (
                number(by_engine[engine].value) if engine in by_engine else "-"
                for engine in (Engine.SQLITE, Engine.POSTGRESQL)
            )
        rows.append((f"{what}, {unit}", "-" if goal is None else str(goal), sqlite, postgresql, _verdict(by_engine)))
    return rows


def _verdict(by_engine: dict[Engine, Figure]) -> str:
    missed = [engine for engine, figure in by_engine.items() if not figure.met]
    if not missed:
        return "yes" if next(iter(by_engine.values())).goal else "-"
    return "**NO**" if len(missed) == len(by_engine) else f"**NO** ({', '.join(missed)})"


def results_page(machine: Machine, benches: Sequence[Bench], *, day: str, quick: bool) -> str:
    """The text of RESULTS.md."""
    missed = [bench.name for bench in benches if not bench.met]
    lines = [
        "# Results",
        "",
        f"Written by `make bench` on {day}. Every figure was measured in that run on this machine:",
        "",
        f"- {machine.processor}, {machine.cores} cores shared by server, database and load generator",
        f"- {machine.memory_gib} GiB of memory, {machine.system}, Python {machine.python}",
        f"- fsync after 4 KiB: median {machine.fsync_ms_median} ms, p99 {machine.fsync_ms_p99} ms",
        "",
        "Machines differ and shared ones drift: compare figures within a row. Ratios and medians come from alternating",
        "runs. Verify and soak rows are loaded by wrk (Debian: `apt install wrk`) and are left out where it is absent.",
        "Figures without a database stand in both columns.",
        "",
    ]
    if quick:
        lines += ["**A quick run with small numbers: it shows that the benches work, and no figure of ours.**", ""]
    lines += [f"Goals missed in: {', '.join(missed)}." if missed else "No goal was missed.", ""]
    for bench in benches:
        lines += [f"## {bench.name}", "", f"`{bench.command}`", ""]
        if bench.skipped is not None:
            lines += [f"Skipped: {bench.skipped}.", ""]
        if bench.failed is not None:
            lines += [f"**FAILED**: {bench.failed}", ""]
        if bench.figures:
            lines += ["| what | goal | SQLite | PostgreSQL | met? |", "|---|---|---|---|---|"]
            lines += [f"| {' | '.join(row)} |" for row in lines_of(bench.figures)]
            lines += ["", f"Took {bench.seconds:.0f} s.", ""]
    return "\n".join(lines)
