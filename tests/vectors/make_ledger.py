"""Write tests/vectors/ledger.json: one worked example of every format of the ledger, from fixed test keys.

Run `python -m tests.vectors.make_ledger` to write it again. It changes only when a format changes, and a format that
changes breaks every proof handed out before: do not write it again to make a test pass.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ledger.leaf import Body, Leaf, SaltedLeaves, commitment
from ledger.merkle import leaf_hash
from ledger.proof import parse_proof
from ledger.strict import encode_base64
from tests.small_log import issuer_key, log_of, signer, unit_content, unit_proof

FILE = Path(__file__).with_name("ledger.json")
UNITS, POSITION, BEFORE, AFTER = 20, 17, 5, 3


def vectors() -> dict[str, Any]:
    """The example: a batch of 20 units, stated in leaf 5 of a log of 9."""
    proof = unit_proof(units=UNITS, position=POSITION, before=BEFORE, after=AFTER)
    entry = proof.batch_entry
    body = Body.from_bytes(entry.body)
    leaf = Leaf(proof.prev, commitment(entry.salt, entry.body), body.tags())
    salted = SaltedLeaves(b"\x07" * 32)
    return {
        "log_key": signer().verifier.to_text(),
        "issuer_key": encode_base64(issuer_key().public_key().public_bytes_raw()),
        "first_leaves": [
            {"leaf": encode_base64(first.to_bytes()), "hash": encode_base64(first.hash())} for first in log_of(3).leaves
        ],
        "body": entry.body.decode("ascii"),
        "salt": encode_base64(entry.salt),
        "commitment": encode_base64(leaf.commitment),
        "leaf": encode_base64(leaf.to_bytes()),
        "leaf_hash": encode_base64(leaf_hash(leaf.to_bytes())),
        "statement": body.statement.decode("ascii"),
        "batch": {
            "secret": encode_base64(b"\x07" * 32),
            "units": [
                {
                    "content": encode_base64(unit_content(at)),
                    "salt": encode_base64(salted.salt(at)),
                    "hash": encode_base64(salted.hash(at, unit_content(at))),
                }
                for at in range(UNITS)
            ],
        },
        "checkpoint": parse_proof(proof.leaf_proof).checkpoint_note,
        "leaf_proof": proof.leaf_proof,
        "unit_proof": proof.to_members(),
        "unit_content": encode_base64(unit_content(POSITION)),
    }


if __name__ == "__main__":
    FILE.write_text(json.dumps(vectors(), indent=1) + "\n")
