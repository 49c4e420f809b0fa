"""Scanners that type on another keyboard than the computer has."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scanners.codes.keyboard import as_typed_on, find_layout_flip

LAYOUTS = ["Spanish", "Latin American", "German", "French", "Italian", "Brazilian"]
LINK = "HTTPS://ID.EXAMPLE/01/09521234543213/21/ABC-1?S=0123"


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("text", [LINK, LINK.lower()])
def test_a_us_scanner_at_another_keyboard_is_recognised(layout: str, text: str) -> None:
    flip = find_layout_flip(as_typed_on(text, scanner="US", computer=layout))
    assert flip is not None
    assert flip.scanner == "US"


# A Brazilian scanner types "/" on a key that US keyboards lack.
@pytest.mark.parametrize("layout", LAYOUTS[:-1])
def test_another_scanner_at_a_us_keyboard_is_recognised(layout: str) -> None:
    flip = find_layout_flip(as_typed_on(LINK, scanner=layout, computer="US"))
    assert flip is not None
    assert flip.computer == "US"


def test_the_keyboard_is_named_where_it_is_the_only_one_that_fits() -> None:
    flip = find_layout_flip("HTTPSÖ--ID")
    assert flip is not None
    assert (flip.scanner, flip.computer) == ("US", "German")


def test_an_element_string_of_shifted_digits_is_recognised() -> None:
    assert find_layout_flip(as_typed_on("010952123454321321A", scanner="US", computer="French")) is not None


@pytest.mark.parametrize(
    "text", [LINK, LINK.lower(), "0109521234543213", "[)>\x1e06", "(01)09521234543213", "]d201", "hello"]
)
def test_texts_that_begin_like_a_code_or_like_nothing_are_left_alone(text: str) -> None:
    assert find_layout_flip(text) is None


@given(st.text(max_size=30))
def test_any_text_can_be_asked_about(text: str) -> None:
    find_layout_flip(text)
