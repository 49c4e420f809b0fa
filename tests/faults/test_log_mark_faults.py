"""The high-water mark can not be written: what is committed is not acknowledged, and nothing more is committed."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from ledger.errors import LogReadOnly, LogUnavailable
from tests.faults.bench import BATCH, Bench
from tests.faults.log_appender import remember
from tests.log_builders import new_entry


@contextmanager
def failing(name: str, fails: int) -> Iterator[list[int]]:
    """Let the first `fails` calls of a function of `os` fail as a broken disk does; gives the calls left to fail."""
    real, left = getattr(os, name), [fails]

    def call(*arguments: object) -> object:
        if left[0]:
            left[0] -= 1
            raise OSError(errno.EIO, "Input/output error")
        return real(*arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, name, call)
        yield left


@pytest.mark.parametrize("count", [1, BATCH], ids=["one-entry-and-its-fact", "a-batch"])
@pytest.mark.parametrize("call", ["fdatasync", "pwrite"])
def test_a_mark_that_fails_once_is_written_again_before_anybody_is_told(bench: Bench, count: int, call: str) -> None:
    for _ in range(3):
        attempt = bench.attempt(count, failing(call, 1))
        assert bench.check(attempt), "the group was committed before its mark failed"
    bench.finish()


@pytest.mark.parametrize("count", [1, BATCH], ids=["one-entry-and-its-fact", "a-batch"])
@pytest.mark.parametrize("call", ["fdatasync", "pwrite"])
def test_without_a_mark_that_holds_nothing_is_acknowledged_and_nothing_more_committed(
    bench: Bench, count: int, call: str
) -> None:
    attempt = bench.plan_attempt(count)
    with failing(call, 10**6):
        bench.submit(attempt)
        assert attempt.acknowledged == []
        assert isinstance(attempt.error, LogUnavailable)
        assert "nothing was acknowledged" in attempt.error.message
        size = bench.size()
        for number in (90_001, 90_002):
            with pytest.raises(LogUnavailable):
                bench.log.append(new_entry(number), remember(number))
        assert bench.size() == size == attempt.places[-1] + 1
    assert bench.check(attempt)
    bench.finish()


def test_a_mark_that_is_taken_away_closes_the_log_at_once(bench: Bench) -> None:
    assert bench.evidence.mark is not None
    kept = bench.evidence.mark.rename(bench.evidence.mark.with_name("kept"))
    size = bench.size()
    for number in (90_001, 90_002):
        with pytest.raises(LogReadOnly):
            bench.log.append(new_entry(number), remember(number))
    assert bench.size() == size
    kept.rename(bench.evidence.mark)
    bench.append(bench.begin(1))
    bench.finish()
