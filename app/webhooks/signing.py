"""Signing messages as Standard Webhooks 1.0.0 says: HMAC-SHA256 over ``id.timestamp.body``. Pure."""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Sequence

SECRET_PREFIX = "whsec_"  # noqa: S105  what every secret begins with
SECRET_BYTES = 32


def new_secret() -> str:
    """A secret as the receiver's library takes it: ``whsec_`` and base64 of 256 random bits."""
    return SECRET_PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def headers(*, message_id: str, timestamp: int, body: bytes, secrets_in_use: Sequence[str]) -> dict[str, str]:
    """The three headers of a message; one signature for each secret, so that a receiver may change over in peace.

    timestamp: seconds, the time of this attempt, which a receiver compares with its clock against replays.
    """
    signed = f"{message_id}.{timestamp}.".encode() + body
    signatures = []
    for secret in secrets_in_use:
        key = base64.b64decode(secret.removeprefix(SECRET_PREFIX))
        signatures.append("v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode())
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(signatures),
    }
