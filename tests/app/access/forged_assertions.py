"""Client assertions that nobody may accept, made from a client and a key that are good."""

from __future__ import annotations

import base64
import json
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hmac import HMAC

from ledger.strict import encode_json
from tests.app.access.machine_builders import (
    AUDIENCE,
    ClientKey,
    certificate,
    claims_of,
    ed25519_key,
    encoded,
    p256_key,
    signed,
    signed_bytes,
)

ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


def changed(draw: random.Random, text: str, *, start: int) -> str:
    """The text with one character replaced by another of the alphabet."""
    at = draw.randrange(start, len(text))
    return text[:at] + draw.choice([one for one in ALPHABET if one != text[at]]) + text[at + 1 :]


@dataclass(frozen=True)
class Forger:
    """What a forger has: the client's identifier and public key, and here even its signature for what it changes.

    stranger: a key of the same kind that nobody registered. other_id: another client of the registry.
    """

    client_id: str
    key: ClientKey
    stranger: ClientKey
    other_id: str
    draw: random.Random

    def claims(self, **changes: Any) -> dict[str, Any]:
        return claims_of(self.client_id, **changes)


def forged_assertions(draw: random.Random, client_id: str, key: ClientKey, other_id: str) -> Iterator[str]:
    """Every forgery, for a client whose key is `key`."""
    stranger = ed25519_key() if key.algorithm == "EdDSA" else p256_key()
    forger = Forger(client_id, key, stranger, other_id, draw)
    for forge in (
        _downgraded,
        _of_other_keys,
        _with_other_headers,
        _with_other_claims,
        _out_of_time,
        _misspelt,
        _broken,
    ):
        yield from forge(forger)


def _downgraded(forger: Forger) -> Iterator[str]:
    """No signature, or one of another algorithm; the classic one is HMAC with the public key as its secret."""
    key = forger.key
    swapped = "ES256" if key.algorithm == "EdDSA" else "EdDSA"
    names = ("none", "None", "NONE", "nOnE", "", "HS256", "RS256", "ES384", "Ed25519", "PS256", "ES256K", "eddsa")
    for algorithm in (*names, swapped, None, 0, ["EdDSA"]):
        yield signed(key, forger.claims(), alg=algorithm)
        yield f"{encoded(encode_json({'alg': algorithm}))}.{encoded(encode_json(forger.claims()))}."
    for secret in (encode_json(key.jwk), key.jwk["x"].encode(), json.dumps(key.jwk).encode(), b"", b"secret"):
        for header in ({}, {"typ": "JWT"}):
            start = f"{encoded(encode_json({'alg': 'HS256'} | header))}.{encoded(encode_json(forger.claims()))}"
            mac = HMAC(secret, SHA256())
            mac.update(start.encode())
            yield f"{start}.{encoded(mac.finalize())}"


def _of_other_keys(forger: Forger) -> Iterator[str]:
    """Signed by keys that are not the client's, also such as the token brings along."""
    for _ in range(20):
        yield signed(forger.stranger, forger.claims())
    yield signed(ed25519_key(), forger.claims())
    yield signed(p256_key(), forger.claims())
    yield signed(forger.key, claims_of(forger.other_id))  # one client in the name of another
    brought: tuple[tuple[str, Any], ...] = (
        ("jwk", forger.stranger.jwk),
        ("jku", "https://attacker.example/keys"),
        ("x5u", "https://attacker.example/certificate"),
        ("x5c", [base64.b64encode(certificate().der).decode()]),
        ("x5t", "abc"),
    )
    for member, value in brought:
        yield signed(forger.stranger, forger.claims(), **{member: value})
        yield signed(forger.key, forger.claims(), **{member: value})


def _with_other_headers(forger: Forger) -> Iterator[str]:
    """Members that change what a signature means, names of other keys, other types of token."""
    members: tuple[tuple[str, Any], ...] = (
        ("crit", ["exp"]),
        ("crit", []),
        ("b64", False),
        ("zip", "DEF"),
        ("cty", "JWT"),
        ("enc", "A128GCM"),
    )
    for member, value in (*members, ("iss", forger.client_id)):
        yield signed(forger.key, forger.claims(), **{member: value})
    for kid in ("other", "", "../../etc/passwd", "' OR 1=1 --", 7, ["warehouse"], {"a": 1}, "https://attacker.example"):
        yield signed(forger.key, forger.claims(), kid=kid)
        yield signed(forger.stranger, forger.claims(), kid=kid)
    for typ in ("at+jwt", "JWE", "marchamo-statement+jws", "marchamo-scan+jws", "", "jwt ", 1, ["JWT"], "JWS"):
        yield signed(forger.key, forger.claims(), typ=typ)


def _with_other_claims(forger: Forger) -> Iterator[str]:
    """Claims that are missing, of another type, of somebody else, or for somewhere else; all signed by the client."""
    for name in ("iss", "sub", "aud", "exp", "iat", "jti"):
        yield signed(forger.key, forger.claims(**{name: None}))
        odd: tuple[Any, ...] = (7, -1, 1.5, True, "", [], {}, ["x"], "x" * 300, 10**30, "\x00")
        for value in odd:
            yield signed(forger.key, forger.claims(**{name: value}))
    mine = forger.client_id
    for name in ("iss", "sub"):
        for value in (forger.other_id, mine.upper(), f" {mine}", f"{mine}\n", "mcc_0000000000000000"):
            yield signed(forger.key, forger.claims(**{name: value}))
    addresses = (
        *("http://localhost", "http://localhost/", f"{AUDIENCE}/", "https://localhost/oauth/token", "/oauth/token"),
        *("http://localhost/OAUTH/token", "http://localhost:80/oauth/token", "http://attacker.example/oauth/token"),
    )
    for audience in (*addresses, [AUDIENCE, "http://attacker.example"], [[AUDIENCE]], {"aud": AUDIENCE}):
        yield signed(forger.key, forger.claims(aud=audience))


def _out_of_time(forger: Forger) -> Iterator[str]:
    """Expired, from the future, too long-lived, or with times that are none."""
    now = int(time.time())
    for seconds in (70, 120, 3600, 86_400, 10**7, now - 200):
        yield signed(forger.key, forger.claims(iat=now - 200 - seconds, exp=now - seconds))
    for seconds in (90, 600, 86_400, 10**9):
        yield signed(forger.key, forger.claims(iat=now + seconds, exp=now + seconds + 60))
        yield signed(forger.key, forger.claims(nbf=now + seconds))
        yield signed(forger.key, forger.claims(exp=now + 330 + seconds))
    for issued, expires in ((now, now + 301), (now, now), (now + 30, now + 10), (float(now), now + 60)):
        yield signed(forger.key, forger.claims(iat=issued, exp=expires))
    yield signed(forger.key, forger.claims(exp=str(now + 60)))
    yield signed(forger.key, forger.claims(nbf="now"))


def _misspelt(forger: Forger) -> Iterator[str]:
    """Members given twice, other JSON, other encodings of a token that would be good."""
    key, other = forger.key, forger.other_id
    plain, start = encode_json(forger.claims()), encode_json({"alg": key.algorithm})
    for twice in (b'{"sub":"%s",' % other.encode(), b'{"exp":9999999999,', b'{"aud":"x",', b'{"jti":"12345678",'):
        yield signed_bytes(key, twice + plain[1:], start)
    yield signed_bytes(key, plain, b'{"alg":"none",' + start[1:])
    yield signed_bytes(key, plain, start[:-1] + b',"alg":"%s"}' % key.algorithm.encode())
    for broken in (
        *(b"", b"null", b"[]", b'"text"', b"{}", b"1", plain[:-1], plain + b" {}", plain + b"\x00", b"\xff" + plain),
        *(b"[" * 5000, plain.replace(b'"exp":', b'"exp":NaN,"x":'), "{\u201csub\u201d:1}".encode()),
    ):
        yield signed_bytes(key, broken, start)
        yield signed_bytes(key, plain, broken)
    good = signed(key, forger.claims())
    head, body, signature = good.split(".")
    yield from (f"{head}=.{body}.{signature}", f"{head}.{body}.{signature}=", f"{good}.", f"{good}.{signature}")
    yield from (f"{head}.{body}", f"{head}..{signature}", f".{body}.{signature}", f" {good}", f"{good}\n", f"é{good}")
    yield from (f"{good}+", "." * 10, "x" * 10_000, json.dumps({"protected": head, "payload": body}))


def _broken(forger: Forger) -> Iterator[str]:
    """A good token with one character changed, cut short, or with the signature of something else."""
    good = signed(forger.key, forger.claims())
    head, body, signature = good.split(".")
    for _ in range(300):
        yield changed(forger.draw, good, start=0)
    for _ in range(40):
        yield good[: forger.draw.randrange(len(good))]
    for _ in range(10):
        yield f"{head}.{body}.{encoded(forger.draw.randbytes(64))}"
    for wrong in (bytes(64), bytes(63), b"\xff" * 64, b"", forger.key.sign(b"another message")):
        yield f"{head}.{body}.{encoded(wrong)}"
    yield f"{head}.{encoded(encode_json(forger.claims()))}.{signature}"
