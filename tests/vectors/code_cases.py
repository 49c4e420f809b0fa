"""What the vectors of codes are made of: hosts, keys, numbers, base codes, and ways to state an expectation."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.vectors.code_writer import Code, Pairs, crockford_serial, public_hex, with_check_digit

HOSTS = ["id.marchamo.example", "codes.registry.example", "localhost:8000"]
KEYS = {"7": public_hex("a"), "4294967295": public_hex("b")}

GTINS = [with_check_digit(f"095{n}12345432"[:13].ljust(13, "0")) for n in (0, 2)] + [
    with_check_digit("0952987654321"),
    with_check_digit("1950000000000"),
]
SSCCS = [with_check_digit("09521234500000001"), with_check_digit("19500000099999999")]
GS, RS, EOT = "\x1d", "\x1e", "\x04"

Case = dict[str, Any]
Vectors = Iterator[tuple[str, str, Case]]
"""Name of the class, input, expectation."""

SIMPLE = Code((("01", GTINS[1]), ("21", crockford_serial(0))))
LOT = Code((("01", GTINS[1]), ("10", "LOT7"), ("21", crockford_serial(1))), (("17", "271231"),))
ITEM = Code((("issuer", "ACME5"), ("item", "WIDGET-1"), ("serial", crockford_serial(2))))
CASE_CODE = Code((("00", SSCCS[0]),))


def read(code: Code, signature: str, *, trusted: bool = True, diagnoses: tuple[str, ...] = ()) -> Case:
    return {
        "form": "item_path" if code.is_item else "digital_link",
        "host": code.host,
        "trusted": trusted,
        "identity": code.identity,
        "elements": [list(pair) for pair in code.elements],
        "canonical": code.canonical,
        "signature": signature,
        "diagnoses": list(diagnoses),
    }


def refused(error: str) -> Case:
    return {"error": error}


def malformed(error: str) -> Case:
    return {"error": error, "signature": "malformed"}


def strings(elements: Pairs, canonical: str, identity: dict[str, str] | None, diagnoses: tuple[str, ...] = ()) -> Case:
    return {
        "form": "element_string",
        "host": None,
        "trusted": False,
        "identity": identity,
        "elements": [list(pair) for pair in elements],
        "canonical": canonical,
        "signature": "missing",
        "diagnoses": list(diagnoses),
    }


def labels(fields: Pairs, diagnoses: tuple[str, ...] = ()) -> Case:
    canonical = f"[)>{RS}06" + "".join(GS + name + value for name, value in fields) + RS + EOT
    return strings(fields, canonical, None, diagnoses) | {"form": "reel_label"}
