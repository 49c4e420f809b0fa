"""The `marchamo` command as users start it: one command run to its end, or a server on a free port."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

REPOSITORY = Path(__file__).resolve().parents[1]
COMMAND = (sys.executable, "-m", "app")
START_SECONDS = 60.0
STOP_SECONDS = 20.0


def environment(**settings: object) -> dict[str, str]:
    """The environment of this process without settings of Marchamo, and with these: ``data_dir=...``."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MARCHAMO_")}
    stated = {f"MARCHAMO_{name.upper()}": str(value) for name, value in settings.items()}
    return kept | {"PYTHONPATH": str(REPOSITORY), "COLUMNS": "200"} | stated


def run_command(
    *arguments: object, given: bytes = b"", folder: Path | None = None, **settings: object
) -> subprocess.CompletedProcess[str]:
    """Run `marchamo ARGUMENTS` to its end; its output is text. It remembers nothing unless given ``state=FOLDER``."""
    with tempfile.TemporaryDirectory() as forgotten:
        done = subprocess.run(
            [*COMMAND, *map(str, arguments)],
            input=given,
            capture_output=True,
            cwd=folder,
            env=environment(**{"state": forgotten} | settings),
            timeout=120,
            check=False,
        )
    return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())


def free_port() -> int:
    """A port of loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass
class Server:
    """A running `marchamo serve` with one HTTP process and one job worker."""

    port: int
    process: subprocess.Popen[bytes]
    output: Path
    family: set[psutil.Process] = field(default_factory=set)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def health(self) -> dict[str, Any]:
        """What /health answers; raises OSError when nobody does."""
        with urllib.request.urlopen(f"{self.url}/health", timeout=5) as answer:  # noqa: S310  http, of our own making
            found: dict[str, Any] = json.load(answer)
            return found

    def wait_until_healthy(self) -> dict[str, Any]:
        deadline = time.monotonic() + START_SECONDS
        while self.process.poll() is None and time.monotonic() < deadline:
            try:
                found = self.health()
            except OSError:
                time.sleep(0.1)
            else:
                self.children()
                return found
        raise AssertionError(f"the server did not start: {self.printed()}")

    def printed(self) -> str:
        return self.output.read_text()

    def children(self) -> list[psutil.Process]:
        """The processes below the keeper; remembered, so that `left_behind` knows whom to look for."""
        found = psutil.Process(self.process.pid).children(recursive=True)
        self.family.update(found)
        return found

    def child(self, name: str) -> psutil.Process | None:
        """The keeper's own child that runs `python -m app NAME`."""
        for process in psutil.Process(self.process.pid).children():
            try:
                if process.cmdline()[-1:] == [name]:
                    self.family.add(process)
                    return process
            except (psutil.NoSuchProcess, psutil.ZombieProcess):
                continue
        return None

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        """Signal the keeper and wait; returns its exit code."""
        if self.process.poll() is None:
            self.children()
            self.process.send_signal(how)
        return self.process.wait(STOP_SECONDS)

    def left_behind(self) -> list[psutil.Process]:
        """Processes of this server that are still alive; they get two seconds to be gone."""
        _, alive = psutil.wait_procs(list(self.family), timeout=2)
        return [process for process in alive if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]


@contextmanager
def serving(folder: Path, *options: str, port: int | None = None, **settings: object) -> Iterator[Server]:
    """`marchamo serve OPTIONS` on a data folder, stopped at the end; does not wait until it answers."""
    port = port or free_port()
    stated: dict[str, object] = {
        "data_dir": folder,
        "port": port,
        "public_url": f"http://127.0.0.1:{port}",
        "workers": 1,
        "rate_limits": "no",
    }
    output = folder / f"serve-{port}.txt"
    with output.open("ab") as out:
        process = subprocess.Popen(
            [*COMMAND, "serve", *options], stdout=out, stderr=out, env=environment(**stated | settings)
        )
    server = Server(port, process, output)
    try:
        yield server
    finally:
        server.stop()
        for process_left in server.left_behind():
            process_left.kill()
