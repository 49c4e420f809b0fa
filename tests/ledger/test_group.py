"""Group commit: every ticket runs once, in order, in bounded groups."""

from __future__ import annotations

import threading

import pytest

from ledger.group import GroupQueue, Ticket


def test_tickets_that_wait_meanwhile_run_as_one_group() -> None:
    groups: list[list[Ticket]] = []
    entered, proceed = threading.Event(), threading.Event()

    def run(group: list[Ticket]) -> None:
        groups.append(group)
        entered.set()
        proceed.wait(5)

    queue = GroupQueue(run, limit=3)
    tickets = [Ticket(1) for _ in range(6)]
    threads = [threading.Thread(target=queue.submit, args=(ticket,)) for ticket in tickets]
    threads[0].start()
    entered.wait(5)
    for thread in threads[1:]:
        thread.start()
    while len(queue._waiting) < 5:
        pass
    proceed.set()
    for thread in threads:
        thread.join(5)
    assert [len(group) for group in groups] == [1, 3, 2]
    assert {id(ticket) for group in groups for ticket in group} == {id(ticket) for ticket in tickets}
    assert all(ticket.done for ticket in tickets)


def test_a_ticket_heavier_than_the_limit_runs_alone() -> None:
    weights: list[list[int]] = []
    queue: GroupQueue[Ticket] = GroupQueue(lambda group: weights.append([one.weight for one in group]), limit=3)
    queue.submit(Ticket(10))
    queue.submit(Ticket(1))
    assert weights == [[10], [1]]


def test_a_group_that_raises_does_not_stop_the_queue() -> None:
    def run(group: list[Ticket]) -> None:
        if group[0].weight == 2:
            raise KeyboardInterrupt

    queue = GroupQueue(run, limit=3)
    with pytest.raises(KeyboardInterrupt):
        queue.submit(Ticket(2))
    queue.submit(Ticket(1))


def test_submitting_from_inside_a_group_is_refused_instead_of_hanging() -> None:
    queue: GroupQueue[Ticket] = GroupQueue(lambda _group: queue.submit(Ticket(1)), limit=3)
    with pytest.raises(RuntimeError, match="wait for itself"):
        queue.submit(Ticket(1))
