"""Pure rules about numbers: which prefix covers what, and which rights contradict one another."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.accounts.entitlements import (
    check_prefix,
    contradict,
    normalise_gtin,
    prefix_covers,
    prefixes_of,
)
from app.accounts.vocabulary import RightKind
from app.core.errors import Invalid
from scanners.codes.check_digits import check_digit

digits = st.text("0123456789", min_size=13, max_size=13)
prefixes = st.text("0123456789", min_size=4, max_size=12)
own_kinds = st.sampled_from([RightKind.PREFIX, RightKind.GTIN])


def as_gtin(body: str) -> str:
    return body + check_digit(body)


@pytest.mark.parametrize(
    ("text", "padded"),
    [
        ("96385074", "00000096385074"),
        ("036000291452", "00036000291452"),
        ("4006381333931", "04006381333931"),
        ("19521234000010", "19521234000010"),
    ],
)
def test_every_length_of_gtin_becomes_fourteen_digits(text: str, padded: str) -> None:
    assert normalise_gtin(text) == padded


@pytest.mark.parametrize(
    "text", ["", "123", "00000000000000", "0000000000000", "40063813339312222", "４００６３８１３３３９３１"]
)
def test_what_is_no_gtin_is_refused(text: str) -> None:
    with pytest.raises(Invalid) as refused:
        normalise_gtin(text)
    assert refused.value.code == "gtin_length"


def test_a_wrong_check_digit_is_refused_with_the_right_one() -> None:
    with pytest.raises(Invalid, match="would have to be 1") as refused:
        normalise_gtin("4006381333932")
    assert refused.value.code == "check_digit"


@pytest.mark.parametrize("text", ["123", "1234567890123", "12a4", "", " 9521", "٩٥٢١", "0212345", "0412345", "2123456"])
def test_what_is_no_company_prefix_is_refused(text: str) -> None:
    with pytest.raises(Invalid):
        check_prefix(text)


@pytest.mark.parametrize("text", ["9521", "952123456789", "0360002", "7501234"])
def test_company_prefixes_of_four_to_twelve_digits_are_taken(text: str) -> None:
    assert check_prefix(text) == text


@given(digits)
def test_a_prefix_covers_exactly_the_gtins_that_begin_with_it_after_the_indicator(body: str) -> None:
    gtin = as_gtin(body)
    for length in range(4, 13):
        assert prefix_covers(gtin[1 : 1 + length], gtin) == (not gtin.startswith("000000"))
    assert set(prefixes_of(gtin[1:])) == {gtin[1 : 1 + length] for length in range(4, 13)}


def test_no_prefix_covers_a_gtin_8() -> None:
    assert not prefix_covers("0000", normalise_gtin("96385074"))


@given(own_kinds, prefixes, own_kinds, prefixes, digits)
def test_contradiction_does_not_depend_on_who_came_first(
    kind: RightKind, value: str, other_kind: RightKind, other: str, body: str
) -> None:
    value = value if kind is RightKind.PREFIX else as_gtin(body)
    other = other if other_kind is RightKind.PREFIX else as_gtin(("0" + other + body)[:13])
    assert contradict(kind, value, other_kind, other) == contradict(other_kind, other, kind, value)


@given(prefixes, prefixes, digits)
def test_prefixes_that_do_not_contradict_never_cover_one_gtin(one: str, other: str, body: str) -> None:
    if contradict(RightKind.PREFIX, one, RightKind.PREFIX, other):
        return
    for start in (one, other):
        gtin = as_gtin(("1" + start + body)[:13])
        assert not (prefix_covers(one, gtin) and prefix_covers(other, gtin))


@given(own_kinds, prefixes)
def test_a_delegation_contradicts_nothing(kind: RightKind, value: str) -> None:
    assert not contradict(kind, value, RightKind.DELEGATION, value)
    assert not contradict(RightKind.DELEGATION, value, kind, value)
