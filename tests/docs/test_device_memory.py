"""docs/formats.md: the memory of a device has the members that the program writes and reads."""

from __future__ import annotations

import re
from pathlib import Path

from app.transparency.schemas import ContinuationSchema
from app.transparency.service.remembering import MAX_NOTE
from scanners.log_memory import EVIDENCE_FORMAT

PAGE = (Path(__file__).parents[2] / "docs" / "formats.md").read_text("utf-8")
SECTION = PAGE.split("\n## Memory of a device\n")[1].split("\n## ")[0]


def test_the_table_has_every_member_of_the_answer() -> None:
    stated = set(re.findall(r"^\| `(\w+)` \|", SECTION, re.MULTILINE))
    assert stated == {field.data_key or name for name, field in ContinuationSchema().fields.items()}


def test_the_evidence_and_the_limit_are_those_of_the_program() -> None:
    assert f"`{EVIDENCE_FORMAT}`" in SECTION
    assert f"| checkpoint that a device sends | {MAX_NOTE:,} characters |" in PAGE
