"""A process that appends to a log from several threads until somebody kills it, and writes down what was acknowledged.

Each acknowledgement is one line in a file, written at once: `number index`. The file outlives the process.
"""

from __future__ import annotations

import itertools
import os
import threading
from pathlib import Path

from sqlalchemy import Connection, text

from ledger.errors import LogUnavailable
from ledger.log import Log
from ledger.note import NoteSigner
from ledger.storage.engine import create_database_engine
from tests.log_builders import ORIGIN, new_entry


def append_forever(
    url: str, signer_key: str, *, first_number: int, acknowledgements: Path, threads: int, limit: int
) -> None:
    """Append up to `limit` entries a thread; entry and fact carry the same number."""
    log = Log.open(create_database_engine(url), origin=ORIGIN, signer=NoteSigner.from_text(signer_key))
    file = os.open(acknowledgements, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    numbers = itertools.count(first_number)

    def work() -> None:
        for number in itertools.islice(numbers, limit):

            def remember(connection: Connection, index: int, number: int = number) -> None:
                connection.execute(
                    text("INSERT INTO facts VALUES (:number, :place)"), {"number": number, "place": index}
                )

            while True:
                try:
                    appended = log.append(new_entry(number), remember)
                    break
                except LogUnavailable:
                    continue  # as a client does: the same statement again
            os.write(file, b"%d %d\n" % (number, appended.index))

    workers = [threading.Thread(target=work) for _ in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()


def acknowledged(files: list[Path]) -> dict[int, int]:
    """Read number -> index from what processes wrote; a last line that was cut off does not count."""
    pairs: dict[int, int] = {}
    for file in files:
        for line in file.read_text(encoding="ascii").splitlines(keepends=True) if file.exists() else []:
            if line.endswith("\n"):
                number, index = line.split()
                pairs[int(number)] = int(index)
    return pairs
