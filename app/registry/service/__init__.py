"""Use cases of the registry: what other features, routes, pages and commands call."""

from app.registry.lookup import unit_lookup
from app.registry.service.auditing import batch_check, product_check, subjects_of
from app.registry.service.auditing_releases import check_releases
from app.registry.service.auditing_signatures import signing_check
from app.registry.service.batches import (
    BatchPage,
    batch_of_unit,
    batches_of_job,
    find_batch,
    find_batch_by_id,
    find_batch_to_see,
    find_unit,
    list_batches,
    list_batches_of_makers,
    owners_of_batch,
    serial_at,
    unit_serials,
    unit_value,
)
from app.registry.service.codes import codes_of_batch
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
from app.registry.service.releases import decide_release, waiting_jobs
from app.registry.service.revocations import RevocationPreview, revocation_preview
from app.registry.service.signing import (
    Signing,
    SigningPage,
    close_signing,
    put_signatures,
    signing_of,
    signing_page,
)
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
    "RevocationPreview",
    "Sector",
    "Signing",
    "SigningPage",
    "Unit",
    "UnitCode",
    "batch_check",
    "batch_of",
    "batch_of_unit",
    "batches_of_job",
    "check_releases",
    "class_uri",
    "close_signing",
    "codes_of_batch",
    "decide_release",
    "find_batch",
    "find_batch_by_id",
    "find_batch_to_see",
    "find_product",
    "find_unit",
    "finished_file",
    "goods_of_batch",
    "goods_of_units",
    "label_at",
    "labels_of_batch",
    "list_batches",
    "list_batches_of_makers",
    "list_products",
    "owners_of_batch",
    "position_of",
    "preview_import",
    "product_check",
    "put_signatures",
    "register_product",
    "request_commission",
    "request_import",
    "request_labels",
    "revocation_preview",
    "serial_at",
    "signing_check",
    "signing_of",
    "signing_page",
    "subjects_of",
    "unit_content",
    "unit_lookup",
    "unit_proof",
    "unit_serials",
    "unit_value",
    "waiting_jobs",
    "with_subjects",
]
