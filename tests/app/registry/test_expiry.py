"""Expiry dates of two digits a year: one reading everywhere."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.registry.expiry import expiry_end, from_date_text, full_year, has_expired, shown_expiry

NOW = int(datetime(2026, 11, 24, tzinfo=UTC).timestamp() * 1000)


def test_a_day_is_over_at_its_end_and_day_00_with_its_month() -> None:
    last = expiry_end("261130", 2026)
    assert expiry_end("261100", 2026) == last
    assert not has_expired("261130", last - 1)
    assert has_expired("261130", last)
    assert not has_expired(None, last)
    assert expiry_end("770131", 2026) < expiry_end("000131", 2026) < expiry_end("760131", 2026)


@pytest.mark.parametrize(
    ("expiry", "text"), [("281231", "2028-12-31"), ("280200", "2028-02"), ("770101", "1977-01-01")]
)
def test_people_read_the_whole_year_and_the_month_alone_where_no_day_is_stated(expiry: str, text: str) -> None:
    assert shown_expiry(expiry, now=NOW) == text


@given(st.dates(date(1977, 1, 1), date(2076, 12, 31)))
def test_a_date_within_the_hundred_years_is_read_as_it_was_written(day: date) -> None:
    assert shown_expiry(from_date_text(day.isoformat(), now=NOW), now=NOW) == day.isoformat()


@pytest.mark.parametrize("text", ["1976-12-31", "2077-01-01", "2080-06-30", "2026-02-30", "26-11-30", ""])
def test_what_two_digits_would_read_as_another_year_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        from_date_text(text, now=NOW)


@given(st.integers(0, 99), st.integers(1950, 2150))
def test_the_year_lies_within_49_back_and_50_ahead(two_digits: int, century_of: int) -> None:
    year = full_year(two_digits, century_of)
    assert year % 100 == two_digits
    assert -49 <= year - century_of <= 50
