"""GS1 element strings, raw and in brackets."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scanners.codes.element_string import format_element_string, parse_element_string
from scanners.codes.errors import CodeError

GTIN = "09521234543213"
MEDICINE = (("01", GTIN), ("21", "S1"), ("17", "271231"), ("10", "L1"))


@pytest.mark.parametrize(
    "text",
    [
        f"01{GTIN}21S1\x1d1727123110L1",
        f"\x1d01{GTIN}21S1\x1d1727123110L1\x1d",
        f"]d201{GTIN}21S1\x1d1727123110L1",
        f"]C101{GTIN}21S1\x1d17271231\x1d10L1",
        f"^01{GTIN}21S1^1727123110L1",
        f"(01){GTIN}(21)S1(17)271231(10)L1",
    ],
)
def test_the_same_medicine_is_read_from_every_way_of_writing(text: str) -> None:
    assert parse_element_string(text) == MEDICINE


def test_a_bracket_of_a_value_is_written_with_a_backslash() -> None:
    assert parse_element_string("(10)A\\(1)B") == (("10", "A(1)B"),)


def test_associations_are_checked_on_request_only() -> None:
    assert parse_element_string("21S1") == (("21", "S1"),)
    with pytest.raises(CodeError) as caught:
        parse_element_string("21S1", associations=True)
    assert caught.value.code == "required_ai"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "no_ai"),
        ("\x1d", "no_ai"),
        ("]d2", "no_ai"),
        ("04", "unknown_ai"),
        (f"01{GTIN}21A\x1d\x1d10B", "unknown_ai"),
        (f"01{GTIN[:-1]}", "value_length"),
        (f"01{GTIN[:-1]}4", "check_digit"),
        ("(01", "brackets"),
        (f"(01){GTIN}x(", "value_length"),
        ("(10)A(", "brackets"),
        ("10" + "A" * 2050, "too_long"),
        ("10A\x1d" * 70, "too_many_ais"),
    ],
)
def test_faults_are_refused_with_their_reason(text: str, code: str) -> None:
    with pytest.raises(CodeError) as caught:
        parse_element_string(text)
    assert caught.value.code == code


values = st.text(alphabet="!%&'*+,-./09:;<=>?AZ_az", min_size=1, max_size=20)


@given(st.lists(st.tuples(st.sampled_from(["10", "21", "240", "99"]), values), min_size=1, max_size=6), st.booleans())
def test_what_is_written_is_read_back(elements: list[tuple[str, str]], with_key: bool) -> None:
    wanted = ([("01", GTIN), ("17", "271231")] if with_key else []) + elements
    assert list(parse_element_string(format_element_string(wanted))) == wanted
    assert list(parse_element_string(format_element_string(wanted, fnc1="\x1d"))) == wanted
