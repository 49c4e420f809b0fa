"""The pages about security say what the code has: every figure, every file, every requirement once."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from app.access.service import recovery, resets, sessions, signing_in
from app.accounts import password_strength, passwords
from app.accounts.service import invitations
from app.core.authorisation import CONFIRMED_MS
from app.core.config import SECOND_FACTOR_ROLES, Settings
from app.devices.service import enrolling
from app.registry.unit_id import MAX_BATCH_SIZE
from app.verification import guess_chance

ROOT = Path(__file__).parents[2]
SECURITY = (ROOT / "docs" / "security.md").read_text("utf-8")
ASVS = (ROOT / "docs" / "asvs.md").read_text("utf-8")
MINUTE = 60 * 1000
HOUR = 60 * MINUTE

LEVELS = (
    "1.1 22;1.2 1111122223;1.3 112222222223;1.4 222;1.5 123;2.1 122;2.2 112;2.3 12223;2.4 23;3.1 3;3.2 113;3.3 12223;"
    "3.4 11222233;3.5 11122333;3.6 3;3.7 22333;4.1 12233;4.2 23333;4.3 22;4.4 1222;5.1 2;5.2 112333;5.3 113;5.4 222;"
    "6.1 122;6.2 111111112222;6.3 11223333;6.4 112233;6.5 22222333;6.6 2223;6.7 33;6.8 2222;7.1 222;7.2 1111;7.3 22;"
    "7.4 11222;7.5 223;7.6 22;8.1 1233;8.2 1123;8.3 133;8.4 23;9.1 111;9.2 1222;10.1 22;10.2 223;10.3 22223;"
    "10.4 1111122222233333;10.5 22222;10.6 22;10.7 222;11.1 2233;11.2 22233;11.3 11233;11.4 1222;11.5 23;11.6 23;"
    "11.7 33;12.1 12233;12.2 11;12.3 22223;13.1 2333;13.2 222223;13.3 2233;13.4 1222233;14.1 22;14.2 12223333;14.3 122;"
    "15.1 12233;15.2 12233;15.3 1222222;15.4 3333;16.1 2;16.2 22222;16.3 2222;16.4 222;16.5 2223;17.1 23;17.2 22223333;"
    "17.3 22"
)
"""Sections of ASVS 5.0.0, and the level of each requirement in its order."""
STATES = {"yes", "partly", "no", "operator"}

_ROW = re.compile(r"^\| (\d+\.\d+\.\d+) \| ([12]) \| ([^|]+) \| ([^|]+) \| ([^|]+) \|$", re.MULTILINE)
_PATH = re.compile(r"`((?:[\w.-]+/)+[\w.-]+\.\w+|compose\.yaml|Dockerfile|pyproject\.toml|SECURITY\.md)`")
_NUMBER = re.compile(r"\d+\.\d+\.\d+")


def _levels() -> dict[str, str]:
    sections = (section.split() for section in LEVELS.split(";"))
    return {f"{name}.{place}": level for name, levels in sections for place, level in enumerate(levels, start=1)}


def test_every_requirement_of_both_levels_stands_there_once() -> None:
    levels = {number: level for number, level in _levels().items() if level in "12"}
    assert len(levels) == 70 + 183  # as the standard counts them
    rows = [(number, level) for number, level, *_ in _ROW.findall(ASVS)]
    apart = _NUMBER.findall(ASVS.partition("## What does not apply")[2])
    assert [row for row in rows if levels.get(row[0]) != row[1]] == []
    assert sorted([number for number, _ in rows] + apart) == sorted(levels)


def test_every_row_says_how_it_stands_and_why() -> None:
    lines = [line for line in ASVS.splitlines() if re.match(r"\| \d+\.\d+\.\d+ \|", line)]
    assert len(lines) == len(_ROW.findall(ASVS))
    for number, _level, short, state, evidence in _ROW.findall(ASVS):
        assert state in STATES, number
        assert short.strip(), number
        assert evidence.strip(), number


@pytest.mark.parametrize("page", ["docs/security.md", "docs/asvs.md"])
def test_every_file_that_is_named_is_there(page: str) -> None:
    text = (ROOT / page).read_text("utf-8")
    named = set(_PATH.findall(text))
    assert len(named) > 25
    assert sorted(path for path in named if not (ROOT / path).is_file()) == []


def test_our_scripts_write_no_markup() -> None:
    scripts = sorted((ROOT / "app" / "portal" / "static").rglob("*.js"))
    assert len(scripts) > 3
    found = [
        path.name
        for path in scripts
        if re.search(r"innerHTML|outerHTML|insertAdjacent|document\.write|eval\(", path.read_text("utf-8"))
    ]
    assert found == []


def test_figures_of_the_ways_in_are_those_of_the_code() -> None:
    rows = {
        constants: value
        for value, constants in re.findall(r"^\| [^|]+ \| ([^|]+) \| (`[A-Z_`, ]+) \|$", SECURITY, re.MULTILINE)
    }

    def figures(*constants: str) -> list[int]:
        value = rows.pop(", ".join(f"`{name}`" for name in constants))
        return [int(figure.replace(",", "")) for figure in re.findall(r"\d[\d,]*", value)]

    assert figures("MIN_PASSWORD", "MAX_PASSWORD") == [passwords.MIN_PASSWORD, passwords.MAX_PASSWORD]
    assert all(word in rows["`ENOUGH_GUESSES`, `OUR_WORDS`"] for word in password_strength.OUR_WORDS)
    assert figures("ENOUGH_GUESSES", "OUR_WORDS") == [password_strength.ENOUGH_GUESSES]
    limits = [signing_in.GUESSES_OF_PAIR, signing_in.GUESSES_OF_ADDRESS, signing_in.GUESSES_OF_ACCOUNT]
    assert figures("GUESSES_OF_PAIR", "GUESSES_OF_ADDRESS", "GUESSES_OF_ACCOUNT") == limits
    assert figures("STEP_MS") == [signing_in.STEP_MS / MINUTE]
    assert figures("IDLE_MS", "SESSION_MS") == [sessions.IDLE_MS / HOUR, sessions.SESSION_MS / HOUR]
    assert figures("CONFIRMED_MS") == [CONFIRMED_MS / MINUTE]
    assert figures("LINK_MS") == [recovery.LINK_MS / MINUTE]
    assert figures("INVITATION_MS") == [invitations.INVITATION_MS / (24 * HOUR)]
    assert figures("CODE_MS") == [enrolling.CODE_MS / MINUTE]
    assert rows.pop("`DELAY_MS`").startswith("removed a day")
    assert resets.DELAY_MS == 24 * HOUR
    assert rows == {}
    assert Settings().device_lease_days == 30
    assert set(SECOND_FACTOR_ROLES) == {"platform_administrator", "inspector"}


def test_the_chance_of_a_guess_is_the_one_that_the_code_gives() -> None:
    assert f"{MAX_BATCH_SIZE:,} units" in SECURITY
    assert f"1 in {guess_chance.serials_of_handle() // MAX_BATCH_SIZE:,}" in SECURITY
