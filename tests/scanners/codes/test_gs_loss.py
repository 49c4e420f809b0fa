"""Element strings whose separators were dropped on the way."""

from __future__ import annotations

import pytest

from scanners.codes.gs_loss import may_have_lost_gs

GTIN = "09521234543213"


@pytest.mark.parametrize(
    "text",
    [
        f"01{GTIN}21S117271231",
        f"01{GTIN}21S11727123110LOT",
        f"01{GTIN}10LOT15271231",
        f"01{GTIN}1727123110LOT11250101",
        f"]d201{GTIN}21S117271231",
        f"\x1d01{GTIN}21S117271231",
    ],
)
def test_a_date_at_the_end_of_a_serial_or_lot_is_suspicious(text: str) -> None:
    assert may_have_lost_gs(text)


@pytest.mark.parametrize(
    "text",
    [
        f"01{GTIN}21S1\x1d17271231",
        f"01{GTIN}21S1^17271231",
        f"(01){GTIN}(21)S117271231",
        f"01{GTIN}21S117271331",
        f"01{GTIN}21S1",
        f"01{GTIN}2117271231",
        f"01{GTIN}",
        "",
        "hello",
        f"01{GTIN}99S117271231",
    ],
)
def test_other_texts_are_not(text: str) -> None:
    assert not may_have_lost_gs(text)
