"""Shapes of the registry API, in and out."""

from typing import Any

from marshmallow import fields, validate

from app.core.api import StrictSchema
from app.core.jobs import JobState
from app.registry.labels.layouts import LAYOUTS
from app.registry.service.labels import DEFAULT_LAYOUT, MAX_LABELS
from app.registry.unit_id import MAX_BATCH_SIZE
from app.registry.vocabulary import LabelFormat, Profile, Sector
from scanners.codes.symbol import ErrorCorrection

MAX_SERIALS_OF_REQUEST = 500_000
"""Serials in one request body; the body's own limit comes first for long ones."""


def _word(choices: Any, **keywords: Any) -> fields.String:
    return fields.String(validate=validate.OneOf([str(choice) for choice in choices]), **keywords)


def _text(maximum: int, *, minimum: int = 1, **keywords: Any) -> fields.String:
    return fields.String(validate=validate.Length(minimum, maximum), **keywords)


def _count(least: int, most: int, **keywords: Any) -> fields.Integer:
    return fields.Integer(strict=True, validate=validate.Range(least, most), **keywords)


class PageQuery(StrictSchema):
    """Which page of a list."""

    cursor = fields.String(validate=validate.Length(1, 40))
    limit = fields.Integer(load_default=50, validate=validate.Range(1, 200))


class ProductQuery(PageQuery):
    """Which products: those whose name, brand or reference contains `q`."""

    q = fields.String(load_default="", validate=validate.Length(max=100))


class BatchQuery(PageQuery):
    """Which batches: one's own, of one product; or those that makers made by one's right to a number."""

    of = fields.String(load_default="own", validate=validate.OneOf(["own", "makers"]))
    product = fields.String(validate=validate.Length(1, 40))


class UnitQuery(StrictSchema):
    """Which units of a batch: `limit` of them from position `start` on."""

    start = fields.Integer(load_default=0, validate=validate.Range(0, MAX_BATCH_SIZE))
    limit = fields.Integer(load_default=100, validate=validate.Range(1, 1_000))


class NewProductSchema(StrictSchema):
    """A product to register: with a GTIN, or without one as an item of the caller's own namespace."""

    gtin = _text(14, metadata={"description": "GTIN-8, -12, -13 or -14", "example": "09521234000013"})
    item = _text(20, metadata={"description": "reference of goods without GTIN: A-Z, 0-9, . _ -"})
    name = _text(200, required=True)
    brand = _text(100, minimum=0, load_default="")
    description = _text(5_000, minimum=0, load_default="")
    sector = _word(Sector, load_default=Sector.OTHER.value)


class ProductSchema(StrictSchema):
    """A registered product; `reference` is its GTIN-14, or ISSUER/ITEM."""

    reference = fields.String()
    kind = fields.String()
    name = fields.String()
    brand = fields.String()
    description = fields.String()
    sector = _word(Sector)
    created_at = fields.String(metadata={"format": "date-time"})
    log_index = fields.Integer(metadata={"description": "ledger position of the registration"})


class ProductListSchema(StrictSchema):
    """One page of products; `next_cursor` is null on the last."""

    items = fields.List(fields.Nested(ProductSchema))
    next_cursor = fields.String(allow_none=True)


class NewBatchSchema(StrictSchema):
    """Units to commission: of a product, or cases under a company prefix; so many, or with the firm's own serials."""

    product = _text(40, metadata={"description": "GTIN, or ISSUER/ITEM", "example": "09521234000013"})
    case_prefix = _text(12, metadata={"description": "GS1 company prefix of the SSCCs"})
    profile = _word(Profile, load_default=Profile.SIGNED.value)
    quantity = _count(1, MAX_BATCH_SIZE)
    serials = fields.List(_text(20), validate=validate.Length(1, MAX_SERIALS_OF_REQUEST))
    lot = _text(20)
    expiry = _text(6, metadata={"description": "YYMMDD; day 00 means the end of the month"})
    note = _text(500, minimum=0, load_default="")


class BatchSchema(StrictSchema):
    """A commissioned batch; `handle` is its name, and begins every serial that the registry made for it."""

    handle = fields.String()
    product = fields.String(allow_none=True)
    product_name = fields.String()
    profile = _word(Profile)
    lot = fields.String(allow_none=True)
    expiry = fields.String(allow_none=True)
    note = fields.String()
    quantity = fields.Integer()
    key_id = fields.Integer(metadata={"description": "key that signs the codes"})
    root = fields.String(metadata={"description": "root of the batch tree, base64"})
    created_at = fields.String(metadata={"format": "date-time"})
    published_at = fields.String(metadata={"format": "date-time"})
    log_index = fields.Integer(metadata={"description": "ledger position of the batch"})


class BatchListSchema(StrictSchema):
    """One page of batches, newest first; `next_cursor` is null on the last."""

    items = fields.List(fields.Nested(BatchSchema))
    next_cursor = fields.String(allow_none=True)


class UnitSchema(StrictSchema):
    """A unit as it is printed."""

    position = fields.Integer()
    serial = fields.String()
    code = fields.String(metadata={"description": "the text of its QR code"})


class UnitListSchema(StrictSchema):
    """Units in order of position; `next_start` is null when none follow."""

    items = fields.List(fields.Nested(UnitSchema))
    next_start = fields.Integer(allow_none=True)


class LabelsSchema(StrictSchema):
    """Labels to draw, from position `start` on."""

    layout = _word(LAYOUTS, load_default=DEFAULT_LAYOUT)
    format = _word(LabelFormat, load_default=LabelFormat.PDF.value)
    start = _count(0, MAX_BATCH_SIZE, load_default=0)
    count = _count(1, MAX_LABELS)
    skip = _count(0, 100, load_default=0, metadata={"description": "places of the first sheet left free"})
    dpi = fields.Integer(strict=True, load_default=203, validate=validate.OneOf([203, 300, 600]))
    error_correction = _word(ErrorCorrection, load_default=ErrorCorrection.M.value)


class LabelQuery(StrictSchema):
    """How one label is drawn."""

    layout = _word(LAYOUTS, load_default=DEFAULT_LAYOUT)
    format = fields.String(load_default="svg", validate=validate.OneOf(["svg", "png", "zpl"]))
    dpi = fields.Integer(load_default=203, validate=validate.OneOf([203, 300, 600]))
    error_correction = _word(ErrorCorrection, load_default=ErrorCorrection.M.value)


class JobSchema(StrictSchema):
    """Work in the background; poll it until `state` is done or failed. While `waiting`, a second person must act."""

    id = fields.String()
    kind = fields.String()
    state = _word(JobState)
    done = fields.Integer()
    total = fields.Integer()
    result = fields.Dict(allow_none=True)
    problem = fields.Dict(allow_none=True, metadata={"description": "why it failed, as a problem+json object"})
    created_at = fields.String(metadata={"format": "date-time"})
    finished_at = fields.String(allow_none=True, metadata={"format": "date-time"})
    waits_until = fields.String(
        allow_none=True, metadata={"format": "date-time", "description": "until when a second person may release it"}
    )
    decided_by = fields.String(allow_none=True, metadata={"description": "the second person, such as person:7"})
    decision_reason = fields.String(allow_none=True)


class ReleaseSchema(StrictSchema):
    """What the second person decides."""

    decision = fields.String(required=True, validate=validate.OneOf(["release", "refuse"]))
    reason = _text(500, required=True)


class JobListSchema(StrictSchema):
    """The caller's latest jobs, newest first."""

    items = fields.List(fields.Nested(JobSchema))


class ImportQuery(StrictSchema):
    """With `dry_run` the file is only checked and shown."""

    dry_run = fields.Boolean(load_default=False)


class ImportForm(StrictSchema):
    """The file, CSV (UTF-8, UTF-16 or Windows-1252; comma, semicolon or tab) or XLSX, and what is said beside it."""

    file = fields.Raw(required=True, metadata={"type": "string", "format": "binary"})
    product = _text(40, metadata={"description": "product of a file that lists serials only"})
    profile = _word([Profile.SIGNED, Profile.COMPACT], load_default=Profile.SIGNED.value)


class FaultSchema(StrictSchema):
    """One thing wrong, and where: ``row 7, column serial``."""

    where = fields.String()
    code = fields.String()
    message = fields.String()


class PreviewBatchSchema(StrictSchema):
    """A batch that the file asks for."""

    product = fields.String(allow_none=True)
    profile = _word(Profile)
    quantity = fields.Integer()
    lot = fields.String(allow_none=True)
    expiry = fields.String(allow_none=True)


class PreviewSchema(StrictSchema):
    """What a file would commission, and what is wrong with it."""

    rows = fields.Integer()
    units = fields.Integer()
    batches = fields.List(fields.Nested(PreviewBatchSchema))
    fault_count = fields.Integer()
    faults = fields.List(fields.Nested(FaultSchema), metadata={"description": "the first thousand"})
    details = fields.Dict(keys=fields.String(), values=fields.String())
