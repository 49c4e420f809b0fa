"""The files of scans are made by whoever comes first; others who come at the same moment wait."""

from __future__ import annotations

import multiprocessing
from pathlib import Path

from app.facts.scans.sqlite import SHARDS, SqliteScanStore


def _open_every_file(directory: str, start: object, failed: object) -> None:
    store = SqliteScanStore(Path(directory), power_safe=False)
    start.wait()  # type: ignore[attr-defined]
    try:
        for number in range(SHARDS):
            store._shard(number)
    except Exception as error:  # reported to the parent: an assertion here would be lost
        failed.put(repr(error))  # type: ignore[attr-defined]
    store.close()


def test_processes_that_meet_new_files_at_the_same_moment_all_open_them(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    for attempt in range(3):
        start, failed = context.Barrier(4), context.SimpleQueue()
        arguments = (str(tmp_path / str(attempt)), start, failed)
        processes = [context.Process(target=_open_every_file, args=arguments) for _ in range(4)]
        for process in processes:
            process.start()
        for process in processes:
            process.join(60)
        assert failed.empty(), failed.get()
        assert all(process.exitcode == 0 for process in processes)
