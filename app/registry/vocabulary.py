"""Words of the registry feature, with their wire names once."""

from enum import StrEnum

from scanners.codes.identity import CodeKind


class Profile(StrEnum):
    """What a code carries beside its identity."""

    SIGNED = "signed"
    COMPACT = "compact"
    CASE = "case"


class Sector(StrEnum):
    """What kind of goods a product is; it guides pages and, later, which rules of the trade apply."""

    MEDICINE = "medicine"
    SPIRITS = "spirits"
    ELECTRONICS = "electronics"
    APPAREL = "apparel"
    VEHICLE_PARTS = "vehicle_parts"
    COSMETICS = "cosmetics"
    FOOD = "food"
    AGRICULTURE = "agriculture"
    TOYS = "toys"
    OTHER = "other"


class LabelFormat(StrEnum):
    """Files that printers take."""

    PDF = "pdf"
    ZPL = "zpl"


class JobKind(StrEnum):
    """Work of this feature that runs in the worker."""

    COMMISSION = "commission"
    LABELS = "labels"


PROFILES_OF_KIND: dict[CodeKind, frozenset[Profile]] = {
    CodeKind.GTIN: frozenset({Profile.SIGNED, Profile.COMPACT}),
    CodeKind.ITEM: frozenset({Profile.SIGNED, Profile.COMPACT}),
    CodeKind.CASE: frozenset({Profile.CASE}),
}
