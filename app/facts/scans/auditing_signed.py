"""The audit's view of signed scans: each is what its device signed, and counts for what that signature was worth."""

import hashlib
import sqlite3
from collections.abc import Callable, Collection, Iterator, Sequence
from itertools import islice

from sqlalchemy import Connection

from app.devices import service as devices
from app.facts.scans.scan import PAGE, Scan, ScanStore
from ledger.audit import ExtraCheck
from ledger.audit.report import AuditScope, Fault
from ledger.errors import StatementError
from scanners.codes.errors import CodeError
from scanners.codes.reader import read_code
from scanners.signed_scans import ScanStatement, read_scan, scan_digest

OF_THE_PUBLIC = "public"
"""The role of scans that count for nobody in particular."""


def signed_scan_check(open_store: Callable[[], ScanStore], hosts: Collection[str]) -> ExtraCheck:
    """Make the check of signed scans; in an audit of everything, since they are found by going through all scans.

    hosts: those whose codes are the registry's.
    """

    def check(connection: Connection, scope: AuditScope) -> Iterator[Fault]:
        if not scope.whole:
            return
        try:
            store = open_store()
        except OSError:
            return  # the check of scans says so
        try:
            signed = store.signed()
            while page := list(islice(signed, PAGE)):
                yield from _check(connection, page, hosts)
        except sqlite3.Error as error:
            yield Fault("scans.unreadable", "scans", f"the stored scans cannot be read: {error}")
        finally:
            store.close()

    return check


def _check(connection: Connection, page: Sequence[tuple[int, int, Scan]], hosts: Collection[str]) -> Iterator[Fault]:
    kept = devices.kept_statements(connection, [scan.statement for _, _, scan in page if scan.statement is not None])
    for part, arrival, scan in page:
        where = f"scans {part:02d}/{arrival}"
        one = kept.get(scan.statement or "")
        if one is None:
            yield Fault("scan.statement", where, "what its device signed is not there")
        elif not one.standing.counts and scan.role != OF_THE_PUBLIC:
            yield Fault("scan.standing", where, f"it counts as a professional's; its signature was {one.standing}")
        elif one.token is not None and (finding := _finding(scan, one, one.token, hosts)) is not None:
            yield Fault("scan.statement", where, finding)


def _finding(scan: Scan, kept: devices.KeptStatement, token: str, hosts: Collection[str]) -> str | None:
    try:
        if scan_digest(token) != scan.statement:
            return "what is kept as signed by its device has another digest"
        statement = read_scan(token, kept.public_key)
    except (StatementError, UnicodeEncodeError):
        return f"device {kept.device_id} did not sign what is kept as signed by it"
    different = _difference(scan, statement, hosts)
    return None if different is None else f"its device signed another {different}"


def _difference(scan: Scan, statement: ScanStatement, hosts: Collection[str]) -> str | None:
    stated: list[tuple[str, object, object]] = [
        ("code", scan.code_digest, _code_digest(statement.code, hosts)),
        ("key", scan.key, statement.key),
        ("time", scan.scanned_at, statement.scanned_at),
        ("operator_saw", scan.operator_saw, statement.operator_saw),
    ]
    if scan.role != OF_THE_PUBLIC:  # a scan that does not count was made coarse, and may not act
        place = statement.place
        there = None if place is None else (place.latitude, place.longitude, place.accuracy, place.source)
        here = None if scan.latitude is None else (scan.latitude, scan.longitude, scan.accuracy, scan.place_source)
        stated += [
            ("action", scan.action, statement.action),
            ("offline", bool(scan.offline), statement.offline),
            ("place", here, there),
        ]
    return next((name for name, value, said in stated if value != said), None)


def _code_digest(text: str, hosts: Collection[str]) -> bytes | None:
    try:
        return hashlib.sha256(read_code(text, trusted_hosts=hosts).canonical.encode()).digest()
    except CodeError:
        return None
