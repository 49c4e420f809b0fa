"""The machine a figure was measured on: without it a figure says nothing."""

import os
import platform
import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import psutil


@dataclass(frozen=True, slots=True)
class Machine:
    """What a reader needs to compare."""

    processor: str
    cores: int
    memory_gib: float
    system: str
    python: str
    fsync_ms_median: float
    fsync_ms_p99: float


def describe(folder: Path | None = None) -> Machine:
    """Describe this machine; the fsync time is measured in `folder`, where the databases will lie."""
    times = _fsync_times(folder or Path(tempfile.gettempdir()))
    return Machine(
        processor=_processor(),
        cores=os.cpu_count() or 0,
        memory_gib=round(psutil.virtual_memory().total / 2**30, 1),
        system=f"{platform.system()} {platform.release().split('-')[0]}",
        python=platform.python_version(),
        fsync_ms_median=round(statistics.median(times), 3),
        fsync_ms_p99=round(sorted(times)[int(len(times) * 0.99)], 3),
    )


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "unknown")


def _fsync_times(folder: Path, count: int = 300) -> list[float]:
    """Milliseconds of `count` times appending 4 KiB and asking for it to be on disk."""
    times = []
    with tempfile.NamedTemporaryFile(dir=folder) as file:
        for _ in range(count):
            file.write(bytes(4096))
            file.flush()
            start = time.perf_counter()
            os.fsync(file.fileno())
            times.append((time.perf_counter() - start) * 1000)
    return times
