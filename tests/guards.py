"""Changing rows as somebody could who owns the database: the guards are taken away, and put back behind the change."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, text


@contextmanager
def without_guards(connection: Connection) -> Iterator[None]:
    """Let every change pass for the length of the block, inside the connection's transaction."""
    if connection.dialect.name == "sqlite":
        made = connection.execute(text("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'")).all()
        for name, _ in made:
            connection.exec_driver_sql(f'DROP TRIGGER "{name}"')
        yield
        for _, statement in made:
            connection.exec_driver_sql(statement)
    else:
        connection.execute(text("SET LOCAL session_replication_role = replica"))
        yield
        connection.execute(text("SET LOCAL session_replication_role = origin"))
