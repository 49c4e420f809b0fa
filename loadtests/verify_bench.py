"""Online verification against its floor, and how long one answer takes: ``python -m loadtests.verify_bench``.

For each engine: a firm with a million units in our registry and a table of as many in the floor's database. Then, by
wrk over 16 held connections, floor and ours in alternation; the ratio is that of the medians. It is taken twice: with
scans safe against a killed process, and against a power cut too. After that, with scans safe against a power cut (the
default): times of answers at a fixed rate, with the service idle otherwise and while another million units are being
commissioned; a batch of 1,000 codes; the memory of the largest process that answers.
"""

import argparse
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from loadtests import firm, floor, rate, servers, wrk
from loadtests.figures import Engine, Figure, at_least, at_most, lines_of
from loadtests.firm import Firm
from loadtests.servers import Server

DURABILITY: Final = {"kill": 0.6, "power": 0.5}
"""Setting `scan_durability`, and the least share of the floor's rate with it."""
DEFAULT: Final = "power"
VERIFY: Final = "/v1/verify"
BATCH: Final = "/v1/verify/batch"
BATCH_SIZE: Final = 1_000

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Scale:
    """How much is measured: units in the registry, codes asked for, seconds of one run, and so on."""

    units: int = 1_000_000
    codes: int = 20_000
    seconds: float = 5.0
    per_second: float = 200.0
    rate_seconds: float = 20.0
    batches: int = 10
    rounds: int = 3


FULL: Final = Scale()
QUICK: Final = Scale(units=5_000, codes=2_000, seconds=1.0, per_second=50.0, rate_seconds=2.0, batches=3, rounds=1)


def measure(engine: Engine, fresh: Callable[[], str], scale: Scale, say: Say = print) -> list[Figure]:
    """All figures of one engine; `fresh` makes a new empty database and returns its address."""
    say(f"{engine}: the floor's table of {scale.units:,} units")
    floor_url = fresh()
    floor.prepare(floor_url, scale.units)
    floor_bodies = floor.requests(scale.units, scale.codes)
    ours_url = fresh()
    figures: list[Figure] = []
    ready: Firm | None = None
    with tempfile.TemporaryDirectory(prefix="marchamo-verify-") as folder:
        for durability in DURABILITY:
            floor_server = servers.wsgi("loadtests.floor:create_app", "/", FLOOR_DATABASE=floor_url)
            settings = {"data_dir": folder, "scan_durability": durability} | firm.SETTINGS
            with floor_server as floor_address, servers.marchamo(ours_url, **settings) as server:
                if ready is None:
                    say(f"{engine}: commissioning {scale.units:,} units")
                    ready = firm.prepare(server, units=scale.units, codes=scale.codes)
                say(f"{engine}: floor and verify in alternation, scans safe against {durability}")
                run = _Run(engine, server, ready, scale)
                figures += _against_floor(run, durability, floor_address, floor_bodies)
                if durability == DEFAULT:
                    figures += _answer_times(run, say)
                    figures += _batches(run)
                    memory = server.app_memory_mb()
                    figures.append(
                        Figure("memory of one app process after all this", "MB", memory, engine, at_most(200))
                    )
    return figures


@dataclass(frozen=True, slots=True)
class _Run:
    """What is measured: a server with its firm."""

    engine: Engine
    server: Server
    ready: Firm
    scale: Scale


def _against_floor(run: _Run, durability: str, floor_address: str, floor_bodies: list[bytes]) -> list[Figure]:
    engine, scale = run.engine, run.scale
    headers = run.ready.headers("inspector")
    bodies = run.ready.verify_bodies()
    url = f"{run.server.url}{VERIFY}"
    # Both warm up: connections, caches, prepared statements.
    wrk.post(f"{floor_address}/verify", floor_bodies, seconds=1)
    wrk.post(url, bodies, seconds=1, headers=headers)
    floors, ours = [], []
    for _ in range(scale.rounds):
        floors.append(wrk.post(f"{floor_address}/verify", floor_bodies, seconds=scale.seconds))
        ours.append(wrk.post(url, bodies, seconds=scale.seconds, headers=headers))
    floor_rate = statistics.median(result.per_second for result in floors)
    our_rate = statistics.median(result.per_second for result in ours)
    errors = sum(result.errors for result in floors + ours)
    kept = f"scan safe against {durability}"
    return [
        Figure(f"verify / floor, {kept}", "ratio", our_rate / floor_rate, engine, at_least(DURABILITY[durability])),
        Figure(f"verify, {kept}", "requests/s", our_rate, engine),
        Figure(f"floor beside it ({durability})", "requests/s", floor_rate, engine),
        Figure(
            f"verify, {kept}: 99 % within, at full load",
            "ms",
            statistics.median(result.p99_ms for result in ours),
            engine,
        ),
        Figure(f"errors of these runs ({durability})", "count", errors, engine, at_most(0)),
    ]


def _answer_times(run: _Run, say: Say) -> list[Figure]:
    engine, server, ready, scale = run.engine, run.server, run.ready, run.scale
    headers = ready.headers("inspector")
    bodies = ready.verify_bodies()
    url = f"{server.url}{VERIFY}"
    say(f"{engine}: {scale.per_second:.0f} requests/s")
    idle = rate.post_at_rate(url, bodies, per_second=scale.per_second, seconds=scale.rate_seconds, headers=headers)
    say(f"{engine}: the same while {scale.units:,} more units are commissioned")
    commissioned = threading.Event()
    started, took, failures = time.perf_counter(), [], []

    def commission() -> None:
        try:
            with ready.client(server, "owner") as owner:
                owner.commission(ready.product, scale.units, lot="BENCH-2")
            took.append(time.perf_counter() - started)
        except Exception as error:  # carried to the measuring thread, which raises it
            failures.append(error)
        finally:
            commissioned.set()

    thread = threading.Thread(target=commission)
    thread.start()
    busy = rate.post_at_rate(url, bodies, per_second=scale.per_second, seconds=600, headers=headers, until=commissioned)
    thread.join()
    if failures:
        raise failures[0]
    what = f"verify at {scale.per_second:.0f} requests/s"
    return [
        *_times(f"{what}, otherwise idle", engine, idle),
        *_times(f"{what}, while {scale.units:,} units are commissioned", engine, busy),
        Figure(f"commissioning {scale.units:,} units meanwhile", "s", took[0], engine),
    ]


def _times(what: str, engine: Engine, result: rate.RateResult) -> list[Figure]:
    return [
        Figure(f"{what}: p95", "ms", result.p95_ms, engine, at_most(50)),
        Figure(f"{what}: p99", "ms", result.p99_ms, engine, at_most(100)),
        Figure(f"{what}: slowest", "ms", result.max_ms, engine),
        Figure(f"{what}: errors", "count", result.errors, engine, at_most(0)),
    ]


def _batches(run: _Run) -> list[Figure]:
    engine, server, ready, scale = run.engine, run.server, run.ready, run.scale
    size = min(BATCH_SIZE, len(ready.codes))
    times = []
    with ready.client(server, "customs_client") as client:
        for number in range(scale.batches):
            start = number * size % (len(ready.codes) - size + 1)
            began = time.perf_counter()
            answer = client.post(BATCH, {"codes": ready.codes[start : start + size]})
            times.append(time.perf_counter() - began)
            verdicts = [item["verdict"] for item in answer["items"]]
            verified = sum(verdict is not None and verdict["data"]["verified"] for verdict in verdicts)
            if verified != size:
                raise RuntimeError(f"{size - verified} of {size} registered codes of a batch were not verified")
    return [
        Figure(f"batch verify of {size:,} codes, scans recorded: median", "s", statistics.median(times), engine),
        Figure(f"batch verify of {size:,} codes, scans recorded: slowest", "s", max(times), engine, at_most(1)),
    ]


def main() -> int:
    """Print the figures of the asked engines; 1 when a goal is missed."""
    parser = argparse.ArgumentParser(description="Measure online verification against its floor.")
    parser.add_argument("--engine", choices=[Engine.SQLITE, Engine.POSTGRESQL], action="append", type=Engine)
    parser.add_argument("--units", type=int, default=FULL.units)
    parser.add_argument("--quick", action="store_true", help="toy numbers")
    arguments = parser.parse_args()
    if not wrk.available():
        print("wrk is not on this machine (Debian: apt install wrk)", file=sys.stderr)
        return 1
    scale = QUICK if arguments.quick else Scale(units=arguments.units)
    with servers.databases() as fresh:
        figures = [
            figure
            for engine in arguments.engine or [Engine.SQLITE, Engine.POSTGRESQL]
            for figure in measure(engine, fresh[engine], scale)
        ]
    for what, goal, sqlite, postgresql, met in lines_of(figures):
        print(f"{what:<75}{goal:>9}{sqlite:>12}{postgresql:>12}  {met}")
    return 0 if all(figure.met for figure in figures) else 1


if __name__ == "__main__":
    sys.exit(main())
