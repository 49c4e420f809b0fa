"""PostgreSQL stopped in the middle of commits, in every way a server ends: what was acknowledged is there then."""

from __future__ import annotations

import random
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ledger.errors import LogUnavailable
from ledger.storage.engine import create_database_engine
from tests.databases import PostgresqlServer
from tests.faults.appenders import Appenders
from tests.faults.bench import BATCH, Bench
from tests.faults.broken_line import COMMIT, BrokenLine
from tests.faults.evidence import Evidence
from tests.faults.log_processes import Supervisor
from tests.faults.server_control import ENDS, End, settle
from tests.log_builders import prepare_log_database

pytestmark = pytest.mark.postgresql


@pytest.fixture
def crashing(own_server: PostgresqlServer, tmp_path: Path) -> Iterator[Appenders]:
    """Processes to be started on a log whose server will be stopped."""
    url = own_server.url(own_server.create_database())
    prepare_log_database(url)
    with Supervisor(tmp_path / "errors") as supervisor:
        yield Appenders(Evidence(url, mark=tmp_path / "mark"), supervisor, tmp_path)


@pytest.mark.parametrize("kind", ENDS)
def test_a_server_that_ends_under_load_loses_nothing_acknowledged(
    own_server: PostgresqlServer, crashing: Appenders, chance: random.Random, kind: str
) -> None:
    alive = [crashing.start(threads=8), crashing.start(threads=8)]
    for _ in range(3):
        for appender in alive:
            crashing.wait_for_acknowledgements(appender, more=20)
        end = ENDS[kind](own_server)
        time.sleep(chance.random() * 0.1)
        end()
        settle(own_server)
    for appender in alive:
        crashing.wait_for_acknowledgements(appender, more=20)  # the same processes go on
    crashing.kill_all()
    assert crashing.evidence.check(ask_again=crashing.collect()) > 100


@pytest.mark.parametrize("kind", ["immediate-stop", "all-killed"])
def test_a_server_that_ends_in_mid_commit_leaves_the_truth(
    own_server: PostgresqlServer, chance: random.Random, tmp_path: Path, kind: str
) -> None:
    """The server has COMMIT and ends before its answer arrives: recorded or not, nobody guesses."""
    url = own_server.url(own_server.create_database())
    prepare_log_database(url)
    outcomes: list[bool] = []
    with tempfile.TemporaryDirectory(prefix="marchamo-line-") as directory, BrokenLine(url, Path(directory)) as line:
        engine = create_database_engine(line.url)
        bench = Bench(engine, Evidence(url, mark=tmp_path / "mark"))
        bench.append(bench.begin(300))
        for count, delay in ((1, 0.0), (BATCH, 0.0), (1, chance.random() * 0.002)):
            end = ENDS[kind](own_server)

            def after_a_moment(end: End = end, delay: float = delay) -> None:
                time.sleep(delay)
                end()

            attempt = bench.attempt(count, line.cut_when(lambda piece: COMMIT in piece, then=after_a_moment))
            assert isinstance(attempt.error, LogUnavailable)
            assert "not known" in attempt.error.message
            settle(own_server)
            outcomes.append(bench.check(attempt))
        bench.finish()
        engine.dispose()
    print("recorded:", outcomes)
