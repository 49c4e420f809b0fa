"""The proof of one scan: that the ledger committed to exactly this scan within a minute or so of its arrival.

It has the shape of the proof of a unit: the scan's path in the tree of its commitment, joined to the commitment's path
in the log. The salt of one scan reveals no other.
"""

from dataclasses import dataclass

from sqlalchemy import Connection, Row, func, select

from app.core.errors import NotFound
from app.core.services import Services
from app.facts.models import scan_commitments
from app.facts.scans.committing import Stretch, leaves_of, read_upto, secret_context
from app.facts.scans.scan import ScanStore, scan_number
from ledger.leaf import SaltedLeaves
from ledger.merkle import inclusion_path
from ledger.proof import BatchEntry, UnitProof

_columns = scan_commitments.c


@dataclass(frozen=True, slots=True)
class ScanProof:
    """content: canonical JSON of the scan, what its leaf commits to."""

    content: bytes
    proof: UnitProof


def scan_proof(services: Services, store: ScanStore, *, unit_id: int, device: str, key: str) -> ScanProof:
    """Prove a scan; raises NotFound when there is none, or none that the ledger has committed to yet.

    The tree of the commitment is grown again for it: some 10 microseconds for each scan of that minute.
    """
    place = store.place_of(unit_id, device, key)
    if place is None:
        raise NotFound("There is no such scan.", code="unknown_scan")
    with services.engine.connect() as connection:
        row = _commitment_of(connection, *place)
        if row is None:
            raise NotFound("The ledger has not committed to this scan yet; it does once a minute.", code="scan_is_new")
        before = connection.scalar(select(_columns.upto).where(_columns.number == row.number - 1))
    start = {} if before is None else read_upto(before)
    stretches = [
        Stretch(part, start.get(part, 0), arrival)
        for part, arrival in sorted(read_upto(row.upto).items())
        if arrival != start.get(part, 0)
    ]
    secret = services.sealer.open(row.sealed_secret, secret_context(row.number))
    number, content, position, hashes = scan_number(*place), b"", -1, []
    for at, (each, said, leaf) in enumerate(leaves_of(store, stretches, secret)):
        hashes.append(leaf)
        if each == number:
            content, position = said, at
    entry = services.log.entry(row.log_index)
    if entry.body is None or entry.salt is None or position < 0:
        raise NotFound("There is no such scan.", code="unknown_scan")
    proof = UnitProof(
        position=position,
        batch_size=len(hashes),
        batch_path=tuple(inclusion_path(hashes, position)),
        unit_salt=SaltedLeaves(secret).salt(number),
        batch_entry=BatchEntry(entry.salt, entry.body.to_bytes()),
        prev=entry.leaf.prev,
        leaf_proof=services.log.prove(
            row.log_index, checkpoint=services.checkpoints.covering(row.log_index + 1).signed
        ),
    )
    return ScanProof(content, proof)


def _commitment_of(connection: Connection, part: int, arrival: int) -> Row[int, int, bytes, str] | None:
    """Find the first commitment that reaches this arrival, by halving: there is one for each minute."""
    low, high = 1, (connection.scalar(select(func.max(_columns.number))) or 0) + 1
    found = None
    while low < high:
        middle = (low + high) // 2
        row = connection.execute(
            select(_columns.number, _columns.log_index, _columns.sealed_secret, _columns.upto).where(
                _columns.number == middle
            )
        ).one()
        if read_upto(row.upto).get(part, 0) >= arrival:
            found, high = row, middle
        else:
            low = middle + 1
    return found
