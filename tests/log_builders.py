"""A log in a database, and entries for it: what the tests of the log start from."""

from __future__ import annotations

from hashlib import sha256

from sqlalchemy import Engine, text

from ledger.log import NewEntry
from ledger.storage.engine import begin_write, create_database_engine
from ledger.storage.tables import create_schema

ORIGIN = "log.test/marchamo"


class Clock:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


def new_entry(number: int, subject: str = "unit") -> NewEntry:
    """An entry whose statement is new for each number (not negative)."""
    return NewEntry("test.event", (sha256(subject.encode()).digest(),), b"e30.%06x.c2ln" % number, "key-1")


def prepare_log_database(url: str) -> None:
    """Create the ledger's tables, and a table for what callers commit together with an entry."""
    engine = create_database_engine(url, durable=False)
    with begin_write(engine) as connection:
        create_schema(connection)
        connection.execute(text("CREATE TABLE facts (number BIGINT PRIMARY KEY, place BIGINT)"))
    engine.dispose()


def facts(engine: Engine) -> list[tuple[int, int]]:
    """What callers have committed so far: (number, index of its entry)."""
    with engine.connect() as connection:
        return [(row[0], row[1]) for row in connection.execute(text("SELECT number, place FROM facts ORDER BY number"))]
