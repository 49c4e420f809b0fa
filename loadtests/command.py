"""The command line that the benchmarks of the ledger share: a scale, an engine or both, figures, an exit code."""

import argparse
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any, Protocol, TypeVar

from loadtests import machine, servers
from loadtests.figures import Engine, Figure, number


class Scale(Protocol):
    """A frozen dataclass with at least the size of the log."""

    @property
    def entries(self) -> int:
        """Entries of the log that is measured."""


ScaleT = TypeVar("ScaleT", bound=Scale)
Measure = Callable[[Engine, Callable[[], str], ScaleT, Callable[[str], None]], Iterable[Figure]]


def run(what: str, measure: Measure[ScaleT], *, quick: ScaleT, full: ScaleT) -> int:
    """Measure as the arguments say and print; 1 when a goal was missed."""
    parser = argparse.ArgumentParser(description=f"Measure {what}.")
    parser.add_argument("--quick", action="store_true", help="toy numbers, to see that it runs")
    parser.add_argument("--entries", type=int, help=f"size of the log; {full.entries:,} by default")
    parser.add_argument("--engine", choices=[Engine.SQLITE, Engine.POSTGRESQL], help="one of both only")
    arguments = parser.parse_args()
    scale: Any = quick if arguments.quick else full
    if arguments.entries:
        scale = replace(scale, entries=arguments.entries)
    here = machine.describe()
    print(f"fsync median {here.fsync_ms_median} ms, p99 {here.fsync_ms_p99} ms")
    missed = False
    with servers.databases() as fresh:
        for engine in [Engine(arguments.engine)] if arguments.engine else [Engine.SQLITE, Engine.POSTGRESQL]:
            for figure in measure(engine, fresh[engine], scale, lambda _: None):
                goal = "" if figure.goal is None else f"  (goal {figure.goal}{'' if figure.met else ', MISSED'})"
                print(f"{engine:11} {figure.what}: {number(figure.value)} {figure.unit}{goal}")
                missed = missed or not figure.met
    return 1 if missed else 0
