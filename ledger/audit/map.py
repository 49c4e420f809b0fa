"""The audit's view of the subject map: its heads against their entries, its root and tiles against all tags."""

from __future__ import annotations

from sqlalchemy import select

from ledger.audit.report import AuditReport, FaultCode
from ledger.errors import LedgerError, StorageError
from ledger.leaf import Body
from ledger.map.statement import MAP_KIND, MapStatement
from ledger.map.subject_map import build_map
from ledger.statement import read_unverified
from ledger.storage.map_sql import MapHead, MapReader
from ledger.storage.sql import SqlReader
from ledger.storage.tables import ledger_map_heads, ledger_map_tiles


def check_map_heads(reader: SqlReader, since: int, size: int, report: AuditReport) -> None:
    """Check that each head that was stated from entry `since` on is what its entry says."""
    columns = ledger_map_heads.c
    rows = reader.connection.execute(
        select(columns.size, columns.root, columns.entry, columns.time)
        .where(columns.entry >= since)
        .order_by(columns.entry)
    )
    for row in rows:
        head = MapHead(*row)
        report.map_heads += 1
        if head.size > head.entry or head.entry >= size or not _states(reader, head):
            message = f"entry {head.entry} does not state this head of the subject map"
            report.add(FaultCode.MAP_HEAD, f"ledger_map_heads {head.size}", message)


def check_map(reader: SqlReader, report: AuditReport) -> None:
    """Compute the latest map again from every tag, and compare its root and its tiles."""
    own = MapReader(reader.connection)
    head = own.head()
    if head is None:
        return
    change = build_map((record for record in own.all_records() if record[1] < head.size), size=head.size)
    if change.root != head.root:
        message = "the root is not the one of the tags: an entry was left out of the map, or put into it"
        report.add(FaultCode.MAP_ROOT, f"ledger_map_heads {head.size}", message)
        return
    tiles = ledger_map_tiles.c
    stored = {
        (row[0], row[1]): row[2] for row in reader.connection.execute(select(tiles.level, tiles.index, tiles.data))
    }
    wrong = [tile for tile in change.tiles if stored.get((tile.level, tile.index)) != tile.data]
    if wrong:
        message = f"not the hashes of the tags, as {len(wrong) - 1} more: run `marchamo ledger map rebuild`"
        report.add(FaultCode.MAP_TILE, f"ledger_map_tiles {wrong[0].level}/{wrong[0].index}", message)


def _states(reader: SqlReader, head: MapHead) -> bool:
    try:
        [row] = reader.entries(head.entry, head.entry + 1)
        body = Body.from_bytes(row.body)
        stated = MapStatement.from_payload(read_unverified(body.statement).payload)
    except (ValueError, LedgerError, StorageError):
        return False
    return body.kind == MAP_KIND and (stated.size, stated.root) == (head.size, head.root)
