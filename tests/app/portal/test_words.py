"""Every value that can stand on a page has a word in both languages."""

from __future__ import annotations

from enum import StrEnum

import pytest
from flask import Flask

from app.core.authorisation import Role
from app.core.jobs import JobState
from app.facts.vocabulary import EventKind, Status
from app.portal.words import Tone, act_word, job_word, tone, word
from app.registry.vocabulary import JobKind, Profile, Sector
from app.transparency.service import LedgerState
from app.verification.actions import Action
from app.verification.verdict import Authenticity, Labour, Reason, Risk, Summary
from ledger.alarms import AlarmKind
from tests.builders import on_sqlite

VOCABULARIES: tuple[type[StrEnum], ...] = (
    Summary,
    Authenticity,
    Status,
    EventKind,
    Action,
    Risk,
    Labour,
    Reason,
    Profile,
    Sector,
    JobKind,
    JobState,
    Role,
    LedgerState,
    AlarmKind,
)


@on_sqlite
@pytest.mark.parametrize("language", ["en", "es"])
def test_every_member_of_every_vocabulary_has_a_word(app: Flask, language: str) -> None:
    with app.test_request_context(f"/?lang={language}"):
        for vocabulary in VOCABULARIES:
            for value in vocabulary:
                assert word(value)


@on_sqlite
def test_the_words_of_a_verdict_differ_between_the_languages(app: Flask) -> None:
    def words(language: str) -> list[str]:
        with app.test_request_context(f"/?lang={language}"):
            return [word(value) for vocabulary in (Summary, Authenticity, Status, Risk) for value in vocabulary]

    for english, spanish in zip(words("en"), words("es"), strict=True):
        assert english != spanish


def test_values_of_two_vocabularies_with_the_same_text_keep_their_own_tone() -> None:
    assert str(Risk.REVIEW) == str(Labour.REVIEW)
    assert tone(Risk.REVIEW) is Tone.WARN
    assert tone(Labour.REVIEW) is Tone.CALM


def test_what_stops_a_unit_is_never_shown_as_good() -> None:
    for value in (Summary.STOP, Authenticity.UNKNOWN_UNIT, Status.RECALLED, Status.STOLEN, Risk.SUSPECT):
        assert tone(value) is Tone.BAD


@on_sqlite
def test_work_and_acts_are_named_by_their_wire_names(app: Flask) -> None:
    with app.test_request_context("/?lang=es"):
        assert job_word("labels") == "Generación de etiquetas"
        assert act_word("sell") == "Vender"
        assert job_word("something of a later version") == "something of a later version"
