"""A failure at every step of the write path, before it and after it, for every way to fail.

The steps are taken from the write path itself: an append without faults writes down which it takes. After each failure
the log must say what is true, hold what it acknowledged, give a second attempt the first index, and go on.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import Connection

from tests.faults.bench import BATCH, Bench, is_recorded
from tests.faults.faulty_storage import FAULTS, Fault, Step, database_failure
from tests.faults.log_processes import Supervisor

WRITES = {"add_entries", "add_tiles", "add_head", "add_checkpoint"}
"""Steps that must be among those an append takes, or the tests below test nothing."""

SIZES = pytest.mark.parametrize("count", [1, BATCH], ids=["one-entry-and-its-fact", "a-batch-over-the-end-of-a-tile"])


def cut(connection: Connection | None) -> None:
    """Cut the connection, from the server's side where there is a server."""
    assert connection is not None
    driver: Any = connection.connection.driver_connection
    if connection.dialect.name == "sqlite":
        driver.close()
        return
    with psycopg.connect(str(connection.engine.url.render_as_string(hide_password=False)), autocommit=True) as other:
        other.execute("SELECT pg_terminate_backend(%s, 5000)", [driver.info.backend_pid])


def test_the_steps_tried_are_those_of_the_write_path(bench: Bench) -> None:
    one, many = bench.steps(1), bench.steps(BATCH)
    assert {step.call for step in many} >= WRITES
    assert {step.call for step in one} >= {"begin", "head", "keep", "add_entries", "add_head", "commit"}
    assert len([step for step in one if step.after]) == len([step for step in one if not step.after])


@SIZES
@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_a_failure_once_at_any_step_leaves_the_truth_and_a_log_that_goes_on(
    bench: Bench, count: int, fault: Fault
) -> None:
    for step in bench.steps(count):
        bench.fail(count, {step: fault})
    bench.finish()


@SIZES
def test_a_database_that_fails_at_any_step_and_stays_away_is_asked_again_later(bench: Bench, count: int) -> None:
    for step in bench.steps(count):
        bench.fail(count, {step: database_failure}, gone_after=step)
    bench.finish()


@SIZES
def test_a_connection_cut_at_any_step_leaves_the_truth_and_a_log_that_goes_on(bench: Bench, count: int) -> None:
    for step in bench.steps(count):
        if step.call not in {"begin", "commit"} or (step.call, step.after) in {("begin", True), ("commit", False)}:
            bench.fail(count, {step: cut})
    bench.finish()


@SIZES
@pytest.mark.parametrize("recorded", [True, False], ids=["recorded", "not-recorded"])
@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_a_second_failure_at_any_step_of_the_recovery_leaves_the_truth(
    bench: Bench, count: int, recorded: bool, fault: Fault
) -> None:
    first = Step(1, "commit", 1, after=recorded)
    steps = bench.steps(count, {first: database_failure}, transaction=2)
    assert {step.call for step in steps} >= {"begin", "head", "commit"}
    for step in steps:
        bench.fail(count, {first: database_failure, step: fault})
    bench.finish()


@SIZES
def test_a_process_killed_at_any_step_leaves_the_truth_for_the_next_one(
    bench: Bench, count: int, tmp_path: Path
) -> None:
    with Supervisor(tmp_path / "errors") as supervisor:
        for step in bench.steps(count):
            attempt = bench.plan_attempt(count)
            child = supervisor.start(
                "tests.faults.dying_append:append_and_die",
                url=bench.evidence.url,
                signer_key=bench.evidence.signer.to_text(),
                now=bench.clock.now,
                number=attempt.numbers[0],
                batch=count,
                step=list(step),
                mark=str(bench.evidence.mark),
            )
            assert supervisor.wait(child) == -9, supervisor.errors.read_text()
            assert bench.check(attempt) == is_recorded(step)
    bench.finish()
