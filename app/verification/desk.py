"""The desk where a code meets the registry: one indexed look-up, and the scan written down, as each database does best.

SQLite: a look-up on a held connection, then the scan into its own file. PostgreSQL: both in one statement.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from app.core.services import Services
from app.facts.held_connection import HeldConnection, HeldStatement
from app.facts.scans import RecordedScan, Scan, ScanCount, ScanStore
from app.facts.scans.open import open_scan_store
from app.facts.scans.postgresql import PostgresqlScanStore, read_recorded, recording_statement, scan_parameters
from app.facts.scans.sqlite import SqliteScanStore
from app.facts.service import join_states
from app.registry.lookup import unit_lookup
from app.verification.found_unit import COLUMNS, FoundUnit, found_unit
from scanners.codes.identity import CodeIdentity


@dataclass(frozen=True, slots=True)
class Sighting:
    """What the registry has under an identity, and the scan as stored; None where nothing was found or recorded.

    earlier: for a look that records nothing, the scans of the unit so far, newest first.
    """

    unit: FoundUnit | None
    recorded: RecordedScan | None
    earlier: tuple[Scan, ...] = ()


class Desk(Protocol):
    """Looks units up and records scans."""

    def look(self, identity: CodeIdentity | None) -> FoundUnit | None:
        """Give the registered unit of this identity; records nothing."""

    def see(self, identity: CodeIdentity | None, scan: Scan) -> Sighting:
        """Look the unit up with its scans so far; `scan` is not recorded."""

    def record(self, identity: CodeIdentity | None, scan: Scan) -> Sighting:
        """Look the unit up and record the scan of it; scan.unit_id is used when there is no such unit."""

    def record_many(self, seen: Sequence[tuple[CodeIdentity | None, Scan]]) -> list[Sighting]:
        """Do the same for many, with one wait for the disk."""

    def count_since(self, units: Sequence[range], since: int) -> ScanCount:
        """Count scans as `ScanStore.count_since` does."""

    def close(self) -> None:
        """Close what is held open."""


def open_desk(services: Services) -> Desk:
    """Open the desk that fits the database."""
    store = open_scan_store(services.settings, services.engine)
    if isinstance(store, SqliteScanStore):
        return SqliteDesk(services, store)
    return PostgresqlDesk(services, store)


class _Lookup:
    def __init__(self, services: Services) -> None:
        self.statement = HeldStatement(services.engine, join_states(unit_lookup()))
        if self.statement.columns != COLUMNS:
            raise RuntimeError(f"the look-up gives {self.statement.columns}, its reader expects {COLUMNS}")

    def unit(self, connection: HeldConnection, identity: CodeIdentity | None) -> FoundUnit | None:
        if identity is None:
            return None
        row = connection.first(self.statement, _parameters(identity))
        return None if row is None else found_unit(row)


class SqliteDesk:
    """Two local steps; a scan never waits for the ledger's writer."""

    def __init__(self, services: Services, store: SqliteScanStore) -> None:
        self._lookup = _Lookup(services)
        self._connection = HeldConnection(services.engine)
        self._store = store

    def look(self, identity: CodeIdentity | None) -> FoundUnit | None:
        """Give the registered unit of this identity; records nothing."""
        return self._lookup.unit(self._connection, identity)

    def see(self, identity: CodeIdentity | None, scan: Scan) -> Sighting:
        """Look the unit up with its scans so far; `scan` is not recorded."""
        return _seen(self.look(identity), scan, self._store)

    def record(self, identity: CodeIdentity | None, scan: Scan) -> Sighting:
        """Look the unit up and record the scan of it."""
        unit = self.look(identity)
        return Sighting(unit, self._store.record(_of_unit(scan, unit)))

    def record_many(self, seen: Sequence[tuple[CodeIdentity | None, Scan]]) -> list[Sighting]:
        """Look the units up and record the scans, one transaction a file."""
        units = [self.look(identity) for identity, _ in seen]
        recorded = self._store.record_many([_of_unit(scan, unit) for (_, scan), unit in zip(seen, units, strict=True)])
        return [Sighting(unit, one) for unit, one in zip(units, recorded, strict=True)]

    def count_since(self, units: Sequence[range], since: int) -> ScanCount:
        """Count scans as `ScanStore.count_since` does."""
        return self._store.count_since(units, since)

    def close(self) -> None:
        """Close what is held open."""
        self._connection.close()
        self._store.close()


class PostgresqlDesk:
    """One statement, one round trip."""

    def __init__(self, services: Services, store: PostgresqlScanStore) -> None:
        self._lookup = _Lookup(services)
        self._store = store
        self._statement = HeldStatement(services.engine, recording_statement(join_states(unit_lookup())))

    def look(self, identity: CodeIdentity | None) -> FoundUnit | None:
        """Give the registered unit of this identity; records nothing."""
        return self._lookup.unit(self._store.connection, identity)

    def see(self, identity: CodeIdentity | None, scan: Scan) -> Sighting:
        """Look the unit up with its scans so far; `scan` is not recorded."""
        return _seen(self.look(identity), scan, self._store)

    def record(self, identity: CodeIdentity | None, scan: Scan) -> Sighting:
        """Look the unit up and record the scan of it."""
        row = self._store.connection.first(self._statement, {**_parameters(identity), **scan_parameters(scan)})
        return _sighting(scan, row)

    def record_many(self, seen: Sequence[tuple[CodeIdentity | None, Scan]]) -> list[Sighting]:
        """Do the same for many in one pipelined transaction."""
        several = [{**_parameters(identity), **scan_parameters(scan)} for identity, scan in seen]
        rows = self._store.connection.all_or_nothing(self._statement, several)
        return [_sighting(scan, row) for (_, scan), row in zip(seen, rows, strict=True)]

    def count_since(self, units: Sequence[range], since: int) -> ScanCount:
        """Count scans as `ScanStore.count_since` does."""
        return self._store.count_since(units, since)

    def close(self) -> None:
        """Close what is held open."""
        self._store.close()


def _seen(unit: FoundUnit | None, scan: Scan, store: ScanStore) -> Sighting:
    # Scans are read whether or not the unit was found: a stranger must not read the answer off the time it takes.
    return Sighting(unit, None, tuple(store.recent(_of_unit(scan, unit).unit_id)))


def _of_unit(scan: Scan, unit: FoundUnit | None) -> Scan:
    return scan if unit is None else scan._replace(unit_id=unit.unit_id)


def _sighting(scan: Scan, row: Sequence[Any] | None) -> Sighting:
    if row is None:
        raise RuntimeError("the recording statement gives one row, always")
    unit = None if row[3] is None else found_unit(row[3:])
    return Sighting(unit, read_recorded(scan, row[0], row[1], row[2]))


def _parameters(identity: CodeIdentity | None) -> dict[str, str]:
    if identity is None:
        return {"kind": "", "identifier": "", "serial": ""}  # matches no unit
    return {"kind": identity.kind.value, "identifier": identity.identifier, "serial": identity.serial}
