"""Group commit: many threads, one transaction.

A thread that brings work while nobody is at work becomes the leader: it takes all that is waiting and does it in one
go. Whoever comes meanwhile waits; the first of them leads the next group. There is no thread of its own, so nothing
has to be started, stopped or forked, and under load the groups grow by themselves.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar


class Ticket:
    """One piece of work that waits its turn; `weight` counts against the limit of a group."""

    __slots__ = ("_gate", "done", "weight")

    def __init__(self, weight: int) -> None:
        self.weight = weight
        self.done = False
        self._gate = threading.Lock()
        self._gate.acquire()

    def wait(self) -> None:
        """Wait until the work is done, or until it is this ticket's turn to lead."""
        self._gate.acquire()

    def wake(self) -> None:
        """Let the waiting thread go on."""
        self._gate.release()


TicketT = TypeVar("TicketT", bound=Ticket)


class GroupQueue(Generic[TicketT]):
    """Runs tickets in groups, in order of arrival, one group at a time in this process.

    `run` gets a group whose weights sum to at most `limit` (a heavier ticket comes alone) and must settle each of its
    tickets; it must not raise for what is a ticket's own fault.
    """

    def __init__(self, run: Callable[[list[TicketT]], None], *, limit: int) -> None:
        self._run = run
        self._limit = limit
        self._reset()

    def _reset(self) -> None:
        self._process = os.getpid()
        self._mutex = threading.Lock()
        self._waiting: deque[TicketT] = deque()
        self._leader: int | None = None

    def submit(self, ticket: TicketT) -> None:
        """Return when a group with this ticket has run. RuntimeError when called from inside a group."""
        if self._process != os.getpid():
            self._reset()  # a fork copies the queue but not the threads that wait in it
        with self._mutex:
            if self._leader == threading.get_ident():
                raise RuntimeError("work on a group must not submit to the same queue: it would wait for itself")
            self._waiting.append(ticket)
            leads = self._leader is None
            if leads:
                self._leader = threading.get_ident()
        if not leads:
            ticket.wait()
            if ticket.done:
                return
        self._lead()

    def _lead(self) -> None:
        with self._mutex:
            self._leader = threading.get_ident()
            group = self._take()
        try:
            self._run(group)
        finally:
            with self._mutex:
                following = self._waiting[0] if self._waiting else None
                self._leader = None if following is None else -1  # -1: chosen, but not yet awake
            if following is not None:
                following.wake()
            for ticket in group:
                ticket.done = True
                ticket.wake()

    def _take(self) -> list[TicketT]:
        group = [self._waiting.popleft()]
        weight = group[0].weight
        while self._waiting and weight + self._waiting[0].weight <= self._limit:
            group.append(self._waiting.popleft())
            weight += group[-1].weight
        return group
