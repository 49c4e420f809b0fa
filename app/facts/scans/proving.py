"""The proof of one scan: that the ledger committed to exactly this scan within a minute or so of its arrival.

It has the shape of the proof of a unit: the scan's path in the tree of its commitment, joined to the commitment's path
in the log. The salt of one scan reveals no other.
"""

from dataclasses import dataclass

from sqlalchemy import Connection, Row, func, select

from app.core.errors import NotFound
from app.core.services import Services
from app.facts.models import scan_commitments, scan_redactions
from app.facts.scans.committing import leaves_of, open_secret, read_upto, secret_context, stretches_of
from app.facts.scans.redacting import redaction_context
from app.facts.scans.scan import ScanStore, scan_number
from ledger.leaf import SaltedLeaves
from ledger.merkle import inclusion_path
from ledger.proof import BatchEntry, UnitProof

_columns, _redactions = scan_commitments.c, scan_redactions.c


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
        commitment = _commitment_of(connection, *place)
        if commitment is None:
            raise NotFound("The ledger has not committed to this scan yet; it does once a minute.", code="scan_is_new")
        row = connection.execute(
            select(_redactions.number, _redactions.log_index, _redactions.first, _redactions.last).where(
                _redactions.first <= commitment.number, _redactions.last >= commitment.number
            )
        ).first()
        # Of a redacted scan there is a proof as it is now; as it was it is known by its hash alone.
        first, last = (commitment.number, commitment.number) if row is None else (row.first, row.last)
        log_index = commitment.log_index if row is None else row.log_index
        context = secret_context(commitment.number) if row is None else redaction_context(row.number)
        secret = open_secret(connection, services.sealer, context)
        stretches = stretches_of(connection, first, last)
    number, content, position, hashes = scan_number(*place), b"", -1, []
    for at, (each, said, leaf) in enumerate(leaves_of(store, stretches, secret)):
        hashes.append(leaf)
        if each == number:
            content, position = said, at
    entry = services.log.entry(log_index)
    if entry.body is None or entry.salt is None or position < 0:
        raise NotFound("There is no such scan.", code="unknown_scan")
    proof = UnitProof(
        position=position,
        batch_size=len(hashes),
        batch_path=tuple(inclusion_path(hashes, position)),
        unit_salt=SaltedLeaves(secret).salt(number),
        batch_entry=BatchEntry(entry.salt, entry.body.to_bytes()),
        prev=entry.leaf.prev,
        leaf_proof=services.log.prove(log_index, checkpoint=services.checkpoints.covering(log_index + 1).signed),
    )
    return ScanProof(content, proof)


def _commitment_of(connection: Connection, part: int, arrival: int) -> Row[int, int, str] | None:
    """Find the first commitment that reaches this arrival, by halving: there is one for each minute."""
    low, high = 1, (connection.scalar(select(func.max(_columns.number))) or 0) + 1
    found = None
    while low < high:
        middle = (low + high) // 2
        row = connection.execute(
            select(_columns.number, _columns.log_index, _columns.upto).where(_columns.number == middle)
        ).one()
        if read_upto(row.upto).get(part, 0) >= arrival:
            found, high = row, middle
        else:
            low = middle + 1
    return found
