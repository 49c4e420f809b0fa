"""Linters, where the reference's vectors are not at hand: one true and one false value each, and the laws."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scanners.codes.check_digits import CHARACTER_VALUES, check_digit, check_pair, has_valid_check_digit
from scanners.codes.errors import CodeError
from scanners.codes.linters import LINTERS, lint

EXAMPLES = [
    ("csum", "09521234543213", "09521234543214"),
    ("csumalpha", "1987654Ad4X4bL5ttr2310c2K", "1987654Ad4X4bL5ttr2310c2X"),
    ("gcppos1", "9521", "952A"),
    ("gcppos2", "09521", "0952"),
    ("yymmd0", "240200", "240230"),
    ("yymmdd", "240229", "230229"),
    ("yyyymmdd", "20000229", "21000229"),
    ("yyyymmd0", "21000200", "21001300"),
    ("hhmi", "2359", "2360"),
    ("hh", "23", "24"),
    ("mi", "59", "60"),
    ("ss", "59", "5"),
    ("iso3166", "724", "723"),
    ("iso3166999", "999", "998"),
    ("iso3166alpha2", "ES", "es"),
    ("iso4217", "978", "979X"),
    ("iso5218", "9", "3"),
    ("iban", "GB82WEST12345698765432", "GB82WEST12345698765433"),
    ("iban", "XK051212012345678906", "QQ051212012345678906"),
    ("latitude", "1800000000", "1800000001"),
    ("longitude", "3600000000", "3600000001"),
    ("pieceoftotal", "0102", "0201"),
    ("posinseqslash", "2/10", "10/2"),
    ("winding", "9", "2"),
    ("yesno", "1", "2"),
    ("mediatype", "80", "11"),
    ("packagetype", "PX", "px"),
    ("pcenc", "A%20B", "A%2"),
    ("hyphen", "-", "+"),
    ("zero", "0", "1"),
    ("nonzero", "010", "000"),
    ("nozeroprefix", "0", "01"),
    ("importeridx", "_", "+"),
    ("hasnondigit", "1A", "11"),
    ("cset64", "12=", "12=="),
    ("couponcode", "012345612345611110123", "0123456123456111101237"),
    ("couponposoffer", "001234561234560123456", "201234561234560123456"),
]


@pytest.mark.parametrize(("linter", "good", "bad"), EXAMPLES)
def test_a_linter_tells_good_from_bad(linter: str, good: str, bad: str) -> None:
    assert LINTERS[linter](good) is None
    assert LINTERS[linter](bad) is not None


def test_a_refusal_names_the_identifier_and_the_reason() -> None:
    with pytest.raises(CodeError, match=r"AI \(422\)") as caught:
        lint("iso3166", "000", ai="422")
    assert caught.value.code == "not_iso3166"


@given(st.text(alphabet="0123456789", min_size=1, max_size=20), st.integers(0, 19), st.integers(1, 9))
def test_a_check_digit_finds_every_wrong_digit(body: str, place: int, shift: int) -> None:
    number = body + check_digit(body)
    assert has_valid_check_digit(number)
    place %= len(number)
    wrong = number[:place] + str((int(number[place]) + shift) % 10) + number[place + 1 :]
    assert not has_valid_check_digit(wrong)


@given(st.text(alphabet=CHARACTER_VALUES, min_size=1, max_size=23), st.integers(0, 22), st.integers(1, 81))
def test_a_check_pair_finds_every_wrong_character(body: str, place: int, shift: int) -> None:
    place %= len(body)
    other = CHARACTER_VALUES[(CHARACTER_VALUES.index(body[place]) + shift) % len(CHARACTER_VALUES)]
    wrong = body[:place] + other + body[place + 1 :]
    assert LINTERS["csumalpha"](body + check_pair(body)) is None
    assert LINTERS["csumalpha"](wrong + check_pair(body)) is not None


@given(st.dates(dt.date(2000, 1, 1), dt.date(2049, 12, 31)))
def test_every_real_day_is_a_date(day: dt.date) -> None:
    assert LINTERS["yymmdd"](f"{day:%y%m%d}") is None
    assert LINTERS["yyyymmdd"](f"{day:%Y%m%d}") is None


@given(st.sampled_from(sorted(LINTERS)), st.text(max_size=40))
def test_no_linter_breaks_on_any_text(linter: str, value: str) -> None:
    assert LINTERS[linter](value) is None or LINTERS[linter](value)
