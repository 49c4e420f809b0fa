"""The queue of signed scans: no number twice, nothing lost, whoever dies or runs beside it."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from pathlib import Path

import pytest

from scanners import scan_queue
from scanners.device import DeviceRefusal
from scanners.scan_queue import ScanQueue


def plain(code: str, seq: int) -> str:
    return f"{seq}:{code}"


@pytest.fixture
def queue(tmp_path: Path) -> ScanQueue:
    return ScanQueue(tmp_path / "queue.db")


def test_numbers_go_on_from_the_last_one(queue: ScanQueue) -> None:
    assert [scan.seq for scan in queue.sign_all(["a", "b"], plain)] == [1, 2]
    queue.settle([1, 2], [])
    assert [scan.seq for scan in ScanQueue(queue.path).sign_all(["c"], plain)] == [3]
    assert queue.count() == (1, 0, 3)


def test_what_was_scanned_where_is_for_the_own_user_alone(queue: ScanQueue) -> None:
    assert queue.path.stat().st_mode & 0o077 == 0
    with pytest.raises(DeviceRefusal, match="No such file"):
        ScanQueue(queue.path.parent / "nowhere" / "queue.db")


def test_what_fails_while_signing_uses_no_number_up(queue: ScanQueue) -> None:
    def fails(code: str, seq: int) -> str:
        if code == "b":
            raise RuntimeError("out of ink")
        return plain(code, seq)

    with pytest.raises(RuntimeError):
        queue.sign_all(["a", "b"], fails)
    assert queue.count() == (0, 0, 0)


def test_what_was_refused_stays_to_be_looked_at(queue: ScanQueue) -> None:
    queue.sign_all(["a", "b", "c"], plain)
    queue.settle([1], [(2, "device_clock: late")])
    assert [(scan.seq, scan.code, scan.statement) for scan in queue.waiting(10)] == [(3, "c", "3:c")]
    assert [(scan.seq, scan.refusal) for scan in queue.refused(10)] == [(2, "device_clock: late")]


def test_no_more_wait_than_there_is_room_for(queue: ScanQueue, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scan_queue, "MOST_WAITING", 2)
    queue.sign_all(["a", "b"], plain)
    with pytest.raises(DeviceRefusal, match="wait already"):
        queue.sign_all(["c"], plain)


def test_a_file_that_is_no_queue_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "queue.db"
    path.write_bytes(b"not a database, but long enough to be read as one" * 10)
    with pytest.raises(DeviceRefusal, match="cannot be used"):
        ScanQueue(path)


def _sign_some(path: Path, report: Callable[[list[int]], None]) -> None:
    queue = ScanQueue(path)
    report([scan.seq for _ in range(20) for scan in queue.sign_all(["a"], plain)])


def test_processes_beside_each_other_never_share_a_number(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    results = context.SimpleQueue()
    started = [context.Process(target=_sign_some, args=(tmp_path / "queue.db", results.put)) for _ in range(3)]
    for process in started:
        process.start()
    numbers = [number for _ in started for number in results.get()]
    for process in started:
        process.join(30)
    assert sorted(numbers) == list(range(1, 61))
