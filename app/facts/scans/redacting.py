"""What a scan loses when its time is over, and the ledger entries that say so.

A redaction takes the scans of some commitments, keeps the hash that each had in the tree of its commitment, and puts an
entry on the ledger that commits to the same scans without what tells of people. Then the scans themselves are replaced
and the secrets of the old trees destroyed. So the old roots can still be computed, what was removed can not be found by
guessing, and a scan that is taken away or changed, before or after, is still named by the audit.
"""

import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from hashlib import blake2s
from itertools import islice
from time import monotonic, sleep

import structlog
from sqlalchemy import Connection, Engine, Row, delete, func, insert, select

from app.accounts import service as accounts
from app.core.clock import now_ms, to_iso
from app.core.errors import Conflict
from app.core.sealing import Sealer
from app.core.services import Services
from app.facts.models import scan_commitments, scan_redactions, scan_secrets
from app.facts.scans.coarse import coarse
from app.facts.scans.committing import (
    STATEMENT_VERSION,
    Stretch,
    Tree,
    keep_secret,
    leaves_of,
    open_secret,
    scan_content,
    scan_subject,
    secret_context,
    stretches_of,
)
from app.facts.scans.open import open_scan_store
from app.facts.scans.scan import Scan, ScanStore, scan_number
from ledger.leaf import SECRET_SIZE, SaltedLeaves
from ledger.merkle import root
from ledger.storage.engine import begin_write
from ledger.strict import encode_base64

KIND = "redaction"
"""Kind of the entries that say which scans were redacted."""
DAY_MS = 86_400_000
MOST_SCANS = 10_000
"""Scans of one redaction, as long as one commitment has no more: its row is written in some milliseconds then."""
CHUNK = 100
"""Scans that are replaced in one transaction: recordings wait for no more than these."""
PAUSE_S = 0.02
"""Between two of these, so that recordings find the way free."""
HASH_SIZE = 32
REDACTED = "r:"
"""How devices and keys of redacted scans begin."""
LOOKS = frozenset({"check", "inspect"})
"""Actions that state no event: of such a scan the organisation goes too. The others stand in the ledger anyway."""

logger = structlog.get_logger(__name__)
_commitments, _redactions = scan_commitments.c, scan_redactions.c


@dataclass(frozen=True, slots=True)
class Redaction:
    """Scans to be redacted: those of the commitments from `first` to `last`.

    leaves: the old hash of each, one after the other. tree: over the scans as they will be. secret: of that tree.
    """

    number: int
    first: int
    last: int
    leaves: bytes
    tree: Tree
    secret: bytes


class ScansDiffer(Exception):
    """The scans of a commitment are not those it commits to: an audit has to name them before anything is removed."""


def redact(scan: Scan, number: int, secret: bytes) -> Scan:
    """Give what stays of a scan; of one that is redacted already, the scan itself.

    The device becomes a mark of its own for each unit, so that rules still count how many devices met a unit, while
    nobody sees which other units it met; all devices of an organisation become one. The key becomes the scan's number.
    """
    if scan.device.startswith(REDACTED):
        return scan
    whose = scan.device if scan.organisation_id is None else str(scan.organisation_id)
    mark = blake2s(f"{scan.unit_id}\0{whose}".encode(), key=secret, digest_size=12, person=b"redacted").hexdigest()
    place = coarse(scan.place)
    return scan._replace(
        device=REDACTED + mark,
        key=f"{REDACTED}{number}",
        organisation_id=None if scan.action in LOOKS else scan.organisation_id,
        latitude=place.latitude,
        longitude=place.longitude,
        accuracy=place.accuracy,
        place_source=place.source,
        operator_saw=None,
        statement=None,
    )


def redact_old_scans(services: Services, *, now: int, stopping: Callable[[], bool] = lambda: False) -> int:
    """Redact every scan that was committed to longer ago than the settings keep it; returns how many.

    One redaction after the other; a crash between two steps of one is mended by the next call. Raises ScansDiffer,
    Conflict when another worker does the same, LedgerError, SQLAlchemyError.
    """
    days = services.settings.scan_retention_days
    done = 0
    with closing(open_scan_store(services.settings, services.engine)) as store:
        _finish_last(services, store)
        while not stopping():
            redaction = next_redaction(services, store, before=now - days * DAY_MS)
            if redaction is None:
                return done
            _append(services, redaction, kept_days=days)
            _finish_last(services, store)
            done += redaction.tree.size
            logger.info("scans redacted", number=redaction.number, scans=redaction.tree.size)
    return done


def next_redaction(services: Services, store: ScanStore, *, before: int) -> Redaction | None:
    """Prepare the next redaction; None when nothing that old is left. Raises ScansDiffer."""
    with services.engine.connect() as connection:
        number, reached = connection.execute(
            select(func.coalesce(func.max(_redactions.number), 0), func.coalesce(func.max(_redactions.last), 0))
        ).one()
        waiting = connection.execute(
            select(_commitments.number, _commitments.size, _commitments.root, _commitments.marks)
            .where(_commitments.number > reached, _commitments.committed_at < before)
            .order_by(_commitments.number)
            .limit(MOST_SCANS)
        ).all()
    chosen = list(_as_many_as_fit(waiting))
    if not chosen:
        return None
    first, last = chosen[0].number, chosen[-1].number
    pseudonyms, secret = pseudonym_secret(services.sealer), secrets.token_bytes(SECRET_SIZE)
    fresh = SaltedLeaves(secret)
    old, new, marks = bytearray(), [], bytearray()
    for row in chosen:
        hashes = []
        with services.engine.connect() as connection:
            covered = stretches_of(connection, row.number, row.number)
            before_secret = open_secret(connection, services.sealer, secret_context(row.number))
        for (scan_at, _, leaf), scan in zip(
            leaves_of(store, covered, before_secret), scans_of(store, covered), strict=True
        ):
            hashes.append(leaf)
            new.append(fresh.hash(scan_at, scan_content(redact(scan, scan_at, pseudonyms), scan_at)))
            marks += scan_at.to_bytes(8, "big") + new[-1][:8]
        if root(hashes) != row.root:
            raise ScansDiffer(f"the scans of commitment {row.number} are not those it commits to")
        old += b"".join(hashes)
    return Redaction(number + 1, first, last, bytes(old), Tree(root(new), len(new), bytes(marks)), secret)


def scans_of(store: ScanStore, covered: Sequence[Stretch]) -> Iterator[Scan]:
    """Give the scans of these stretches."""
    for stretch in covered:
        for _, scan in store.arrived(stretch.part, stretch.after, stretch.upto):
            yield scan


def redaction_context(number: int) -> str:
    """What the sealed secret of a redaction's tree is for."""
    return f"scan redaction {number}"


def pseudonym_secret(sealer: Sealer) -> bytes:
    """The key of the marks that stand for devices in redacted scans."""
    return sealer.derive("devices of redacted scans")


def _as_many_as_fit(waiting: Sequence[Row[int, int, bytes, bytes]]) -> Iterator[Row[int, int, bytes, bytes]]:
    size = 0
    for row in waiting:
        size += row.size
        if size > MOST_SCANS and size != row.size:
            return
        yield row


def _append(services: Services, redaction: Redaction, *, kept_days: int) -> None:
    now = now_ms()
    statement = {
        "v": STATEMENT_VERSION,
        "kind": KIND,
        "time": to_iso(now),
        "number": redaction.number,
        "commitments": [redaction.first, redaction.last],
        "kept_days": kept_days,
        "size": redaction.tree.size,
        "root": encode_base64(redaction.tree.root),
    }

    def apply(connection: Connection, index: int) -> None:
        if connection.scalar(select(_redactions.number).where(_redactions.number == redaction.number)) is not None:
            raise Conflict("Another worker redacted these scans.", code="scans_redacted")
        connection.execute(
            insert(scan_redactions).values(
                number=redaction.number,
                log_index=index,
                first=redaction.first,
                last=redaction.last,
                redacted_at=now,
                kept_days=kept_days,
                size=redaction.tree.size,
                root=redaction.tree.root,
                leaves=redaction.leaves,
                marks=redaction.tree.marks,
            )
        )
        keep_secret(connection, services.sealer, redaction_context(redaction.number), redaction.secret)

    services.log.append(accounts.registry_entry(services, scan_subject(services.sealer), statement=statement), apply)


def _finish_last(services: Services, store: ScanStore) -> None:
    """Replace the scans of the newest redaction and destroy the secrets of the trees they were in.

    A crash anywhere before the last line leaves secrets of old trees: that is how the next call knows that something
    is left to do. Replacing a scan again changes nothing.
    """
    with services.engine.connect() as connection:
        row = connection.execute(
            select(_redactions.first, _redactions.last).order_by(_redactions.number.desc()).limit(1)
        ).first()
    if row is None:
        return
    contexts = [secret_context(number) for number in range(row.first, row.last + 1)]
    if not _any_secret(services.engine, contexts):
        return
    secret = pseudonym_secret(services.sealer)
    slowest = 0.0
    with services.engine.connect() as connection:
        covered = stretches_of(connection, row.first, row.last)
    for stretch in covered:
        found = store.arrived(stretch.part, stretch.after, stretch.upto)
        while chunk := list(islice(found, CHUNK)):
            replaced = [(at, redact(scan, scan_number(stretch.part, at), secret)) for at, scan in chunk]
            started = monotonic()
            store.replace(stretch.part, replaced)
            slowest = max(slowest, monotonic() - started)
            sleep(PAUSE_S)
    store.sweep()
    # The order matters: with the secrets gone nothing says any more that scans are left to replace.
    for start in range(0, len(contexts), CHUNK):
        with begin_write(services.engine) as connection:
            connection.execute(delete(scan_secrets).where(scan_secrets.c.context.in_(contexts[start : start + CHUNK])))
    logger.info("scans replaced", first=row.first, last=row.last, slowest_ms=round(slowest * 1000, 1))


def _any_secret(engine: Engine, contexts: Sequence[str]) -> bool:
    with engine.connect() as connection:
        for start in range(0, len(contexts), CHUNK):
            some = contexts[start : start + CHUNK]
            asked = select(scan_secrets.c.context).where(scan_secrets.c.context.in_(some)).limit(1)
            if connection.scalar(asked) is not None:
                return True
    return False


def old_leaves(leaves: bytes) -> list[bytes]:
    """Split the kept hashes."""
    return [leaves[at : at + HASH_SIZE] for at in range(0, len(leaves), HASH_SIZE)]
