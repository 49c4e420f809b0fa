"""How many units a lot may have: the bound that an issuing right sets on one GTIN and lot, whoever makes them."""

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.core.errors import Conflict, Invalid
from app.registry.models import BatchRow


def units_of_lot(session: Session, *, product_id: int, lot: str) -> int:
    """Units of the product in all published batches of this lot, of every maker."""
    found = select(func.coalesce(func.sum(BatchRow.quantity), 0)).where(
        BatchRow.product_id == product_id, BatchRow.lot == lot, BatchRow.log_index.is_not(None)
    )
    return int(session.scalar(found) or 0)


def refuse_beyond_lot(
    session: Session, *, product_id: int, lot: str | None, lot_quota: int | None, size: int, taken: int = 0
) -> None:
    """Raise Conflict when `size` more units are too many for the lot, Invalid when no lot is named.

    taken: units that the same request takes from this lot already. In the `apply` that publishes, where batches come
    one after the other, it decides for good.
    """
    if lot_quota is None:
        return
    if lot is None:
        raise Invalid(
            "The right to this number has a limit for each lot: name the lot.",
            code="lot_needed",
            fix="Give the lot of these units.",
        )
    remaining = max(0, lot_quota - units_of_lot(session, product_id=product_id, lot=lot) - taken)
    if size > remaining:
        raise Conflict(
            "Lot %(lot)s may have %(remaining)s more units, not %(quantity)s: the limit is %(limit)s for each lot.",
            code="lot_quota_exhausted",
            fix="Ask whoever gave the right for more, or commission fewer units of this lot.",
            lot=lot,
            remaining=remaining,
            quantity=size,
            limit=lot_quota,
        )
