"""Appending until there is no room."""

from __future__ import annotations

import resource
from pathlib import Path

from sqlalchemy import Engine

from ledger.errors import LogUnavailable
from ledger.log import Log
from ledger.note import NoteSigner
from ledger.storage.engine import create_database_engine
from tests.faults.evidence import Evidence
from tests.faults.log_appender import high_water, remember
from tests.log_builders import ORIGIN, new_entry

MOST = 20_000
"""More entries than any of these disks holds."""


def open_log(engine: Engine, evidence: Evidence) -> Log:
    return Log.open(engine, origin=ORIGIN, signer=evidence.signer, high_water=high_water(evidence.mark))


def append_until_refused(log: Log, evidence: Evidence, first: int) -> int:
    """Append one by one until the log refuses; returns the number that was refused."""
    for number in range(first, MOST):
        try:
            evidence.take(number, log.append(new_entry(number), remember(number)))
        except LogUnavailable:
            return number
    raise AssertionError("the disk is not full")


def append_under_a_limit(*, url: str, signer_key: str, mark: str, limit: int) -> None:
    """Append until the system refuses to let a file grow beyond `limit` bytes; then without that limit."""
    evidence = Evidence(url, NoteSigner.from_text(signer_key), mark=Path(mark))
    engine = create_database_engine(url)
    log = open_log(engine, evidence)
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    refused = append_until_refused(log, evidence, 0)
    written = log.head()[0]
    assert written >= len(evidence.places) > 20
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    assert evidence.check(ask_again=[refused]) == written + 1
    evidence.take(refused + 1, log.append(new_entry(refused + 1), remember(refused + 1)))
