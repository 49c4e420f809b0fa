"""How often an issuer's goods are scanned."""

from collections.abc import Sequence

from app.core.services import Services
from app.facts.scans import ScanCount
from app.registry.unit_id import MAX_BATCH_SIZE, pack
from app.verification.parts import parts


def count_scans(services: Services, *, batch_ids: Sequence[int], since: int) -> ScanCount:
    """Count the scans of the units of these batches that came in at `since` (ms) or later; bounded, for orientation.

    What counts most should come first in `batch_ids`: counting may stop early, as `ScanStore.count_since` says.
    """
    units = [range(pack(batch_id, 0), pack(batch_id, MAX_BATCH_SIZE)) for batch_id in batch_ids]
    return parts(services).desk.count_since(units, since)
