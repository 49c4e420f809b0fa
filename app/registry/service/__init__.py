"""Use cases of the registry: what other features, routes, pages and commands call."""

from app.core.jobs import Handler
from app.core.services import Services
from app.registry.lookup import unit_lookup
from app.registry.service.batches import (
    BatchPage,
    batch_of_unit,
    codes_of_batch,
    find_batch,
    find_batch_by_id,
    find_unit,
    list_batches,
    published_parts,
    serial_at,
    unit_serials,
    unit_value,
)
from app.registry.service.commission import commission_handler, request_commission, sweep_leftovers
from app.registry.service.goods import class_uri, goods_of_batch, goods_of_units
from app.registry.service.products import ProductPage, find_product, list_products, register_product
from app.registry.service.proofs import unit_content, unit_proof
from app.registry.unit_id import batch_of, position_of
from app.registry.values import Batch, CommissionRequest, ImportPreview, Product, Unit, UnitCode
from app.registry.vocabulary import JobKind, Profile, Sector

__all__ = [
    "Batch",
    "BatchPage",
    "CommissionRequest",
    "ImportPreview",
    "JobKind",
    "Product",
    "ProductPage",
    "Profile",
    "Sector",
    "Unit",
    "UnitCode",
    "batch_of",
    "batch_of_unit",
    "class_uri",
    "codes_of_batch",
    "commission_handler",
    "find_batch",
    "find_batch_by_id",
    "find_product",
    "find_unit",
    "goods_of_batch",
    "goods_of_units",
    "job_handlers",
    "list_batches",
    "list_products",
    "position_of",
    "published_parts",
    "register_product",
    "request_commission",
    "serial_at",
    "sweep_leftovers",
    "unit_content",
    "unit_lookup",
    "unit_proof",
    "unit_serials",
    "unit_value",
]


def job_handlers(services: Services) -> dict[str, Handler]:
    """What the worker runs for the jobs of this feature."""
    return {JobKind.COMMISSION.value: commission_handler(services)}
