"""A clock that jumps: time is no part of what the log promises."""

from __future__ import annotations

import random

import pytest
from sqlalchemy import select

from ledger.checkpoint import open_checkpoint
from ledger.storage.tables import ledger_checkpoints
from tests.faults.appenders import Appenders
from tests.faults.bench import Bench
from tests.log_builders import ORIGIN

HOUR = 3_600.0


def published(bench: Bench) -> list[tuple[int, str]]:
    """Give size and note of every published checkpoint in the order of publication."""
    columns = ledger_checkpoints.c
    with bench.engine.connect() as connection:
        rows = connection.execute(select(columns.size, columns.note).order_by(columns.size))
        return [(row[0], row[1]) for row in rows]


@pytest.mark.parametrize("jump", [-HOUR, HOUR, -1_000_000 * HOUR], ids=["an-hour-back", "an-hour-on", "before-1970"])
def test_a_jump_of_the_clock_loses_no_checkpoint_and_stops_no_publication(bench: Bench, jump: float) -> None:
    bench.log.checkpoint()
    for _ in range(5):
        before = published(bench)
        bench.clock.now += jump
        [appended] = bench.append(bench.begin(1))
        now = published(bench)
        assert now[: len(before)] == before
        assert [size for size, _ in now[len(before) :]] == [appended.size], "the append published no checkpoint"
        assert bench.log.checkpoint().checkpoint.size == appended.size
    bench.finish()


def test_a_clock_that_jumps_all_the_time_makes_checkpoints_that_only_grow(bench: Bench, chance: random.Random) -> None:
    handed_out = [bench.log.checkpoint()]
    for _ in range(60):
        bench.clock.now += chance.choice((-HOUR, HOUR, -0.4, 0.4, 2.0))
        [appended] = bench.append(bench.begin(1))
        handed_out += [appended.checkpoint, bench.log.checkpoint()]
        assert bench.log.checkpoint(at_least=appended.size).checkpoint.size >= appended.size
    sizes = [size for size, _ in published(bench)]
    notes = [open_checkpoint(note, bench.log.verifier, origin=ORIGIN) for _, note in published(bench)]
    assert [note.checkpoint.size for note in notes] == sizes
    latest = [signed.checkpoint.size for signed in handed_out[::2]]
    assert latest == sorted(latest), "a published checkpoint is smaller than one before it"
    bench.evidence.notes.update(note.note_text for note in notes)
    bench.finish()


def test_processes_whose_clocks_are_hours_apart_write_one_log(appenders: Appenders) -> None:
    for offset in (-HOUR, 0.0, HOUR):
        appenders.start(threads=4, limit=60, clock_offset=offset)
    appenders.wait_all()
    appenders.collect()
    assert appenders.evidence.check() == 3 * 4 * 60
