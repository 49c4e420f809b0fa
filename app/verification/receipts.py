"""The signed receipt: what was answered, about which code, when, under which state of the ledger.

A compact JWS by the registry's receipt key; `ledger.statement.verify_statement` checks it with nothing but the public
key. It names the code by the SHA-256 of its canonical form and the asker's nonce, never the asker.
"""

from collections.abc import Mapping
from typing import Any

import orjson

from app.core.service_keys import KeyPurpose
from app.core.services import Services
from app.verification.verdict import Verdict
from ledger.statement import RECEIPT_TYPE, sign_encoded
from ledger.strict import encode_base64
from ledger.witnessing.cosigned import CosignedCheckpoint

RECEIPT_VERSION = 1


def receipt_payload(
    services: Services,
    verdict: Verdict,
    *,
    scan_id: str | None,
    code_digest: bytes,
    nonce: str | None,
    as_of: str,
    at_ms: int,
    cosigned: CosignedCheckpoint,
) -> dict[str, Any]:
    """What the receipt states. at_ms: time of the answer; as_of: time of the data it rests on."""
    checkpoint = cosigned.signed.checkpoint
    return {
        "v": RECEIPT_VERSION,
        "iss": services.settings.registry_name,
        "iat": at_ms // 1000,
        "scan": scan_id,
        "code_sha256": code_digest.hex(),
        "nonce": nonce,
        "authenticity": verdict.authenticity.value,
        "status": sorted(verdict.status),
        "risk": verdict.risk,
        "labour": verdict.labour,
        "summary": verdict.summary.value,
        "reasons": list(verdict.reasons),
        "as_of": as_of,
        "checkpoint": {
            "origin": checkpoint.origin,
            "size": checkpoint.size,
            "root": encode_base64(checkpoint.root),
        },
        "witnessed": cosigned.witnessed.to_members(),
    }


def sign_receipt(services: Services, payload: Mapping[str, Any]) -> str:
    """Sign with the registry's receipt key; about 40 microseconds."""
    key = services.keys[KeyPurpose.RECEIPT]
    encoded = orjson.dumps(payload)
    return sign_encoded(encoded, private_key=key.private_key, key_id=key.key_id, typ=RECEIPT_TYPE).decode("ascii")
