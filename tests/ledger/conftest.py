"""Fixtures for the tests of the log: its tables in a fresh database of either kind, and the log open on it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from ledger.log import Log
from ledger.note import NoteSigner
from ledger.storage.engine import create_database_engine
from tests.databases import Databases
from tests.log_builders import ORIGIN, Clock, prepare_log_database


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def log_database_url(database_kind: str, databases: Databases, tmp_path: Path) -> Iterator[str]:
    """The URL of a database with an empty log."""
    url = databases.copy_of("log", prepare_log_database, database_kind, tmp_path)
    yield url
    databases.discard(url)


@pytest.fixture
def engine(log_database_url: str) -> Iterator[Engine]:
    engine = create_database_engine(log_database_url, durable=False)
    yield engine
    engine.dispose()


@pytest.fixture
def signer() -> NoteSigner:
    return NoteSigner.generate(ORIGIN)


@pytest.fixture
def log(engine: Engine, signer: NoteSigner, clock: Clock) -> Log:
    return Log.open(engine, origin=ORIGIN, signer=signer, clock=clock)
