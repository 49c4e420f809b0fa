"""A passkey in software: what a telephone does when a page asks it, with everything open to be done wrongly."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from dataclasses import dataclass, field, replace
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

USER_PRESENT, USER_VERIFIED, ATTESTED = 0x01, 0x04, 0x40


def base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def from_base64url(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


@dataclass
class SoftwareAuthenticator:
    """One device with one passkey. Its fields are what it believes: change them to make it lie."""

    origin: str = "http://localhost"
    rp_id: str = "localhost"
    flags: int = USER_PRESENT | USER_VERIFIED
    counter: int = 0
    counts: bool = True
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    credential_id: bytes = field(default_factory=lambda: secrets.token_bytes(32))
    user_handle: bytes | None = None

    def copy(self) -> SoftwareAuthenticator:
        """A second device with the same key: what a thief would have."""
        return replace(self)

    def makes(self, options: str) -> str:
        """Answer to `navigator.credentials.create`."""
        asked = json.loads(options)
        self.user_handle = from_base64url(asked["user"]["id"])
        client_data = self._client_data("webauthn.create", asked["challenge"])
        attested = bytes(16) + len(self.credential_id).to_bytes(2, "big") + self.credential_id + self._cose_key()
        data = self._authenticator_data(ATTESTED) + attested
        attestation = (
            b"\xa3" + _text("fmt") + _text("none") + _text("attStmt") + b"\xa0" + _text("authData") + _bytes(data)
        )
        return self._says({"clientDataJSON": client_data, "attestationObject": attestation})

    def answers(self, options: str) -> str:
        """Answer to `navigator.credentials.get`."""
        client_data = self._client_data("webauthn.get", json.loads(options)["challenge"])
        data = self._authenticator_data()
        signature = self.key.sign(data + hashlib.sha256(client_data).digest(), ec.ECDSA(hashes.SHA256()))
        said = {"clientDataJSON": client_data, "authenticatorData": data, "signature": signature}
        if self.user_handle is not None:
            said["userHandle"] = self.user_handle
        return self._says(said)

    def _says(self, response: dict[str, bytes]) -> str:
        name = base64url(self.credential_id)
        parts: dict[str, Any] = {key: base64url(value) for key, value in response.items()}
        return json.dumps(
            {"id": name, "rawId": name, "type": "public-key", "response": parts, "clientExtensionResults": {}}
        )

    def _client_data(self, kind: str, challenge: str) -> bytes:
        said = {"type": kind, "challenge": challenge, "origin": self.origin, "crossOrigin": False}
        return json.dumps(said).encode()

    def _authenticator_data(self, more: int = 0) -> bytes:
        if self.counts:
            self.counter += 1
        scope = hashlib.sha256(self.rp_id.encode()).digest()
        return scope + bytes([self.flags | more]) + self.counter.to_bytes(4, "big")

    def _cose_key(self) -> bytes:
        """The public key in COSE (RFC 9053, 7.1.1): EC2, ES256, P-256."""
        point = self.key.public_key().public_numbers()
        x, y = (number.to_bytes(32, "big") for number in (point.x, point.y))
        return b"\xa5\x01\x02\x03\x26\x20\x01\x21" + _bytes(x) + b"\x22" + _bytes(y)


def _head(kind: int, length: int) -> bytes:
    """The head of a CBOR item (RFC 8949, 3)."""
    if length < 24:
        return bytes([kind << 5 | length])
    if length < 256:
        return bytes([kind << 5 | 24, length])
    return bytes([kind << 5 | 25]) + length.to_bytes(2, "big")


def _bytes(data: bytes) -> bytes:
    return _head(2, len(data)) + data


def _text(text: str) -> bytes:
    return _head(3, len(text)) + text.encode()
