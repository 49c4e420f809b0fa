"""One driver connection a thread, kept for its life, for the two or three statements that every scan runs.

Taking a connection from the pool, beginning and ending a transaction cost more than the look-up itself (measured
on one core: 23,000 against 118,000 look-ups a second). A held connection is in autocommit: each statement is its own
transaction and sees the newest committed state.
"""

import os
import threading
from collections.abc import Mapping, Sequence
from typing import Any

import psycopg
from sqlalchemy import Engine, Select
from sqlalchemy.dialects import sqlite


class HeldStatement:
    """A SQLAlchemy Core statement compiled once for the database's driver, run with named parameters."""

    def __init__(self, engine: Engine, statement: Select[*tuple[Any, ...]]) -> None:
        dialect = sqlite.dialect(paramstyle="named") if engine.dialect.name == "sqlite" else engine.dialect
        compiled = statement.compile(dialect=dialect)
        self.text = str(compiled)
        self.constants = {name: value for name, value in compiled.params.items() if value is not None}
        self.columns = tuple(statement.selected_columns.keys())


class HeldConnection:
    """The calling thread's connection. `power_safe` False lets PostgreSQL answer before its log is on disk."""

    def __init__(self, engine: Engine, *, power_safe: bool = True) -> None:
        self._engine = engine
        self._power_safe = power_safe
        self._local = threading.local()
        self._opened: list[Any] = []

    def close(self) -> None:
        """Close the connections of all threads of this process; for the end of a process or a test."""
        while self._opened:
            process, connection = self._opened.pop()
            if process == os.getpid():
                connection.close()
        self._local = threading.local()

    def first(self, statement: HeldStatement, parameters: Mapping[str, Any]) -> Sequence[Any] | None:
        """Run and give the first row, or None."""
        row: Sequence[Any] | None = self._execute(statement, parameters).fetchone()
        return row

    def all(self, statement: HeldStatement, parameters: Mapping[str, Any]) -> list[Sequence[Any]]:
        """Run and give every row."""
        rows: list[Sequence[Any]] = self._execute(statement, parameters).fetchall()
        return rows

    def all_or_nothing(self, statement: HeldStatement, several: Sequence[Mapping[str, Any]]) -> list[Sequence[Any]]:
        """Run a statement that gives one row once for each of `several` parameters, in one transaction (PostgreSQL).

        The statements travel together: one round trip and one wait for the disk.
        """
        connection: psycopg.Connection[Any] = self._connection()
        with connection.transaction(), connection.pipeline():
            cursors = [connection.execute(statement.text.encode(), {**statement.constants, **one}) for one in several]
            return [cursor.fetchone() or () for cursor in cursors]

    def _execute(self, statement: HeldStatement, parameters: Mapping[str, Any]) -> Any:
        values = {**statement.constants, **parameters}
        connection = self._connection()
        try:
            return connection.execute(statement.text, values)
        except psycopg.OperationalError:
            if not connection.closed and not connection.broken:
                raise
        # The server went away under a connection that was idle: once more on a new one. Every statement run here may
        # be repeated: look-ups, and the recording of a scan, whose second copy stores nothing.
        self._local.connection = None
        return self._connection().execute(statement.text, values)

    def _connection(self) -> Any:
        local = self._local
        if getattr(local, "process", None) != os.getpid():  # a new thread, or a fork: never share a socket over it
            local.process, local.connection = os.getpid(), None
        if local.connection is None:
            local.connection = self._open()
        return local.connection

    def _open(self) -> Any:
        pooled = self._engine.raw_connection()
        connection: Any = pooled.driver_connection
        pooled.detach()  # it belongs to the thread now and never goes back to the pool
        self._opened.append((os.getpid(), connection))
        if isinstance(connection, psycopg.Connection):
            connection.autocommit = True
            if not self._power_safe:
                connection.execute("SET synchronous_commit = off")
        return connection
