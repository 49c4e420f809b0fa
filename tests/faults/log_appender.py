"""What a process does that appends to a log until somebody kills it, and how it writes down what it was promised.

Each acknowledgement is one line in a file, `number index note`, written at once and in one call: the file outlives the
process, and a reader of it knows what the dead process had told its clients.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import threading
import time
from base64 import b64decode, b64encode
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from ledger.errors import LogUnavailable
from ledger.log import Log
from ledger.mark.high_water import HighWaterMark
from ledger.note import NoteSigner
from ledger.storage.engine import create_database_engine
from tests.log_builders import ORIGIN, new_entry

PUBLISH_EVERY = 16
"""Each thread asks for a published checkpoint after this many entries."""


@dataclass(frozen=True)
class Work:
    """What one process is to do: `threads` threads append the statements first_number, first_number + 1, ...

    Each thread ends after `limit` entries, and all end `seconds` after the first. `clock_offset` seconds are added to
    this process's clock. `mark` is the file of the log's high-water mark.
    """

    url: str
    signer_key: str
    acknowledgements: str
    first_number: int
    threads: int = 4
    limit: int = 10**6
    seconds: float = 3_600.0
    clock_offset: float = 0.0
    mark: str | None = None


@dataclass(frozen=True)
class Acknowledgement:
    """What a client was told: its statement's number and index, under this signed note. A checkpoint has no number."""

    number: int | None
    index: int | None
    note: str


def high_water(path: str | Path | None) -> HighWaterMark | None:
    """Give the high-water mark in a file, None without one."""
    return None if path is None else HighWaterMark(Path(path), origin=ORIGIN)


def remember(number: int) -> Callable[[Connection, int], None]:
    """Give what a caller commits together with its entry: entry and fact carry the same number."""

    def apply(connection: Connection, index: int) -> None:
        connection.execute(text("INSERT INTO facts VALUES (:number, :place)"), {"number": number, "place": index})

    return apply


def append_until_killed(**members: Any) -> None:
    """Do the `Work` of these members; whatever else than LogUnavailable comes out of the log ends the process."""
    work = Work(**members)
    log = Log.open(
        create_database_engine(work.url),
        origin=ORIGIN,
        signer=NoteSigner.from_text(work.signer_key),
        high_water=high_water(work.mark),
        clock=lambda: time.time() + work.clock_offset,
    )
    client = _Client(log, os.open(work.acknowledgements, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600))
    numbers = itertools.count(work.first_number)
    deadline = time.monotonic() + work.seconds
    failures: list[BaseException] = []

    def run() -> None:
        try:
            for count in range(work.limit):
                if time.monotonic() > deadline:
                    return
                client.append(next(numbers))
                if count % PUBLISH_EVERY == 0:
                    client.publish()
        except BaseException as failure:
            failures.append(failure)
            raise

    workers = [threading.Thread(target=run) for _ in range(work.threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    if failures:
        raise failures[0]


@dataclass(frozen=True)
class _Client:
    """Appends, and writes down what it is told."""

    log: Log
    file: int

    def append(self, number: int) -> None:
        """Submit a statement until it is acknowledged."""
        while True:
            try:
                appended = self.log.append(new_entry(number), remember(number))
                break
            except LogUnavailable:
                time.sleep(0.005)  # as a client does: the same statement again, a little later
        write(self.file, Acknowledgement(number, appended.index, appended.checkpoint.note_text))

    def publish(self) -> None:
        """Ask for the published checkpoint."""
        with contextlib.suppress(LogUnavailable, DBAPIError):  # a read fails as its database does
            write(self.file, Acknowledgement(None, None, self.log.checkpoint().note_text))


def write(file: int, said: Acknowledgement) -> None:
    """Write one line."""
    number, index = ("-" if value is None else value for value in (said.number, said.index))
    os.write(file, f"{number} {index} {b64encode(said.note.encode()).decode()}\n".encode())


def read(file: Path) -> list[Acknowledgement]:
    """Read what a process wrote; a last line that was cut off does not count."""
    if not file.exists():
        return []
    lines = file.read_text(encoding="ascii").splitlines(keepends=True)
    return [_parse(line) for line in lines if line.endswith("\n")]


def _parse(line: str) -> Acknowledgement:
    number, index, note = line.split()
    text = b64decode(note).decode()
    return Acknowledgement(None, None, text) if number == "-" else Acknowledgement(int(number), int(index), text)
