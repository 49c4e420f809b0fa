"""Expiry dates as codes carry them: AI 17, YYMMDD, where day 00 stands for the end of the month. Pure.

Two digits of a year mean one of a hundred years around the time at which they are read (GS1 General Specifications,
7.12). Times are milliseconds in UTC.
"""

import calendar
from datetime import UTC, date, datetime
from functools import lru_cache


def year_of(now: int) -> int:
    """Give the calendar year of a time in ms, to the day or so: enough to choose a century."""
    return 1970 + now // 31_556_952_000


def full_year(two_digits: int, century_of: int) -> int:
    """Give the year of AI 17: within 49 years back and 50 ahead of `century_of`."""
    difference = two_digits - century_of % 100
    century = century_of // 100 + (-1 if difference >= 51 else 1 if difference <= -50 else 0)
    return century * 100 + two_digits


def from_date_text(text: str, *, now: int) -> str:
    """Write a date (YYYY-MM-DD) as AI 17; raises ValueError for no date, or a year that two digits do not reach."""
    day = date.fromisoformat(text)
    if full_year(day.year % 100, year_of(now)) != day.year:
        raise ValueError("this year lies too far from now for two digits")
    return day.strftime("%y%m%d")


def shown_expiry(expiry: str, *, now: int) -> str:
    """Write it as people read it: YYYY-MM-DD, or YYYY-MM when no day is stated."""
    day = "" if expiry[4:] == "00" else f"-{expiry[4:]}"
    return f"{full_year(int(expiry[:2]), year_of(now))}-{expiry[2:4]}{day}"


@lru_cache(maxsize=4096)
def expiry_end(expiry: str, century_of: int) -> int:
    """Give the end of the expiry day in ms."""
    year, month, day = full_year(int(expiry[:2]), century_of), int(expiry[2:4]), int(expiry[4:])
    last = calendar.monthrange(year, month)[1]
    ends = datetime(year, month, day or last, tzinfo=UTC).timestamp() + 86_400
    return int(ends * 1000)


def has_expired(expiry: str | None, now: int) -> bool:
    """Tell whether the expiry day is over at `now`."""
    return expiry is not None and expiry_end(expiry, year_of(now)) <= now
