"""Commissioning through the public job API: ``python -m loadtests.commission_bench [--units N]``.

A real server with its job worker; a firm asks for one batch and polls the job. Measured: seconds from the request to
the published batch; the memory of all the server's processes together, at its highest; the bytes that each unit takes
in the database, indexes and tree included; and how long a verification takes meanwhile. PostgreSQL's own processes
are not counted in the memory. Goals hold for a million units. Exit status 1 below a goal.
"""

import argparse
import sqlite3
import statistics
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

import psycopg
from rich.console import Console

from loadtests import servers
from loadtests.client import Client
from loadtests.figures import Engine, Figure, Goal, at_most
from loadtests.firm import SETTINGS, Firm, prepare
from loadtests.servers import Server

FULL: Final = 1_000_000
QUICK: Final = 50_000
WARM_UP: Final = 1_000
PROBE_SECONDS: Final = 0.05
SAMPLE_SECONDS: Final = 0.25

Say = Callable[[str], None]


def measure(engine: Engine, fresh: Callable[[], str], units: int, say: Say) -> list[Figure]:
    """Commission `units` on a fresh database of this engine."""
    url = fresh()
    with servers.marchamo(url, **SETTINGS) as server:
        firm = prepare(server, units=WARM_UP, codes=100)
        owner = firm.client(server, "owner")
        before = _stored_bytes(url)
        with _memory(server) as megabytes, _verifications(server, firm) as milliseconds:
            say(f"{engine}: commissioning {units:,} units")
            start = time.perf_counter()
            owner.commission(firm.product, units, lot="BENCH-2")
            seconds = time.perf_counter() - start
        stored = (_stored_bytes(url) - before) / units
    share = units / FULL
    return [
        Figure(f"commission {units:,} units", "s", seconds, engine, at_most(40) if share == 1 else None),
        Figure("all processes of the server together, highest", "MB", max(megabytes), engine, at_most(400)),
        Figure("a unit, indexes and tree included", "bytes", stored, engine, _stored_goal(engine)),
        Figure("one verification meanwhile, median", "ms", statistics.median(milliseconds), engine),
        Figure("one verification meanwhile, p99", "ms", _p99(milliseconds), engine, at_most(100)),
    ]


def _stored_goal(engine: Engine) -> Goal:
    return at_most(100 if engine is Engine.SQLITE else 160)


def _p99(values: list[float]) -> float:
    return sorted(values)[int(len(values) * 0.99)]


def _stored_bytes(url: str) -> int:
    """What the database takes: the whole SQLite file, or the tables of units and trees with their indexes."""
    if url.startswith("sqlite:///"):
        with sqlite3.connect(url.removeprefix("sqlite:///")) as connection:
            pages: int = connection.execute("PRAGMA page_count").fetchone()[0]
            size: int = connection.execute("PRAGMA page_size").fetchone()[0]
        return pages * size
    with psycopg.connect(url, autocommit=True) as connection:
        row = connection.execute(
            "SELECT pg_total_relation_size('units') + pg_total_relation_size('batch_tiles')"
        ).fetchone()
    return int(row[0]) if row is not None else 0


@contextmanager
def _memory(server: Server) -> Iterator[list[float]]:
    """Samples of the summed memory while the block runs."""
    samples = [sum(server.memory_mb())]
    with _repeating(lambda: samples.append(sum(server.memory_mb())), every=SAMPLE_SECONDS):
        yield samples


@contextmanager
def _verifications(server: Server, firm: Firm) -> Iterator[list[float]]:
    """Milliseconds of verifications, one after the other with a short rest, while the block runs."""
    client: Client = firm.client(server, "retailer")
    bodies = firm.verify_bodies()
    times: list[float] = []

    def probe() -> None:
        start = time.perf_counter()
        client.send("POST", "/v1/verify", bodies[len(times) % len(bodies)])
        times.append((time.perf_counter() - start) * 1000)

    with _repeating(probe, every=PROBE_SECONDS):
        yield times


@contextmanager
def _repeating(work: Callable[[], object], *, every: float) -> Iterator[None]:
    """Do `work` again and again in a thread while the block runs; what it raises is raised at the end."""
    stopping = threading.Event()
    errors: list[Exception] = []

    def run() -> None:
        try:
            while not stopping.is_set():
                work()
                stopping.wait(every)
        except Exception as error:
            errors.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stopping.set()
        thread.join()
    if errors:
        raise errors[0]


def main() -> int:
    """Measure both engines and print the figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--units", type=int, default=FULL)
    parser.add_argument("--engine", choices=[Engine.SQLITE, Engine.POSTGRESQL], action="append")
    arguments = parser.parse_args()
    console = Console()
    met = True
    with servers.databases() as fresh:
        for name in arguments.engine or (Engine.SQLITE, Engine.POSTGRESQL):
            engine = Engine(name)
            for figure in measure(engine, fresh[engine], arguments.units, console.print):
                met = met and figure.met
                goal = f" (goal {figure.goal})" if figure.goal is not None else ""
                console.print(f"{figure.what}: {figure.value:.1f} {figure.unit}{goal}")
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
