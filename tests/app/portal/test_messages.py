"""Sentences of refusals are found where they are raised, without a call of gettext."""

from __future__ import annotations

from io import BytesIO

from app.portal.messages import extract


def _found(source: str) -> list[object]:
    return [message for _, _, message, _ in extract(BytesIO(source.encode()))]


def test_the_sentence_and_the_fix_of_a_refusal_are_found() -> None:
    source = 'raise Conflict("It is taken: %(name)s.", code="taken", fix="Choose another.", name=name)'
    assert _found(source) == ["It is taken: %(name)s.", "Choose another."]


def test_the_default_sentence_of_a_refusal_class_is_found() -> None:
    source = 'class Gone(AppError):\n    def __init__(self, message: str = "It is gone.", **more): ...'
    assert _found(source) == ["It is gone."]


def test_the_message_of_a_fault_is_found_and_its_place_is_not() -> None:
    assert _found('faults.add("/name", "The name is missing.")') == ["The name is missing."]
    assert _found('FieldFault("row 3", "The lot is missing.")') == ["The lot is missing."]


def test_the_figures_of_a_sentence_made_at_run_time_become_places() -> None:
    assert _found('faults.add("/name", f"The name has at most {limit} characters.")') == [
        "The name has at most %(a)s characters."
    ]


def test_calls_of_gettext_are_found_with_context_and_plural() -> None:
    assert _found('_("Batch")') == ["Batch"]
    assert _found('_p("job", "Done")') == [("job", "Done")]
    assert _found('ngettext("%(n)s unit", "%(n)s units", count)') == [("%(n)s unit", "%(n)s units")]
