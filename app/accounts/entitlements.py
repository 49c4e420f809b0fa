"""Which numbers a right covers, and which rights contradict one another: pure rules about GS1 company prefixes.

A company prefix is compared with a GTIN-14 after its indicator digit (GS1 General Specifications, 1.4 and 3.3.2).
GTIN-8 numbers are given out one by one and lie under no company prefix.
"""

from app.accounts.vocabulary import RightKind
from app.core.errors import Invalid
from scanners.codes.check_digits import check_digit, has_valid_check_digit

MIN_PREFIX = 4
MAX_PREFIX = 12
_IN_STORE = ("02", "04", "2")
"""GS1 prefixes 020-029, 040-049, 200-299: numbers for use inside a shop, owned by nobody (1.4.3 there)."""


def check_prefix(text: str) -> str:
    """The company prefix, unchanged; raises Invalid when it can not be one."""
    if not (text.isascii() and text.isdigit()) or not MIN_PREFIX <= len(text) <= MAX_PREFIX:
        raise Invalid(
            "A GS1 company prefix has 4 to 12 digits.",
            code="company_prefix",
            fix="Copy it from the certificate of your GS1 office; put a 0 before a U.P.C. company prefix.",
        )
    if text.startswith(_IN_STORE):
        raise Invalid(
            "Numbers that begin with %(prefix)s are for use inside a shop and belong to nobody.",
            code="company_prefix",
            prefix=text[:3],
        )
    return text


def is_gtin_8(gtin14: str) -> bool:
    """Whether the padded number is a GTIN-8."""
    return gtin14.startswith("000000")


def prefixes_of(digits: str) -> list[str]:
    """Every company prefix that could cover the digits after the indicator or extension digit, longest first."""
    return [digits[:length] for length in range(min(MAX_PREFIX, len(digits)), MIN_PREFIX - 1, -1)]


def prefix_covers(prefix: str, gtin14: str) -> bool:
    """Whether the company prefix covers the GTIN-14."""
    return not is_gtin_8(gtin14) and gtin14[1:].startswith(prefix)


def contradict(kind: RightKind, value: str, other_kind: RightKind, other_value: str) -> bool:
    """Whether two organisations can not both hold these rights in their own name (delegations never contradict)."""
    if RightKind.DELEGATION in (kind, other_kind):
        return False
    if kind is RightKind.PREFIX and other_kind is RightKind.PREFIX:
        return value.startswith(other_value) or other_value.startswith(value)
    if kind is RightKind.GTIN and other_kind is RightKind.GTIN:
        return value == other_value
    prefix, gtin = (value, other_value) if kind is RightKind.PREFIX else (other_value, value)
    return prefix_covers(prefix, gtin)


def normalise_gtin(text: str) -> str:
    """A GTIN-8, -12, -13 or -14 as 14 digits; raises Invalid, which names the check digit that would be right."""
    if not (text.isascii() and text.isdigit()) or len(text) not in (8, 12, 13, 14):
        raise Invalid("A GTIN has 8, 12, 13 or 14 digits.", code="gtin_length")
    if not has_valid_check_digit(text):
        raise Invalid(
            "The last digit of %(gtin)s does not fit the others: it would have to be %(digit)s.",
            code="check_digit",
            fix="Compare the number with the certificate of your GS1 office, digit by digit.",
            gtin=text,
            digit=check_digit(text[:-1]),
        )
    padded = text.zfill(14)
    if set(padded) == {"0"}:
        raise Invalid("A GTIN has 8, 12, 13 or 14 digits.", code="gtin_length")
    return padded
