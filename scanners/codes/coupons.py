"""North American coupon codes, AIs 8110 and 8112 (GS1 US, North American Coupon Application Guideline).

A coupon is a row of digits; each part that varies in length is led by a length digit ("VLI"). Optional parts come in
ascending order of their field number.
"""

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Callable

_DIGITS = re.compile(r"[0-9]*")
_PREFIX_EXTRA = 6


class _RefusedError(Exception):
    """Why the coupon is refused; the name of the reason in GS1's reference implementation."""


class _Cursor:
    """Walks over the digits of a coupon."""

    def __init__(self, digits: str) -> None:
        self.digits = digits
        self.position = 0

    @property
    def done(self) -> bool:
        return self.position == len(self.digits)

    def take(self, length: int, truncated: str) -> str:
        part = self.digits[self.position : self.position + length]
        if len(part) < length:
            raise _RefusedError(truncated)
        self.position += length
        return part

    def take_one_of(self, allowed: str, missing: str, invalid: str) -> str:
        digit = self.take(1, missing)
        if digit not in allowed:
            raise _RefusedError(invalid)
        return digit

    def take_field(self, name: str, allowed: str, *, extra: int = 0, vli: str | None = None) -> str:
        """Take a length digit among `allowed`, then that many digits and `extra` more."""
        length = self.take_one_of(allowed, f"coupon_missing_{vli or name}_vli", f"coupon_invalid_{name}_length")
        return self.take(int(length) + extra, f"coupon_truncated_{name}")

    def next_is(self, field: str) -> bool:
        if self.digits[self.position : self.position + 1] != field:
            return False
        self.position += 1
        return True


def lint_coupon_code(value: str) -> str | None:
    """Check a coupon code (AI 8110); return None or the reason for refusal."""
    return _lint(value, _coupon)


def lint_positive_offer(value: str) -> str | None:
    """Check a positive offer file coupon (AI 8112); return None or the reason for refusal."""
    return _lint(value, _positive_offer)


def _lint(value: str, walk: Callable[[_Cursor], None]) -> str | None:
    if not _DIGITS.fullmatch(value):
        return "non_digit_character"
    cursor = _Cursor(value)
    try:
        walk(cursor)
    except _RefusedError as refused:
        return str(refused)
    return None if cursor.done else "coupon_excess_data"


def _positive_offer(cursor: _Cursor) -> None:
    cursor.take_one_of("01", "coupon_missing_format_code", "coupon_invalid_format_code")
    cursor.take_field("funder", "0123456", extra=_PREFIX_EXTRA)
    cursor.take(6, "coupon_truncated_offer_code")
    cursor.take_field("serial_number", "0123456789", extra=_PREFIX_EXTRA)


def _coupon(cursor: _Cursor) -> None:
    cursor.take_field("gcp", "0123456", extra=_PREFIX_EXTRA, vli="gcp")
    cursor.take(6, "coupon_truncated_offer_code")
    cursor.take_field("save_value", "12345")
    _purchase(cursor, "1st")
    if cursor.next_is("1"):
        cursor.take_one_of(
            "0123", "coupon_missing_additional_purchase_rules_code", "coupon_invalid_additional_purchase_rules_code"
        )
        _further_purchase(cursor, "2nd")
    if cursor.next_is("2"):
        _further_purchase(cursor, "3rd")
    if cursor.next_is("3"):
        # The reference spells the reason like this.
        _date(cursor, "coupon_too_short_for_expiration_date", "coupon_invalid_exipiration_date")
    if cursor.next_is("4"):
        _date(cursor, "coupon_too_short_for_start_date", "coupon_invalid_start_date")
    if cursor.next_is("5"):
        cursor.take_field("serial_number", "0123456789", extra=_PREFIX_EXTRA)
    if cursor.next_is("6"):
        cursor.take_field("retailer_gcp_or_gln", "1234567", extra=_PREFIX_EXTRA)
    if cursor.next_is("9"):
        cursor.take_one_of("01256", "coupon_missing_save_value_code", "coupon_invalid_save_value_code")
        cursor.take_one_of(
            "012", "coupon_missing_save_value_applies_to_item", "coupon_invalid_save_value_applies_to_item"
        )
        cursor.take(1, "coupon_missing_store_coupon_flag")
        cursor.take_one_of("01", "coupon_missing_dont_multiply_flag", "coupon_invalid_dont_multiply_flag")


def _purchase(cursor: _Cursor, ordinal: str) -> None:
    requirement = f"{ordinal}_purchase_requirement"
    cursor.take_field(requirement, "12345")
    cursor.take_one_of("012349", f"coupon_missing_{requirement}_code", f"coupon_invalid_{requirement}_code")
    cursor.take(3, f"coupon_truncated_{ordinal}_purchase_family_code")


def _further_purchase(cursor: _Cursor, ordinal: str) -> None:
    """Walk over a second or third purchase, perhaps of another company; a length digit 9 says of the same one."""
    _purchase(cursor, ordinal)
    if not cursor.next_is("9"):
        cursor.take_field(f"{ordinal}_purchase_gcp", "0123456", extra=_PREFIX_EXTRA)


def _date(cursor: _Cursor, too_short: str, invalid: str) -> None:
    text = cursor.take(6, too_short)
    year, month, day = 2000 + int(text[:2]), int(text[2:4]), int(text[4:])
    if not 1 <= month <= 12 or not 1 <= day <= monthrange(year, month)[1]:
        raise _RefusedError(invalid)
