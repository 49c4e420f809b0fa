"""People of several roles at once against a real server: ``python -m loadtests.load [--users N] [--seconds S]``.

Starts the service on a fresh database, prepares a firm with a batch, runs locust without a browser on loopback, prints
a table and exits with 1 when a request failed or a threshold is missed. Stops by itself. The seconds in which the
users arrive are not counted. Locust and the server share the machine; on few cores locust's own work is part of the
times.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from loadtests import firm, names, servers
from loadtests.figures import Engine, number

UNITS: Final = 20_000
CODES: Final = 5_000
RAMP_SECONDS: Final = 4.0
STOP_SECONDS: Final = 15
SPARE_SECONDS: Final = 60.0

P95_MS: Final = {
    names.VERIFY: 50.0,
    names.BATCH_VERIFY: 1_000.0,
    names.PROOF: 100.0,
    names.LIST_PRODUCTS: 100.0,
    names.COMMISSION: 100.0,
    names.JOB: 100.0,
    names.LABEL: 150.0,
    names.COMMISSION_DONE: 3_000.0,
}
"""Within this, 95 % of the answers."""
P99_MS: Final = {names.VERIFY: 100.0}
"""Within this, 99 % of the answers."""


@dataclass(frozen=True, slots=True)
class Line:
    """One kind of request: how many, how many failed, and within how many milliseconds 50, 95 and 99 % came."""

    name: str
    requests: int
    failures: int
    p50_ms: float
    p95_ms: float
    p99_ms: float

    @property
    def missed(self) -> list[str]:
        """What is wrong, in words; empty when all is well."""
        wrong = [f"{self.failures} failed"] if self.failures else []
        for share, value, limits in ((95, self.p95_ms, P95_MS), (99, self.p99_ms, P99_MS)):
            limit = limits.get(self.name)
            if limit is not None and value > limit:
                wrong.append(f"p{share} > {number(limit)} ms")
        return wrong


@dataclass(frozen=True, slots=True)
class Report:
    """The lines by name, and why requests failed."""

    lines: list[Line]
    errors: list[str]


def run(fresh: Callable[[], str], *, users: int, seconds: float, units: int = UNITS) -> Report:
    """Run the load on a fresh database; raises RuntimeError when locust does not report."""
    with servers.marchamo(fresh(), **firm.SETTINGS) as server, tempfile.TemporaryDirectory() as folder:
        plan = Path(folder) / "plan.json"
        plan.write_text(json.dumps(asdict(firm.prepare(server, units=units, codes=min(CODES, units)))))
        command = [sys.executable, "-m", "locust", "--locustfile", str(Path(__file__).with_name("locustfile.py"))]
        command += ["--headless", "--json", "--skip-log", "--host", server.url, "--users", str(users)]
        command += ["--spawn-rate", f"{max(1.0, users / RAMP_SECONDS):.1f}", "--run-time", f"{seconds:.0f}s"]
        command += ["--stop-timeout", str(STOP_SECONDS), "--exit-code-on-error", "0", "--reset-stats"]
        done = subprocess.run(
            command,
            env=dict(os.environ) | {names.PLAN: str(plan), "PYTHONPATH": str(Path(__file__).parents[1])},
            capture_output=True,
            text=True,
            timeout=seconds + STOP_SECONDS + SPARE_SECONDS,
            check=False,
        )
    try:
        stats: list[dict[str, Any]] = json.loads(done.stdout)
    except ValueError:
        raise RuntimeError(f"locust ended with {done.returncode}: {done.stderr[-2000:]}") from None
    lines = sorted((line_of(entry) for entry in stats), key=lambda line: line.name)
    said = done.stderr.splitlines()
    errors = [line.removeprefix(names.ERROR_MARK) for line in said if line.startswith(names.ERROR_MARK)]
    return Report(lines, errors)


def line_of(entry: dict[str, Any]) -> Line:
    """Read one entry of locust's statistics, whose times are a histogram of rounded milliseconds."""
    histogram = Counter({float(time): count for time, count in entry["response_times"].items()})
    p50, p95, p99 = (_within(histogram, share) for share in (0.5, 0.95, 0.99))
    return Line(entry["name"], entry["num_requests"], entry["num_failures"], p50, p95, p99)


def _within(histogram: Counter[float], share: float) -> float:
    wanted = histogram.total() * share
    seen = 0
    for time in sorted(histogram):
        seen += histogram[time]
        if seen >= wanted:
            return time
    return 0.0


def table_of(lines: Sequence[Line], title: str) -> Table:
    """The result as people read it."""
    table = Table(title=title)
    table.add_column("request")
    for column in ("count", "failed", "p50 ms", "p95 ms", "p99 ms"):
        table.add_column(column, justify="right")
    table.add_column("verdict")
    for line in lines:
        table.add_row(
            line.name,
            f"{line.requests:,}",
            str(line.failures),
            *(number(value) for value in (line.p50_ms, line.p95_ms, line.p99_ms)),
            ", ".join(line.missed) or "ok",
        )
    return table


def main() -> int:
    """Run on the asked engines; 1 when a request failed, a threshold is missed or a kind of request never came."""
    parser = argparse.ArgumentParser(description="Locust without a browser against a real server, with thresholds.")
    parser.add_argument("--users", type=int, default=40)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--postgresql", action="store_true", help="on PostgreSQL instead of SQLite")
    arguments = parser.parse_args()
    engine = Engine.POSTGRESQL if arguments.postgresql else Engine.SQLITE
    console = Console()
    with servers.databases() as fresh, console.status(f"{arguments.users} users for {arguments.seconds:.0f} s"):
        report = run(fresh[engine], users=arguments.users, seconds=arguments.seconds)
    console.print(table_of(report.lines, f"{arguments.users} users, {arguments.seconds:.0f} s, {engine}"))
    for error in report.errors:
        console.print(f"failed: {error}", markup=False)
    absent = sorted(P95_MS.keys() - {line.name for line in report.lines})
    for name in absent:
        console.print(f"never requested: {name} (more users or seconds)")
    return 1 if absent or any(line.missed for line in report.lines) else 0


if __name__ == "__main__":
    sys.exit(main())
