"""The audit's view of units: the tree of a batch grown again from its units, and compared with what is stored.

Which of a unit and a tile was changed follows from the root, which the ledger's entry states: when the units give that
root, a tile that differs was changed; when they do not, the unit whose leaf differs was.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, Self

from sqlalchemy import Connection, Row, select

from app.registry.contents import UnitContents, batch_elements
from app.registry.models import batch_tiles
from app.registry.unit_id import pack
from app.registry.unit_store import serials_of_batch
from app.registry.vocabulary import Profile
from ledger.audit.report import Fault
from ledger.leaf import SaltedLeaves
from ledger.tiles import BATCH_HEIGHT, Tile, TileBuilder
from scanners.codes.identity import CodeKind

UNITS_AT_ONCE = 4_096
NAMED = 5
"""Differences of one batch that are named; one changed unit is one, a changed secret is all of them."""
_WIDTH = 1 << BATCH_HEIGHT
_HASH = 32


@dataclass(frozen=True, slots=True)
class UnitTree:
    """What the units of a batch are hashed from, and the root (32 bytes) that the batch's entry states."""

    batch_id: int
    handle: str
    product_id: int
    first: str
    last: str
    quantity: int
    root: bytes
    contents: UnitContents
    leaves: SaltedLeaves

    @classmethod
    def of(cls, row: Row[Any], leaves: SaltedLeaves) -> Self:
        """Make it from a batch's row, joined with the kind and identifier of its product.

        Raises ValueError for a row that no code could be made from.
        """
        kind = CodeKind(row.kind)
        elements = batch_elements(kind, Profile(row.profile), row.lot, row.expiry)
        contents = UnitContents(kind, row.identifier, elements, row.key_id)
        return cls(
            row.id,
            row.handle,
            row.product_id,
            row.first_serial,
            row.last_serial,
            row.quantity,
            row.root,
            contents,
            leaves,
        )


@dataclass(frozen=True, slots=True)
class _Difference:
    """A stored tile that is missing (`place` None) or whose hash number `place` is not the one computed."""

    level: int
    index: int
    place: int | None


def check_units(connection: Connection, tree: UnitTree) -> Iterator[Fault]:
    """Grow the tree again and name the units or the tiles that do not fit. Reads and keeps a few thousand at a time."""
    where = f"batches {tree.handle}"
    builder = TileBuilder(BATCH_HEIGHT)
    differences: list[_Difference] = []
    serials = serials_of_batch(
        connection, batch_id=tree.batch_id, product_id=tree.product_id, first=tree.first, last=tree.last
    )
    expected = pack(tree.batch_id, 0)
    while some := list(islice(serials, UNITS_AT_ONCE)):
        hashes: list[bytes] = []
        for unit_id, serial in some:
            if unit_id != expected + builder.size + len(hashes):
                position = builder.size + len(hashes)
                finding = f"its unit at position {position} of {tree.quantity} is missing or stands at another place"
                yield Fault("batch.units", f"{where}, units {serial}", finding)
                return
            hashes.append(tree.leaves.hash(builder.size + len(hashes), tree.contents.of(serial)))
        builder.extend(hashes)
        _compare(connection, tree.batch_id, builder.take_full(), differences)
    if builder.size != tree.quantity:
        finding = f"{builder.size} of its {tree.quantity} units are there"
        yield Fault("batch.units", where, finding)
        return
    _compare(connection, tree.batch_id, builder.finish(), differences)
    if builder.root() == tree.root:
        for found in differences[:NAMED]:
            what = "is missing" if found.place is None else f"holds another hash at place {found.place}"
            finding = f"tile {found.level}/{found.index} of its tree {what}"
            yield Fault("batch.tile", f"batch_tiles {tree.batch_id}/{found.level}/{found.index}", finding)
        return
    changed = [found for found in differences if found.level == 0 and found.place is not None]
    for found in changed[:NAMED]:
        position = found.index * _WIDTH + (found.place or 0)
        [(_, serial)] = serials_of_batch(
            connection,
            batch_id=tree.batch_id,
            product_id=tree.product_id,
            first=tree.first,
            last=tree.last,
            start=position,
            count=1,
        )
        finding = f"the unit at position {position} of batch {tree.handle} is not the one that was commissioned"
        yield Fault("unit.content", f"units {serial}", finding)
    if len(changed) != 1:
        yield Fault("batch.root", where, "its units give another root than its entry states")


def _compare(connection: Connection, batch_id: int, tiles: list[Tile], differences: list[_Difference]) -> None:
    """Compare tiles that were computed just now with the stored ones."""
    for level in {tile.level for tile in tiles}:
        computed = [tile for tile in tiles if tile.level == level]
        stored = _read(connection, batch_id, level, computed[0].index, computed[-1].index)
        for tile in computed:
            data = stored.get(tile.index)
            if data == tile.data or len(differences) >= 10 * NAMED:
                continue
            if data is None or len(data) != len(tile.data):
                differences.append(_Difference(level, tile.index, None))
                continue
            places = range(0, len(data), _HASH)
            differences += [
                _Difference(level, tile.index, at // _HASH)
                for at in places
                if data[at : at + _HASH] != tile.data[at : at + _HASH]
            ]


def _read(connection: Connection, batch_id: int, level: int, first: int, last: int) -> Mapping[int, bytes]:
    columns = batch_tiles.c
    rows = connection.execute(
        select(columns.tile_index, columns.data).where(
            columns.batch_id == batch_id, columns.level == level, columns.tile_index.between(first, last)
        )
    )
    return {index: bytes(data) for index, data in rows}
