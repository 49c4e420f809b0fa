"""The line to PostgreSQL is cut at every message of a write, before the server has it and before its answer."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from ledger.storage.engine import create_database_engine
from tests.faults.bench import BATCH, Bench
from tests.faults.broken_line import COMMIT, BrokenLine
from tests.faults.evidence import Evidence

pytestmark = [
    pytest.mark.postgresql,
    pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True),
]


@pytest.fixture
def line(log_url: str) -> Iterator[BrokenLine]:
    # The path of a socket is short, at most 107 bytes, which pytest's directories exceed.
    with (
        tempfile.TemporaryDirectory(prefix="marchamo-line-") as directory,
        BrokenLine(log_url, Path(directory)) as made,
    ):
        yield made


@pytest.fixture
def remote(line: BrokenLine, log_url: str, tmp_path: Path) -> Iterator[Bench]:
    """A log whose connections all go through the line; what is checked is read behind it."""
    engine = create_database_engine(line.url, durable=False)
    made = Bench(engine, Evidence(log_url, durable=False, mark=tmp_path / "mark"))
    made.append(made.begin(300))
    yield made
    engine.dispose()


@pytest.mark.parametrize("count", [1, BATCH], ids=["one-entry-and-its-fact", "a-batch"])
@pytest.mark.parametrize("delivered", [False, True], ids=["not-delivered", "answer-lost"])
def test_a_line_cut_at_any_message_leaves_the_truth_and_a_log_that_goes_on(
    line: BrokenLine, remote: Bench, count: int, delivered: bool
) -> None:
    for piece in range(1, 100):
        cut = line.cut_at(piece, delivered=delivered)
        recorded = remote.check(remote.attempt(count, cut))
        if not cut.happened:
            assert recorded
            break  # the write has fewer messages than that
        if piece == 1:
            assert recorded, "a connection is tried before it is used, and a dead one is replaced"
        else:
            assert recorded == (delivered and COMMIT in cut.piece)
    assert piece > 8, "so few messages can not be a write"
    # A socket splits a long write as it likes, so the count may pass the commit by: it is cut once more by name.
    cut = line.cut_at_commit(delivered=delivered)
    assert remote.check(remote.attempt(count, cut)) == delivered
    assert cut.happened
    remote.finish()


SLOW = """
CREATE FUNCTION take_time() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(0.3); RETURN NULL; END $$
"""
AT_COMMIT = (
    "CREATE CONSTRAINT TRIGGER facts_take_time AFTER INSERT ON facts DEFERRABLE INITIALLY DEFERRED "
    "FOR EACH ROW EXECUTE FUNCTION take_time()"
)
"""Makes COMMIT itself last, as it does on a busy disk: deferred triggers run in it."""


def test_a_commit_that_is_under_way_when_the_line_breaks_is_waited_for(line: BrokenLine, remote: Bench) -> None:
    """Whoever looks too early would find nothing, say so, and be wrong a moment later."""
    with remote.engine.begin() as connection:
        for statement in (SLOW, AT_COMMIT):
            connection.exec_driver_sql(statement)
    for _ in range(3):
        cut = line.cut_when(lambda piece: COMMIT in piece, then=lambda: None)
        attempt = remote.attempt(1, cut)
        assert cut.happened
        assert remote.check(attempt)
        assert attempt.acknowledged == attempt.places
    remote.finish()
