"""What the revocation of a code key would do, told before it is done."""

from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.accounts import service as accounts
from app.core.services import Services
from app.registry.models import BatchRow


@dataclass(frozen=True, slots=True)
class RevocationPreview:
    """Batches and units that stay good, and those whose codes would be answered with KEY_REVOKED.

    from_index: the position asked about, None for now. A batch counts as before it when its own position is smaller.
    """

    key: accounts.KeyRecord
    from_index: int | None
    batches_before: int
    units_before: int
    batches_after: int
    units_after: int


def revocation_preview(
    services: Services, session: Session, *, organisation_id: int, key_id: int, from_index: int | None = None
) -> RevocationPreview:
    """Count what stands before and behind a position. Raises NotFound, Invalid for a position that can not be."""
    key = accounts.find_key(session, organisation_id=organisation_id, key_id=key_id)
    accounts.check_from_index(services, key, from_index)
    published = select(func.count(), func.coalesce(func.sum(BatchRow.quantity), 0)).where(
        BatchRow.organisation_id == organisation_id, BatchRow.key_id == key_id, BatchRow.log_index.is_not(None)
    )
    batches, units = session.execute(published).one()
    behind, units_behind = (0, 0)
    if from_index is not None:
        behind, units_behind = session.execute(published.where(BatchRow.log_index >= from_index)).one()
    return RevocationPreview(
        key, from_index, batches - behind, int(units) - int(units_behind), behind, int(units_behind)
    )
