"""The vectors of GS1's reference implementation, as far as they concern codes we read or write."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from scanners.codes import ai
from scanners.codes.digital_link import (
    DEFAULT_STEM,
    build_digital_link,
    escape_path,
    escape_query,
    parse_digital_link,
    unescape_path,
    unescape_query,
)
from scanners.codes.element_string import format_element_string, parse_element_string
from scanners.codes.errors import CodeError
from scanners.codes.linters import LINTERS
from tests.shared_data import shared_file

CHECKS = {
    "validateAIrepeats": ai.check_repeats,
    "validateAImutex": ai.check_exclusions,
    "validateAIrequisites": ai.check_requisites,
    "validateDigSigRequiresSerialisedKey": ai.check_signed_keys_are_serialised,
}


def vectors(name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(shared_file(f"conformance/{name}").read_text(encoding="utf-8"))["vectors"]
    return found


def syntax_vectors(kind: str) -> list[dict[str, Any]]:
    return [vector for vector in vectors("gs1_syntax_vectors.json") if vector["kind"] == kind]


@pytest.mark.parametrize(("deep", "verdict"), [(False, "valid"), (True, "full_valid")])
def test_digital_links_are_judged_like_the_reference(deep: bool, verdict: str) -> None:
    for vector in vectors("digital_link_vectors.json"):
        if not vector[verdict]:
            with pytest.raises(CodeError):
                parse_digital_link(vector["input"], deep=deep)
            continue
        link = parse_digital_link(vector["input"], deep=deep)
        assert [list(pair) for pair in link.elements] == vector["elements"]
        assert link.element_string() == vector["expect"]


def test_convenience_names_and_short_gtins_stay_refused() -> None:
    for vector in vectors("digital_link_vectors_other_flags.json"):
        with pytest.raises(CodeError):
            parse_digital_link(vector["input"])


def test_links_are_built_like_the_reference() -> None:
    for vector in syntax_vectors("generate"):
        if vector["flags"]:
            continue
        if not vector["valid"]:
            with pytest.raises(CodeError):
                build_digital_link(parse_element_string(vector["ai_data"]), stem=vector["stem"] or DEFAULT_STEM)
            continue
        elements = parse_element_string(vector["ai_data"])
        assert build_digital_link(elements, stem=vector["stem"] or DEFAULT_STEM) == vector["expect"]


def test_path_sequences_are_those_of_the_reference() -> None:
    for vector in syntax_vectors("path_sequence"):
        assert ai.is_valid_path_sequence(vector["sequence"]) is vector["valid"]


def test_escaping_is_that_of_the_reference() -> None:
    for vector in syntax_vectors("escape"):
        assert escape_path(vector["input"]) == vector["expect_path"]
        assert escape_query(vector["input"]) == vector["expect_query"]
    for vector in syntax_vectors("unescape"):
        assert unescape_path(vector["input"]) == vector["expect_path"]
        assert unescape_query(vector["input"]) == vector["expect_query"]


@pytest.mark.parametrize("kind", ["element_string", "bracketed_parse"])
def test_element_strings_are_judged_like_the_reference(kind: str) -> None:
    for vector in syntax_vectors(kind):
        if not vector["valid"]:
            with pytest.raises(CodeError):
                parse_element_string(vector["input"])
            continue
        elements = parse_element_string(vector["input"])
        assert format_element_string(elements) == vector.get("expect", vector["input"].removesuffix("^"))


def test_associations_are_judged_like_the_reference() -> None:
    for vector in syntax_vectors("associations"):
        elements = re.findall(r"\((\d+)\)([^(]*)", vector["input"])
        if vector["valid"]:
            CHECKS[vector["check"]](elements)
        else:
            with pytest.raises(CodeError):
                CHECKS[vector["check"]](elements)


def test_linters_give_the_verdicts_and_reasons_of_the_reference() -> None:
    for vector in vectors("linter_vectors.json"):
        reason = LINTERS[vector["linter"]](vector["value"])
        assert (reason or "").upper() == vector.get("error", ""), vector


def test_the_dictionary_we_ship_is_the_published_one() -> None:
    published = shared_file("conformance/gs1-syntax-dictionary.txt").read_bytes()
    shipped = Path(ai.__file__).with_name("gs1-syntax-dictionary.txt")
    assert shipped.read_bytes() == published
