"""Appending processes on one database together with the evidence they leave."""

from __future__ import annotations

import itertools
import os
import random
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tests.faults.evidence import Evidence
from tests.faults.log_appender import Work, read
from tests.faults.log_processes import Supervisor

SEED = int(os.environ.get("MARCHAMO_TEST_SEED", "0")) or random.SystemRandom().randrange(1, 10**6)
"""Set MARCHAMO_TEST_SEED to the seed a failed run printed to repeat its choices."""

NUMBERS_A_PROCESS = 10**6


@dataclass
class Appender:
    """One process: what it was told to do and who it is."""

    pid: int
    work: Work

    @property
    def file(self) -> Path:
        return Path(self.work.acknowledgements)


@dataclass
class Appenders:
    """Starts processes, each with numbers of its own, and collects what they were promised."""

    evidence: Evidence
    supervisor: Supervisor
    directory: Path
    running: list[Appender] = field(default_factory=list)
    ended: list[Appender] = field(default_factory=list)
    kills: int = 0
    _count: Any = field(default_factory=lambda: itertools.count(1))

    def start(self, **what: Any) -> Appender:
        """Start a process; `what` as in `Work`."""
        number = next(self._count)
        work = Work(
            url=self.evidence.url,
            signer_key=self.evidence.signer.to_text(),
            acknowledgements=str(self.directory / f"acknowledged-{number}"),
            first_number=number * NUMBERS_A_PROCESS,
            mark=None if self.evidence.mark is None else str(self.evidence.mark),
            **what,
        )
        appender = Appender(
            self.supervisor.start("tests.faults.log_appender:append_until_killed", **asdict(work)), work
        )
        self.running.append(appender)
        return appender

    def kill(self, appender: Appender) -> None:
        """Kill a process. It must not have ended before."""
        status = self.supervisor.kill(appender.pid)
        assert status == -9, f"the process ended by itself with {status}: {self.supervisor.errors.read_text()[-3000:]}"
        self.kills += 1
        self._retire(appender)

    def kill_all(self) -> None:
        for appender in list(self.running):
            self.kill(appender)

    def wait_all(self) -> None:
        """Wait until all processes have done their work."""
        for appender in list(self.running):
            status = self.supervisor.wait(appender.pid)
            assert status == 0, self.supervisor.errors.read_text()[-3000:]
            self._retire(appender)

    def collect(self) -> list[int]:
        """Take the evidence of the ended processes; returns the statements that may be under way without an answer."""
        unanswered: list[int] = []
        for appender in self.ended:
            said = read(appender.file)
            appender.file.unlink(missing_ok=True)
            self.evidence.add(said)
            answered = {one.number for one in said}
            first = appender.work.first_number
            # Numbers are handed out in order, and each thread has at most one that is not answered.
            begun = range(first, first + len(answered - {None}) + appender.work.threads)
            unanswered += sorted(set(begun) - answered)
        self.ended.clear()
        return unanswered

    def wait_for_acknowledgements(self, appender: Appender, *, more: int = 1) -> None:
        """Wait until a running process has `more` acknowledged than now."""
        wanted = len(read(appender.file)) + more
        deadline = time.monotonic() + 60
        while len(read(appender.file)) < wanted:
            assert time.monotonic() < deadline, f"nothing is acknowledged: {self.supervisor.errors.read_text()[-3000:]}"
            time.sleep(0.01)

    def _retire(self, appender: Appender) -> None:
        self.running.remove(appender)
        self.ended.append(appender)
