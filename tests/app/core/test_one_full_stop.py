"""Names that end in a full stop, within sentences that do too."""

import pytest
from flask import Flask

from app.core.errors import Conflict
from app.core.i18n import in_language, one_full_stop

FIRM = "Talavera, S.A. de C.V."


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("It is for Talavera, S.A. de C.V..", "It is for Talavera, S.A. de C.V."),
        ("One moment ...", "One moment ..."),
        ("It is done.", "It is done."),
    ],
)
def test_a_sentence_ends_in_one_full_stop(said: str, shown: str) -> None:
    assert one_full_stop(said) == shown


def test_letters_and_refusals_say_the_name_of_a_firm_as_it_is_written(app: Flask) -> None:
    assert in_language("en", "The number is for %(firm)s. Use it.", firm=FIRM) == f"The number is for {FIRM} Use it."
    with app.test_request_context("/"):
        assert Conflict("Nobody is left in %(firm)s.", firm=FIRM).sentence() == f"Nobody is left in {FIRM}"
