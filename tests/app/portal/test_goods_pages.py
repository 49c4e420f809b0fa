"""Dates as AI 17 writes them and as people read them."""

from __future__ import annotations

import pytest

from app.portal.goods_pages import expiry_date


@pytest.mark.parametrize(("six_digits", "day"), [("281231", "2028-12-31"), ("280200", "2028-02"), (None, ""), ("", "")])
def test_an_expiry_of_day_00_shows_its_month_alone(six_digits: str | None, day: str) -> None:
    assert expiry_date(six_digits) == day
