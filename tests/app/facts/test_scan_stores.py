"""Scans: both stores keep the same promises."""

from __future__ import annotations

import multiprocessing
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.core.services import Services
from app.facts.scans import RECENT, Scan, ScanCount, postgresql, scan_id, sqlite
from app.facts.scans import scan as scan_module
from app.facts.scans.open import open_scan_store
from app.facts.scans.postgresql import PostgresqlScanStore
from app.facts.scans.scan import digest_id
from app.facts.scans.sqlite import SqliteScanStore

Store = SqliteScanStore | PostgresqlScanStore


def scan(unit_id: int = 1, *, device: str = "3:till", key: str = "k", at: int = 1000) -> Scan:
    return Scan(
        unit_id, device, key, at, at, "retailer", 3, "check", 19_432_608, -99_133_209, 30, "gps", False, None, "valid",
        b"d" * 32,
    )  # fmt: skip


@pytest.fixture
def store(services: Services) -> Iterator[Store]:
    opened = open_scan_store(services.settings, services.engine)
    yield opened
    opened.close()


def test_a_new_scan_comes_back_with_the_earlier_ones_newest_first(store: Store) -> None:
    for number in range(3):
        store.record(scan(key=f"k{number}", at=1000 + number))
    recorded = store.record(scan(key="new", at=5000))
    assert recorded.first
    assert [one.key for one in recorded.earlier] == ["k2", "k1", "k0"]
    assert recorded.earlier[0] == scan(key="k2", at=1002)
    assert store.recent(1)[0].key == "new"
    assert store.count() == 4


def test_a_retry_gives_the_first_copy(store: Store) -> None:
    store.record(scan(at=1000))
    again = store.record(scan(at=9000))
    assert not again.first
    assert again.scan.received_at == 1000
    assert again.earlier == ()
    assert store.count() == 1


def test_device_and_unit_tell_scans_apart(store: Store) -> None:
    assert store.record(scan(1)).first
    assert store.record(scan(1, device="4:till")).first
    assert store.record(scan(2)).first
    assert store.record(scan(-5)).first
    assert len(store.recent(1)) == 2
    assert len({scan_id(one) for one in (scan(1), scan(2), scan(1, device="4:till"), scan(1, key="x"))}) == 4


def test_no_more_than_the_newest_come_back(store: Store) -> None:
    store.record_many([scan(key=f"k{number:03d}", at=number) for number in range(RECENT + 20)])
    recorded = store.record(scan(key="new", at=10_000))
    assert len(recorded.earlier) == RECENT
    assert recorded.earlier[0].key == f"k{RECENT + 19:03d}"


def test_many_at_once_are_like_one_after_another(store: Store) -> None:
    store.record(scan(1, key="b"))
    recorded = store.record_many([scan(1, key="a"), scan(2, key="a"), scan(1, key="b"), scan(1, key="a")])
    assert [one.first for one in recorded] == [True, True, False, False]
    assert {one.key for one in recorded[0].earlier} == {"b"}
    assert store.count() == 3


def test_scans_of_ranges_of_units_are_counted_from_a_time_on(store: Store) -> None:
    store.record_many([scan(unit, key=f"k{at}", at=at) for unit in (10, 11, 20, 30) for at in (100, 200)])
    assert store.count_since([range(10, 20), range(30, 40)], 200) == ScanCount(3, at_least=False)
    assert store.count_since([range(10, 21)], 0) == ScanCount(6, at_least=False)
    assert store.count_since([], 0) == store.count_since([range(50, 60)], 0) == ScanCount(0, at_least=False)


def test_counting_stops_when_it_has_found_or_looked_at_enough(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    store.record_many([scan(unit, key=f"k{at}", at=at) for unit in range(8) for at in (100, 200)])
    monkeypatch.setattr(scan_module, "MOST_COUNTED", 5)
    assert store.count_since([range(8)], 0) == ScanCount(5, at_least=True)
    assert store.count_since([range(2)], 0) == ScanCount(4, at_least=False)
    for module in (sqlite, postgresql):
        monkeypatch.setattr(module, "MOST_VISITED", 6)
    found = store.count_since([range(8)], 200)
    assert found.at_least
    assert found.scans <= 5


def test_of_many_threads_with_one_scan_exactly_one_is_first(store: Store) -> None:
    firsts: list[bool] = []
    gate = threading.Barrier(8)

    def send() -> None:
        gate.wait()
        firsts.append(store.record(scan()).first)

    threads = [threading.Thread(target=send) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert firsts.count(True) == 1
    assert store.count() == 1


def _write(directory: Path, process: int) -> None:
    opened = SqliteScanStore(directory, power_safe=False)
    for number in range(100):
        opened.record(scan(number, device=f"{process}:till"))
        opened.record(scan(number, device="shared"))
    opened.close()


def test_processes_share_the_files(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_write, args=(tmp_path, number)) for number in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    opened = SqliteScanStore(tmp_path, power_safe=True)
    assert opened.count() == 300
    assert len(opened.recent(7)) == 3
    opened.close()


def test_a_code_that_is_no_unit_has_a_negative_number() -> None:
    for digest in (b"\xff" * 32, b"\0" * 32, bytes(range(32))):
        assert -(1 << 62) - 1 <= digest_id(digest) < 0
