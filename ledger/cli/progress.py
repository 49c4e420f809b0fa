"""A bar on standard error for work that takes a while; work that does not shows none."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import Progress

PATIENCE_S = 2.0
"""Work shorter than this shows nothing."""


@contextmanager
def slow_progress(*, quiet: bool = False) -> Iterator[Callable[[str, int, int], None]]:
    """Yield what work calls with a name, how much is done and the whole; shown on a terminal after two seconds."""
    bar = Progress(console=Console(stderr=True), disable=quiet or not sys.stderr.isatty())
    started = time.monotonic()
    task = bar.add_task("", total=None)

    def report(what: str, done: int, whole: int) -> None:
        if time.monotonic() - started >= PATIENCE_S:
            bar.start()  # a bar that runs already stays as it is
            bar.update(task, description=what, completed=done, total=whole)

    try:
        yield report
    finally:
        bar.stop()
