"""The subject map: to build it, to move it on, and to prove and verify the state of a subject, on both databases.

``python -m loadtests.map_bench [--quick] [--entries N] [--engine E]``. Every subject has three entries.
"""

import random
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from itertools import islice

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import Engine as Database

from ledger.log import Log, NewEntry
from ledger.map.keeper import SubjectMap
from ledger.map.state_proof import StateProof, verify_state_proof
from ledger.note import NoteSigner
from ledger.own import StatementSigner
from ledger.storage.engine import begin_write, create_database_engine
from ledger.storage.tables import create_schema
from loadtests import command
from loadtests.figures import Engine, Figure, at_most

ORIGIN = "bench.invalid/log"
MAP_KEY_ID = "bench-statement"
STATEMENT = b"e30." + b"A" * 400 + b"%012x.c2ln"
BATCH = 1_000
ENTRIES_A_SUBJECT = 3
STEPS = 5
"""Times that the map is moved on by so many entries; the median is given."""


@dataclass(frozen=True, slots=True)
class Scale:
    """entries: size of the log. proofs: how many states are proved and verified."""

    entries: int
    proofs: int


QUICK = Scale(entries=3_000, proofs=50)
FULL = Scale(entries=300_000, proofs=2_000)


def measure(engine: Engine, fresh: Callable[[], str], scale: Scale, say: Callable[[str], None]) -> list[Figure]:
    """Measure the map of a log of this scale on a fresh database of one engine."""
    database = create_database_engine(fresh())
    try:
        return _measure(engine, database, scale, say)
    finally:
        database.dispose()


def _measure(engine: Engine, database: Database, scale: Scale, say: Callable[[str], None]) -> list[Figure]:
    with begin_write(database) as connection:
        create_schema(connection)
    log = Log.open(database, origin=ORIGIN, signer=NoteSigner.generate(ORIGIN))
    key = Ed25519PrivateKey.generate()
    subject_map = SubjectMap(log, database, StatementSigner(MAP_KEY_ID, key))
    entries = _entries(scale.entries // ENTRIES_A_SUBJECT)
    say(f"{engine}: {scale.entries:,} entries")
    for _ in range(scale.entries // BATCH):
        log.append_many(list(islice(entries, BATCH)))
    build = _timed(subject_map.publish)
    moved = {}
    for new in (10, BATCH):
        took = []
        for _ in range(STEPS):
            log.append_many(list(islice(entries, new)))
            took.append(_timed(subject_map.publish))
        moved[new] = sorted(took)[STEPS // 2]
    say(f"{engine}: states")
    built, verified, sizes = [], [], []
    for number_ in random.sample(range(scale.entries // ENTRIES_A_SUBJECT), scale.proofs):
        subject = _subject(number_)
        start = time.perf_counter()
        text = subject_map.prove(subject).to_json()
        middle = time.perf_counter()
        proof = StateProof.from_json(text)
        verify_state_proof(proof, subject=subject, log_verifier=log.verifier, map_keys={MAP_KEY_ID: key.public_key()})
        verified.append(time.perf_counter() - middle)
        built.append(middle - start)
        sizes.append(len(text))
    return [
        Figure("subject map: first build", "s", build, engine, at_most(10)),
        Figure("subject map: moved on by 10 entries", "ms", moved[10] * 1000, engine, at_most(100)),
        Figure(f"subject map: moved on by {BATCH:,} entries", "ms", moved[BATCH] * 1000, engine, at_most(1_000)),
        Figure("p50 of building a state proof", "ms", _quantile(built, 0.5) * 1000, engine),
        Figure("p99 of building a state proof", "ms", _quantile(built, 0.99) * 1000, engine, at_most(10)),
        Figure("p50 of reading and verifying it", "ms", _quantile(verified, 0.5) * 1000, engine),
        Figure("p99 of reading and verifying it", "ms", _quantile(verified, 0.99) * 1000, engine, at_most(5)),
        Figure("state proof", "B", sum(sizes) / len(sizes), engine),
    ]


def _subject(number_: int) -> bytes:
    return sha256(b"subject %d" % number_).digest()


def _entries(subjects: int) -> Iterator[NewEntry]:
    """Give entries without end, each about the next subject; from the last on to the first again."""
    made = 0
    while True:
        yield NewEntry("bench.event", (_subject(made % subjects),), STATEMENT % made, "bench-key")
        made += 1


def _timed(act: Callable[[], object]) -> float:
    start = time.perf_counter()
    if act() is None:
        raise RuntimeError("there was nothing to state")
    return time.perf_counter() - start


def _quantile(values: list[float], part: float) -> float:
    return sorted(values)[int(len(values) * part)]


if __name__ == "__main__":
    sys.exit(command.run("the subject map", measure, quick=QUICK, full=FULL))
