"""Work that the worker does beside its jobs, again and again, each on a thread of its own."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import structlog

logger = structlog.get_logger(__name__)


@contextmanager
def beside(name: str, work: Callable[[threading.Event], object], *, stop_seconds: float | None) -> Iterator[None]:
    """Run `work` on a thread for the length of the block; it ends soon after the event that it is given is set.

    stop_seconds: how long the end of the block waits for it before it is abandoned; None waits as long as it takes.
    """
    stopping = threading.Event()
    thread = threading.Thread(target=work, args=(stopping,), name=name, daemon=stop_seconds is not None)
    thread.start()
    try:
        yield
    finally:
        stopping.set()
        thread.join(stop_seconds)


@contextmanager
def regularly(
    name: str, work: Callable[[threading.Event], object], *, seconds: float, stop_seconds: float | None
) -> Iterator[None]:
    """Run `work` every so many seconds for the length of the block, whatever became of the round before.

    The database may be restarting, the ledger may be read-only: a loop that gave up would stop for good.
    """

    def rounds(stopping: threading.Event) -> None:
        while not stopping.wait(seconds):
            try:
                work(stopping)
            except Exception:
                logger.exception("a round failed, the next one is soon", work=name)

    with beside(name, rounds, stop_seconds=stop_seconds):
        yield
