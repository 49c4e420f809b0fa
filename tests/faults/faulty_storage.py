"""A log's storage that fails at a step the test names: before it, after it, once or for good.

A step is a call of the write path: `begin`, any method of the writer, `commit`; each can fail before it is done or
after. A failure after `commit` is the answer that got lost. The steps are not listed here: a `FaultyStorage` writes
down which ones an append took, so a step that is added to the write path is tested without a change here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import OperationalError

from ledger.storage.sql import SqlLogStorage


class Step(NamedTuple):
    """One moment of a write: before or after the `nth` call (from 1) of `call` in transaction `transaction`."""

    transaction: int
    call: str
    nth: int
    after: bool

    def __str__(self) -> str:
        when = "after" if self.after else "before"
        return f"{when} call {self.nth} of {self.call} in transaction {self.transaction}"


Fault = Callable[[Connection | None], None]
"""What happens at a step; it is given the transaction's connection where there is one."""


def database_failure(connection: Connection | None = None) -> None:
    """Fail as the database's driver does."""
    raise OperationalError("a statement", {}, Exception("injected"))


def interruption(connection: Connection | None = None) -> None:
    """Fail as Ctrl+C does."""
    raise KeyboardInterrupt


def bug(connection: Connection | None = None) -> None:
    """Fail as nobody expected."""
    raise ZeroDivisionError


FAULTS: dict[str, Fault] = {"database-error": database_failure, "interruption": interruption, "bug": bug}


@dataclass
class Plan:
    """Which faults come at which steps, and the steps taken so far."""

    faults: dict[Step, Fault] = field(default_factory=dict)
    gone_after: Step | None = None
    """From this step on every transaction fails to begin."""
    taken: list[Step] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    transactions: int = 0
    gone: bool = False

    def reach(self, call: str, *, after: bool, connection: Connection | None) -> None:
        if call == "begin" and not after:
            self.transactions += 1
            self.counts.clear()
            if self.gone:
                database_failure()
        if not after:
            self.counts[call] = self.counts.get(call, 0) + 1
        step = Step(self.transactions, call, self.counts[call], after)
        self.taken.append(step)
        self.gone = self.gone or step == self.gone_after
        fault = self.faults.pop(step, None)
        if fault is not None:
            fault(connection)


class FaultyStorage(SqlLogStorage):
    """The real storage, with a plan of faults for its write transactions."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine)
        self.plan = Plan()

    @contextmanager
    def armed(self, plan: Plan) -> Iterator[Plan]:
        """Let the transactions in this context fail as planned; they count from 1."""
        self.plan = plan
        try:
            yield plan
        finally:
            self.plan = Plan()

    @contextmanager
    def writing(self) -> Iterator[Any]:
        plan = self.plan
        plan.reach("begin", after=False, connection=None)
        with super().writing() as writer:
            plan.reach("begin", after=True, connection=writer.connection)
            yield _Writer(writer, plan)
            plan.reach("commit", after=False, connection=writer.connection)
        plan.reach("commit", after=True, connection=None)


class _Writer:
    """Passes on to the real writer, and tells the plan before and after each call."""

    def __init__(self, writer: Any, plan: Plan) -> None:
        self._writer = writer
        self._plan = plan

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._writer, name)
        if not callable(value) or name.startswith("_"):
            return value

        def call(*arguments: Any, **keywords: Any) -> Any:
            self._plan.reach(name, after=False, connection=self._writer.connection)
            result = value(*arguments, **keywords)
            self._plan.reach(name, after=True, connection=self._writer.connection)
            return result

        return call
