"""References to products: GTINs of any length, and items in an issuer's namespace."""

from app.core.errors import Invalid
from scanners.codes.check_digits import check_digit
from scanners.codes.errors import CodeError
from scanners.codes.identity import ISSUER_PATTERN, ITEM_PATTERN, CodeKind

GTIN_LENGTHS = (8, 12, 13, 14)


def normalise_gtin(text: str) -> str:
    """A GTIN-8, -12, -13 or -14 as the 14 digits that codes carry; raises Invalid that shows the right check digit."""
    if not (text.isascii() and text.isdigit()) or len(text) not in GTIN_LENGTHS:
        raise Invalid(
            "A GTIN has 8, 12, 13 or 14 digits, without spaces or dashes.",
            code="gtin",
            fix="Copy the digits below the bar code of the product.",
        )
    expected = check_digit(text[:-1])
    if text[-1] != expected:
        raise Invalid(
            "The last digit of GTIN %(gtin)s does not fit the others: it should be %(digit)s.",
            code="check_digit",
            fix="Compare every digit with the product's bar code; one of them is mistyped.",
            gtin=text,
            digit=expected,
        )
    if not text.strip("0"):
        raise Invalid("A GTIN is not all zeros.", code="gtin")
    return text.rjust(14, "0")


def check_item(text: str) -> str:
    """An item reference within an issuer's namespace, unchanged; raises Invalid."""
    if not ITEM_PATTERN.fullmatch(text) or text in {".", ".."}:
        raise Invalid(
            "An item reference has 1 to 20 of: A-Z, 0-9, dot, hyphen, underscore.",
            code="item",
            fix="Write letters in upper case; replace spaces by hyphens.",
        )
    return text


def parse_reference(text: str) -> tuple[CodeKind, str]:
    """Kind and identifier of a product named on the wire: a GTIN of any length, or ``<ISSUER>/<ITEM>``."""
    issuer, slash, item = text.partition("/")
    if not slash:
        return CodeKind.GTIN, normalise_gtin(text)
    if not ISSUER_PATTERN.fullmatch(issuer):
        raise Invalid("An item without GTIN is written <ISSUER>/<ITEM>, the issuer's name first.", code="issuer")
    return CodeKind.ITEM, f"{issuer}/{check_item(item)}"


def code_fault(error: CodeError) -> Invalid:
    """The service's refusal for one of the code format."""
    return Invalid(str(error).replace("%", "%%"), code=error.code, fix=error.fix)
