"""Passwords: what is too easy to guess is said so, at a bounded cost."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.accounts import service as accounts
from app.accounts.password_strength import is_easy_to_guess
from app.core.errors import Faults


def faults_of(password: str, *known: str) -> list[str]:
    faults = Faults()
    accounts.check_password(faults, password, email="ana.lopez@cafesierra.example", known=known)
    return [fault.message for fault in faults.items]


@pytest.mark.parametrize(
    "password",
    [
        "password1234",
        "qwertyuiop123",
        "aaaaaaaaaaaaaaaa",
        "abcabcabcabcabcabc",
        "1234567890123456",
        "ana.lopez@cafesierra.example",
        "ana.lopez1234",
        "cafesierra2026",
        "Marchamo12345",
        "SierraAzul2026",
        "P@ssw0rd1234",
        "contraseña2026",
        "Guadalupe1970",
        "ab" * 100,
        "password" * 25,
    ],
)
def test_an_easy_password_is_refused(password: str) -> None:
    (message,) = faults_of(password, "Ana López", "Café Sierra Azul")
    assert message.startswith("This password is too easy to guess.")


@pytest.mark.parametrize(
    "password",
    [
        "correct horse battery staple",
        "quince lampara orilla zinc",
        "cuatro palabras que nadie junta",
        "7Hk2-vQ9x-mW4t-Rz8p",
        "a" * 72 + "zinc quince orilla",
    ],
)
def test_a_password_of_some_words_or_of_chance_is_taken(password: str) -> None:
    assert faults_of(password, "Ana López") == []


@pytest.mark.parametrize("password", ["", "elevenchars", "x" * 201])
def test_the_length_is_bounded(password: str) -> None:
    assert faults_of(password) == ["The password has 12 to 200 characters."]


@settings(max_examples=60, deadline=None)
@given(st.text(min_size=12, max_size=200))
def test_any_text_is_judged(password: str) -> None:
    is_easy_to_guess(password, ("ana@example.org", "Ana"))


@pytest.mark.parametrize(
    "password",
    ["aB3$" * 50, "1234" * 50, "password" * 25, "xk" * 100, "4@8({[</369&#!1/|0$5+7%2" * 8],
)
def test_no_password_costs_more_than_a_moment(password: str) -> None:
    started = time.process_time()
    is_easy_to_guess(password, ("ana@example.org", "x" * 300))
    assert time.process_time() - started < 1.0


def test_one_person_words_do_not_stay_for_the_next() -> None:
    word = "xilotepecantlan"
    assert is_easy_to_guess(f"{word}1", (word,))
    assert not is_easy_to_guess(f"{word}1", ())
