"""The leaf of the log, the commitment inside it, and the body kept beside it.

A leaf is public and says nothing: `0x02 || prev || commitment || tags`. `prev` is the leaf hash of the preceding leaf,
so that the leaves form a hash chain inside the one Merkle tree; there is no second structure that could be made to
disagree with it. The commitment is SHA-256(salt || body): without the salt nobody can test a guessed body. A tag says
"this is the n-th entry about that subject" to whoever knows the subject, and nothing to anybody else.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from itertools import pairwise

from ledger.errors import FormatError
from ledger.merkle import HASH_SIZE, LEAF_PREFIX, leaf_hash
from ledger.strict import MAX_INTEGER, decode_base64, decode_json_object, encode_base64, encode_json

LEAF_VERSION = 2
SALT_SIZE = 32
SECRET_SIZE = 32
SUBJECT_SIZE = 32
TAG_SIZE = 16
MAX_SUBJECTS = 1_000
"""Subjects of one entry: an event names at most so many units."""
MIN_LEAF_SIZE = 1 + 2 * HASH_SIZE + TAG_SIZE
MAX_LEAF_SIZE = 1 + 2 * HASH_SIZE + MAX_SUBJECTS * TAG_SIZE
FIRST_PREV = bytes(HASH_SIZE)
"""`prev` of leaf 0."""
MAX_BODY_SIZE = 262_144

_KIND = re.compile(r"[a-z][a-z0-9_.-]{0,63}")
_KEY_ID = re.compile(r"[!-~]{1,128}")
_STATEMENT = re.compile(rb"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_BODY_MEMBERS = frozenset({"key_id", "kind", "statement", "subjects"})
_TAG_START = b"marchamo subject tag v1\n"


@dataclass(frozen=True, slots=True)
class Leaf:
    """One leaf: the hash of the leaf before it and the commitment to its body, 32 bytes each, and its tags of 16."""

    prev: bytes
    commitment: bytes
    tags: tuple[bytes, ...]

    def __post_init__(self) -> None:
        if len(self.prev) != HASH_SIZE or len(self.commitment) != HASH_SIZE:
            raise FormatError(f"prev and commitment have {HASH_SIZE} bytes each")
        if not 1 <= len(self.tags) <= MAX_SUBJECTS or any(len(tag) != TAG_SIZE for tag in self.tags):
            raise FormatError(f"a leaf has 1 to {MAX_SUBJECTS} tags of {TAG_SIZE} bytes")

    def to_bytes(self) -> bytes:
        """Give the bytes that are hashed into the tree."""
        return b"\x02" + self.prev + self.commitment + b"".join(self.tags)

    @classmethod
    def from_bytes(cls, data: bytes) -> Leaf:
        """Read a leaf; refuses another length or version with FormatError."""
        if not MIN_LEAF_SIZE <= len(data) <= MAX_LEAF_SIZE or (len(data) - MIN_LEAF_SIZE) % TAG_SIZE:
            raise FormatError(f"a leaf has {MIN_LEAF_SIZE} bytes and {TAG_SIZE} for each further tag, not {len(data)}")
        if data[0] != LEAF_VERSION:
            raise FormatError(f"leaf version {data[0]} is not known here")
        return cls(data[1:33], data[33:65], tuple(split_tags(data[65:])))

    def hash(self) -> bytes:
        """Give the RFC 6962 leaf hash."""
        return leaf_hash(self.to_bytes())


def commitment(salt: bytes, body: bytes) -> bytes:
    """Commit to a body under a random salt of 32 bytes."""
    if len(salt) != SALT_SIZE:
        raise FormatError(f"a salt has {SALT_SIZE} bytes")
    return sha256(salt + body).digest()


@lru_cache(4_096)
def _encoded_start(key_id: str, kind: str) -> bytes:
    """Check key id and kind and encode what a body begins with. Few distinct ones exist."""
    if not _KIND.fullmatch(kind):
        raise FormatError("the kind of a body is a lower-case word such as batch.registered")
    if not _KEY_ID.fullmatch(key_id):
        raise FormatError("a key id is 1 to 128 visible ASCII characters")
    return encode_json({"key_id": key_id, "kind": kind})[:-1]


def body_start(kind: str, statement: bytes, key_id: str) -> bytes:
    """Give the canonical bytes of a body up to its last member, the subjects. Raises FormatError.

    Which entry about its subjects a body is becomes known under the log's lock; all else is encoded before.
    """
    start = _encoded_start(key_id, kind)
    if not _STATEMENT.fullmatch(statement):
        raise FormatError("the statement of a body is a compact JWS")
    return b"".join((start, b',"statement":"', statement, b'","subjects":['))


def body_end(subjects: Iterable[tuple[str, int]]) -> bytes:
    """Give the rest of a body: its subjects (base64) in ascending order, each with the number of the entry."""
    return ",".join([f'["{subject}",{sequence}]' for subject, sequence in subjects]).encode("ascii") + b"]}"


def split_tags(data: bytes) -> list[bytes]:
    """Split what stands behind the commitment of a leaf into its tags."""
    return [data[at : at + TAG_SIZE] for at in range(0, len(data), TAG_SIZE)]


def subject_tag(subject: bytes, sequence: int) -> bytes:
    """Give the tag (16 bytes) of entry number `sequence`, counted from 0, about a subject (32 bytes)."""
    return sha256(_TAG_START + subject + sequence.to_bytes(8, "big")).digest()[:TAG_SIZE]


@dataclass(frozen=True, slots=True)
class Body:
    """What a leaf commits to.

    kind: what is stated ("batch.registered"). statement: the signed statement (compact JWS), byte for byte as signed.
    key_id: the signer's key. subjects: what the entry is about, ascending; each an HMAC-SHA256 (32 bytes) under a
    secret that the code or document carries, chosen by the caller, and which entry about it this is, from 0.
    """

    kind: str
    subjects: tuple[tuple[bytes, int], ...]
    statement: bytes
    key_id: str

    def __post_init__(self) -> None:
        _encoded_start(self.key_id, self.kind)
        check_subjects([subject for subject, _ in self.subjects])
        if any(not 0 <= sequence <= MAX_INTEGER for _, sequence in self.subjects):
            raise FormatError("the entries about a subject are counted from 0")
        if not _STATEMENT.fullmatch(self.statement):
            raise FormatError("the statement of a body is a compact JWS")

    def tags(self) -> tuple[bytes, ...]:
        """Give the tags of the leaf, in the order of the subjects."""
        return tuple(subject_tag(subject, sequence) for subject, sequence in self.subjects)

    def to_bytes(self) -> bytes:
        """Give the canonical bytes: JSON with sorted members and no white space."""
        subjects = [(encode_base64(subject), sequence) for subject, sequence in self.subjects]
        return body_start(self.kind, self.statement, self.key_id) + body_end(subjects)

    @classmethod
    def from_bytes(cls, data: bytes) -> Body:
        """Read a body; refuses with FormatError every spelling that `to_bytes` would not give."""
        if len(data) > MAX_BODY_SIZE:
            raise FormatError(f"a body has at most {MAX_BODY_SIZE} bytes")
        members = decode_json_object(data)
        if members.keys() != _BODY_MEMBERS:
            raise FormatError(f"a body has exactly the members {', '.join(sorted(_BODY_MEMBERS))}")
        kind, statement, key_id = (members[name] for name in ("kind", "statement", "key_id"))
        if not all(isinstance(text, str) and text.isascii() for text in (kind, statement, key_id)):
            raise FormatError("a text member of the body is not ASCII text")
        body = cls(kind, _read_subjects(members["subjects"]), statement.encode("ascii"), key_id)
        if body.to_bytes() != data:
            raise FormatError("the body is not in its canonical form")
        return body


def check_subjects(subjects: Sequence[bytes]) -> None:
    """Refuse with FormatError subjects that are none, too many, of another length, or not ascending."""
    if not 1 <= len(subjects) <= MAX_SUBJECTS:
        raise FormatError(f"an entry is about 1 to {MAX_SUBJECTS} subjects")
    if len(subjects) == 1 and len(subjects[0]) == SUBJECT_SIZE:
        return  # most of them
    if any(len(subject) != SUBJECT_SIZE for subject in subjects):
        raise FormatError(f"a subject has {SUBJECT_SIZE} bytes")
    if any(earlier >= later for earlier, later in pairwise(subjects)):
        raise FormatError("the subjects of an entry stand in ascending order, each once")


def _read_subjects(members: object) -> tuple[tuple[bytes, int], ...]:
    if not isinstance(members, list):
        raise FormatError("the subjects of a body are a list")
    subjects = []
    for pair in members:
        if not isinstance(pair, list) or len(pair) != 2 or not isinstance(pair[0], str) or type(pair[1]) is not int:
            raise FormatError("a subject of a body is a pair of a text and a number")
        subjects.append((decode_base64(pair[0]), pair[1]))
    return tuple(subjects)


@dataclass(frozen=True, slots=True)
class NewEntry:
    """A statement to be recorded.

    kind and key_id are those of `Body`; subjects (32 bytes each) what it is about, ascending and each
    once; statement is a compact JWS as signed.
    """

    kind: str
    subjects: tuple[bytes, ...]
    statement: bytes
    key_id: str


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
