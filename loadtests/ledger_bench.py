"""The log: acknowledgements, batches, proofs, audit, cold start and room, on both databases.

``python -m loadtests.ledger_bench [--quick] [--entries N] [--engine E]``. Every acknowledgement is durable: the fsync
time of the machine, printed beside the figures, is its floor: a group takes two, one for the database and one for the
high-water mark. Statements are of a usual length (420 bytes) and each is about a subject of its own.
"""

import itertools
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from sqlalchemy import Connection, text
from sqlalchemy import Engine as Database

from ledger.audit import audit
from ledger.log import Log, NewEntry
from ledger.mark.high_water import HighWaterMark
from ledger.merkle import verify_inclusion
from ledger.note import NoteSigner
from ledger.storage.engine import begin_write, create_database_engine
from ledger.storage.tables import create_schema
from loadtests import command
from loadtests.figures import Engine, Figure, at_least, at_most

ORIGIN = "bench.invalid/log"
STATEMENT = b"e30." + b"A" * 400 + b"%012x.c2ln"
SUBMITTERS = 128
BATCH = 1_000

_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Scale:
    """seconds: length of each run under load. entries: size of the log for proofs, audit and room."""

    seconds: float
    entries: int
    proofs: int


QUICK = Scale(seconds=1, entries=5_000, proofs=200)
FULL = Scale(seconds=8, entries=300_000, proofs=5_000)


def measure(engine: Engine, fresh: Callable[[], str], scale: Scale, say: Callable[[str], None]) -> list[Figure]:
    """Measure the log on fresh databases of one engine; raises RuntimeError when the audit finds a fault."""
    figures: list[Figure] = []
    say(f"{engine}: {SUBMITTERS} submitters")
    for what, with_event, goal in (("", False, at_least(5_000)), (", each with an event of its caller", True, None)):
        with _open_log(fresh()) as (log, _database):
            rate, p99 = _acknowledge(log, scale.seconds, with_event=with_event)
        figures.append(Figure(f"durable acknowledgements, {SUBMITTERS} submitters{what}", "/s", rate, engine, goal))
        figures.append(Figure(f"p99 of these{what}", "ms", p99, engine, at_most(100) if goal else None))
    with _open_log(fresh()) as (log, database):
        say(f"{engine}: batches")
        rate = _append_batches(log, scale.entries)
        figures.append(Figure(f"batch append, {BATCH:,} a call", "entries/s", rate, engine, at_least(40_000)))
        say(f"{engine}: proofs and audit of {scale.entries:,} entries")
        figures += _proofs(log, scale.proofs, engine)
        figures += _whole_log(log, database, engine)
    return figures


def _append_batches(log: Log, count: int) -> float:
    """Append so many entries in batches; gives entries a second, the making of the statements not counted."""
    took = 0.0
    for _ in range(count // BATCH):
        batch = [_entry() for _ in range(BATCH)]
        began = time.perf_counter()
        log.append_many(batch)
        took += time.perf_counter() - began
    return count / took


@contextmanager
def _open_log(url: str) -> Iterator[tuple[Log, Database]]:
    database = create_database_engine(url)
    with begin_write(database) as connection:
        create_schema(connection)
        connection.execute(text("CREATE TABLE events (number BIGINT PRIMARY KEY, place BIGINT)"))
    with tempfile.TemporaryDirectory() as folder:
        mark = HighWaterMark(Path(folder) / "high-water", origin=ORIGIN)
        try:
            yield Log.open(database, origin=ORIGIN, signer=NoteSigner.generate(ORIGIN), high_water=mark), database
        finally:
            database.dispose()


def _entry() -> NewEntry:
    number_ = next(_numbers)
    return NewEntry("bench.event", (sha256(b"%d" % number_).digest(),), STATEMENT % number_, "bench-key")


def _acknowledge(log: Log, seconds: float, *, with_event: bool) -> tuple[float, float]:
    """Append from many threads; gives acknowledgements a second and the p99 in milliseconds."""
    latencies: list[float] = []
    end = time.perf_counter() + seconds

    def work() -> None:
        mine = []
        while (start := time.perf_counter()) < end:
            entry = _entry()
            if with_event:
                log.append(entry, _event(next(_numbers)))
            else:
                log.append(entry)
            mine.append(time.perf_counter() - start)
        latencies.extend(mine)

    threads = [threading.Thread(target=work) for _ in range(SUBMITTERS)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return len(latencies) / (time.perf_counter() - began), _p99(latencies) * 1000


def _event(number_: int) -> Callable[[Connection, int], None]:
    def apply(connection: Connection, index: int) -> None:
        connection.execute(text("INSERT INTO events VALUES (:number, :place)"), {"number": number_, "place": index})

    return apply


def _proofs(log: Log, count: int, engine: Engine) -> list[Figure]:
    checkpoint = log.checkpoint().checkpoint
    built, verified = [], []
    for index in random.sample(range(checkpoint.size), min(count, checkpoint.size)):
        leaf = log.entry(index).leaf.hash()
        start = time.perf_counter()
        path = log.inclusion_path(index, checkpoint.size)
        middle = time.perf_counter()
        verify_inclusion(leaf=leaf, index=index, size=checkpoint.size, path=path, root=checkpoint.root)
        verified.append(time.perf_counter() - middle)
        built.append(middle - start)
    return [
        Figure("p99 of building a proof", "ms", _p99(built) * 1000, engine, at_most(5)),
        Figure("p99 of verifying it", "ms", _p99(verified) * 1000, engine, at_most(1)),
    ]


def _whole_log(log: Log, database: Database, engine: Engine) -> list[Figure]:
    cold_start, memory = _cold_start(database.url.render_as_string(hide_password=False))
    processor = time.process_time()
    report = audit(database, log.verifier)
    processor = time.process_time() - processor
    if not report.ok:
        raise RuntimeError(f"the audit finds {report.faults[0]}")
    return [
        Figure("cold start: a new process until its log is open", "s", cold_start, engine, at_most(2)),
        Figure("memory of that process, highest", "MB", memory, engine, at_most(250)),
        Figure("full audit", "entries/s", report.entries / report.seconds, engine),
        Figure("full audit, a core", "entries/s", report.entries / processor, engine, at_least(100_000)),
        Figure("room beyond the body", "B an entry", _room(database) / report.size, engine, at_most(160)),
    ]


def _cold_start(url: str) -> tuple[float, float]:
    """Open the log in a process of its own; gives seconds, imports included, and the most memory it took, in MB."""
    start = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", _OPEN, url, ORIGIN], check=True, capture_output=True, text=True)
    return time.perf_counter() - start, int(done.stdout) / 1000


_OPEN = """
import resource, sys
from ledger.log import Log
from ledger.note import NoteSigner
from ledger.storage.engine import create_database_engine
Log(create_database_engine(sys.argv[1]), origin=sys.argv[2], signer=NoteSigner.generate(sys.argv[2])).head()
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def _room(database: Database) -> int:
    """Bytes of the ledger's tables and indexes beyond the bodies."""
    with database.connect() as connection:
        bodies = int(connection.execute(text("SELECT sum(length(body)) FROM ledger_entries")).scalar_one())
        if database.dialect.name == "sqlite":
            pages, page_size = (
                connection.exec_driver_sql(f"PRAGMA page_{what}").scalar_one() for what in ("count", "size")
            )
            return int(pages * page_size) - bodies
        sizes = "SELECT sum(pg_total_relation_size(oid)) FROM pg_class WHERE relname LIKE 'ledger%' AND relkind = 'r'"
        return int(connection.execute(text(sizes)).scalar_one()) - bodies


def _p99(values: list[float]) -> float:
    return sorted(values)[int(len(values) * 0.99)]


if __name__ == "__main__":
    sys.exit(command.run("the log", measure, quick=QUICK, full=FULL))
