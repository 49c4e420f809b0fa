"""The audit's view of scans: every commitment against its entry, and the stored scans against the commitment."""

import sqlite3
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

from sqlalchemy import Connection, Row, select

from app.core.audit_rows import LoggedRows, said, stated_time
from app.core.sealing import Sealer, SealError
from app.facts.models import scan_commitments
from app.facts.scans.auditing_redactions import check_redactions, kept_leaves
from app.facts.scans.committing import KIND, Stretch, grow, open_secret, read_upto, scan_subject, secret_context
from app.facts.scans.naming import NAMED, name_scans, read_marks
from app.facts.scans.scan import PART_BITS, ScanStore
from ledger.audit import ExtraCheck
from ledger.audit.report import AuditScope, Fault
from ledger.audit.statements import Stated, stretches
from ledger.merkle import root
from ledger.strict import encode_base64

_BEFORE_ALL = -(2**62)
_columns = scan_commitments.c


def scan_check(sealer: Sealer, open_store: Callable[[], ScanStore]) -> ExtraCheck:
    """Make the check of scans: what was committed to is there, as it was, and nothing was slipped in beside it."""
    rows = LoggedRows(
        name="scan_commitments",
        code="scans",
        kinds=frozenset({KIND}),
        rows=select(scan_commitments),
        log_index=_columns.log_index,
        label=lambda row: str(row.number),
        words=lambda row: {
            "time": stated_time(row.committed_at),
            "number": row.number,
            "size": row.size,
            "root": encode_base64(row.root),
        },
        about=lambda _row: scan_subject(sealer),
    )

    def check(connection: Connection, scope: AuditScope) -> Iterator[Fault]:
        yield from rows.check(connection, scope)
        try:
            store = open_store()
        except OSError as error:
            yield Fault("scans.unreadable", "scans", f"the stored scans cannot be opened: {error.strerror}")
            return
        try:
            for stretch in stretches(connection, scope, {KIND}):
                for row in connection.execute(select(scan_commitments).where(stretch.holds(_columns.log_index))).all():
                    stated = stretch.entries.get(row.log_index)
                    if stated is not None:
                        yield from _check_scans(connection, sealer, store, row, stated)
            yield from check_redactions(connection, scope, sealer, store)
            if scope.whole:
                yield from _slipped_in(store)
        except sqlite3.Error as error:
            yield Fault("scans.unreadable", "scans", f"the stored scans cannot be read: {error}")
        finally:
            store.close()

    return check


def _check_scans(
    connection: Connection, sealer: Sealer, store: ScanStore, row: Row[Any], stated: Stated
) -> Iterator[Fault]:
    where = f"scan_commitments {row.number}"
    covered = _stretches(stated)
    if covered is None or not _follows(connection, row, covered):
        finding = f"the scans that entry {stated.index} covers are not those between this row and the one before"
        yield Fault("scans.entry", where, finding)
        return
    kept = kept_leaves(connection, row.number)
    if kept is not None:
        # Its scans were redacted: what they were is known by their hashes only, what they are is checked there.
        if encode_base64(root(kept)) != said(stated, "root"):
            yield Fault(
                "scans.leaves",
                where,
                f"the hashes kept of its redacted scans do not give its root in entry {stated.index}",
            )
        elif [leaf[:8] for leaf in kept] != list(read_marks(bytes(row.marks)).values()):
            yield Fault("scans.marks", where, "its marks are not those of its scans")
        return
    try:
        secret = open_secret(connection, sealer, secret_context(row.number))
    except SealError as error:
        yield Fault("scans.secret", where, str(error))
        return
    tree = grow(store, covered, secret)
    if encode_base64(tree.root) != said(stated, "root"):
        yield from name_scans(row, tree.marks, f"scan_commitments {row.number}")
    elif tree.marks != row.marks:
        yield Fault("scans.marks", where, "its marks are not those of its scans")


def _slipped_in(store: ScanStore) -> Iterator[Fault]:
    """Find scans that no commitment will ever cover: arrivals are counted from 1."""
    for part in range(1 << PART_BITS):
        for arrival, _ in islice(store.arrived(part, _BEFORE_ALL, 0), NAMED):
            where = f"scans {part:02d}/{arrival}"
            yield Fault("scan.surplus", where, "it stands before the first scan that ever arrived")


def _stretches(stated: Stated) -> list[Stretch] | None:
    given = said(stated, "stretches")
    if not isinstance(given, list):
        return None
    covered = []
    for one in given:
        if not isinstance(one, list) or len(one) != 3 or any(type(number) is not int or number < 0 for number in one):
            return None
        if one[0] >= 1 << PART_BITS:
            return None
        covered.append(Stretch(*one))
    return covered


def _follows(connection: Connection, row: Row[Any], covered: list[Stretch]) -> bool:
    """Say whether the stretches begin where the commitment before ended, and end where this one does."""
    before = connection.scalar(select(_columns.upto).where(_columns.number == row.number - 1))
    if before is None and row.number != 1:
        return False
    try:
        start = {} if before is None else read_upto(before)
        end = read_upto(row.upto)
    except ValueError:
        return False
    moved = {part: (start.get(part, 0), arrival) for part, arrival in end.items() if arrival != start.get(part, 0)}
    return moved == {stretch.part: (stretch.after, stretch.upto) for stretch in covered} and start.keys() <= end.keys()
