"""Values of the registry feature: what its use cases take and give back. Nothing here knows the database."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from app.core.errors import FieldFault
from app.registry.vocabulary import Profile, Sector
from scanners.codes.identity import CodeIdentity, CodeKind


@dataclass(frozen=True, slots=True)
class Product:
    """What units are instances of. `reference` is its name on the wire: the GTIN-14, or ``<ISSUER>/<ITEM>``."""

    id: int
    kind: CodeKind
    reference: str
    organisation_id: int
    name: str
    brand: str
    description: str
    sector: Sector
    created_at: int
    log_index: int


@dataclass(frozen=True, slots=True)
class Batch:
    """A published batch: units commissioned together, under one leaf of the ledger.

    `reference` and `product_name` are those of its product, empty for cases. `expiry` is YYMMDD as in AI 17. `root`
    is the root of the batch tree (32 bytes), `quantity` its size; times in milliseconds.
    """

    id: int
    handle: str
    product_id: int
    kind: CodeKind
    reference: str
    product_name: str
    product_brand: str
    organisation_id: int
    profile: Profile
    lot: str | None
    expiry: str | None
    note: str
    quantity: int
    generated: bool
    key_id: int
    first_serial: str
    last_serial: str
    root: bytes
    created_at: int
    published_at: int
    log_index: int


@dataclass(frozen=True, slots=True)
class Unit:
    """One commissioned unit (or case) of a published batch."""

    unit_id: int
    identity: CodeIdentity
    batch_id: int
    handle: str
    profile: Profile
    key_id: int
    lot: str | None
    expiry: str | None
    log_index: int
    product_id: int
    product_name: str
    product_brand: str
    organisation_id: int


@dataclass(frozen=True, slots=True)
class UnitCode:
    """A unit as it is printed: its serial (AI 21, or the SSCC of a case) and the text of its code."""

    unit_id: int
    serial: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CommissionRequest:
    """One batch that a firm asks for.

    Either `product` (GTIN-8/12/13/14 or ``<ISSUER>/<ITEM>``) or `case_prefix` (the GS1 company prefix under which
    SSCCs are made, profile case). Either `quantity` (the registry makes the serials) or `serials` (the firm's own; for
    cases: complete SSCCs). `serial_places` says where each serial stood in the caller's file, for messages.
    """

    product: str | None = None
    case_prefix: str | None = None
    profile: Profile = Profile.SIGNED
    quantity: int | None = None
    serials: tuple[str, ...] | None = None
    serial_places: Sequence[str] | None = None
    lot: str | None = None
    expiry: str | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class ImportPreview:
    """What an uploaded file would commission. `faults` holds at most the first thousand of `fault_count`."""

    requests: tuple[CommissionRequest, ...]
    rows: int
    units: int
    faults: tuple[FieldFault, ...]
    fault_count: int
    details: dict[str, str] = field(default_factory=dict)
    """How the file was read: encoding, separator, sheet."""
