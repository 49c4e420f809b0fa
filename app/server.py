"""`marchamo serve`: a keeper with two children, the HTTP server (which has processes of its own) and the job worker.

The keeper has no threads and opens nothing: a process that forks while another of its threads does the same can leave
a child that never starts, or never ends. Children get groups of their own, so that Ctrl-C reaches the keeper only.
"""

import ctypes
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from types import FrameType
from typing import TYPE_CHECKING, NoReturn

import structlog

from app.core import jobs
from app.core.config import Settings
from app.core.services import Services
from app.core.state_map import MapPublisher
from app.core.witnesses import has_witnesses, witness_until

if TYPE_CHECKING:
    from flask import Flask

RESTART_PAUSE_SECONDS = 1.0
IDLE_POLL_SECONDS = 0.25
"""How long the worker rests when there is no job: the longest a new job waits."""
BACKLOG = 1024
STOP_SECONDS = 10.0
PR_SET_PDEATHSIG = 1

logger = structlog.get_logger(__name__)


class CannotListen(RuntimeError):
    """The server's address is taken, forbidden or none of this machine."""


class _StopAsked(BaseException):
    """SIGINT or SIGTERM arrived."""


def serve(settings: Settings) -> int:
    """Keep both children running until SIGINT or SIGTERM, then stop them; returns the exit code.

    A worker that dies is started again; when the HTTP server ends by itself all ends. Raises CannotListen.
    """
    _check_address(settings)

    def stop(_signal: int, _frame: FrameType | None) -> NoReturn:
        raise _StopAsked

    children: dict[str, subprocess.Popen[bytes]] = {}
    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    try:
        for name in ("http", "worker"):
            children[name] = _start(name)
        while (status := children["http"].poll()) is None:
            if (ended := children["worker"].poll()) is not None:
                logger.error("worker ended, starting it again", status=ended)
                time.sleep(RESTART_PAUSE_SECONDS)
                children["worker"] = _start("worker")
            time.sleep(IDLE_POLL_SECONDS)
    except _StopAsked:
        return 0
    finally:
        # From here on a second Ctrl-C must not cut the stop short: a child would stay behind.
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        _stop_all(list(children.values()))
    return status


def _check_address(settings: Settings) -> None:
    """Granian would share the port of another Granian, and requests would go to one database or the other."""
    try:
        socket.create_server((settings.host, settings.port), family=_family(settings.host)).close()
    except (OSError, OverflowError) as error:
        reason = (getattr(error, "strerror", None) or str(error)).partition(" (while")[0].removesuffix(".")
        raise CannotListen(
            f"{settings.host}:{settings.port} cannot be listened on: {reason}. "
            "Stop what runs there, or set MARCHAMO_HOST and MARCHAMO_PORT."
        ) from error


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def _start(name: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-m", "app", name], start_new_session=True)  # noqa: S603  our own program


def _stop_all(children: list[subprocess.Popen[bytes]]) -> None:
    for child in children:
        child.terminate()
    deadline = time.monotonic() + STOP_SECONDS
    for child in children:
        try:
            child.wait(max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()
    for child in children:
        # A child that was killed could not stop its own children; they are still in its group.
        with suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)


def _end_with_parent() -> None:
    """Have the kernel send SIGTERM when the parent is gone, even killed: an orphan would keep the port (Linux only)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def answering_app() -> "Flask":
    """The application inside one of the server's processes; it ends with the process that started it."""
    from app import create_app  # noqa: PLC0415

    _end_with_parent()
    return create_app()


def run_http(settings: Settings) -> None:
    """Serve HTTP in this process and its children.

    Two threads a process: with one, a batch of 1,000 codes holds single verifications up for 0.4 s (measured by
    `make load`: p99 of 110 ms against 9 ms), and waiting for the disk is time lost; with four, all of them get slower.
    """
    _end_with_parent()
    # The keeper does not need these; they are imported where they run.
    from granian import Granian  # noqa: PLC0415
    from granian.constants import Interfaces  # noqa: PLC0415
    from granian.log import LogLevels  # noqa: PLC0415

    Granian(
        "app.server:answering_app",
        factory=True,
        interface=Interfaces.WSGI,
        address=settings.host,
        port=settings.port,
        workers=settings.workers,
        blocking_threads=2,
        backlog=BACKLOG,
        log_level=LogLevels.warning,
        log_access=False,
        respawn_failed_workers=True,
        workers_kill_timeout=int(STOP_SECONDS) // 2,
    ).serve()


def run_worker(services: Services, handlers: dict[str, jobs.Handler]) -> None:
    """Run jobs until SIGTERM or SIGINT, or until the process that started this one is gone."""
    stopping = threading.Event()

    def stop(_signal: int, _frame: FrameType | None) -> None:
        stopping.set()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    if has_witnesses(services):
        # On a thread of its own: a job may take minutes, and a checkpoint without witnesses grows old.
        threading.Thread(target=witness_until, args=(stopping, services), name="witnessing").start()
    parent = os.getppid()
    publisher = MapPublisher(services)
    while not stopping.is_set() and os.getppid() == parent:
        try:
            ran = jobs.run_next(services.engine, handlers)
            publisher.publish_when_due()
        except Exception:
            # The database may be restarting; a worker that gave up would leave jobs waiting for ever.
            logger.exception("worker could not reach its jobs")
            ran = False
            stopping.wait(RESTART_PAUSE_SECONDS)
        if not ran:
            stopping.wait(IDLE_POLL_SECONDS)
    stopping.set()
