"""The shared vectors: one file that every reader of codes must pass, verdict for verdict."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from scanners.codes.errors import CodeError
from scanners.codes.reader import ReadCode, read_code
from scanners.codes.signature import load_public_key, verify_code
from tests.vectors import make_codes

VECTORS: list[dict[str, Any]] = json.loads(Path(make_codes.TARGET).read_text(encoding="utf-8"))["vectors"]
CLASSES = sorted({vector["class"] for vector in VECTORS})


def judged(vector: dict[str, Any]) -> dict[str, Any]:
    try:
        code = read_code(vector["input"], trusted_hosts=vector["trusted_hosts"])
    except CodeError as error:
        return {"error": error.code}
    identity = code.identity
    return {
        "form": code.form.value,
        "host": code.host,
        "trusted": code.trusted,
        "identity": identity
        and {"kind": identity.kind.value, "identifier": identity.identifier, "serial": identity.serial},
        "elements": [list(pair) for pair in code.elements],
        "canonical": code.canonical,
        "signature": signature_of(code, vector["keys"]),
        "diagnoses": [diagnosis.value for diagnosis in code.diagnoses],
    }


def signature_of(code: ReadCode, keys: dict[str, str]) -> str:
    if code.signature is None:
        return "missing"
    raw = keys.get(str(code.signature.key_id))
    if raw is None:
        return "unknown_key"
    message = code.message(code.signature.key_id)
    key = load_public_key(bytes.fromhex(raw))
    return "valid" if verify_code(key, message, code.signature.signature) else "invalid"


@pytest.mark.parametrize("name", CLASSES)
def test_every_vector_of_a_class_gets_its_verdict(name: str) -> None:
    for vector in VECTORS:
        if vector["class"] == name:
            expected = dict(vector["expect"])
            if "error" in expected:
                expected = {"error": expected["error"]}
            assert judged(vector) == expected, vector["input"]


def test_there_are_enough_vectors_good_and_bad() -> None:
    refused = sum("error" in vector["expect"] for vector in VECTORS)
    assert len(VECTORS) >= 500
    assert refused >= 200
    assert len(VECTORS) - refused >= 200


def test_the_committed_vectors_are_what_the_script_writes() -> None:
    assert make_codes.TARGET.read_text(encoding="utf-8") == make_codes.document()


def test_malformed_signatures_are_always_errors_of_the_signature() -> None:
    for vector in VECTORS:
        if vector["expect"].get("signature") == "malformed":
            assert vector["expect"]["error"].endswith("signature") or vector["expect"]["error"].startswith("signature")
