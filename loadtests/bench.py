"""Every figure that we state, measured: ``python -m loadtests.bench [--quick] [--only ROW,ROW] [--soak MINUTES]``.

Writes loadtests/RESULTS.md with the machine described. A row that fails is reported and the others go on. With --only
or --quick the page is printed and not written, unless --out names a file.
"""

import argparse
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.markdown import Markdown
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from loadtests import (
    commission_bench,
    labels_bench,
    ledger_bench,
    machine,
    map_bench,
    offline_bench,
    servers,
    soak,
    verify_bench,
    wrk,
)
from loadtests.figures import Bench, Engine, Figure, at_least, results_page
from loadtests.verify_bench import Say

RESULTS: Final = Path(__file__).with_name("RESULTS.md")
ENGINES: Final = (Engine.SQLITE, Engine.POSTGRESQL)

Fresh = Mapping[str, Callable[[], str]]
"""A function per engine that makes a fresh database: what `servers.databases` yields."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the benchmark. needs_wrk: skipped by name where wrk is absent."""

    name: str
    command: str
    measure: Callable[[Fresh, Say], list[Figure]]
    needs_wrk: bool = False


def rows(*, quick: bool, soak_minutes: float) -> list[Row]:
    """The rows in the order in which they run."""
    scale = verify_bench.QUICK if quick else verify_bench.FULL
    log_scale = ledger_bench.QUICK if quick else ledger_bench.FULL
    map_scale = map_bench.QUICK if quick else map_bench.FULL
    units = commission_bench.QUICK if quick else commission_bench.FULL
    found = [
        Row("offline", "python -m loadtests.offline_bench", lambda _fresh, _say: _offline(quick=quick)),
        Row("labels", "python -m loadtests.labels_bench", lambda _fresh, _say: _labels(quick=quick)),
        Row(
            "ledger",
            "python -m loadtests.ledger_bench",
            lambda fresh, say: _each_engine(lambda engine: ledger_bench.measure(engine, fresh[engine], log_scale, say)),
        ),
        Row(
            "map",
            "python -m loadtests.map_bench",
            lambda fresh, say: _each_engine(lambda engine: map_bench.measure(engine, fresh[engine], map_scale, say)),
        ),
        Row(
            "commission",
            "python -m loadtests.commission_bench",
            lambda fresh, say: _each_engine(lambda engine: commission_bench.measure(engine, fresh[engine], units, say)),
        ),
        Row(
            "verify",
            "python -m loadtests.verify_bench",
            lambda fresh, say: _each_engine(lambda engine: verify_bench.measure(engine, fresh[engine], scale, say)),
            needs_wrk=True,
        ),
    ]
    if soak_minutes > 0:
        found.append(
            Row(
                "soak",
                f"python -m loadtests.soak --minutes {soak_minutes:g}",
                lambda fresh, say: _each_engine(
                    lambda engine: soak.measure(engine, fresh[engine], minutes=soak_minutes, say=say)
                ),
                needs_wrk=True,
            )
        )
    return found


def run(chosen: Sequence[Row], *, console: Console) -> list[Bench]:
    """Run rows one after the other and show what is going on."""
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    done: list[Bench] = []
    with servers.databases() as fresh, Progress(*columns, console=console) as progress:
        for row in chosen:
            task = progress.add_task(row.name, total=None)

            def say(what: str, task: TaskID = task, name: str = row.name) -> None:
                progress.update(task, description=f"{name}: {what}")

            bench = _run_row(row, fresh, say)
            done.append(bench)
            word = bench.skipped or ("FAILED" if bench.failed else "done" if bench.met else "done, goals missed")
            progress.update(task, description=f"{row.name}: {word}", total=1, completed=1)
    return done


def _run_row(row: Row, fresh: Fresh, say: Say) -> Bench:
    if row.needs_wrk and not wrk.available():
        return Bench(row.name, row.command, skipped="wrk is not on this machine")
    began = time.perf_counter()
    try:
        figures = row.measure(fresh, say)
    except Exception as error:  # whatever it was, the other rows must still be measured
        cause = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
        return Bench(row.name, row.command, seconds=time.perf_counter() - began, failed=cause[:300])
    return Bench(row.name, row.command, tuple(figures), time.perf_counter() - began)


def _each_engine(measure: Callable[[Engine], list[Figure]]) -> list[Figure]:
    return [figure for engine in ENGINES for figure in measure(engine)]


def _offline(*, quick: bool) -> list[Figure]:
    return offline_bench.measure(codes=200 if quick else 5_000)


def _labels(*, quick: bool) -> list[Figure]:
    measured = labels_bench.measure(labels=60, rounds=1) if quick else labels_bench.measure()
    return [
        Figure(
            figure.step,
            "units/s a core" if "wall" not in figure.step else "units/s",
            figure.per_second,
            goal=None if figure.goal is None else at_least(figure.goal),
        )
        for figure in measured
    ]


def main() -> int:
    """Measure, write the page; 1 when a row failed or missed a goal."""
    parser = argparse.ArgumentParser(description="Measure every figure that we state.")
    parser.add_argument("--quick", action="store_true", help="toy numbers, to see that everything runs")
    parser.add_argument("--only", default="", help="rows to run, separated by commas")
    parser.add_argument(
        "--soak", type=float, default=0, metavar="MINUTES", help="add a soak of so many minutes an engine"
    )
    parser.add_argument("--out", type=Path, help="file for the page (default: RESULTS.md after a full run)")
    arguments = parser.parse_args()
    known = rows(quick=arguments.quick, soak_minutes=arguments.soak)
    wanted = [name.strip() for name in arguments.only.split(",") if name.strip()] or [row.name for row in known]
    if unknown := sorted(set(wanted) - {row.name for row in known}):
        parser.error(f"no such row: {', '.join(unknown)}; there are: {', '.join(row.name for row in known)}")
    console = Console()
    benches = run([row for row in known if row.name in wanted], console=console)
    day = datetime.now(UTC).date().isoformat()
    page = results_page(machine.describe(), benches, day=day, quick=arguments.quick)
    whole = not arguments.only and not arguments.quick
    out: Path | None = arguments.out or (RESULTS if whole else None)
    if out is not None:
        out.write_text(page)
    console.print(Markdown(page))
    return 0 if all(bench.met for bench in benches) else 1


if __name__ == "__main__":
    sys.exit(main())
