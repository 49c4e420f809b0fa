"""What the parts of GS1 values mean: the linters that the GS1 Barcode Syntax Dictionary names.

Each linter takes one component and returns None or the reason for refusal. The reasons are the names of the GS1
reference implementation in lower case, so that our verdicts can be compared with it; the linters are written from
the GS1 General Specifications.
"""

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Callable

from scanners.codes.check_digits import CHARACTER_VALUES, check_pair, has_valid_check_digit
from scanners.codes.code_lists import COUNTRIES_ALPHA2, COUNTRIES_NUMERIC, CURRENCIES_NUMERIC, PACKAGE_TYPES
from scanners.codes.coupons import lint_coupon_code, lint_positive_offer
from scanners.codes.errors import CodeError

Linter = Callable[[str], str | None]

_NOT_A_DIGIT = re.compile(r"[^0-9]")
_CSET82 = re.compile(r"""[!"%&'()*+,\-./0-9:;<=>?A-Z_a-z]*""")
_CSET39 = re.compile(r"[#\-/0-9A-Z]*")
_CSET64 = re.compile(r"[A-Za-z0-9_\-]*")
_PERCENT_FAULT = re.compile(r"%(?![0-9A-Fa-f]{2})")
_POSITION = re.compile(r"([0-9]+)/([0-9]+)")
_IBAN = re.compile(r"[A-Z0-9]+")
_LATITUDES, _LONGITUDES = 1_800_000_000, 3_600_000_000


def lint(name: str, value: str, *, ai: str) -> None:
    """Apply the linter `name` to a component of AI `ai`. Raises CodeError with the reason as its code."""
    reason = LINTERS[name](value)
    if reason == "incorrect_check_digit":
        raise CodeError("check_digit", f"The check digit of AI ({ai}) is wrong.", fix="Compare the printed digits.")
    if reason is not None:
        raise CodeError(reason, f"The value of AI ({ai}) is wrong: {reason.replace('_', ' ')}.")


def _numeric(value: str) -> str | None:
    return "non_digit_character" if _NOT_A_DIGIT.search(value) else None


def _cset82(value: str) -> str | None:
    return None if _CSET82.fullmatch(value) else "invalid_cset82_character"


def _cset39(value: str) -> str | None:
    return None if _CSET39.fullmatch(value) else "invalid_cset39_character"


def _cset64(value: str) -> str | None:
    """Require base64url; padding fills up to a multiple of three characters, as GS1's reference has it."""
    body = value.rstrip("=")
    padding = len(value) - len(body)
    if not _CSET64.fullmatch(body) or (padding and not body):
        return "invalid_cset64_character"
    if padding > 2 or (padding and len(value) % 3):
        return "invalid_cset64_padding"
    return None


def _check_digit(value: str) -> str | None:
    if not value:
        return "too_short_for_check_digit"
    if _NOT_A_DIGIT.search(value):
        return "non_digit_character"
    return None if has_valid_check_digit(value) else "incorrect_check_digit"


def _check_pair(value: str) -> str | None:
    if len(value) < 2:
        return "too_short_for_check_pair"
    body, pair = value[:-2], value[-2:]
    if len(body) > 97:
        return "too_long_for_check_pair_implementation"
    if not set(body) <= set(CHARACTER_VALUES):
        return "invalid_cset82_character"
    return None if check_pair(body) == pair else "incorrect_check_pair"


def _company_prefix(value: str, position: int) -> str | None:
    """Require 4 digits of a GS1 Company Prefix at `position`; which prefixes exist is not a matter of syntax."""
    start = value[position : position + 4]
    if len(start) < 4:
        return "too_short_for_key"
    return "invalid_gcp_prefix" if _NOT_A_DIGIT.search(start) else None


def _has_non_digit(value: str) -> str | None:
    return None if _NOT_A_DIGIT.search(value) else "requires_non_digit_character"


def _two_digits(value: str, maximum: int, unit: str) -> str | None:
    if len(value) != 2:
        return f"{unit}_too_short" if len(value) < 2 else f"{unit}_too_long"
    if _NOT_A_DIGIT.search(value):
        return "non_digit_character"
    return None if int(value) <= maximum else f"illegal_{unit}"


def _hour(value: str) -> str | None:
    return _two_digits(value, 23, "hour")


def _minute(value: str) -> str | None:
    return _two_digits(value, 59, "minute")


def _second(value: str) -> str | None:
    return _two_digits(value, 59, "second")


def _hour_minute(value: str) -> str | None:
    if len(value) != 4:
        return "hour_with_minute_too_short" if len(value) < 4 else "hour_with_minute_too_long"
    return _numeric(value) or _hour(value[:2]) or _minute(value[2:])


def _date(value: str, *, year_digits: int, day_may_be_zero: bool) -> str | None:
    length = year_digits + 4
    if len(value) != length:
        return "date_too_short" if len(value) < length else "date_too_long"
    if _NOT_A_DIGIT.search(value):
        return "non_digit_character"
    year, month, day = int(value[:year_digits]), int(value[-4:-2]), int(value[-2:])
    if not 1 <= month <= 12:
        return "illegal_month"
    if day == 0:
        return None if day_may_be_zero else "illegal_day"
    # General Specifications 7.12: two-digit years lie within 49 years before and 50 after now, so 00 is 2000; and a
    # year 0000 that calendar refuses behaves like 2000.
    last_day = monthrange(year or 2000 if year_digits == 4 else 2000 + year, month)[1]
    return None if day <= last_day else "illegal_day"


def _yymmdd(value: str) -> str | None:
    return _date(value, year_digits=2, day_may_be_zero=False)


def _yymmd0(value: str) -> str | None:
    return _date(value, year_digits=2, day_may_be_zero=True)


def _yyyymmdd(value: str) -> str | None:
    return _date(value, year_digits=4, day_may_be_zero=False)


def _yyyymmd0(value: str) -> str | None:
    return _date(value, year_digits=4, day_may_be_zero=True)


def _hyphen(value: str) -> str | None:
    return None if value and set(value) == {"-"} else "not_hyphen"


def _zero(value: str) -> str | None:
    return None if value and set(value) == {"0"} else "not_zero"


def _nonzero(value: str) -> str | None:
    return _numeric(value) or (None if value.strip("0") else "illegal_zero_value")


def _no_zero_prefix(value: str) -> str | None:
    return _numeric(value) or ("illegal_zero_prefix" if len(value) > 1 and value[0] == "0" else None)


def _iban(value: str) -> str | None:
    """ISO 13616: country, two check digits, account; letters count 10 to 35, modulo 97 must be 1."""
    if len(value) <= 4:
        return "iban_too_short"
    if len(value) > 34:
        return "iban_too_long"
    if not _IBAN.fullmatch(value):
        return "invalid_iban_character"
    if value[:2] not in COUNTRIES_ALPHA2 and value[:2] != "XK":
        return "illegal_iban_country_code"
    number = "".join(str(int(character, 36)) for character in value[4:] + value[:4])
    return None if value[2:4].isdigit() and int(number) % 97 == 1 else "incorrect_iban_checksum"


def _importer_index(value: str) -> str | None:
    if len(value) != 1:
        return "importer_idx_must_be_one_character"
    return None if _CSET64.fullmatch(value) else "invalid_import_idx_character"


def _piece_of_total(value: str) -> str | None:
    if not value or len(value) % 2:
        return "invalid_length_for_piece_of_total"
    if _NOT_A_DIGIT.search(value):
        return "non_digit_character"
    half = len(value) // 2
    piece, total = int(value[:half]), int(value[half:])
    if piece == 0:
        return "zero_piece_number"
    if total == 0:
        return "zero_total_pieces"
    return None if piece <= total else "piece_number_exceeds_total"


def _position_in_sequence(value: str) -> str | None:
    match = _POSITION.fullmatch(value)
    if not match:
        return "position_in_sequence_malformed"
    if match[1].startswith("0") or match[2].startswith("0"):
        return "illegal_zero_prefix"
    return None if int(match[1]) <= int(match[2]) else "position_exceeds_end"


def _coordinate(value: str, name: str, maximum: int) -> str | None:
    if len(value) != 10:
        return f"{name}_invalid_length"
    return _numeric(value) or (None if int(value) <= maximum else f"invalid_{name}")


def _latitude(value: str) -> str | None:
    return _coordinate(value, "latitude", _LATITUDES)


def _longitude(value: str) -> str | None:
    return _coordinate(value, "longitude", _LONGITUDES)


def _one_of(allowed: frozenset[str], reason: str) -> Linter:
    return lambda value: None if value in allowed else reason


# AIDC media types (General Specifications, AI 7241): 01-10 assigned, 80-99 for use within a company.
_MEDIA_TYPES = frozenset(f"{number:02}" for number in (*range(1, 11), *range(80, 100)))

LINTERS: dict[str, Linter] = {
    "couponcode": lint_coupon_code,
    "couponposoffer": lint_positive_offer,
    "cset39": _cset39,
    "cset64": _cset64,
    "cset82": _cset82,
    "csetnumeric": _numeric,
    "csum": _check_digit,
    "csumalpha": _check_pair,
    "gcppos1": lambda value: _company_prefix(value, 0),
    "gcppos2": lambda value: _company_prefix(value, 1),
    "hasnondigit": _has_non_digit,
    "hh": _hour,
    "hhmi": _hour_minute,
    "hyphen": _hyphen,
    "iban": _iban,
    "importeridx": _importer_index,
    "iso3166": _one_of(COUNTRIES_NUMERIC, "not_iso3166"),
    "iso3166999": _one_of(COUNTRIES_NUMERIC | {"999"}, "not_iso3166_or_999"),
    "iso3166alpha2": _one_of(COUNTRIES_ALPHA2, "not_iso3166_alpha2"),
    "iso4217": _one_of(CURRENCIES_NUMERIC, "not_iso4217"),
    "iso5218": _one_of(frozenset("0129"), "invalid_biological_sex_code"),
    "latitude": _latitude,
    "longitude": _longitude,
    "mediatype": _one_of(_MEDIA_TYPES, "invalid_media_type"),
    "mi": _minute,
    "nonzero": _nonzero,
    "nozeroprefix": _no_zero_prefix,
    "packagetype": _one_of(PACKAGE_TYPES, "invalid_package_type"),
    "pcenc": lambda value: "invalid_percent_sequence" if _PERCENT_FAULT.search(value) else None,
    "pieceoftotal": _piece_of_total,
    "posinseqslash": _position_in_sequence,
    "ss": _second,
    "winding": _one_of(frozenset("019"), "invalid_winding_direction"),
    "yesno": _one_of(frozenset("01"), "not_zero_or_one"),
    "yymmd0": _yymmd0,
    "yymmdd": _yymmdd,
    "yyyymmd0": _yyyymmd0,
    "yyyymmdd": _yyyymmdd,
    "zero": _zero,
}
