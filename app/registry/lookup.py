"""The one look-up of a scan: product, unit and published batch in a single indexed query."""

from functools import cache

from sqlalchemy import Select, bindparam, literal_column, select

from app.registry.models import BatchRow, ProductRow, units
from app.registry.unit_id import POSITION_BITS


@cache
def unit_lookup() -> Select[tuple[object, ...]]:
    """One row for the unit with ``:kind``, ``:identifier``, ``:serial`` (as in CodeIdentity), or none.

    Columns: unit_id, batch_id, handle, profile, key_id, lot, expiry, quantity, log_index, published_at, product_id,
    product_name, product_brand, organisation_id (of the batch). Units of a batch that is still being commissioned do
    not exist yet. Three unique indexes, no sort.
    """
    batch_id = units.c.unit_id.bitwise_rshift(literal_column(str(POSITION_BITS)))
    return (
        select(
            units.c.unit_id,
            BatchRow.id.label("batch_id"),
            BatchRow.handle,
            BatchRow.profile,
            BatchRow.key_id,
            BatchRow.lot,
            BatchRow.expiry,
            BatchRow.quantity,
            BatchRow.log_index,
            BatchRow.published_at,
            ProductRow.id.label("product_id"),
            ProductRow.name.label("product_name"),
            ProductRow.brand.label("product_brand"),
            BatchRow.organisation_id,
        )
        .select_from(ProductRow)
        .join(units, units.c.product_id == ProductRow.id)
        .join(BatchRow, BatchRow.id == batch_id)
        .where(
            ProductRow.kind == bindparam("kind"),
            ProductRow.identifier == bindparam("identifier"),
            units.c.serial == bindparam("serial"),
            BatchRow.log_index.is_not(None),
        )
    )
