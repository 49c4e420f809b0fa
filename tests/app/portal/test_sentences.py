"""English sentences of other parts reach a Spanish reader in Spanish, figures and all."""

from __future__ import annotations

import pytest
from flask import Flask

from app.portal.sentences import place, translated
from tests.builders import on_sqlite

pytestmark = on_sqlite


@pytest.mark.parametrize(
    ("english", "spanish"),
    [
        ("Try again.", "Inténtelo de nuevo."),
        ("The serial A-1 stands already in row 7.", "La serie A-1 ya está en la fila 7."),
        ("The quantity is a whole number from 1 to 5,000,000.", "La cantidad es un número entero de 1 a 5,000,000."),
        ("Roll, 50 × 25 mm", "Rollo, 50 × 25 mm"),
        ("The product 100% agave is not registered.", "El producto 100% agave no está registrado."),
        ("A sentence nobody has translated yet.", "A sentence nobody has translated yet."),
        ("", ""),
    ],
)
def test_a_sentence_is_recognised_around_its_figures(app: Flask, english: str, spanish: str) -> None:
    with app.test_request_context("/?lang=es"):
        assert translated(english) == spanish
    with app.test_request_context("/?lang=en"):
        assert translated(english) == english


@pytest.mark.parametrize(
    ("where", "spanish"),
    [
        ("row 3, column quantity", "fila 3, columna quantity"),
        ("row 12", "fila 12"),
        ("line 4", "renglón 4"),
        ("/lot", "Lote"),
        ("/email", "Correo electrónico"),
        ("/unknown/0", "/unknown/0"),
    ],
)
def test_a_place_is_a_row_as_the_spreadsheet_shows_it_or_a_field_by_its_label(
    app: Flask, where: str, spanish: str
) -> None:
    with app.test_request_context("/?lang=es"):
        assert place(where) == spanish


def test_what_came_from_outside_is_not_taken_for_a_pattern(app: Flask) -> None:
    with app.test_request_context("/?lang=es"):
        assert translated("The serial %(b)s stands already in row 7.") == "La serie %(b)s ya está en la fila 7."
