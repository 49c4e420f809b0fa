"""The high-water mark: on disk before the acknowledgement, never backwards, never lost by a write that was cut."""

from __future__ import annotations

import errno
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import EntryNotFound, FormatError, LogReadOnly, LogUnavailable
from ledger.mark import high_water
from ledger.mark.high_water import SLOT_SIZE, HighWaterMark, Mark, MarkState
from ledger.merkle import EMPTY_ROOT

ORIGIN = "log.test/marchamo"


def root_of(size: int) -> bytes:
    return sha256(str(size).encode()).digest() if size else EMPTY_ROOT


def head_of(size: int) -> Callable[[], tuple[int, bytes]]:
    return lambda: (size, root_of(size))


@pytest.fixture
def mark(tmp_path: Path) -> HighWaterMark:
    """The mark of an empty log."""
    made = HighWaterMark(tmp_path / "mark", origin=ORIGIN)
    assert made.check(head_of(0), root_of).state is MarkState.OK
    return made


def size_in(path: Path) -> int:
    found = HighWaterMark(path, origin=ORIGIN).read()
    assert found is not None
    return found.size


def test_an_empty_log_without_a_mark_gets_one(tmp_path: Path) -> None:
    made = HighWaterMark(tmp_path / "far" / "away" / "mark", origin=ORIGIN)
    assert made.read() is None
    assert made.check(head_of(0), root_of).state is MarkState.OK
    assert size_in(made.path) == 0
    assert [path.name for path in made.path.parent.iterdir()] == ["mark"]


def test_a_mark_advances_and_is_read_back(mark: HighWaterMark) -> None:
    for size in (1, 2, 3, 256, 10_000_000):
        mark.advance(size, root_of(size), root_of)
        found = mark.read()
        assert found is not None
        assert (found.origin, found.size, found.root) == (ORIGIN, size, root_of(size))


def test_a_mark_never_goes_backwards(mark: HighWaterMark) -> None:
    mark.advance(10, root_of(10), root_of)
    mark.advance(7, root_of(7), root_of)
    assert size_in(mark.path) == 10


def test_the_same_size_under_another_root_is_refused(mark: HighWaterMark) -> None:
    mark.advance(10, root_of(10), root_of)
    with pytest.raises(LogReadOnly, match="another history"):
        mark.advance(10, root_of(11), root_of)


@pytest.mark.parametrize("size", [9, 10, 11])
def test_a_mark_of_another_history_is_neither_moved_nor_relied_on(mark: HighWaterMark, size: int) -> None:
    mark.advance(10, root_of(10), root_of)
    before = mark.path.read_bytes()
    with pytest.raises(LogReadOnly, match="another history"):
        mark.advance(size, root_of(size + 1), lambda known: root_of(known + 1))
    assert mark.path.read_bytes() == before


def test_a_mark_beyond_all_there_is_is_not_relied_on(mark: HighWaterMark) -> None:
    def six_entries(size: int) -> bytes:
        if size > 6:
            raise EntryNotFound("there are 6")
        return root_of(size)

    mark.advance(10, root_of(10), root_of)
    with pytest.raises(LogReadOnly, match="10 entries were acknowledged, but the database has only 6"):
        mark.advance(6, root_of(6), six_entries)


@pytest.mark.parametrize(
    ("size", "roots", "state"),
    [
        (10, root_of, MarkState.OK),
        (12, root_of, MarkState.OK),
        (9, root_of, MarkState.AHEAD),
        (0, root_of, MarkState.AHEAD),
        (10, lambda size: root_of(size + 1), MarkState.CONTRADICTS),
        (12, lambda size: root_of(size + 1), MarkState.CONTRADICTS),
    ],
)
def test_a_log_is_compared_with_its_mark(
    mark: HighWaterMark, size: int, roots: Callable[[int], bytes], state: MarkState
) -> None:
    mark.advance(10, root_of(10), root_of)
    finding = mark.check(lambda: (size, roots(size)), roots)
    assert finding.state is state
    assert str(size) in finding.message or state is MarkState.CONTRADICTS


def test_a_log_with_entries_and_no_mark_is_not_trusted(tmp_path: Path) -> None:
    made = HighWaterMark(tmp_path / "mark", origin=ORIGIN)
    finding = made.check(head_of(5), root_of)
    assert finding.state is MarkState.MISSING
    assert not made.path.exists()
    with pytest.raises(LogReadOnly, match="gone") as refused:
        made.advance(6, root_of(6), root_of)
    assert "ledger adopt" in str(refused.value.fix)


def test_the_mark_of_another_log_is_not_ours(mark: HighWaterMark) -> None:
    mark.advance(3, root_of(3), root_of)
    other = HighWaterMark(mark.path, origin="log.test/other")
    assert other.check(head_of(3), root_of).state is MarkState.OTHER_LOG
    with pytest.raises(LogReadOnly, match="another log"):
        other.advance(4, root_of(4), root_of)
    assert size_in(mark.path) == 3


def test_a_file_that_holds_no_mark_stops_the_log(mark: HighWaterMark) -> None:
    mark.path.write_bytes(b"\x00" * 2 * SLOT_SIZE)
    assert mark.check(head_of(3), root_of).state is MarkState.DAMAGED
    with pytest.raises(LogReadOnly, match="can not be read"):
        mark.advance(4, root_of(4), root_of)
    mark.adopt(3, root_of(3))
    assert mark.check(head_of(3), root_of).state is MarkState.OK
    mark.advance(4, root_of(4), root_of)
    assert size_in(mark.path) == 4


def test_adopting_is_the_one_way_back_and_running_processes_see_it(mark: HighWaterMark) -> None:
    mark.advance(10, root_of(10), root_of)
    HighWaterMark(mark.path, origin=ORIGIN).adopt(6, root_of(6))
    assert size_in(mark.path) == 6
    mark.advance(7, root_of(7), root_of)
    assert size_in(mark.path) == 7


def test_a_mark_can_be_adopted_where_none_was(tmp_path: Path) -> None:
    made = HighWaterMark(tmp_path / "mark", origin=ORIGIN)
    assert made.adopt(5, root_of(5)).size == 5
    made.advance(6, root_of(6), root_of)


def test_a_mark_that_is_deleted_under_a_running_log_stops_it(mark: HighWaterMark) -> None:
    mark.advance(1, root_of(1), root_of)
    mark.path.unlink()
    with pytest.raises(LogReadOnly, match="gone"):
        mark.advance(2, root_of(2), root_of)


def test_a_mark_that_is_replaced_under_a_running_log_is_the_one_that_counts(
    mark: HighWaterMark, tmp_path: Path
) -> None:
    mark.advance(5, root_of(5), root_of)
    other = HighWaterMark(tmp_path / "other", origin=ORIGIN)
    other.adopt(9, root_of(9))
    other.path.replace(mark.path)
    mark.advance(7, root_of(7), root_of)
    assert size_in(mark.path) == 9


@given(cut=st.integers(min_value=0, max_value=SLOT_SIZE), times=st.integers(min_value=1, max_value=4))
def test_a_write_torn_anywhere_leaves_the_mark_before_or_the_new_one(
    tmp_path_factory: pytest.TempPathFactory, cut: int, times: int
) -> None:
    path = tmp_path_factory.mktemp("torn") / "mark"
    whole = HighWaterMark(path, origin=ORIGIN)
    whole.adopt(1, root_of(1))
    for size in range(2, times + 2):
        whole.advance(size, root_of(size), root_of)
    before = path.read_bytes()
    whole.advance(100, root_of(100), root_of)
    after = path.read_bytes()
    place = 0 if before[:SLOT_SIZE] != after[:SLOT_SIZE] else SLOT_SIZE
    path.write_bytes(before[:place] + after[place : place + cut] + before[place + cut :])
    size = size_in(path)
    assert size == 100 if cut == SLOT_SIZE else size in (times + 1, 100)
    whole.advance(101, root_of(101), root_of)
    assert size_in(path) == 101


@given(st.integers(min_value=0, max_value=2 * SLOT_SIZE - 1), st.integers(min_value=1, max_value=255))
def test_a_flipped_byte_never_makes_another_mark(
    tmp_path_factory: pytest.TempPathFactory, place: int, flip: int
) -> None:
    path = tmp_path_factory.mktemp("flip") / "mark"
    made = HighWaterMark(path, origin=ORIGIN)
    made.adopt(4, root_of(4))
    made.advance(5, root_of(5), root_of)
    data = bytearray(path.read_bytes())
    data[place] ^= flip
    path.write_bytes(data)
    assert size_in(path) in (4, 5)


@given(st.binary(max_size=2 * SLOT_SIZE))
def test_nothing_but_a_declared_error_comes_out_of_any_bytes(data: bytes) -> None:
    with pytest.raises(FormatError):
        Mark.from_bytes(data)


@given(
    sequence=st.integers(min_value=0, max_value=2**63 - 1),
    size=st.integers(min_value=0, max_value=2**63 - 1),
    root=st.binary(min_size=32, max_size=32),
    time=st.integers(min_value=0, max_value=2**63 - 1),
)
def test_a_mark_reads_back_as_it_was_written(sequence: int, size: int, root: bytes, time: int) -> None:
    mark = Mark(sequence, ORIGIN, size, root, time)
    assert Mark.from_bytes(mark.to_bytes()) == mark


def test_an_origin_too_long_for_the_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="origin"):
        HighWaterMark(tmp_path / "mark", origin="x" * SLOT_SIZE).adopt(0, EMPTY_ROOT)
    assert list(tmp_path.iterdir()) == []


def test_a_clock_before_1970_does_not_damage_the_mark(tmp_path: Path) -> None:
    made = HighWaterMark(tmp_path / "mark", origin=ORIGIN, clock=lambda: -3600.0)
    made.adopt(1, root_of(1))
    assert size_in(made.path) == 1


@pytest.mark.parametrize("call", ["pwrite", "fdatasync"])
def test_a_disk_that_refuses_means_no_acknowledgement_and_the_mark_before(
    mark: HighWaterMark, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    mark.advance(5, root_of(5), root_of)

    def fail(*_arguments: Any) -> int:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(os, call, fail)
        with pytest.raises(LogUnavailable, match="could not be written"):
            mark.advance(6, root_of(6), root_of)
    # Not even the system's memory may show it: another process would take it for durable.
    assert size_in(mark.path) == 5
    mark.advance(6, root_of(6), root_of)
    assert size_in(mark.path) == 6


def test_a_mark_of_another_process_is_written_again_before_it_is_relied_on(
    mark: HighWaterMark, monkeypatch: pytest.MonkeyPatch
) -> None:
    HighWaterMark(mark.path, origin=ORIGIN).advance(8, root_of(8), root_of)
    synced: list[int] = []
    monkeypatch.setattr(os, "fdatasync", synced.append)
    mark.advance(6, root_of(6), root_of)
    assert len(synced) == 1
    mark.advance(7, root_of(7), root_of)
    assert len(synced) == 1, "what this process has put on disk itself needs no second time"


def test_a_full_disk_does_not_stop_a_mark_that_exists(mark: HighWaterMark) -> None:
    """No byte may be added to any file: the mark writes in place."""
    child = subprocess.run(
        [sys.executable, "-c", ADVANCE_WITHOUT_GROWING, str(mark.path), str(2 * SLOT_SIZE)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert child.returncode == 0, child.stderr
    assert size_in(mark.path) == 9


def test_a_mark_that_can_not_be_made_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "mark"
    child = subprocess.run(
        [sys.executable, "-c", ADVANCE_WITHOUT_GROWING, str(path), str(SLOT_SIZE)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "File too large" in child.stderr
    assert list(tmp_path.iterdir()) == []


ADVANCE_WITHOUT_GROWING = """
import resource, signal, sys
from pathlib import Path
from hashlib import sha256
from ledger.mark.high_water import HighWaterMark
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), int(sys.argv[2])))
mark = HighWaterMark(Path(sys.argv[1]), origin="log.test/marchamo")
mark.adopt(8, sha256(b"8").digest())
mark.advance(9, sha256(b"9").digest(), lambda size: sha256(b"%d" % size).digest())
"""


def test_threads_share_a_mark(mark: HighWaterMark) -> None:
    def work(first: int) -> None:
        for size in range(first, 400, 8):
            mark.advance(size, root_of(size), root_of)
            assert size_in(mark.path) >= size

    threads = [threading.Thread(target=work, args=(first,)) for first in range(1, 9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert size_in(mark.path) == 399


def _advance_many(path: Path, seed: int, done: Any) -> None:
    mark = HighWaterMark(path, origin=ORIGIN)
    sizes = sorted(random.Random(seed).sample(range(1, 5_000), 300))  # noqa: S311 -- the same on each run
    for size in sizes:
        mark.advance(size, root_of(size), root_of)
        if size_in(path) < size:
            done.put(f"{size} was acknowledged and is not in the file")
    done.put(sizes[-1])


def test_processes_share_a_mark(mark: HighWaterMark) -> None:
    context = multiprocessing.get_context("spawn")
    done = context.Queue()
    processes = [context.Process(target=_advance_many, args=(mark.path, seed, done)) for seed in range(4)]
    for process in processes:
        process.start()
    last = [done.get(timeout=60) for _ in processes]
    for process in processes:
        process.join()
    done.close()
    done.join_thread()
    assert size_in(mark.path) == max(last)


def test_a_fork_takes_a_lock_of_its_own(mark: HighWaterMark) -> None:
    mark.advance(1, root_of(1), root_of)
    with mark._locked():
        child = os.fork()
        if child == 0:
            try:
                signal.alarm(20)
                mark.advance(2, root_of(2), root_of)
            finally:
                os._exit(0)
        time.sleep(0.2)
        assert size_in(mark.path) == 1, "the child did not wait for the parent"
    os.waitpid(child, 0)
    assert size_in(mark.path) == 2


def test_a_lock_that_is_never_given_back_is_an_error_after_a_while(
    mark: HighWaterMark, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(high_water, "LOCK_TIMEOUT_S", 0.05)
    other = HighWaterMark(mark.path, origin=ORIGIN)
    with mark._locked(), pytest.raises(LogUnavailable, match="locked"):
        other.advance(1, root_of(1), root_of)
    other.advance(1, root_of(1), root_of)


def test_kill_at_random_moments_never_loses_an_acknowledged_mark(mark: HighWaterMark) -> None:
    """A child advances and says so; whatever it said before it was killed is in the file."""
    seed = 20
    moments = random.Random(seed)  # noqa: S311 -- the same on each run
    acknowledged = 0
    for _ in range(60):
        readable, writable = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                os.write(writable, acknowledged.to_bytes(8, "big"))
                for size in range(acknowledged + 1, acknowledged + 1_000_000):
                    mark.advance(size, root_of(size), root_of)
                    os.write(writable, size.to_bytes(8, "big"))
            finally:
                os._exit(1)
        os.close(writable)
        assert os.read(readable, 8), f"seed {seed}: the child did not start"
        time.sleep(moments.uniform(0, 0.02))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        with os.fdopen(readable, "rb") as pipe:
            told = pipe.read()
        if told:
            acknowledged = int.from_bytes(told[-8:], "big")
        assert size_in(mark.path) - acknowledged in (0, 1)
        acknowledged = size_in(mark.path)
    assert acknowledged > 20, f"seed {seed}: the children did nothing"
