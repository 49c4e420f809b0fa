"""Naming the very scans in which a store and a tree differ, by the marks that were kept of each."""

from collections.abc import Iterator
from typing import Any

from sqlalchemy import Row

from app.facts.scans.committing import MARK_SIZE
from app.facts.scans.scan import PART_BITS
from ledger.audit.report import Fault

NAMED = 20
"""Scans of one tree that are named."""


def name_scans(row: Row[Any], found: bytes, tree: str) -> Iterator[Fault]:
    """Name the scans that are missing, changed or surplus. row: with marks and log_index; found: the marks now."""
    kept, there = read_marks(bytes(row.marks)), read_marks(found)
    differing = 0
    for number in sorted(kept.keys() | there.keys()):
        if kept.get(number) == there.get(number):
            continue
        differing += 1
        if differing > NAMED:
            return
        where = f"scans {place_of_number(number)}"
        if number not in there:
            yield Fault("scan.missing", where, f"entry {row.log_index} commits to it, and it is not there")
        elif number not in kept:
            yield Fault(
                "scan.surplus", where, f"it was not there when entry {row.log_index} committed to its neighbours"
            )
        else:
            yield Fault("scan.changed", where, f"it is not the scan that entry {row.log_index} commits to")
    if not differing:
        yield Fault("scans.root", tree, f"its scans give another root than entry {row.log_index} states")


def read_marks(marks: bytes) -> dict[int, bytes]:
    """Split marks: number of the scan -> first bytes of its leaf hash, in the order of the tree."""
    return {
        int.from_bytes(marks[at : at + 8], "big"): marks[at + 8 : at + MARK_SIZE]
        for at in range(0, len(marks), MARK_SIZE)
    }


def place_of_number(number: int) -> str:
    """Name a scan by the part of the store (on SQLite: the file) and its arrival there."""
    return f"{number & ((1 << PART_BITS) - 1):02d}/{number >> PART_BITS}"
