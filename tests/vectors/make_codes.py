"""Write codes.json: codes good and bad with the verdict that each reader of this project must give.

Run `python -m tests.vectors.make_codes` at the root; the file is the same on every run, and a test says so. Each class
of cases states its expectation by construction (what was built, what was damaged), never by asking the implementation;
the browser's verifier reads the same file. GTINs and SSCCs use the prefixes 950 and 952, which GS1 keeps for examples.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from tests.vectors import codes_of_others, codes_of_ours
from tests.vectors.code_cases import HOSTS, KEYS, Case, Vectors

TARGET = Path(__file__).with_name("codes.json")

CLASSES: tuple[Callable[[], Vectors], ...] = (
    codes_of_ours.well_signed,
    codes_of_ours.harmless_changes,
    codes_of_ours.broken_signatures,
    codes_of_ours.malformed_signatures,
    codes_of_ours.compact,
    codes_of_ours.item_paths,
    codes_of_ours.foreign_hosts,
    codes_of_others.gs1_syntax,
    codes_of_others.element_strings,
    codes_of_others.reel_labels,
    codes_of_others.scanner_trouble,
    codes_of_others.garbage,
)


def vectors() -> list[Case]:
    """Return every case once, in order; an input that two classes share must have one expectation."""
    written: dict[str, Case] = {}
    for make in CLASSES:
        for name, text, expect in make():
            case = {"class": name, "input": text, "trusted_hosts": HOSTS, "keys": KEYS, "expect": expect}
            known = written.setdefault(text, case)
            if known["expect"] != expect:
                raise ValueError(f"two expectations for {text!r}: {known['expect']} and {expect}")
    return list(written.values())


def document() -> str:
    cases = vectors()
    head = {
        "about": "Codes and the verdict every reader must give; written by make_codes.py, never by hand.",
        "signature": "valid, invalid, missing, unknown_key or malformed",
        "keys": "Ed25519 public keys by key id, hexadecimal",
        "count": len(cases),
    }
    lines = ",\n".join(json.dumps(case, ensure_ascii=True) for case in cases)
    return json.dumps(head, indent=1)[:-2] + f',\n "vectors": [\n{lines}\n]}}\n'


if __name__ == "__main__":
    TARGET.write_text(document(), encoding="utf-8")
