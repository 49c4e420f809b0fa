"""Checkpoints (C2SP tlog-checkpoint): the signed head of the log's tree at one size."""

from __future__ import annotations

from dataclasses import dataclass

from ledger.errors import FormatError, NoteError
from ledger.keys.log_keys import LogKeys
from ledger.merkle import EMPTY_ROOT, HASH_SIZE
from ledger.note import NoteSigner, NoteVerifier, check_note_text, open_note, parse_note, sign_note
from ledger.strict import MAX_INTEGER, decode_base64, decode_decimal, encode_base64


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A tree head: whose log (`origin`), how many leaves (`size`), which root (32 bytes).

    `extensions` are further lines, opaque; this log writes none.
    """

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not 0 <= self.size <= MAX_INTEGER or len(self.root) != HASH_SIZE:
            raise NoteError(f"a checkpoint has a size and a root of {HASH_SIZE} bytes")
        if self.size == 0 and self.root != EMPTY_ROOT:
            raise NoteError("a checkpoint of size 0 has the root of the empty tree")
        if not all(self._lines()) or any("\n" in line for line in self._lines()):
            raise NoteError("the lines of a checkpoint must not be empty")

    def to_text(self) -> str:
        """Give the note text that is signed."""
        text = "".join(f"{line}\n" for line in self._lines())
        check_note_text(text)
        return text

    @classmethod
    def from_text(cls, text: str) -> Checkpoint:
        """Read the note text of a checkpoint, refusing every other spelling of it with NoteError."""
        check_note_text(text)
        origin, *rest = text.removesuffix("\n").split("\n")
        if len(rest) < 2:
            raise NoteError("a checkpoint has at least three lines: origin, size, root")
        try:
            size, root = decode_decimal(rest[0]), decode_base64(rest[1], size=HASH_SIZE)
        except FormatError as error:
            raise NoteError(f"the size or the root of the checkpoint is malformed: {error.message}") from None
        return cls(origin, size, root, tuple(rest[2:]))

    def _lines(self) -> tuple[str, ...]:
        return (self.origin, str(self.size), encode_base64(self.root), *self.extensions)


@dataclass(frozen=True, slots=True)
class SignedCheckpoint:
    """A checkpoint and the signed note it came in, byte for byte."""

    checkpoint: Checkpoint
    note_text: str


def sign_checkpoint(checkpoint: Checkpoint, *signers: NoteSigner) -> SignedCheckpoint:
    """Sign a checkpoint with the log's key, or its keys, in this order.

    The caller must have checked that it extends all earlier ones.
    """
    return SignedCheckpoint(checkpoint, sign_note(checkpoint.to_text(), signers))


def open_checkpoint(
    note_text: str | bytes, keys: NoteVerifier | LogKeys, *, origin: str | None = None, by_all: bool = False
) -> SignedCheckpoint:
    """Read a checkpoint signed by the log's key; of several keys, by one that signs checkpoints of this size.

    The origin must be the one asked for, by default the keys' name. Signatures of others (witnesses) are kept and
    ignored. With `by_all` the log's own strictness: exactly the keys that sign this size have signed. Raises UnknownKey
    when none of the keys signed, NoteError for everything else, and with `by_all` LogKeyError for the wrong keys.
    """
    keys = LogKeys.of(keys) if isinstance(keys, NoteVerifier) else keys
    note, signed_by = open_note(note_text, keys.verifiers)
    checkpoint = Checkpoint.from_text(note.text)
    if checkpoint.origin != (keys.origin if origin is None else origin):
        raise NoteError("this checkpoint belongs to another log")
    if by_all:
        keys.require_all(checkpoint.size, signed_by)
    keys.require_any(checkpoint.size, signed_by)
    return SignedCheckpoint(checkpoint, note.to_text())


def read_unverified_checkpoint(note_text: str | bytes) -> Checkpoint:
    """Read a checkpoint without verifying who signed it: for display and for choosing a key, never for trust."""
    return Checkpoint.from_text(parse_note(note_text).text)
