"""Serials: ours can not be guessed, those of others are judged."""

from __future__ import annotations

import os
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scanners.codes.errors import CodeError
from scanners.codes.serial import (
    ALPHABET,
    check_supplied_serial,
    generate_handle,
    generate_serials,
    handle_of,
    serials_are_unguessable,
)


@given(st.integers(0, 300))
def test_serials_are_sorted_distinct_and_carry_their_handle(count: int) -> None:
    serials = generate_serials("ABCDE", count)
    assert len(serials) == count == len(set(serials))
    assert serials == sorted(serials)
    assert all(handle_of(serial) == "ABCDE" and len(serial) == 17 for serial in serials)


def test_more_serials_than_one_chunk_are_generated() -> None:
    assert len(set(generate_serials("ABCDE", 150_000))) == 150_000


def test_every_character_is_about_equally_frequent() -> None:
    text = "".join(serial[5:] for serial in generate_serials("00000", 20_000))
    for character in ALPHABET:
        assert 6_900 < text.count(character) < 8_100, character


def test_a_doubled_draw_is_drawn_again(monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.urandom
    draws = iter([bytes(24), real(24), real(24)])
    monkeypatch.setattr("scanners.codes.serial.os.urandom", lambda size: next(draws)[:size])
    serials = generate_serials("ABCDE", 2)
    assert len(set(serials)) == 2


@pytest.mark.parametrize("handle", ["", "ABCD", "ABCDEF", "abcde", "ABCDI", "ABCDÉ"])
def test_a_handle_has_five_characters_of_the_alphabet(handle: str) -> None:
    with pytest.raises(CodeError, match="has 5 characters"):
        generate_serials(handle, 1)


def test_a_negative_count_is_refused() -> None:
    with pytest.raises(CodeError):
        generate_serials("ABCDE", -1)


def test_generated_handles_are_handles() -> None:
    assert handle_of(generate_handle() + "0" * 12) is not None


@pytest.mark.parametrize(
    "serial", ["", "ABCDE", "abcde0123456789ab", "ABCDE0123456789A", "ABCDE0123456789AI", "A" * 21]
)
def test_serials_of_another_form_have_no_handle(serial: str) -> None:
    assert handle_of(serial) is None


def test_a_supplied_serial_is_kept_as_it_is() -> None:
    assert check_supplied_serial("abc/%1") == "abc/%1"
    for text in ("", "A" * 21, "A B", "ñ", ".", ".."):
        with pytest.raises(CodeError):
            check_supplied_serial(text)


def test_our_own_serials_are_unguessable() -> None:
    for count in (1, 2, 10, 100, 5_000):
        assert serials_are_unguessable(generate_serials("ABCDE", count)), count


def test_random_hexadecimal_and_decimal_serials_of_enough_length_are_unguessable() -> None:
    chance = random.Random(7)  # noqa: S311
    assert serials_are_unguessable([f"{chance.getrandbits(80):020x}" for _ in range(500)])
    assert serials_are_unguessable([f"{chance.randrange(10**20):020d}" for _ in range(500)])


def test_counters_and_thin_serials_are_guessable() -> None:
    chance = random.Random(7)  # noqa: S311
    assert not serials_are_unguessable([])
    assert not serials_are_unguessable([f"{n:012d}" for n in range(1000)])
    assert not serials_are_unguessable([f"ACME2026LINE{n:08d}" for n in range(1000)])
    assert not serials_are_unguessable([f"{n * 7919:020d}" for n in range(1000)])
    assert not serials_are_unguessable([f"{chance.randrange(10**9):020d}" for _ in range(500)])
    assert not serials_are_unguessable(["SHORT" + str(n) for n in range(100)])
    assert not serials_are_unguessable(["ABCDEFGHIJKLMNOP"] * 3)
    assert not serials_are_unguessable([f"{n * 98765432109876543:020d}" for n in range(1000)])
    assert not serials_are_unguessable(["000000000001"])
    assert not serials_are_unguessable(["000000000001", "000000000002"])
