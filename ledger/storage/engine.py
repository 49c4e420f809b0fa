"""One way to open a database, for the whole product.

SQLite and PostgreSQL differ in three things that matter to a ledger: when a commit is on disk, who may write at the
same time, and where a transaction begins. This module settles all three, so that nobody else has to.
"""

from __future__ import annotations

import os
import random
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import DisconnectionError

BUSY_TIMEOUT_MS = 30_000
"""How long a writer waits for a lock of the database before it gives up."""

IDLE_TRANSACTION_MS = 60_000
"""How long PostgreSQL lets a transaction do nothing before it ends its connection."""

KEEPALIVE_S = 10
KEEPALIVES = 3
"""A line over which nothing was heard is asked every ten seconds, and given up after three times."""

BUSY_SLEEP_S = (0.000_3, 0.002)
"""How long a writer of SQLite sleeps, at random between these, before it asks for the lock again."""

POOL_SIZE = 10
POOL_OVERFLOW = 50
"""Connections kept, and how many more a burst may open. PostgreSQL allows 100 in all, unless told otherwise."""

SQLITE_PAGE_SIZE = 8_192
"""For new files. With SQLite's 4 KiB an entry's row leaves the end of most pages empty: 215 B an entry, against 160."""

WAL_AUTOCHECKPOINT_PAGES = 2_000
"""SQLite folds its write-ahead log back into the database after this many pages (16 MB); rarer means longer stalls."""

_BEGIN_OPTION = "marchamo_begin_immediate"

# Connections inherited over a fork. They are kept, never closed: closing one in the child would say goodbye to the
# server in the parent's name, or drop SQLite's locks on the file.
_inherited_connections: list[Any] = []


def create_database_engine(url: str, *, durable: bool = True) -> Engine:
    """Open `url` (`sqlite:///file.db` or `postgresql://...`), safe to use from threads and after a fork.

    With `durable` (the default) a commit that returned is on disk. `durable=False` gives that up for speed and is for
    tests and for data that can be made again.
    """
    if make_url(url).get_backend_name() == "sqlite":
        engine = create_engine(
            url,
            pool_size=POOL_SIZE,
            max_overflow=POOL_OVERFLOW,
            hide_parameters=True,  # an error says which statement failed, never with which values
            connect_args={"timeout": 30},
        )
        _set_up_sqlite(engine, durable=durable)
    else:
        engine = create_engine(
            url,
            pool_size=POOL_SIZE,
            max_overflow=POOL_OVERFLOW,
            hide_parameters=True,
            pool_pre_ping=True,
            connect_args=_postgresql_arguments(durable=durable),
        )
    _refuse_inherited_connections(engine)
    return engine


@contextmanager
def begin_write(engine: Engine) -> Iterator[Connection]:
    """Yield a connection inside a transaction that may write; commit at the end, roll back on an exception.

    SQLite takes the write lock at once (`BEGIN IMMEDIATE`), because a transaction that starts as a reader and then
    writes fails at once when another writer came between, whatever the busy timeout says. PostgreSQL needs no such
    care: an ordinary transaction.
    """
    with engine.connect() as connection:
        writing = connection.execution_options(**{_BEGIN_OPTION: True})
        with writing.begin():
            yield writing


def _postgresql_arguments(*, durable: bool) -> dict[str, Any]:
    """Give the arguments of a connection; psycopg sends `options` at its start: no extra round trip.

    A writer that was stopped, or whose machine vanished, must not hold the log's lock for ever: the server ends an idle
    transaction, and both ends notice a dead line.
    """
    settings = {
        "synchronous_commit": "on" if durable else "off",
        "timezone": "UTC",
        "lock_timeout": BUSY_TIMEOUT_MS,
        "idle_in_transaction_session_timeout": IDLE_TRANSACTION_MS,
        "tcp_keepalives_idle": KEEPALIVE_S,
        "tcp_keepalives_interval": KEEPALIVE_S,
        "tcp_keepalives_count": KEEPALIVES,
    }
    return {
        "options": " ".join(f"-c {name}={value}" for name, value in settings.items()),
        "keepalives_idle": KEEPALIVE_S,
        "keepalives_interval": KEEPALIVE_S,
        "keepalives_count": KEEPALIVES,
        "tcp_user_timeout": KEEPALIVE_S * KEEPALIVES * 1000,
    }


def _set_up_sqlite(engine: Engine, *, durable: bool) -> None:
    @event.listens_for(engine, "connect")
    def configure(dbapi_connection: Any, _record: Any) -> None:
        # The driver's own habit of beginning transactions (only before some statements) would make SAVEPOINT and
        # BEGIN IMMEDIATE impossible; the "begin" event below takes over.
        dbapi_connection.isolation_level = None
        cursor = dbapi_connection.cursor()
        cursor.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
        cursor.execute(f"PRAGMA page_size = {SQLITE_PAGE_SIZE}")
        cursor.execute("PRAGMA journal_mode = WAL")
        cursor.execute(f"PRAGMA synchronous = {'FULL' if durable else 'OFF'}")
        cursor.execute(f"PRAGMA wal_autocheckpoint = {WAL_AUTOCHECKPOINT_PAGES}")
        cursor.execute("PRAGMA foreign_keys = ON")
        cursor.close()

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        if connection.get_execution_options().get(_BEGIN_OPTION):
            _begin_immediate(connection)
        else:
            connection.exec_driver_sql("BEGIN")


def _begin_immediate(connection: Connection) -> None:
    """Take SQLite's write lock, asking every millisecond or two.

    SQLite's own busy handler sleeps longer and longer, up to 100 ms: beside a process that writes without pause it
    starves for seconds, because the lock is free only for moments.
    """
    driver: Any = connection.connection.driver_connection
    deadline = time.monotonic() + BUSY_TIMEOUT_MS / 1000
    driver.execute("PRAGMA busy_timeout = 0")
    try:
        while time.monotonic() < deadline:
            try:
                driver.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
                    break
                time.sleep(random.uniform(*BUSY_SLEEP_S))  # noqa: S311 -- spreads the askers, no secret
            else:
                return
    finally:
        driver.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
    connection.exec_driver_sql("BEGIN IMMEDIATE")  # the last attempt raises what stands against it


def _refuse_inherited_connections(engine: Engine) -> None:
    """Make a pool that crossed a fork open connections of its own in the child."""

    @event.listens_for(engine, "connect")
    def remember_process(_dbapi_connection: Any, record: Any) -> None:
        record.info["process"] = os.getpid()

    @event.listens_for(engine, "checkout")
    def compare_process(dbapi_connection: Any, record: Any, proxy: Any) -> None:
        if record.info["process"] != os.getpid():
            _inherited_connections.append(dbapi_connection)
            record.dbapi_connection = proxy.dbapi_connection = None
            raise DisconnectionError("this connection belongs to the parent process")
