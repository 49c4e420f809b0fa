"""Scans on PostgreSQL: look-up, record and earlier scans in one statement, so one round trip and one commit.

Measured, separate statements cost twice as much (docs/decisions/0003-scan-storage.md). The statement is written as
SQLAlchemy Core, compiled once and run through the driver on a connection that its thread keeps.
"""

import time
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

from sqlalchemy import Engine, Select, bindparam, func, literal_column, select, text, true, update
from sqlalchemy.dialects import postgresql

from app.facts.held_connection import HeldConnection, HeldStatement
from app.facts.models import scans
from app.facts.scans.scan import PAGE, RECENT, RecordedScan, Scan, ScanCount, count_within

MOST_VISITED = 10_000
"""Scans that a count looks at: 25 ms of a million, measured; each lies on a page of its own."""
MOST_WAITED_S = 5.0
_FIELDS = Scan._fields
_COLUMNS = [scans.c.scan_key if name == "key" else scans.c[name] for name in _FIELDS]
_DIGEST = _FIELDS.index("code_digest")
_LAST_DRAWN = text(
    "SELECT last_value FROM pg_sequences WHERE schemaname = current_schema() AND sequencename = 'scans_arrival_seq'"
)
_WRITERS = text(
    "SELECT virtualtransaction FROM pg_locks WHERE relation = 'scans'::regclass AND mode = 'RowExclusiveLock'"
)
_ARRIVED = (
    select(scans.c.arrival, *_COLUMNS)
    .where(scans.c.arrival > bindparam("after"), scans.c.arrival <= bindparam("upto"))
    .order_by(scans.c.arrival)
    .limit(PAGE)
)

_SIGNED = (
    select(scans.c.arrival, *_COLUMNS)
    .where(scans.c.statement.is_not(None), scans.c.arrival > bindparam("after"))
    .order_by(scans.c.arrival)
    .limit(PAGE)
)


def recording_statement(units: Select[Any]) -> Select[Any]:
    """Combine the look-up `units` (no row or one, with a column unit_id) with the recording of a scan of that unit.

    Further parameters: `unknown_id`, the number to use when no unit is found, and every field of Scan but unit_id,
    prefixed with ``scan_``. Gives one row: the scan's unit_id, 1 when it was new or 0, the unit's newest scans before
    this statement as JSON arrays, then the columns of `units` (None when there was no unit).

    All parts see the database as it was when the statement began, so the earlier scans never contain the new one, and
    contain its first copy when it is a retry. ON CONFLICT waits for a concurrent copy and then stores nothing.
    """
    found = units.cte("found")
    unknown = bindparam("unknown_id", type_=scans.c.unit_id.type)
    unit_id = func.coalesce(select(found.c.unit_id).scalar_subquery(), unknown)
    target = select(unit_id.label("unit_id")).cte("target")
    given = [
        bindparam(f"scan_{name}", type_=column.type).label(column.name)
        for name, column in zip(_FIELDS[1:], _COLUMNS[1:], strict=True)
    ]
    recorded = (
        postgresql.insert(scans)
        .from_select(_COLUMNS, select(target.c.unit_id, *given))
        .on_conflict_do_nothing()
        .returning(scans.c.unit_id)
        .cte("recorded")
    )
    digest = func.encode(scans.c.code_digest, literal_column("'hex'")).label("code_digest")
    newest = (
        select(*_COLUMNS[:_DIGEST], digest, *_COLUMNS[_DIGEST + 1 :])
        .where(scans.c.unit_id == select(target.c.unit_id).scalar_subquery())
        .order_by(scans.c.received_at.desc())
        .limit(literal_column(str(RECENT + 1)))
        .subquery("newest")
    )
    return select(
        target.c.unit_id.label("scan_unit_id"),
        select(func.count()).select_from(recorded).scalar_subquery().label("was_new"),
        select(func.json_agg(func.json_build_array(*newest.c))).scalar_subquery().label("earlier"),
        *found.c,
    ).select_from(target.outerjoin(found, true()))


def scan_parameters(scan: Scan) -> dict[str, Any]:
    """Give the parameters of `recording_statement` for a scan whose unit_id is used when no unit is found."""
    parameters = {f"scan_{name}": value for name, value in zip(_FIELDS[1:], scan[1:], strict=True)}
    parameters["unknown_id"] = scan.unit_id
    return parameters


def read_recorded(scan: Scan, unit_id: int, was_new: int, earlier: list[list[Any]] | None) -> RecordedScan:
    """Make the acknowledgement from the first three columns of the statement's row."""
    known = [_scan(row, bytes.fromhex(row[_DIGEST])) for row in earlier or ()]
    scan = scan._replace(unit_id=unit_id)
    others = [other for other in known if other.device != scan.device or other.key != scan.key]
    if not was_new:
        scan = next((same for same in known if same.device == scan.device and same.key == scan.key), scan)
    return RecordedScan(scan, bool(was_new), tuple(others[:RECENT]))


def _scan(row: Sequence[Any], code_digest: bytes) -> Scan:
    """Make the scan of a row whose digest the driver, or JSON, gave in another form."""
    return Scan._make((*row[:_DIGEST], code_digest, *row[_DIGEST + 1 :]))


class PostgresqlScanStore:
    """The store in the table `scans`; a held connection sets how durable its commits are."""

    def __init__(self, engine: Engine, *, power_safe: bool) -> None:
        self._engine = engine
        self.connection = HeldConnection(engine, power_safe=power_safe)
        nothing = select(scans.c.unit_id).where(literal_column("false"))
        self._record = HeldStatement(engine, recording_statement(nothing))
        newest = select(*_COLUMNS).where(scans.c.unit_id == bindparam("unit_id")).order_by(scans.c.received_at.desc())
        self._recent = HeldStatement(engine, newest.limit(bindparam("newest")))
        within = select(scans.c.received_at).where(scans.c.unit_id.between(bindparam("low"), bindparam("high")))
        looked_at = within.limit(bindparam("most")).subquery("looked_at")
        counts = looked_at.c.received_at >= bindparam("since")
        self._since = HeldStatement(engine, select(func.count(), func.count().filter(counts)).select_from(looked_at))
        self._count = HeldStatement(engine, select(func.count()).select_from(scans))

    def close(self) -> None:
        """Close the connections of all threads of this process."""
        self.connection.close()

    def record(self, scan: Scan) -> RecordedScan:
        """Store a scan; a retry stores nothing and gives back the first copy."""
        row = self.connection.first(self._record, scan_parameters(scan))
        if row is None:
            raise RuntimeError("the recording statement gives one row, always")
        return read_recorded(scan, row[0], row[1], row[2])

    def record_many(self, found: Sequence[Scan]) -> list[RecordedScan]:
        """Store scans in one transaction, in their order."""
        rows = self.connection.all_or_nothing(self._record, [scan_parameters(scan) for scan in found])
        return [read_recorded(scan, row[0], row[1], row[2]) for scan, row in zip(found, rows, strict=True)]

    def recent(self, unit_id: int, limit: int = RECENT) -> list[Scan]:
        """Give the newest scans of a unit, newest first."""
        rows = self.connection.all(self._recent, {"unit_id": unit_id, "newest": limit})
        return [_scan(row, bytes(row[_DIGEST])) for row in rows]

    def count(self) -> int:
        """Count all scans."""
        row = self.connection.first(self._count, {})
        return int(row[0]) if row is not None else 0

    def settled(self) -> dict[int, int]:
        """Give the newest arrival before which nothing is under way, as `ScanStore.settled` promises.

        A sequence gives numbers before the scans that bear them are visible. Whoever draws one holds a lock on the
        table already, and keeps it to the end of its transaction: so the number is read first, then who holds a lock,
        and once these are gone every scan up to the number is there. Nobody waits for this, neither scans nor vacuum.

        Raises TimeoutError when a transaction does not end.
        """
        with self._engine.connect() as plain:
            connection = plain.execution_options(isolation_level="AUTOCOMMIT")
            newest = connection.execute(_LAST_DRAWN).scalar_one()  # NULL before the first
            before = set(connection.execute(_WRITERS).scalars())
            deadline = time.monotonic() + MOST_WAITED_S
            while before & set(connection.execute(_WRITERS).scalars()):
                if time.monotonic() > deadline:
                    raise TimeoutError("a transaction that records scans has not ended for long")
                time.sleep(0.005)
        return {} if newest is None else {0: int(newest)}

    def arrived(self, part: int, after: int, upto: int) -> Iterator[tuple[int, Scan]]:
        """Give the scans in the order of their arrival; reads in pages. There is one part, number 0."""
        with self._engine.connect() as connection:
            while part == 0:
                rows = connection.execute(_ARRIVED, {"after": after, "upto": upto}).all()
                connection.rollback()
                yield from ((row[0], _scan(row[1:], bytes(row[1 + _DIGEST]))) for row in rows)
                if len(rows) < PAGE:
                    return
                after = rows[-1][0]

    def signed(self) -> Iterator[tuple[int, int, Scan]]:
        """Give every scan that a device signed; reads in pages. There is one part, number 0."""
        after = -1
        with self._engine.connect() as connection:
            while rows := connection.execute(_SIGNED, {"after": after}).all():
                connection.rollback()
                yield from ((0, row[0], _scan(row[1:], bytes(row[1 + _DIGEST]))) for row in rows)
                after = rows[-1][0]

    def place_of(self, unit_id: int, device: str, key: str) -> tuple[int, int] | None:
        """Give part 0, the only one, and the scan's arrival."""
        columns = scans.c
        found = select(columns.arrival).where(
            columns.unit_id == unit_id, columns.device == device, columns.scan_key == key
        )
        with self._engine.connect() as connection:
            arrival = connection.scalar(found)
        return None if arrival is None else (0, int(arrival))

    def replace(self, part: int, redacted: Sequence[tuple[int, Scan]]) -> None:
        """Put these scans in the place of those that have their arrivals; one transaction."""
        if part != 0:
            return
        changed = update(scans).where(scans.c.arrival == bindparam("at"), scans.c.unit_id == bindparam("unit"))
        statement = changed.values({column.name: bindparam(f"new_{column.name}") for column in _COLUMNS})
        names = [f"new_{column.name}" for column in _COLUMNS]
        rows = [{"at": at, "unit": scan.unit_id, **dict(zip(names, scan, strict=True))} for at, scan in redacted]
        with self._engine.begin() as connection:
            connection.execute(statement, rows)

    def sweep(self) -> None:
        """Leave the dead rows to the vacuum that PostgreSQL runs by itself."""

    def count_since(self, units: Sequence[range], since: int) -> ScanCount:
        """Count the scans of ranges of units that came in at `since` or later, within the bounds of `ScanStore`."""

        def look(one: range, most: int) -> Sequence[int]:
            bounds = {"low": one[0], "high": one[-1], "most": most, "since": since}
            return self.connection.first(self._since, bounds) or (0, 0)

        return count_within(MOST_VISITED, (partial(look, one) for one in units))
