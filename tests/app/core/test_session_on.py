"""The session inside a committer's transaction: a refused statement takes nobody else's work along."""

import threading
from typing import Any

import pytest
from sqlalchemy import Connection, func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from app.accounts.service import ledger_subject, payload, registry_entry
from app.core.attempts import AttemptRow
from app.core.database import session_on, write_session
from app.core.services import Services


def attempt(subject: bytes) -> AttemptRow:
    return AttemptRow(subject=subject, attempts=1, window_ends_at=1)


def rows(services: Services) -> int:
    with Session(services.engine) as session:
        return session.scalar(select(func.count()).select_from(AttemptRow)) or 0


def test_a_write_session_commits_at_the_end_and_not_after_an_error(services: Services) -> None:
    with write_session(services.engine) as session:
        session.add(attempt(b"one"))

    def fail() -> None:
        with write_session(services.engine) as session:
            session.add(attempt(b"two"))
            session.flush()
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert rows(services) == 1


def test_an_apply_that_the_database_refuses_fails_alone(services: Services) -> None:
    """Two entries of one group: the database refuses a row of the one, the other must be recorded all the same."""
    with write_session(services.engine) as session:
        session.add(attempt(b"taken"))
    outcomes: dict[bytes, Any] = {}
    both = threading.Barrier(2)

    def append(subject: bytes) -> None:
        def apply(connection: Connection, index: int) -> int:
            with session_on(connection) as session:
                session.add(attempt(subject))
            return index

        statement = payload(kind="test", organisation="TEST", at_ms=1, name=subject.decode())
        entry = registry_entry(services, ledger_subject(services.sealer, "test", subject.decode()), statement=statement)
        both.wait()
        try:
            outcomes[subject] = services.log.append(entry, apply).result
        except IntegrityError as error:
            outcomes[subject] = error

    threads = [threading.Thread(target=append, args=(subject,)) for subject in (b"taken", b"free")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert isinstance(outcomes[b"taken"], IntegrityError)
    assert outcomes[b"free"] == 0
    assert services.log.head()[0] == 1
    assert rows(services) == 2
