"""Application identifiers as the dictionary states them."""

from __future__ import annotations

import pytest

from scanners.codes.ai import (
    check_associations,
    check_exclusions,
    check_requisites,
    check_values,
    dictionary,
    find_ai,
    is_valid_path_sequence,
)
from scanners.codes.errors import CodeError
from scanners.codes.identity import GS1_PRIMARY_KEYS
from scanners.codes.linters import LINTERS


def refusal(action: object, *arguments: object) -> str:
    with pytest.raises(CodeError) as caught:
        action(*arguments)  # type: ignore[operator]
    return caught.value.code


def test_ranges_of_the_dictionary_become_single_identifiers() -> None:
    assert {"3100", "3105", "3909", "91", "99"} <= dictionary().keys()
    assert "3106" not in dictionary()
    assert len(dictionary()) > 500


def test_components_keep_their_lengths_and_linters() -> None:
    gtin = find_ai("01")
    assert (gtin.minimum_length, gtin.maximum_length, gtin.fixed_length) == (14, 14, True)
    assert gtin.qualifiers == (("22", "10", "21"), ("235",))
    countries = find_ai("423")
    assert (countries.minimum_length, countries.maximum_length) == (3, 15)
    assert [component.optional for component in countries.components] == [False, True, True, True, True]


def test_every_linter_of_the_dictionary_exists() -> None:
    named = {linter for entry in dictionary().values() for part in entry.components for linter in part.linters}
    assert named <= LINTERS.keys()


def test_primary_keys_that_no_item_may_be_called_are_those_of_the_dictionary() -> None:
    assert {ai for ai, entry in dictionary().items() if entry.qualifiers is not None} == GS1_PRIMARY_KEYS


def test_optional_components_come_whole_or_not_at_all() -> None:
    check_values([("423", "528528")], deep=True)
    assert refusal(find_ai("423").check, "52852") == "value_characters"


def test_qualifiers_may_be_left_out_but_not_reordered_or_mixed() -> None:
    assert is_valid_path_sequence(["01", "21"])
    assert is_valid_path_sequence(["01", "22", "21"])
    assert not is_valid_path_sequence(["01", "21", "10"])
    assert not is_valid_path_sequence(["01", "10", "235"])
    assert not is_valid_path_sequence(["10", "21"])


@pytest.mark.parametrize("ai", ["", "1", "1234", "0x", "01 ", "９９"])
def test_unknown_identifiers_are_refused(ai: str) -> None:
    assert refusal(find_ai, ai) == "unknown_ai"


@pytest.mark.parametrize(
    ("ai", "value", "code"),
    [
        ("01", "0952123454321", "value_length"),
        ("01", "0952123454321X", "value_characters"),
        ("01", "09521234543214", "check_digit"),
        ("17", "271331", "illegal_month"),
        ("8030", "abc+", "value_characters"),
        ("8030", "ab=c", "invalid_cset64_character"),
        ("21", "é", "value_characters"),
        ("21", "１", "value_characters"),
    ],
)
def test_values_are_checked_for_length_characters_and_meaning(ai: str, value: str, code: str) -> None:
    assert refusal(lambda: check_values([(ai, value)], deep=True)) == code


def test_associations_name_what_is_missing_or_too_much() -> None:
    gtin = ("01", "09521234543213")
    check_associations((gtin, ("21", "A"), ("250", "B")))
    assert refusal(check_requisites, (gtin, ("250", "B"))) == "required_ai"
    assert refusal(check_exclusions, (gtin, ("37", "5"))) == "excluded_ai"
    assert refusal(check_exclusions, (("3100", "000100"), ("3101", "000100"))) == "excluded_ai"
    assert refusal(check_associations, (gtin, ("01", "09521234543220"))) == "repeated_ai"
