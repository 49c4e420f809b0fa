"""Use cases of the registry: what other features, routes, pages and commands call."""

from app.registry.lookup import unit_lookup
from app.registry.service.auditing import batch_check, product_check, subjects_of
from app.registry.service.batches import (
    BatchPage,
    batch_of_unit,
    batches_of_job,
    codes_of_batch,
    find_batch,
    find_batch_by_id,
    find_unit,
    list_batches,
    serial_at,
    unit_serials,
    unit_value,
)
from app.registry.service.commission import request_commission
from app.registry.service.goods import class_uri, goods_of_batch, goods_of_units
from app.registry.service.imports import preview_import, request_import
from app.registry.service.labels import (
    FinishedFile,
    LabelRequest,
    finished_file,
    label_at,
    labels_of_batch,
    request_labels,
)
from app.registry.service.products import ProductPage, find_product, list_products, register_product
from app.registry.service.proofs import unit_content, unit_proof, with_subjects
from app.registry.unit_id import batch_of, position_of
from app.registry.values import Batch, CommissionRequest, ImportPreview, Product, Unit, UnitCode
from app.registry.vocabulary import JobKind, LabelFormat, Profile, Sector

__all__ = [
    "Batch",
    "BatchPage",
    "CommissionRequest",
    "FinishedFile",
    "ImportPreview",
    "JobKind",
    "LabelFormat",
    "LabelRequest",
    "Product",
    "ProductPage",
    "Profile",
    "Sector",
    "Unit",
    "UnitCode",
    "batch_check",
    "batch_of",
    "batch_of_unit",
    "batches_of_job",
    "class_uri",
    "codes_of_batch",
    "find_batch",
    "find_batch_by_id",
    "find_product",
    "find_unit",
    "finished_file",
    "goods_of_batch",
    "goods_of_units",
    "label_at",
    "labels_of_batch",
    "list_batches",
    "list_products",
    "position_of",
    "preview_import",
    "product_check",
    "register_product",
    "request_commission",
    "request_import",
    "request_labels",
    "serial_at",
    "subjects_of",
    "unit_content",
    "unit_lookup",
    "unit_proof",
    "unit_serials",
    "unit_value",
    "with_subjects",
]
