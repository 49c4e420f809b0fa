"""A process that opens a log, begins one append and dies by SIGKILL at the step it was told."""

from __future__ import annotations

import os
import signal

from sqlalchemy import Connection

from ledger.log import Log
from ledger.note import NoteSigner
from ledger.storage.engine import create_database_engine
from tests.faults.faulty_storage import FaultyStorage, Plan, Step
from tests.faults.log_appender import high_water, remember
from tests.log_builders import ORIGIN, new_entry


def die(connection: Connection | None = None) -> None:
    """End this process at once."""
    os.kill(os.getpid(), signal.SIGKILL)


def append_and_die(
    *, url: str, signer_key: str, now: float, number: int, batch: int, step: list[object], mark: str
) -> None:
    """Append one entry with a fact, or a batch of `batch` entries; the process does not live to see the end of it."""
    engine = create_database_engine(url)
    storage = FaultyStorage(engine)
    signer = NoteSigner.from_text(signer_key)
    log = Log.open(
        engine, origin=ORIGIN, signer=signer, high_water=high_water(mark), storage=storage, clock=lambda: now
    )
    with storage.armed(Plan({Step(*step): die})):  # type: ignore[arg-type]
        if batch == 1:
            log.append(new_entry(number), remember(number))
        else:
            log.append_many([new_entry(number + at) for at in range(batch)])
