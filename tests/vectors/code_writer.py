"""A second, independent writing of the code format, for the vectors only: it imports nothing of the package.

Where this file and `scanners.codes` disagree, one of them is wrong; the format is described in the docstrings of
`scanners/codes/signature.py` and in docs/formats.md.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from hashlib import sha256

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

UNRESERVED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

Pairs = tuple[tuple[str, str], ...]


def private_key(name: str) -> Ed25519PrivateKey:
    """Return the key of a name; the seed is the name's hash, so that every run writes the same file."""
    return Ed25519PrivateKey.from_private_bytes(sha256(f"marchamo vectors {name}".encode()).digest())


def public_hex(name: str) -> str:
    return private_key(name).public_key().public_bytes_raw().hex()


def with_check_digit(body: str) -> str:
    total = sum(int(digit) * (3 if place % 2 == 0 else 1) for place, digit in enumerate(reversed(body)))
    return body + str((10 - total % 10) % 10)


def escape(value: str) -> str:
    return "".join(character if character in UNRESERVED else f"%{ord(character):02X}" for character in value)


def crockford_serial(number: int, length: int = 17) -> str:
    digest = sha256(f"serial {number}".encode()).digest()
    return "".join(CROCKFORD[byte % 32] for byte in digest[:length])


def lengths_and_values(fields: Pairs) -> bytes:
    written = b""
    for name, value in fields:
        written += bytes([len(name)]) + name.encode() + bytes([len(value) // 256, len(value) % 256]) + value.encode()
    return written


def sign(fields: Pairs, *, key: str, key_id: int) -> bytes:
    message = b"marchamo code v1\n" + key_id.to_bytes(4, "big") + lengths_and_values(fields)
    return private_key(key).sign(message)


def digits(signature: bytes, *, key_id: int, version: int = 1) -> str:
    number = version
    for byte in key_id.to_bytes(4, "big") + signature:
        number = number * 256 + byte
    return f"{number:0167d}"


@dataclass(frozen=True)
class Code:
    """A code under construction: what it says, where it points, who signs it."""

    path: Pairs
    """(AI, value) of the path; for an item, ("issuer", ...), ("item", ...), ("serial", ...)."""
    query: Pairs = ()
    host: str = "id.marchamo.example"
    prefix: str = ""
    scheme: str = "https"
    key: str = "a"
    key_id: int = 7
    signed: bool = True
    extensions: Pairs = field(default=())

    @property
    def is_item(self) -> bool:
        return self.path[0][0] == "issuer"

    @property
    def elements(self) -> Pairs:
        return self.query if self.is_item else self.path + self.query

    @property
    def signed_fields(self) -> Pairs:
        return self.path + tuple(sorted(self.query)) if self.is_item else tuple(sorted(self.elements))

    @property
    def signature(self) -> bytes:
        return sign(self.signed_fields, key=self.key, key_id=self.key_id)

    @property
    def s(self) -> str:
        return digits(self.signature, key_id=self.key_id)

    @property
    def identity(self) -> dict[str, str] | None:
        values = dict(self.path)
        if self.is_item:
            identifier = values["issuer"] + "/" + values["item"]
            return {"kind": "item", "identifier": identifier, "serial": values["serial"]}
        if "01" in values and "21" in values:
            return {"kind": "gtin", "identifier": values["01"], "serial": values["21"]}
        if "00" in values:
            return {"kind": "case", "identifier": "", "serial": values["00"]}
        return None

    @property
    def written_path(self) -> str:
        if self.is_item:
            return "/i/" + "/".join(escape(value) for _, value in self.path)
        return "".join(f"/{ai}/{escape(value)}" for ai, value in self.path)

    @property
    def parameters(self) -> Pairs:
        signature: Pairs = (("S", self.s),) if self.signed else ()
        return self.query + self.extensions + signature

    def text(self, *, upper: bool = True, parameters: Pairs | None = None, fragment: str = "") -> str:
        """Return the code as printed (scheme and host in upper case) or, with `upper` False, in lower case."""
        stem = f"{self.scheme}://{self.host}"
        pairs = self.parameters if parameters is None else parameters
        query = "&".join(f"{escape(key)}={escape(value)}" for key, value in pairs)
        return (
            (stem.upper() if upper else stem)
            + self.prefix
            + self.written_path
            + ("?" + query if query else "")
            + fragment
        )

    @property
    def canonical(self) -> str:
        pairs = tuple(sorted(self.query)) + self.parameters[len(self.query) :]
        return self.text(upper=False, parameters=pairs)

    def but(self, **changes: object) -> Code:
        """Return the same code with other values in some fields."""
        return replace(self, **changes)  # type: ignore[arg-type]
