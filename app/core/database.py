"""One engine a process, one session a request, one declarative base for every table of the service."""

from collections.abc import Iterator
from contextlib import contextmanager

from flask import current_app, g
from sqlalchemy import BigInteger, Connection, Engine, Integer, LargeBinary, MetaData
from sqlalchemy.orm import DeclarativeBase, Session

from ledger.storage.engine import begin_write, create_database_engine

__all__ = [
    "Base",
    "BigId",
    "Bytes",
    "Milliseconds",
    "create_database_engine",
    "request_session",
    "session_on",
    "write_session",
]

BigId = BigInteger().with_variant(Integer, "sqlite")
"""A 64-bit identifier; on SQLite every INTEGER has 64 bits and only INTEGER numbers itself."""
Milliseconds = BigInteger
"""A point in time: milliseconds since 1970 in UTC."""
Bytes = LargeBinary


class Base(DeclarativeBase):
    """Base of the mapped classes; constraint names are fixed so that migrations can name them."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


@contextmanager
def session_on(connection: Connection) -> Iterator[Session]:
    """A session that joins the transaction of `connection`: for the `apply` that `Log.append` runs.

    It works under a savepoint of its own, released at the end: a statement that the database refuses must not take
    the committer's savepoint, and with it the work of others, along. The outer transaction decides.
    """
    with Session(bind=connection, join_transaction_mode="create_savepoint", expire_on_commit=False) as session:
        yield session
        session.commit()


@contextmanager
def write_session(engine: Engine) -> Iterator[Session]:
    """A session in a write transaction of its own, committed at the end: for what needs no leaf in the ledger.

    What must be on the ledger goes through `Log.append(entry, apply)` instead. The transaction takes the write lock at
    once (BEGIN IMMEDIATE on SQLite): one that starts as a reader and upgrades fails without waiting.
    """
    with begin_write(engine) as connection, session_on(connection) as session:
        yield session


def request_session() -> Session:
    """The session of this request; opened at first use, closed by the teardown that `create_app` registers."""
    if "session" not in g:
        engine: Engine = current_app.extensions["marchamo"].engine
        g.session = Session(engine, expire_on_commit=False)
    session: Session = g.session
    return session


def close_request_session(_error: BaseException | None = None) -> None:
    """Give the request's connection back; anything not committed is rolled back."""
    session: Session | None = g.pop("session", None)
    if session is not None:
        session.close()
