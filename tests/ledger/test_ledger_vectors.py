"""The formats must not drift: a proof handed out once has to verify for as long as its product lives."""

from __future__ import annotations

import json
from base64 import b64decode
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from ledger.note import NoteVerifier
from ledger.proof import UnitProof, verify_leaf_proof, verify_unit_proof
from tests.vectors.make_ledger import FILE, vectors

STORED: dict[str, Any] = json.loads(FILE.read_text())


def test_the_formats_are_those_of_the_stored_example() -> None:
    assert vectors() == STORED


def test_the_stored_proofs_verify() -> None:
    log = NoteVerifier.from_text(STORED["log_key"])
    checkpoint = verify_leaf_proof(STORED["leaf_proof"], b64decode(STORED["leaf_hash"]), log)
    unit = verify_unit_proof(
        UnitProof.from_members(STORED["unit_proof"]),
        content=b64decode(STORED["unit_content"]),
        log_verifier=log,
        statement_key=Ed25519PublicKey.from_public_bytes(b64decode(STORED["issuer_key"])),
    )
    assert unit.checkpoint == checkpoint
    assert (unit.index, unit.position, checkpoint.size) == (5, 17, 9)
