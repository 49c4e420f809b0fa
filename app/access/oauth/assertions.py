"""private_key_jwt: a client proves who it is by a signed JWT (RFC 7523 section 2.2), read strictly.

Checked in this order, so that nothing is believed before its signature fits: size, the one spelling of each part, a
header of known members, the signature by the client's registered key under that key's one algorithm, then the claims,
and last that the identifier is new. Keys that a token brings along (jwk, jku, x5c, x5u) are refused, not ignored.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from app.access.oauth.keys import ALGORITHMS, algorithm_of, jwk_of, load_jwk, signature_fits
from ledger.errors import FormatError
from ledger.strict import decode_base64url, decode_json_object, encode_base64url, encode_json

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
MAX_ASSERTION = 4096
MAX_LIFE_SECONDS = 300
"""The longest time between a JWT's `iat` and its `exp`."""
LEEWAY_SECONDS = 60
"""How far a client's clock may be off."""

_HEADER_MEMBERS = frozenset({"alg", "kid", "typ"})
_TYPES = ("JWT", "client-authentication+jwt")
_CLAIMS = ("iss", "sub", "aud", "exp", "iat", "jti")

_DECOYS = {
    "EdDSA": jwk_of(Ed25519PrivateKey.generate().public_key()),
    "ES256": jwk_of(ec.generate_private_key(ec.SECP256R1()).public_key()),
}
"""Keys that are loaded and tried when there is no such client: the time does not tell whether there is one."""


@dataclass(frozen=True, slots=True)
class Assertion:
    """A well-formed assertion, of which nothing is believed yet. client_id: what it says of itself."""

    client_id: str
    header: Mapping[str, Any]
    claims: Mapping[str, Any]
    signed: bytes
    signature: bytes


def read_assertion(text: str) -> Assertion:
    """Take a compact JWS apart; raises FormatError for whatever is not exactly one."""
    if len(text) > MAX_ASSERTION or not text.isascii():
        raise FormatError(f"an assertion has at most {MAX_ASSERTION} ASCII characters")
    parts = text.encode("ascii").split(b".")
    if len(parts) != 3:
        raise FormatError("an assertion has three parts")
    header = decode_json_object(decode_base64url(parts[0]))
    claims = decode_json_object(decode_base64url(parts[1]))
    if not header.keys() <= _HEADER_MEMBERS or header.get("alg") not in ALGORITHMS:
        raise FormatError("the header holds alg (EdDSA or ES256), and may hold kid and typ")
    if header.get("typ", "JWT") not in _TYPES:
        raise FormatError("another type of token")
    client_id = claims.get("sub")
    if not isinstance(client_id, str):
        raise FormatError("the claim sub is missing")
    return Assertion(client_id, header, claims, text.rpartition(".")[0].encode("ascii"), decode_base64url(parts[2]))


def proves(assertion: Assertion, jwk: Mapping[str, str] | None, *, audience: str, now_seconds: int) -> bool:
    """Whether the client's registered key signed this for this endpoint and this moment.

    jwk: None when there is no such client or it has no key; as much is computed then. Whether its identifier is new is
    the caller's to ask, after this.
    """
    algorithm: str = assertion.header["alg"]
    tried = jwk or _DECOYS[algorithm]
    key = load_jwk(tried)
    if algorithm_of(key) != algorithm:
        tried, key = _DECOYS[algorithm], load_jwk(_DECOYS[algorithm])
    fits = signature_fits(key, assertion.signature, assertion.signed)
    return (
        tried is jwk
        and fits
        and _names(assertion.header, tried)
        and _claims_hold(assertion.claims, audience=audience, now_seconds=now_seconds)
    )


def key_name(jwk: Mapping[str, str]) -> str:
    """What a header calls this key: the `kid` it was registered with, else its thumbprint (RFC 7638)."""
    if "kid" in jwk:
        return jwk["kid"]
    members = {name: jwk[name] for name in ("kty", "crv", "x", "y") if name in jwk}
    return encode_base64url(hashlib.sha256(encode_json(members)).digest()).decode("ascii")


def _names(header: Mapping[str, Any], jwk: Mapping[str, str]) -> bool:
    return "kid" not in header or header["kid"] == key_name(jwk)


def _claims_hold(claims: Mapping[str, Any], *, audience: str, now_seconds: int) -> bool:
    if any(name not in claims for name in _CLAIMS) or claims["iss"] != claims["sub"]:
        return False
    if claims["aud"] not in (audience, [audience]):
        return False
    identifier, issued, expires = claims["jti"], claims["iat"], claims["exp"]
    if not isinstance(identifier, str) or not 8 <= len(identifier) <= 128 or not identifier.isprintable():
        return False
    not_before = claims.get("nbf", issued)
    if any(type(moment) is not int for moment in (issued, expires, not_before)):
        return False
    fresh: bool = (
        0 < expires - issued <= MAX_LIFE_SECONDS
        and issued <= now_seconds + LEEWAY_SECONDS
        and not_before <= now_seconds + LEEWAY_SECONDS
        and expires > now_seconds - LEEWAY_SECONDS
    )
    return fresh
