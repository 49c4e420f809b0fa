"""Processes that append and are killed at any moment: nothing acknowledged is lost, no gap, no fork."""

from __future__ import annotations

import random
import time

import pytest

from tests.faults.appenders import Appenders

FULL_CHECK_EVERY = 50
"""Kills between two checks of the whole log."""

LONGEST_LIFE_S = 0.12


def kill_at_random_moments(appenders: Appenders, chance: random.Random, kills: int) -> int:
    """Start one or two processes, kill each at a random moment from its first instruction on, reopen, check; again."""
    checked = 0
    while appenders.kills < kills:
        alive = [appenders.start(threads=chance.randint(1, 6)) for _ in range(chance.choice((1, 1, 2)))]
        for appender in alive:
            time.sleep(chance.random() * LONGEST_LIFE_S)
            appenders.kill(appender)
        unanswered = appenders.collect()
        appenders.evidence.check_reopened(first_number=alive[0].work.first_number, ask_again=unanswered)
        if appenders.kills - checked >= FULL_CHECK_EVERY:
            appenders.evidence.check()
            checked = appenders.kills
    return appenders.evidence.check()


def test_two_hundred_kills_at_random_moments_lose_nothing_and_fork_nothing(
    appenders: Appenders, chance: random.Random
) -> None:
    assert kill_at_random_moments(appenders, chance, 200) > 1_000


@pytest.mark.long
def test_a_thousand_kills_at_random_moments_lose_nothing_and_fork_nothing(
    appenders: Appenders, chance: random.Random
) -> None:
    assert kill_at_random_moments(appenders, chance, 1_000) > 5_000


def append_together(appenders: Appenders, seconds: float) -> int:
    for _ in range(4):
        appenders.start(threads=8, seconds=seconds)
    appenders.wait_all()
    appenders.collect()
    size = appenders.evidence.check()
    assert len(appenders.evidence.places) == size, "an entry that nobody was told of, although nobody was killed"
    return size


def test_four_processes_of_eight_threads_write_one_log(appenders: Appenders) -> None:
    assert append_together(appenders, 5) > 500


@pytest.mark.long
def test_four_processes_of_eight_threads_write_one_log_for_minutes(appenders: Appenders) -> None:
    assert append_together(appenders, 180) > 10_000
