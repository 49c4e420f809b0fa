"""The audit's view of redacted scans: that they are there as the ledger says, and were old enough to be redacted."""

from collections.abc import Iterator
from typing import Any

from sqlalchemy import Connection, Row, func, select

from app.core.audit_rows import LoggedRows, said, stated_time
from app.core.sealing import Sealer, SealError
from app.facts.models import scan_commitments, scan_redactions
from app.facts.scans.committing import MARK_SIZE, open_secret, scan_content, scan_subject, stretches_of
from app.facts.scans.naming import NAMED, name_scans, place_of_number
from app.facts.scans.redacting import (
    DAY_MS,
    HASH_SIZE,
    KIND,
    REDACTED,
    old_leaves,
    pseudonym_secret,
    redact,
    redaction_context,
)
from app.facts.scans.scan import ScanStore, scan_number
from ledger.audit.report import AuditScope, Fault
from ledger.audit.statements import Stated, stretches
from ledger.leaf import SaltedLeaves
from ledger.strict import encode_base64
from ledger.tiles import BATCH_HEIGHT, TileBuilder

_commitments, _redactions = scan_commitments.c, scan_redactions.c


def check_redactions(connection: Connection, scope: AuditScope, sealer: Sealer, store: ScanStore) -> Iterator[Fault]:
    """Check every redaction of the scope against its entry, its commitments and the stored scans."""
    rows = LoggedRows(
        name="scan_redactions",
        code="redaction",
        kinds=frozenset({KIND}),
        rows=select(scan_redactions),
        log_index=_redactions.log_index,
        label=lambda row: str(row.number),
        words=lambda row: {
            "time": stated_time(row.redacted_at),
            "number": row.number,
            "commitments": [row.first, row.last],
            "kept_days": row.kept_days,
            "size": row.size,
            "root": encode_base64(row.root),
        },
        about=lambda _row: scan_subject(sealer),
    )
    yield from rows.check(connection, scope)
    for stretch in stretches(connection, scope, {KIND}):
        for row in connection.execute(select(scan_redactions).where(stretch.holds(_redactions.log_index))).all():
            stated = stretch.entries.get(row.log_index)
            if stated is not None:
                yield from _check_one(connection, sealer, store, row, stated)


def kept_leaves(connection: Connection, commitment: int) -> list[bytes] | None:
    """Give the hashes kept of a commitment's scans; None when these were not redacted."""
    row = connection.execute(
        select(_redactions.first, _redactions.leaves).where(
            _redactions.first <= commitment, _redactions.last >= commitment
        )
    ).first()
    if row is None:
        return None
    sizes = func.coalesce(func.sum(_commitments.size), 0)
    before = connection.scalar(select(sizes).where(_commitments.number.between(row.first, commitment - 1))) or 0
    size = connection.scalar(select(_commitments.size).where(_commitments.number == commitment)) or 0
    return old_leaves(bytes(row.leaves)[before * HASH_SIZE : (before + size) * HASH_SIZE])


def _check_one(
    connection: Connection, sealer: Sealer, store: ScanStore, row: Row[Any], stated: Stated
) -> Iterator[Fault]:
    where = f"scan_redactions {row.number}"
    before = connection.scalar(select(_redactions.last).where(_redactions.number == row.number - 1)) or 0
    counted, scans, newest = connection.execute(
        select(func.count(), func.sum(_commitments.size), func.max(_commitments.committed_at)).where(
            _commitments.number.between(row.first, row.last)
        )
    ).one()
    if row.first != before + 1 or counted != row.last - row.first + 1 or scans != row.size:
        yield Fault("redaction.entry", where, "its commitments do not follow on those of the redaction before")
        return
    if row.redacted_at - newest < row.kept_days * DAY_MS:
        yield Fault(
            "redaction.early", where, f"its scans had not been kept for the {row.kept_days} days that it states"
        )
    try:
        secret = open_secret(connection, sealer, redaction_context(row.number))
        covered = stretches_of(connection, row.first, row.last)
    except (SealError, ValueError) as error:
        yield Fault("redaction.secret", where, str(error))
        return
    under_way = row.number == connection.scalar(select(func.max(_redactions.number)))
    leaves, pseudonyms = SaltedLeaves(secret), pseudonym_secret(sealer)
    builder, marks, whole = TileBuilder(BATCH_HEIGHT), bytearray(), 0
    for stretch in covered:
        for arrival, scan in store.arrived(stretch.part, stretch.after, stretch.upto):
            number = scan_number(stretch.part, arrival)
            if not scan.device.startswith(REDACTED):
                whole += 1
                if not under_way and whole <= NAMED:
                    finding = f"entry {row.log_index} says that it was redacted, and it was not"
                    yield Fault("scan.not_redacted", f"scans {place_of_number(number)}", finding)
            # The newest redaction may be at work: a scan that is still whole is judged by what it will be.
            leaf = leaves.hash(number, scan_content(redact(scan, number, pseudonyms), number))
            builder.add(leaf)
            builder.take_full()
            marks += number.to_bytes(8, "big") + leaf[:8]
    if encode_base64(builder.root()) != said(stated, "root"):
        yield from name_scans(row, bytes(marks), where)
    elif bytes(marks) != row.marks or len(marks) != row.size * MARK_SIZE:
        yield Fault("redaction.marks", where, "its marks are not those of its scans")
