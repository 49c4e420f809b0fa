"""Proofs that travel: the C2SP tlog-proof of a leaf, and the proof of one unit joined from two trees.

A unit's proof climbs without a gap: the signed bytes of the code and a salt give the unit's leaf in its batch tree;
a path gives the batch's root; the batch statement states that root and its size; the statement lies in a body, the
body and a salt give the commitment, prev and commitment give the leaf of the log; a second path gives the root that
the log signed. Everything needed is inside, so it verifies offline with the log's verifier key.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from ledger.checkpoint import Checkpoint, open_checkpoint
from ledger.errors import FormatError, ProofError
from ledger.keys.log_keys import LogKeys
from ledger.leaf import MAX_BODY_SIZE, SALT_SIZE, Body, Leaf, commitment, unit_leaf_hash
from ledger.merkle import HASH_SIZE, MAX_PATH_LENGTH, verify_inclusion
from ledger.note import MAX_NOTE_SIZE, NoteVerifier
from ledger.statement import STATEMENT_TYPE, Statement, read_unverified, verify_statement
from ledger.strict import (
    MAX_INTEGER,
    decode_base64,
    decode_decimal,
    decode_json_object,
    encode_base64,
    encode_json,
)

PROOF_HEADER = "c2sp.org/tlog-proof@v1"
UNIT_PROOF_VERSION = 1
MAX_EXTRA_SIZE = 65_536
MAX_PROOF_SIZE = MAX_NOTE_SIZE + 2 * MAX_EXTRA_SIZE
MAX_UNIT_PROOF_SIZE = 2 * MAX_PROOF_SIZE


@dataclass(frozen=True, slots=True)
class LeafProof:
    """A tlog-proof as read: the leaf's index, its path, the checkpoint's signed note; `extra` is not authenticated."""

    index: int
    path: tuple[bytes, ...]
    checkpoint_note: str
    extra: bytes | None = None


def format_proof(index: int, path: Sequence[bytes], checkpoint_note: str, extra: bytes | None = None) -> str:
    """Write a tlog-proof (C2SP tlog-proof@v1)."""
    lines = [PROOF_HEADER]
    if extra is not None:
        lines.append(f"extra {encode_base64(extra)}")
    lines.append(f"index {index}")
    lines.extend(encode_base64(step) for step in path)
    return "\n".join(lines) + f"\n\n{checkpoint_note}"


def parse_proof(text: str | bytes) -> LeafProof:
    """Read a tlog-proof without verifying it. Raises ProofError when a rule of the format is broken."""
    if len(text) > MAX_PROOF_SIZE:
        raise ProofError(f"a proof has at most {MAX_PROOF_SIZE} bytes")
    if isinstance(text, bytes):
        try:
            text = text.decode("utf-8")
        except UnicodeDecodeError:
            raise ProofError("a proof must be UTF-8") from None
    head, separator, note = text.partition("\n\n")
    header, *lines = head.split("\n")
    if header != PROOF_HEADER or not separator:
        raise ProofError(f"a proof starts with the line {PROOF_HEADER} and holds a checkpoint after a blank line")
    try:
        extra, index, path = _read_head(lines)
    except FormatError as error:
        raise ProofError(f"the proof is malformed: {error.message}") from None
    return LeafProof(index, path, note, extra)


def _read_head(lines: list[str]) -> tuple[bytes | None, int, tuple[bytes, ...]]:
    """Read the lines between the header and the blank line: extra (optional), index, path."""
    extra = None
    if lines and lines[0].startswith("extra "):
        extra = decode_base64(lines.pop(0).removeprefix("extra "))
        if len(extra) > MAX_EXTRA_SIZE:
            raise FormatError(f"the extra data has at most {MAX_EXTRA_SIZE} bytes")
    if not lines or not lines[0].startswith("index "):
        raise FormatError("the index line is missing")
    index = decode_decimal(lines.pop(0).removeprefix("index "))
    if len(lines) > MAX_PATH_LENGTH:
        raise FormatError(f"a path has at most {MAX_PATH_LENGTH} hashes")
    return extra, index, tuple(decode_base64(line, size=HASH_SIZE) for line in lines)


def verify_leaf_proof(text: str | bytes, leaf_hash: bytes, log_verifier: NoteVerifier | LogKeys) -> Checkpoint:
    """Check that the log signed a tree that holds this leaf; gives the checkpoint.

    The index is in `parse_proof(text).index`. Raises NoteError when the checkpoint is not the log's, ProofError when
    the path does not lead there.
    """
    return _verify_parsed(parse_proof(text), leaf_hash, log_verifier)


def _verify_parsed(proof: LeafProof, leaf_hash: bytes, log_verifier: NoteVerifier | LogKeys) -> Checkpoint:
    checkpoint = open_checkpoint(proof.checkpoint_note, log_verifier).checkpoint
    verify_inclusion(leaf=leaf_hash, index=proof.index, size=checkpoint.size, path=proof.path, root=checkpoint.root)
    return checkpoint


@dataclass(frozen=True, slots=True)
class BatchEntry:
    """The opened commitment of the batch's leaf: its salt (32 bytes) and its body, byte for byte."""

    salt: bytes
    body: bytes


@dataclass(frozen=True, slots=True)
class UnitProof:
    """The joined proof of one unit.

    position: the unit's leaf in the batch tree. batch_size: leaves of that tree. batch_path: from the unit's sibling
    up. unit_salt: the salt of this unit alone. prev: leaf hash of the log's leaf before the batch's. leaf_proof: the
    tlog-proof of the batch's leaf.
    """

    position: int
    batch_size: int
    batch_path: tuple[bytes, ...]
    unit_salt: bytes
    batch_entry: BatchEntry
    prev: bytes
    leaf_proof: str

    def to_members(self) -> dict[str, Any]:
        """Give the JSON object, to be put into a larger answer."""
        return {
            "v": UNIT_PROOF_VERSION,
            "position": self.position,
            "batch_size": self.batch_size,
            "batch_path": [encode_base64(step) for step in self.batch_path],
            "unit_salt": encode_base64(self.unit_salt),
            "batch_entry": {
                "salt": encode_base64(self.batch_entry.salt),
                "body": self.batch_entry.body.decode("ascii"),
            },
            "prev": encode_base64(self.prev),
            "leaf_proof": self.leaf_proof,
        }

    def to_json(self) -> str:
        """Give the JSON text."""
        return encode_json(self.to_members()).decode("ascii")

    @classmethod
    def from_json(cls, text: str | bytes) -> UnitProof:
        """Read the JSON text. Raises ProofError for a missing, further or ill-typed member."""
        if len(text) > MAX_UNIT_PROOF_SIZE:
            raise ProofError(f"a unit proof has at most {MAX_UNIT_PROOF_SIZE} bytes")
        try:
            return cls.from_members(decode_json_object(text.encode() if isinstance(text, str) else text))
        except (FormatError, UnicodeEncodeError) as error:
            raise ProofError(f"the unit proof is malformed: {error}") from None

    @classmethod
    def from_members(cls, members: Mapping[str, Any]) -> UnitProof:
        """Read the JSON object. Raises ProofError for a missing, further or ill-typed member."""
        try:
            return cls._from_members(members)
        except FormatError as error:
            raise ProofError(f"the unit proof is malformed: {error.message}") from None

    @classmethod
    def _from_members(cls, members: Mapping[str, Any]) -> UnitProof:
        _require_members(members, cls._member_types())
        if members["v"] != UNIT_PROOF_VERSION:
            raise FormatError("this version of unit proofs is not known here")
        entry = members["batch_entry"]
        _require_members(entry, {"salt": str, "body": str})
        path = members["batch_path"]
        if len(path) > MAX_PATH_LENGTH or not all(isinstance(step, str) for step in path):
            raise FormatError(f"a path is a list of at most {MAX_PATH_LENGTH} hashes")
        if not entry["body"].isascii() or len(entry["body"]) > MAX_BODY_SIZE:
            raise FormatError(f"a body is ASCII text of at most {MAX_BODY_SIZE} bytes")
        return cls(
            position=members["position"],
            batch_size=members["batch_size"],
            batch_path=tuple(decode_base64(step, size=HASH_SIZE) for step in path),
            unit_salt=decode_base64(members["unit_salt"], size=SALT_SIZE),
            batch_entry=BatchEntry(decode_base64(entry["salt"], size=SALT_SIZE), entry["body"].encode("ascii")),
            prev=decode_base64(members["prev"], size=HASH_SIZE),
            leaf_proof=members["leaf_proof"],
        )

    @staticmethod
    def _member_types() -> dict[str, type]:
        return {
            "v": int,
            "position": int,
            "batch_size": int,
            "batch_path": list,
            "unit_salt": str,
            "batch_entry": dict,
            "prev": str,
            "leaf_proof": str,
        }


@dataclass(frozen=True, slots=True)
class VerifiedUnit:
    """What a unit proof established.

    checkpoint: the signed tree head. index: the batch's leaf in the log. kind: what the body states. statement: the
    batch statement (its signature was checked only if a key was given). position: the unit in its batch.
    """

    checkpoint: Checkpoint
    index: int
    kind: str
    statement: Statement
    position: int


def verify_unit_proof(
    proof: UnitProof,
    *,
    content: bytes,
    log_verifier: NoteVerifier | LogKeys,
    statement_key: Ed25519PublicKey | None,
    kind: str | None = None,
) -> VerifiedUnit:
    """Check the joined proof of the unit whose code has these signed bytes.

    statement_key is the issuer's key; with None the issuer's signature on the batch statement is not checked, only
    that the log holds it: name the reason wherever you pass None. `kind`, when given, is the only kind of entry
    accepted; otherwise compare `VerifiedUnit.kind` yourself, since other statements too may state a root and a size.
    Raises ProofError, NoteError or StatementError.
    """
    try:
        body = Body.from_bytes(proof.batch_entry.body)
    except FormatError as error:
        raise ProofError(f"the batch's body is malformed: {error.message}") from None
    statement = (
        read_unverified(body.statement)
        if statement_key is None
        else verify_statement(body.statement, public_key=statement_key, typ=STATEMENT_TYPE)
    )
    if statement.key_id != body.key_id or statement.typ != STATEMENT_TYPE:
        raise ProofError("the batch's body and its statement name different keys or types")
    if statement.payload.get("kind", body.kind) != body.kind or kind not in {None, body.kind}:
        raise ProofError("the entry is not of the kind asked for, or not of the kind its statement says")
    root, size = _stated_tree(statement)
    if size != proof.batch_size:
        raise ProofError("the batch statement states another number of units than the proof")
    verify_inclusion(
        leaf=unit_leaf_hash(proof.unit_salt, content),
        index=proof.position,
        size=size,
        path=proof.batch_path,
        root=root,
    )
    leaf = Leaf(proof.prev, commitment(proof.batch_entry.salt, proof.batch_entry.body), body.tags())
    leaf_proof = parse_proof(proof.leaf_proof)
    checkpoint = _verify_parsed(leaf_proof, leaf.hash(), log_verifier)
    return VerifiedUnit(checkpoint, leaf_proof.index, body.kind, statement, proof.position)


def _stated_tree(statement: Statement) -> tuple[bytes, int]:
    """Read root and size of the batch tree from the statement's payload."""
    root, size = statement.payload.get("root"), statement.payload.get("size")
    if not isinstance(root, str) or type(size) is not int or not 1 <= size <= MAX_INTEGER:
        raise ProofError("the batch statement states no tree: it has no root and size")
    try:
        return decode_base64(root, size=HASH_SIZE), size
    except FormatError as error:
        raise ProofError(f"the root in the batch statement is malformed: {error.message}") from None


def _require_members(members: Mapping[str, Any], types: Mapping[str, type]) -> None:
    if not isinstance(members, Mapping) or members.keys() != types.keys():
        raise FormatError(f"expected exactly the members {', '.join(types)}")
    for name, wanted in types.items():
        if type(members[name]) is not wanted:
            raise FormatError(f"the member {name} has the wrong type")
