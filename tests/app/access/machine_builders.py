"""Builders of machines' credentials: keys, client assertions, certificates."""

from __future__ import annotations

import base64
import secrets
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app.access.oauth.assertions import ASSERTION_TYPE
from ledger.strict import encode_base64url, encode_json

AUDIENCE = "http://localhost/oauth/token"


def encoded(data: bytes) -> str:
    """Base64url as JSON Web Signatures write it."""
    return encode_base64url(data).decode("ascii")


@dataclass(frozen=True)
class ClientKey:
    """A client's key pair; `jwk` is the public part."""

    private: ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey
    jwk: dict[str, str]

    @property
    def algorithm(self) -> str:
        return "EdDSA" if isinstance(self.private, ed25519.Ed25519PrivateKey) else "ES256"

    def sign(self, message: bytes) -> bytes:
        if isinstance(self.private, ed25519.Ed25519PrivateKey):
            return self.private.sign(message)
        r, s = decode_dss_signature(self.private.sign(message, ec.ECDSA(hashes.SHA256())))
        return r.to_bytes(32) + s.to_bytes(32)


def ed25519_key(**more: str) -> ClientKey:
    """An Ed25519 pair."""
    private = ed25519.Ed25519PrivateKey.generate()
    jwk = {"kty": "OKP", "crv": "Ed25519", "x": encoded(private.public_key().public_bytes_raw())}
    return ClientKey(private, jwk | more)


def p256_key(**more: str) -> ClientKey:
    """A P-256 pair."""
    private = ec.generate_private_key(ec.SECP256R1())
    numbers = private.public_key().public_numbers()
    jwk = {"kty": "EC", "crv": "P-256", "x": encoded(numbers.x.to_bytes(32)), "y": encoded(numbers.y.to_bytes(32))}
    return ClientKey(private, jwk | more)


def claims_of(client_id: str, **changes: Any) -> dict[str, Any]:
    """The claims of a good assertion; a change to None leaves a claim out."""
    now = int(time.time())
    claims = {
        "iss": client_id,
        "sub": client_id,
        "aud": AUDIENCE,
        "iat": now,
        "exp": now + 120,
        "jti": secrets.token_hex(8),
    }
    return {name: value for name, value in (claims | changes).items() if value is not None}


def signed(key: ClientKey, claims: Any, **header: Any) -> str:
    """A compact JWS over the claims; header: members beside or instead of `alg`."""
    members = {name: value for name, value in ({"alg": key.algorithm} | header).items() if value is not None}
    return signed_bytes(key, encode_json(claims), encode_json(members))


def signed_bytes(key: ClientKey, claims: bytes, header: bytes) -> str:
    """A compact JWS over these very bytes."""
    start = f"{encoded(header)}.{encoded(claims)}"
    return f"{start}.{encoded(key.sign(start.encode()))}"


def ask_with_assertion(client: FlaskClient, assertion: str, **more: str) -> TestResponse:
    """A token request by private_key_jwt."""
    form = {"grant_type": "client_credentials", "client_assertion_type": ASSERTION_TYPE, "client_assertion": assertion}
    return client.post("/oauth/token", data=form | more)


def ask_with_basic(client: FlaskClient, client_id: str, secret: str, /, **more: str) -> TestResponse:
    """A token request by client_secret_basic."""
    header = "Basic " + base64.b64encode(f"{client_id}:{secret}".encode()).decode()
    form = {"grant_type": "client_credentials"} | more
    return client.post("/oauth/token", data=form, headers={"Authorization": header})


@dataclass(frozen=True)
class ClientCertificate:
    """A self-signed certificate of a machine."""

    parsed: x509.Certificate

    @property
    def der(self) -> bytes:
        return self.parsed.public_bytes(Encoding.DER)

    @property
    def pem(self) -> str:
        return self.parsed.public_bytes(Encoding.PEM).decode()

    @property
    def thumbprint(self) -> str:
        return self.parsed.fingerprint(hashes.SHA256()).hex()

    @property
    def header(self) -> str:
        """The value of Client-Cert (RFC 9440)."""
        return f":{base64.b64encode(self.der).decode()}:"


def certificate(*, begins_in_days: float = -1, ends_in_days: float = 30) -> ClientCertificate:
    """A certificate with a key of its own."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "warehouse.example")])
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + timedelta(days=begins_in_days))
        .not_valid_after(now + timedelta(days=ends_in_days))
    )
    return ClientCertificate(builder.sign(key, hashes.SHA256()))
