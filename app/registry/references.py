"""References to products: GTINs of any length, and items in an issuer's namespace."""

from functools import lru_cache

from app.accounts.service import normalise_gtin
from app.core.errors import Invalid
from scanners.codes.identity import ISSUER_PATTERN, ITEM_PATTERN, CodeKind


def check_item(text: str) -> str:
    """An item reference within an issuer's namespace, unchanged; raises Invalid."""
    if not ITEM_PATTERN.fullmatch(text) or text in {".", ".."}:
        raise Invalid(
            "An item reference has 1 to 20 of: A-Z, 0-9, dot, hyphen, underscore.",
            code="item",
            fix="Write letters in upper case; replace spaces by hyphens.",
        )
    return text


@lru_cache(maxsize=1024)  # a file names the same few products in every row
def parse_reference(text: str) -> tuple[CodeKind, str]:
    """Kind and identifier of a product named on the wire: a GTIN of any length, or ``<ISSUER>/<ITEM>``."""
    issuer, slash, item = text.partition("/")
    if not slash:
        return CodeKind.GTIN, normalise_gtin(text)
    if not ISSUER_PATTERN.fullmatch(issuer):
        raise Invalid("An item without GTIN is written <ISSUER>/<ITEM>, the issuer's name first.", code="issuer")
    return CodeKind.ITEM, f"{issuer}/{check_item(item)}"
