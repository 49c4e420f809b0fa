"""The state of one subject, nothing omitted: every entry about it, and the proof that there is no further one.

Whoever knows a subject can compute the tag of its n-th entry. The entries shown bear the tags 0 to n - 1, each in a
leaf of the log. That there is no entry n is what the subject map says: an entry of the log, signed by the registry,
states the map's root at size S, and the one bucket in which tag n would lie, with 16 hashes, leads to that root
without it. So an answer from which an entry was left out can not be made, unless the map itself is false; and the map
is computed from public leaves, so that anybody who watches the log finds that out (`ledger.map.monitor`).

What it says nothing of: entries recorded after the first S. Some may be shown; whether all are, only a later map
tells. `State` names S and its time, and it is for the reader to judge whether that is recent enough.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from ledger.checkpoint import Checkpoint, open_checkpoint
from ledger.errors import FormatError, ProofError
from ledger.keys.log_keys import LogKeys
from ledger.leaf import (
    MAX_BODY_SIZE,
    MAX_SUBJECTS,
    SALT_SIZE,
    SUBJECT_SIZE,
    TAG_SIZE,
    Body,
    Leaf,
    commitment,
    subject_tag,
)
from ledger.map.statement import verify_map_body
from ledger.map.subject_map import bucket_of, decode_bucket, find_record, verify_bucket
from ledger.merkle import HASH_SIZE, MAX_PATH_LENGTH, verify_inclusion
from ledger.note import MAX_NOTE_SIZE, NoteVerifier
from ledger.strict import MAX_INTEGER, decode_base64, decode_json_object, encode_base64, encode_json

STATE_PROOF_FORMAT = "marchamo state proof v1"
UNIT_SUBJECT = b"marchamo unit subject v1"
MAX_STATE_PROOF_SIZE = 16 * 1024 * 1024
MAX_ENTRIES_SHOWN = 1_000
MAX_BODIES_SHOWN = 6 * 1024 * 1024
"""Bytes of all bodies in one proof: two proofs and what is around them stay below the bound of a proof's text."""

_MEMBERS: Mapping[str, type] = {
    "format": str,
    "subject": str,
    "entries": list,
    "map": dict,
    "bucket": str,
    "bucket_path": list,
    "checkpoint": str,
}
_OPEN: Mapping[str, type] = {"index": int, "prev": str, "path": list, "salt": str, "body": str}
_ERASED: Mapping[str, type] = {"index": int, "prev": str, "path": list, "commitment": str, "tags": list}


def unit_subject(unit_salt: bytes) -> bytes:
    """Give the subject (32 bytes) of entries about one unit, from the salt of its leaf, which stands in its proof."""
    return hmac.digest(unit_salt, UNIT_SUBJECT, "sha256")


@dataclass(frozen=True, slots=True)
class OpenContent:
    """The opened commitment of an entry: its salt (32 bytes) and its body, byte for byte."""

    salt: bytes
    body: bytes


@dataclass(frozen=True, slots=True)
class ErasedContent:
    """What remains of an entry whose body was erased: the commitment (32 bytes) and the tags (16 bytes each)."""

    commitment: bytes
    tags: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class ShownEntry:
    """One entry of the log: its index, the leaf hash before it, what its leaf is made of, and its audit path."""

    index: int
    prev: bytes
    content: OpenContent | ErasedContent
    path: tuple[bytes, ...]

    def to_members(self) -> dict[str, Any]:
        """Give the JSON object."""
        common = {"index": self.index, "prev": encode_base64(self.prev), "path": [encode_base64(s) for s in self.path]}
        if isinstance(self.content, OpenContent):
            return common | {"salt": encode_base64(self.content.salt), "body": self.content.body.decode("ascii")}
        tags = [encode_base64(tag) for tag in self.content.tags]
        return common | {"commitment": encode_base64(self.content.commitment), "tags": tags}

    @classmethod
    def from_members(cls, members: object) -> ShownEntry:
        """Read the JSON object; FormatError."""
        is_open = isinstance(members, Mapping) and "body" in members
        read = _read_members(members, _OPEN if is_open else _ERASED)
        content: OpenContent | ErasedContent
        if is_open:
            if not read["body"].isascii() or len(read["body"]) > MAX_BODY_SIZE:
                raise FormatError(f"a body is ASCII text of at most {MAX_BODY_SIZE} bytes")
            content = OpenContent(decode_base64(read["salt"], size=SALT_SIZE), read["body"].encode("ascii"))
        else:
            tags = _read_hashes(read["tags"], size=TAG_SIZE, limit=MAX_SUBJECTS)
            content = ErasedContent(decode_base64(read["commitment"], size=HASH_SIZE), tags)
        if not 0 <= read["index"] <= MAX_INTEGER:
            raise FormatError("the index of an entry is out of range")
        path = _read_hashes(read["path"], size=HASH_SIZE, limit=MAX_PATH_LENGTH)
        return cls(read["index"], decode_base64(read["prev"], size=HASH_SIZE), content, path)

    def open(self) -> tuple[Leaf, Body | None]:
        """Make the leaf, and read the body where it is shown. Raises ProofError."""
        try:
            if isinstance(self.content, ErasedContent):
                return Leaf(self.prev, self.content.commitment, self.content.tags), None
            body = Body.from_bytes(self.content.body)
            return Leaf(self.prev, commitment(self.content.salt, self.content.body), body.tags()), body
        except FormatError as error:
            raise ProofError(f"entry {self.index} is malformed: {error.message}") from None


@dataclass(frozen=True, slots=True)
class StateProof:
    """The answer about one subject.

    subject: 32 bytes. entries: those about it, in order. map_entry: the entry that states the map. bucket: its records
    as `ledger.map.subject_map.encode_bucket` writes them; bucket_path: 16 hashes. checkpoint_note: the signed
    checkpoint to which all paths of entries lead.
    """

    subject: bytes
    entries: tuple[ShownEntry, ...]
    map_entry: ShownEntry
    bucket: bytes
    bucket_path: tuple[bytes, ...]
    checkpoint_note: str

    def to_members(self) -> dict[str, Any]:
        """Give the JSON object, to be put into a larger answer."""
        return {
            "format": STATE_PROOF_FORMAT,
            "subject": encode_base64(self.subject),
            "entries": [entry.to_members() for entry in self.entries],
            "map": self.map_entry.to_members(),
            "bucket": encode_base64(self.bucket),
            "bucket_path": [encode_base64(step) for step in self.bucket_path],
            "checkpoint": self.checkpoint_note,
        }

    def to_json(self) -> str:
        """Give the JSON text."""
        return encode_json(self.to_members()).decode("ascii")

    @classmethod
    def from_json(cls, text: str | bytes) -> StateProof:
        """Read the JSON text. Raises ProofError for a missing, further or ill-typed member."""
        if len(text) > MAX_STATE_PROOF_SIZE:
            raise ProofError(f"a state proof has at most {MAX_STATE_PROOF_SIZE} bytes")
        try:
            return cls.from_members(decode_json_object(text.encode() if isinstance(text, str) else text))
        except (FormatError, UnicodeEncodeError) as error:
            raise ProofError(f"the state proof is malformed: {error}") from None

    @classmethod
    def from_members(cls, members: object) -> StateProof:
        """Read the JSON object. Raises ProofError for a missing, further or ill-typed member."""
        try:
            return cls._from_members(_read_members(members, _MEMBERS))
        except FormatError as error:
            raise ProofError(f"the state proof is malformed: {error.message}") from None

    @classmethod
    def _from_members(cls, members: Mapping[str, Any]) -> StateProof:
        if members["format"] != STATE_PROOF_FORMAT:
            raise FormatError(f"this is not a '{STATE_PROOF_FORMAT}'")
        if len(members["entries"]) > MAX_ENTRIES_SHOWN or len(members["checkpoint"]) > MAX_NOTE_SIZE:
            raise FormatError("there are too many entries, or the checkpoint is too long")
        return cls(
            subject=decode_base64(members["subject"], size=SUBJECT_SIZE),
            entries=tuple(ShownEntry.from_members(entry) for entry in members["entries"]),
            map_entry=ShownEntry.from_members(members["map"]),
            bucket=decode_base64(members["bucket"]),
            bucket_path=_read_hashes(members["bucket_path"], size=HASH_SIZE, limit=MAX_PATH_LENGTH),
            checkpoint_note=members["checkpoint"],
        )


@dataclass(frozen=True, slots=True)
class StateEntry:
    """One entry about the subject.

    number: which one it is, from 0. index: its place in the log. body: None when it was erased, or is withheld: that
    the entry is there is proved all the same. beyond: it was recorded after the map was stated.
    """

    number: int
    index: int
    body: Body | None
    beyond: bool


@dataclass(frozen=True, slots=True)
class State:
    """What a state proof established: these are all entries about the subject among the first `as_of_size`.

    as_of_time: when the registry stated the map of that size, RFC 3339. map_index: the entry that states it.
    checkpoint: the signed tree head under which all of this stands.
    """

    entries: tuple[StateEntry, ...]
    as_of_size: int
    as_of_time: str
    map_index: int
    checkpoint: Checkpoint


def verify_state_proof(
    proof: StateProof,
    *,
    subject: bytes,
    log_verifier: NoteVerifier | LogKeys,
    map_keys: Mapping[str, Ed25519PublicKey],
    at_least: int = 0,
) -> State:
    """Check that the entries shown are all that the log had about `subject` when the map was stated.

    subject: 32 bytes, computed by the caller and never taken from the answer. map_keys: the keys, by key id, with which
    the registry states maps. at_least: an answer as of fewer entries than this is refused; whoever knows that entry i
    was recorded asks for i + 1. The signatures of the statements inside the entries are the caller's to check.

    Raises ProofError, NoteError or StatementError.
    """
    if proof.subject != subject:
        raise ProofError("the answer is about another subject than the one asked for")
    checkpoint = open_checkpoint(proof.checkpoint_note, log_verifier).checkpoint
    _, map_body = _verify_entry(proof.map_entry, checkpoint)
    if map_body is None:
        raise ProofError("the entry that states the map is shown without its body")
    stated = verify_map_body(map_body, map_keys)
    if stated.size > proof.map_entry.index:
        raise ProofError("the map was stated before the entries that it claims to hold")
    if stated.size < at_least:
        raise ProofError(f"the answer is as of {stated.size} entries, older than the {at_least} asked for")
    entries = tuple(
        _verify_chain_entry(shown, number, subject, stated.size, checkpoint)
        for number, shown in enumerate(proof.entries)
    )
    if any(earlier.index >= later.index for earlier, later in pairwise(entries)):
        raise ProofError("the entries about a subject stand in the order of the log")
    within = sum(not entry.beyond for entry in entries)
    following = subject_tag(subject, within)
    bucket = bucket_of(following)
    records = decode_bucket(proof.bucket, bucket)
    verify_bucket(records, bucket=bucket, path=proof.bucket_path, root=stated.root)
    left_out = find_record(records, following)
    if left_out is not None:
        raise ProofError(f"an entry about the subject was left out of the answer: entry {left_out} of the log")
    return State(entries, stated.size, stated.time, proof.map_entry.index, checkpoint)


def _verify_entry(shown: ShownEntry, checkpoint: Checkpoint) -> tuple[Leaf, Body | None]:
    leaf, body = shown.open()
    verify_inclusion(leaf=leaf.hash(), index=shown.index, size=checkpoint.size, path=shown.path, root=checkpoint.root)
    return leaf, body


def _verify_chain_entry(
    shown: ShownEntry, number: int, subject: bytes, map_size: int, checkpoint: Checkpoint
) -> StateEntry:
    leaf, body = _verify_entry(shown, checkpoint)
    if subject_tag(subject, number) not in leaf.tags:
        raise ProofError(f"entry {shown.index} is not entry number {number} about the subject")
    return StateEntry(number, shown.index, body, beyond=shown.index >= map_size)


def _read_members(members: object, types: Mapping[str, type]) -> Mapping[str, Any]:
    if not isinstance(members, Mapping) or members.keys() != types.keys():
        raise FormatError(f"expected exactly the members {', '.join(types)}")
    for name, wanted in types.items():
        if type(members[name]) is not wanted:
            raise FormatError(f"the member {name} has the wrong type")
    return members


def _read_hashes(values: list[Any], *, size: int, limit: int) -> tuple[bytes, ...]:
    if len(values) > limit or not all(isinstance(value, str) for value in values):
        raise FormatError(f"expected a list of at most {limit} hashes")
    return tuple(decode_base64(value, size=size) for value in values)
