"""What the ledger says of scans: once a minute one entry commits to those that came in since the one before.

Nobody can drop or change the scan that proves a clone once it is committed to, the registry included. The tree is
salted: its root tells nobody what was scanned, and the proof of one scan reveals no other. Which scans are new follows
from the order of their arrival, which no late one can pass (`ScanStore.settled`), and not from anybody's clock.
"""

import json
import secrets
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import islice
from typing import Any

import structlog
from sqlalchemy import Connection, Engine, insert, select
from sqlalchemy.exc import SQLAlchemyError

from app.accounts import service as accounts
from app.core.clock import now_ms, to_iso
from app.core.errors import Conflict
from app.core.once import Once
from app.core.rounds import beside
from app.core.sealing import Sealer, SealError
from app.core.services import Services
from app.facts.models import scan_commitments, scan_secrets
from app.facts.scans.open import open_scan_store
from app.facts.scans.scan import Scan, ScanStore, scan_number
from ledger.errors import LedgerError, LogFrozen, LogUnavailable
from ledger.leaf import SECRET_SIZE, SaltedLeaves
from ledger.strict import encode_base64, encode_json
from ledger.tiles import BATCH_HEIGHT, TileBuilder

KIND = "scans"
"""Kind of the entries that commit to scans."""
ROUND_SECONDS = 60.0
STOP_SECONDS = 5.0
MOST_SCANS = 100_000
"""Scans of one entry; more make several entries."""
STATEMENT_VERSION = 1
MARK_SIZE = 16

logger = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Stretch:
    """Scans of one part of the store: those that arrived behind `after`, up to and including `upto`."""

    part: int
    after: int
    upto: int


@dataclass(frozen=True, slots=True)
class Tree:
    """The tree over scans: its root (32 bytes), how many, and a mark of each (`scan_commitments.marks`)."""

    root: bytes
    size: int
    marks: bytes


@dataclass(frozen=True, slots=True)
class _Round:
    """One commitment that is about to be made; upto: where it ends in each part, those it does not touch included."""

    number: int
    tree: Tree
    stretches: list[Stretch]
    upto: dict[int, int]
    secret: bytes


def scan_subject(sealer: Sealer) -> bytes:
    """What all entries about scans are about: whoever knows it sees that none of them is left out."""
    return accounts.ledger_subject(sealer, "scans", "")


def regular_commitments(services: Services) -> AbstractContextManager[None]:
    """Commit to what is new, once a minute, in a thread of its own for the length of the block."""

    def work(stopping: threading.Event) -> None:
        store = open_scan_store(services.settings, services.engine)
        obstacles = Once()
        try:
            while _commit_or_log(services, store, obstacles) and not stopping.wait(ROUND_SECONDS):
                pass
        finally:
            store.close()

    return beside("scan commitments", work, stop_seconds=STOP_SECONDS)


def _commit_or_log(services: Services, store: ScanStore, obstacles: Once) -> bool:
    """Commit to what is new; False when the ledger has ended and nothing can be committed to any more."""
    try:
        commit_new_scans(services, store)
    except LogFrozen:
        logger.warning("the ledger is frozen: it commits to no more scans")
        return False
    except LogUnavailable as refusal:
        if obstacles.is_news(refusal.code):
            logger.warning("scans are not committed to", code=refusal.code, reason=refusal.message)
    except (Conflict, LedgerError, SQLAlchemyError, sqlite3.Error, TimeoutError):
        # The database may be restarting, or another worker was faster: a minute later is soon enough.
        if obstacles.is_news("failed"):
            logger.exception("scans could not be committed to")
    else:
        obstacles.well()
    return True


def commit_new_scans(services: Services, store: ScanStore) -> list[int]:
    """Put entries on the ledger that commit to every scan that no entry commits to yet; returns their indexes.

    Raises Conflict when another worker does the same at this moment, LedgerError, SQLAlchemyError, TimeoutError.
    """
    settled = store.settled()
    done: list[int] = []
    while True:
        number, upto = _last(services.engine)
        stretches = [
            Stretch(part, upto.get(part, 0), newest)
            for part, newest in sorted(settled.items())
            if newest > upto.get(part, 0)
        ]
        secret = secrets.token_bytes(SECRET_SIZE)
        stretches = cut(store, stretches, MOST_SCANS)
        tree = grow(store, stretches, secret)
        if tree.size == 0:
            return done
        upto.update({stretch.part: stretch.upto for stretch in stretches})
        done.append(_append(services, _Round(number + 1, tree, stretches, upto, secret)))


def grow(store: ScanStore, stretches: list[Stretch], secret: bytes) -> Tree:
    """Grow the tree over all scans of these stretches."""
    builder, marks = TileBuilder(BATCH_HEIGHT), bytearray()
    for number, _, leaf in leaves_of(store, stretches, secret):
        builder.add(leaf)
        builder.take_full()
        marks += number.to_bytes(8, "big") + leaf[:8]
    return Tree(builder.root(), builder.size, bytes(marks))


def cut(store: ScanStore, stretches: list[Stretch], most: int) -> list[Stretch]:
    """Give the first of these stretches, as far as they hold so many scans."""
    room = most
    kept: list[Stretch] = []
    for stretch in stretches:
        arrivals = [arrival for arrival, _ in islice(store.arrived(stretch.part, stretch.after, stretch.upto), room)]
        room -= len(arrivals)
        if not room:
            return [*kept, Stretch(stretch.part, stretch.after, arrivals[-1])]
        kept.append(stretch)
    return kept


def scan_content(scan: Scan, number: int) -> bytes:
    """Give the bytes of a scan that its leaf commits to: canonical JSON of all that is stored of it.

    A scan that no device signed has no member `statement`.
    """
    members: dict[str, Any] = dict(zip(Scan._fields, scan, strict=True))
    members["offline"] = bool(scan.offline)
    members["code_digest"] = encode_base64(scan.code_digest)
    if scan.statement is None:
        del members["statement"]
    members["number"] = number
    return encode_json(members)


def read_upto(text: str) -> dict[int, int]:
    """Read the column `upto`; raises ValueError."""
    members = json.loads(text)
    if not isinstance(members, dict) or not all(type(arrival) is int for arrival in members.values()):
        raise ValueError("upto is an object of numbers")
    return {int(part): arrival for part, arrival in members.items()}


def stretches_of(connection: Connection, first: int, last: int) -> list[Stretch]:
    """Give the stretches of these commitments, one commitment after the other; raises ValueError."""
    rows = connection.execute(
        select(scan_commitments.c.number, scan_commitments.c.upto)
        .where(scan_commitments.c.number.between(first - 1, last))
        .order_by(scan_commitments.c.number)
    ).all()
    start: dict[int, int] = {}
    covered = []
    for row in rows:
        end = read_upto(row.upto)
        if row.number >= first:
            covered += [
                Stretch(part, start.get(part, 0), arrival)
                for part, arrival in sorted(end.items())
                if arrival != start.get(part, 0)
            ]
        start = end
    return covered


def secret_context(number: int) -> str:
    """What a commitment's sealed secret is for."""
    return f"scan commitment {number}"


def keep_secret(connection: Connection, sealer: Sealer, context: str, secret: bytes) -> None:
    """Keep the secret of a tree over scans."""
    connection.execute(insert(scan_secrets).values(context=context, sealed_secret=sealer.seal(secret, context)))


def open_secret(connection: Connection, sealer: Sealer, context: str) -> bytes:
    """Give the secret of a tree over scans; raises SealError, also when it was destroyed."""
    sealed = connection.scalar(select(scan_secrets.c.sealed_secret).where(scan_secrets.c.context == context))
    if sealed is None:
        raise SealError(f"the secret for {context} is gone")
    return sealer.open(bytes(sealed), context)


def leaves_of(store: ScanStore, stretches: list[Stretch], secret: bytes) -> Iterator[tuple[int, bytes, bytes]]:
    """Give (number, content, leaf hash) of each scan of these stretches, in the order of the tree."""
    leaves = SaltedLeaves(secret)
    for stretch in stretches:
        for arrival, scan in store.arrived(stretch.part, stretch.after, stretch.upto):
            number = scan_number(stretch.part, arrival)
            content = scan_content(scan, number)
            yield number, content, leaves.hash(number, content)


def _last(engine: Engine) -> tuple[int, dict[int, int]]:
    newest = select(scan_commitments.c.number, scan_commitments.c.upto).order_by(scan_commitments.c.number.desc())
    with engine.connect() as connection:
        row = connection.execute(newest.limit(1)).first()
    return (0, {}) if row is None else (row.number, read_upto(row.upto))


def _append(services: Services, work: _Round) -> int:
    now = now_ms()
    statement = {
        "v": STATEMENT_VERSION,
        "kind": KIND,
        "time": to_iso(now),
        "number": work.number,
        "size": work.tree.size,
        "root": encode_base64(work.tree.root),
        "stretches": [[stretch.part, stretch.after, stretch.upto] for stretch in work.stretches],
    }
    row = {
        "number": work.number,
        "committed_at": now,
        "size": work.tree.size,
        "root": work.tree.root,
        "upto": encode_json({str(part): arrival for part, arrival in work.upto.items()}).decode("ascii"),
        "marks": work.tree.marks,
    }

    def apply(connection: Connection, index: int) -> None:
        taken = select(scan_commitments.c.number).where(scan_commitments.c.number == work.number)
        if connection.scalar(taken) is not None:
            raise Conflict("Another worker committed to these scans.", code="scans_committed")
        connection.execute(insert(scan_commitments).values(log_index=index, **row))
        keep_secret(connection, services.sealer, secret_context(work.number), work.secret)

    entry = accounts.registry_entry(services, scan_subject(services.sealer), statement=statement)
    index = services.log.append(entry, apply).index
    logger.info("scans committed to", number=work.number, scans=work.tree.size, log_index=index)
    return index
