"""The leaf of the log, the commitment inside it, and the body kept beside it.

A leaf is public and says nothing: 65 bytes, `0x01 || prev || commitment`. `prev` is the leaf hash of the preceding
leaf, so that the leaves form a hash chain inside the one Merkle tree; there is no second structure that could be made
to disagree with it. The commitment is SHA-256(salt || body): without the salt nobody can test a guessed body.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from hashlib import sha256

from ledger.errors import FormatError
from ledger.merkle import HASH_SIZE, LEAF_PREFIX, leaf_hash
from ledger.strict import MAX_INTEGER, decode_base64, decode_json_object, encode_base64, encode_json

LEAF_VERSION = 1
LEAF_SIZE = 65
SALT_SIZE = 32
SECRET_SIZE = 32
SUBJECT_SIZE = 32
FIRST_PREV = bytes(HASH_SIZE)
"""`prev` of leaf 0."""
MAX_BODY_SIZE = 131_072

_KIND = re.compile(r"[a-z][a-z0-9_.-]{0,63}")
_KEY_ID = re.compile(r"[!-~]{1,128}")
_STATEMENT = re.compile(rb"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_BODY_MEMBERS = frozenset({"key_id", "kind", "statement", "subject", "subject_prev"})


@dataclass(frozen=True, slots=True)
class Leaf:
    """One leaf: the hash of the leaf before it and the commitment to its body, 32 bytes each."""

    prev: bytes
    commitment: bytes

    def __post_init__(self) -> None:
        if len(self.prev) != HASH_SIZE or len(self.commitment) != HASH_SIZE:
            raise FormatError(f"prev and commitment have {HASH_SIZE} bytes each")

    def to_bytes(self) -> bytes:
        """Give the 65 bytes that are hashed into the tree."""
        return b"\x01" + self.prev + self.commitment

    @classmethod
    def from_bytes(cls, data: bytes) -> Leaf:
        """Read a leaf; refuses another length or version with FormatError."""
        if len(data) != LEAF_SIZE:
            raise FormatError(f"a leaf has {LEAF_SIZE} bytes, this has {len(data)}")
        if data[0] != LEAF_VERSION:
            raise FormatError(f"leaf version {data[0]} is not known here")
        return cls(data[1:33], data[33:])

    def hash(self) -> bytes:
        """Give the RFC 6962 leaf hash."""
        return leaf_hash(self.to_bytes())


def commitment(salt: bytes, body: bytes) -> bytes:
    """Commit to a body under a random salt of 32 bytes."""
    if len(salt) != SALT_SIZE:
        raise FormatError(f"a salt has {SALT_SIZE} bytes")
    return sha256(salt + body).digest()


@dataclass(frozen=True, slots=True)
class Body:
    """What a leaf commits to.

    kind: what is stated ("batch.registered"). subject: HMAC-SHA256, 32 bytes, under a secret that the code or document
    carries, chosen by the caller. subject_prev: index of the previous entry about the same subject, None for the
    first. statement: the signed statement (compact JWS), byte for byte as signed. key_id: the signer's key.
    """

    kind: str
    subject: bytes
    subject_prev: int | None
    statement: bytes
    key_id: str

    def __post_init__(self) -> None:
        if not _KIND.fullmatch(self.kind):
            raise FormatError("the kind of a body is a lower-case word such as batch.registered")
        if len(self.subject) != SUBJECT_SIZE:
            raise FormatError(f"the subject of a body has {SUBJECT_SIZE} bytes")
        if self.subject_prev is not None and not 0 <= self.subject_prev <= MAX_INTEGER:
            raise FormatError("the previous entry of a subject is an index or nothing")
        if not _STATEMENT.fullmatch(self.statement):
            raise FormatError("the statement of a body is a compact JWS")
        if not _KEY_ID.fullmatch(self.key_id):
            raise FormatError("a key id is 1 to 128 visible ASCII characters")

    def to_bytes(self) -> bytes:
        """Give the canonical bytes: JSON with sorted members and no white space."""
        return encode_json(
            {
                "key_id": self.key_id,
                "kind": self.kind,
                "statement": self.statement.decode("ascii"),
                "subject": encode_base64(self.subject),
                "subject_prev": self.subject_prev,
            }
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> Body:
        """Read a body; refuses with FormatError every spelling that `to_bytes` would not give."""
        if len(data) > MAX_BODY_SIZE:
            raise FormatError(f"a body has at most {MAX_BODY_SIZE} bytes")
        members = decode_json_object(data)
        if members.keys() != _BODY_MEMBERS:
            raise FormatError(f"a body has exactly the members {', '.join(sorted(_BODY_MEMBERS))}")
        previous = members["subject_prev"]
        texts = [members[name] for name in ("kind", "subject", "statement", "key_id")]
        if not all(isinstance(text, str) and text.isascii() for text in texts):
            raise FormatError("a text member of the body is not ASCII text")
        if previous is not None and type(previous) is not int:
            raise FormatError("the previous entry of a subject is an index or nothing")
        kind, subject, statement, key_id = texts
        body = cls(kind, decode_base64(subject), previous, statement.encode("ascii"), key_id)
        if body.to_bytes() != data:
            raise FormatError("the body is not in its canonical form")
        return body


class SaltedLeaves:
    """Leaf hashes of the units of one batch, salted so that the proof of one unit reveals no sibling.

    The salt of a position is HMAC-SHA256(secret, position as 8 bytes big endian); the leaf hash is
    SHA-256(0x00 || salt || content). The secret has 32 bytes, one for each batch.
    """

    def __init__(self, secret: bytes) -> None:
        if len(secret) != SECRET_SIZE:
            raise FormatError(f"the secret of a batch has {SECRET_SIZE} bytes")
        # HMAC (RFC 2104) spelt out: the padded keys are prepared once, which makes bulk hashing about twice as fast.
        block = secret.ljust(64, b"\x00")
        self._inner = bytes(byte ^ 0x36 for byte in block)
        self._outer = bytes(byte ^ 0x5C for byte in block)

    def salt(self, position: int) -> bytes:
        """Give the salt of a position in the batch (0 to 2**64 - 1)."""
        return sha256(self._outer + sha256(self._inner + position.to_bytes(8, "big")).digest()).digest()

    def hash(self, position: int, content: bytes) -> bytes:
        """Give the leaf hash of the content at a position."""
        return sha256(LEAF_PREFIX + self.salt(position) + content).digest()


def unit_leaf_hash(salt: bytes, content: bytes) -> bytes:
    """Give the leaf hash of a unit from its revealed salt (32 bytes) and the signed bytes of its code."""
    if len(salt) != SALT_SIZE:
        raise FormatError(f"a salt has {SALT_SIZE} bytes")
    return leaf_hash(salt + content)
