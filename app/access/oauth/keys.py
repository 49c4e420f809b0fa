"""Public keys of clients: JSON Web Keys (RFC 7517) of two kinds, read strictly, and their signatures.

Ed25519 as OKP (RFC 8037, algorithm EdDSA) and P-256 as EC (RFC 7518, algorithm ES256). The key fixes the algorithm: a
token can choose neither, nor say that it has none.
"""

from collections.abc import Mapping
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import (
    ECDSA,
    SECP256R1,
    EllipticCurvePublicKey,
    EllipticCurvePublicNumbers,
)
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from app.core.errors import Invalid
from ledger.errors import FormatError
from ledger.strict import decode_base64url, encode_base64url
from scanners.codes.errors import CodeError
from scanners.codes.signature import load_public_key

ALGORITHMS = ("EdDSA", "ES256")
PublicKey = Ed25519PublicKey | EllipticCurvePublicKey

_KEY_MEMBERS = {
    ("OKP", "Ed25519"): frozenset({"kty", "crv", "x"}),
    ("EC", "P-256"): frozenset({"kty", "crv", "x", "y"}),
}
_FURTHER_MEMBERS = frozenset({"kid", "alg", "use", "key_ops"})
_MAX_KID = 128


def read_jwk(given: Mapping[str, Any]) -> dict[str, str]:
    """The members of a public JWK that are kept; raises Invalid for a private key, another kind, or a weak point."""
    if given.keys() & {"d", "k", "p", "q"}:
        raise Invalid(
            "This is a private key. Keep it on the machine, make a new one, and give the public part only.",
            code="private_key_given",
        )
    kind = (given.get("kty"), given.get("crv"))
    members = _KEY_MEMBERS.get(kind) if all(isinstance(part, str) for part in kind) else None  # type: ignore[arg-type]
    if members is None or not members <= given.keys() <= members | _FURTHER_MEMBERS:
        raise _unusable()
    kept = {name: given[name] for name in (*sorted(members), "kid") if name in given}
    if not all(isinstance(value, str) and len(value) <= _MAX_KID for value in kept.values()):
        raise _unusable()
    key = load_jwk(kept)
    if given.get("alg", algorithm_of(key)) != algorithm_of(key) or given.get("use", "sig") != "sig":
        raise _unusable()
    return kept


def load_jwk(jwk: Mapping[str, str]) -> PublicKey:
    """The key of a JWK that `read_jwk` gave; raises Invalid when it is none."""
    try:
        x = decode_base64url(jwk["x"].encode("ascii"))
        if jwk["kty"] == "OKP":
            return load_public_key(x)  # refuses points of small order, under which one signature fits everything
        y = decode_base64url(jwk["y"].encode("ascii"))
        if len(x) != 32 or len(y) != 32:
            raise _unusable()
        return EllipticCurvePublicNumbers(int.from_bytes(x), int.from_bytes(y), SECP256R1()).public_key()
    except (FormatError, CodeError, ValueError):
        raise _unusable() from None


def jwk_of(key: PublicKey) -> dict[str, str]:
    """The JWK of a key."""
    if isinstance(key, Ed25519PublicKey):
        return {"kty": "OKP", "crv": "Ed25519", "x": _encoded(key.public_bytes_raw())}
    numbers = key.public_numbers()
    return {"kty": "EC", "crv": "P-256", "x": _encoded(numbers.x.to_bytes(32)), "y": _encoded(numbers.y.to_bytes(32))}


def algorithm_of(key: PublicKey) -> str:
    """The one algorithm (RFC 7518, RFC 8037) under which this key signs."""
    return "EdDSA" if isinstance(key, Ed25519PublicKey) else "ES256"


def signature_fits(key: PublicKey, signature: bytes, signed: bytes) -> bool:
    """Whether a JWS signature was made with this key."""
    try:
        if isinstance(key, Ed25519PublicKey):
            key.verify(signature, signed)
        elif len(signature) == 64:  # R and S, 32 bytes each (RFC 7518 section 3.4)
            r, s = int.from_bytes(signature[:32]), int.from_bytes(signature[32:])
            key.verify(encode_dss_signature(r, s), signed, ECDSA(SHA256()))
        else:
            return False
    except InvalidSignature:
        return False
    return True


def _encoded(data: bytes) -> str:
    return encode_base64url(data).decode("ascii")


def _unusable() -> Invalid:
    return Invalid("Give a public JWK: kty OKP with crv Ed25519, or kty EC with crv P-256.", code="jwk_unusable")
