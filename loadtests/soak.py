"""A long run at 70 % of the top rate: no error, no growth. ``python -m loadtests.soak --minutes 10``.

Memory and file handles of the server's processes are sampled throughout. The first fifth of the time does not count:
caches fill. After it, the medians of the first and of the last third are compared.
"""

import argparse
import statistics
import sys
import threading
from collections.abc import Callable, Sequence
from typing import Final

from loadtests import firm, servers, wrk
from loadtests.figures import Engine, Figure, at_most, lines_of
from loadtests.servers import Server
from loadtests.verify_bench import VERIFY, Say

SHARE: Final = 0.7
SAMPLE_SECONDS: Final = 2.0
WARM_UP: Final = 0.2
MOST_GROWTH_MB: Final = 8.0
"""Summed over all processes; SQLite's page caches and the allocator breathe by a few megabytes."""
MOST_GROWTH_FILES: Final = 4.0


def measure(
    engine: Engine, fresh: Callable[[], str], *, minutes: float, units: int = 100_000, say: Say = print
) -> list[Figure]:
    """Figures of one soak on a fresh database."""
    with servers.marchamo(fresh(), **firm.SETTINGS) as server:
        ready = firm.prepare(server, units=units, codes=min(units, 20_000))
        headers = ready.headers("inspector")
        bodies = ready.verify_bodies()
        url = f"{server.url}{VERIFY}"
        wrk.post(url, bodies, seconds=1, headers=headers)
        top = wrk.post(url, bodies, seconds=5, headers=headers).per_second
        say(f"{engine}: {minutes:g} minutes at {SHARE * top:.0f} requests/s")
        watch = _Watch(server)
        watch.start()
        try:
            run = wrk.post(url, bodies, seconds=minutes * 60, headers=headers, per_second=SHARE * top)
        finally:
            watch.stop()
    what = f"soak of {minutes:g} min at 70 % of the top rate"
    return [
        Figure(f"{what}: rate", "requests/s", run.per_second, engine),
        Figure(f"{what}: errors", "count", run.errors, engine, at_most(0)),
        Figure(f"{what}: growth of memory, all processes", "MB", growth(watch.memory), engine, at_most(MOST_GROWTH_MB)),
        Figure(f"{what}: growth of file handles", "count", growth(watch.files), engine, at_most(MOST_GROWTH_FILES)),
        Figure(f"{what}: memory at the end, all processes", "MB", watch.memory[-1], engine),
    ]


def growth(samples: Sequence[float]) -> float:
    """How much more at the end than after the warm-up: difference of the medians of the last and first third."""
    kept = samples[int(len(samples) * WARM_UP) :]
    third = max(1, len(kept) // 3)
    return statistics.median(kept[-third:]) - statistics.median(kept[:third])


class _Watch:
    """Samples memory and file handles of a server until it is stopped."""

    def __init__(self, server: Server) -> None:
        self.memory: list[float] = []
        self.files: list[float] = []
        self._server = server
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join()
        if not self.memory:  # a run shorter than the first pause
            self._sample()

    def _run(self) -> None:
        while not self._stopping.wait(SAMPLE_SECONDS):
            self._sample()

    def _sample(self) -> None:
        self.memory.append(sum(self._server.memory_mb()))
        self.files.append(float(self._server.open_files()))


def main() -> int:
    """Print the figures; 1 when a goal is missed."""
    parser = argparse.ArgumentParser(description="Load the service for minutes and watch it.")
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--engine", choices=list(Engine)[:2], type=Engine, default=Engine.SQLITE)
    arguments = parser.parse_args()
    if not wrk.available():
        print("wrk is not on this machine (Debian: apt install wrk)", file=sys.stderr)
        return 1
    with servers.databases() as fresh:
        figures = measure(arguments.engine, fresh[arguments.engine], minutes=arguments.minutes)
    for what, goal, sqlite, postgresql, met in lines_of(figures):
        print(f"{what:<75}{goal:>9}{sqlite:>12}{postgresql:>12}  {met}")
    return 0 if all(figure.met for figure in figures) else 1


if __name__ == "__main__":
    sys.exit(main())
