"""`marchamo serve`: the HTTP server's processes and the job worker beside them, started and stopped as one."""

import os
import signal
import subprocess
import sys
import threading
import time
from types import FrameType

import structlog
from granian import Granian
from granian.constants import Interfaces
from granian.log import LogLevels

from app.core import jobs
from app.core.config import Settings
from app.core.services import Services

RESTART_PAUSE_SECONDS = 1.0
IDLE_POLL_SECONDS = 0.25
"""How long the worker rests when there is no job: the longest a new job waits."""
BACKLOG = 1024
STOP_SECONDS = 10.0

logger = structlog.get_logger(__name__)


def serve(settings: Settings) -> None:
    """Serve until SIGINT or SIGTERM; then stop the worker too. One thread a process: more raise the tail latency."""
    keeper = WorkerKeeper()
    keeper.start()
    server = Granian(
        "app:create_app",
        factory=True,
        interface=Interfaces.WSGI,
        address=settings.host,
        port=settings.port,
        workers=settings.workers,
        blocking_threads=1,
        backlog=BACKLOG,
        log_level=LogLevels.warning,
        log_access=False,
        respawn_failed_workers=True,
    )
    try:
        server.serve()
    finally:
        keeper.stop()


class WorkerKeeper:
    """Runs `marchamo worker` as a child and starts it again when it dies."""

    def __init__(self) -> None:
        self._stopping = threading.Event()
        self._child: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._keep, name="worker keeper", daemon=True)

    def start(self) -> None:
        """Start the child and watch it."""
        self._thread.start()

    def stop(self) -> None:
        """End the child, politely first."""
        self._stopping.set()
        if self._child is not None and self._child.poll() is None:
            self._child.terminate()
            try:
                self._child.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._child.kill()

    def _keep(self) -> None:
        while not self._stopping.is_set():
            # A group of its own: Ctrl-C reaches the server only, and the server decides when the worker stops.
            self._child = subprocess.Popen([sys.executable, "-m", "app", "worker"], start_new_session=True)
            status = self._child.wait()
            if not self._stopping.is_set():
                logger.error("worker ended, starting it again", status=status)
                time.sleep(RESTART_PAUSE_SECONDS)


def work(services: Services, handlers: dict[str, jobs.Handler]) -> None:
    """Run jobs until SIGTERM or SIGINT, or until the process that started this one is gone."""
    stopping = threading.Event()

    def stop(_signal: int, _frame: FrameType | None) -> None:
        stopping.set()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    parent = os.getppid()
    while not stopping.is_set() and os.getppid() == parent:
        try:
            ran = jobs.run_next(services.engine, handlers)
        except Exception:
            # The database may be restarting; a worker that gave up would leave jobs waiting for ever.
            logger.exception("worker could not reach its jobs")
            ran = False
            stopping.wait(RESTART_PAUSE_SECONDS)
        if not ran:
            stopping.wait(IDLE_POLL_SECONDS)
