"""Processes that can be killed at any moment, made by a fork so that hundreds of them cost little.

One supervisor, a Python process without threads and without connections, imports everything once and forks a child
for each function it is asked to run. A child opens its own engine: nothing of a database crosses the fork.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import signal
import subprocess
import sys
import traceback
from pathlib import Path
from typing import Any, Self

from ledger.storage.engine import create_database_engine


class Supervisor:
    """The parent's handle of the supervisor: starts, kills and awaits children by their process id.

    Functions that children run are named `module:function` and take keywords that JSON can carry.
    """

    def __init__(self, errors: Path) -> None:
        self.errors = errors
        with errors.open("ab") as file:
            self._process = subprocess.Popen(
                [sys.executable, "-c", "from tests.faults.log_processes import supervise; supervise()"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=file,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
                text=True,
                bufsize=1,
            )

    def start(self, function: str, **keywords: Any) -> int:
        """Fork a child that runs a function; returns its process id at once."""
        return self._ask({"start": function, "keywords": keywords})

    def kill(self, pid: int) -> int:
        """Kill a child with SIGKILL and wait until it is gone; returns how it ended (negative: by that signal)."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        return self.wait(pid)

    def wait(self, pid: int) -> int:
        """Wait for a child to end by itself; returns how it ended."""
        return self._ask({"wait": pid})

    def close(self) -> None:
        """End the supervisor, which kills what is still running."""
        self._process.communicate(timeout=30)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _ask(self, request: dict[str, Any]) -> int:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        answer = self._process.stdout.readline()
        assert answer, f"the supervisor has ended: {self.errors.read_text()}"
        return int(answer)


def supervise() -> None:
    """Serve a parent on standard input and output until it closes them."""
    for url in ("sqlite:///never-opened", "postgresql://"):
        create_database_engine(url)  # loads the driver now, once; connects to nothing
    children: set[int] = set()
    for line in sys.stdin:
        request = json.loads(line)
        if "start" in request:
            answer = fork(request["start"], request["keywords"])
            children.add(answer)
        else:
            _, status = os.waitpid(request["wait"], 0)
            children.remove(request["wait"])
            answer = os.waitstatus_to_exitcode(status)
        sys.stdout.write(f"{answer}\n")
        sys.stdout.flush()
    for child in children:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def fork(function: str, keywords: dict[str, Any]) -> int:
    """Run a function in a forked child, which ends with 0, or with 1 after a trace on standard error."""
    module, name = function.split(":")
    run = getattr(importlib.import_module(module), name)  # in the supervisor: imported once
    gc.freeze()  # objects made so far are not touched by the collector, so a fork copies few pages
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        os.close(0)
        os.close(1)
        run(**keywords)
        status = 0
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
    finally:
        os._exit(status)
