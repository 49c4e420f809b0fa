"""The one request of the witness protocol (C2SP tlog-witness, add-checkpoint), as both sides read and write it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ledger.errors import FormatError
from ledger.merkle import HASH_SIZE
from ledger.strict import decode_base64, decode_decimal, encode_base64

MAX_PATH_LINES = 63
"""Hashes a request may bring; no two trees of at most 2**63 leaves need more."""

MAX_REQUEST_SIZE = 262_144
"""Bytes of a request: its checkpoint may carry dozens of signatures, each of several thousand bytes."""

SIZE_TYPE = "text/x.tlog.size"
"""Media type of the answer that states the size a witness knows (status 409)."""


@dataclass(frozen=True, slots=True)
class AddCheckpoint:
    """A request to cosign `note_text`, a signed checkpoint, which extends the tree of `old_size` along `path`."""

    old_size: int
    path: tuple[bytes, ...]
    note_text: str

    def to_bytes(self) -> bytes:
        """Give the body of the request."""
        lines = [f"old {self.old_size}", *(encode_base64(step) for step in self.path)]
        return ("\n".join(lines) + f"\n\n{self.note_text}").encode()

    @classmethod
    def from_bytes(cls, body: bytes) -> AddCheckpoint:
        """Read the body of a request; its checkpoint is text as yet. Raises FormatError."""
        if len(body) > MAX_REQUEST_SIZE:
            raise FormatError(f"a request has at most {MAX_REQUEST_SIZE} bytes")
        try:
            head, separator, note_text = body.decode("utf-8").partition("\n\n")
        except UnicodeDecodeError:
            raise FormatError("a request must be UTF-8") from None
        old, *lines = head.split("\n")
        if not separator or not old.startswith("old "):
            raise FormatError("a request is a line `old` with a size, a proof, an empty line and a checkpoint")
        if len(lines) > MAX_PATH_LINES:
            raise FormatError(f"a proof has at most {MAX_PATH_LINES} hashes")
        path: Sequence[bytes] = [decode_base64(line, size=HASH_SIZE) for line in lines]
        return cls(decode_decimal(old.removeprefix("old ")), tuple(path), note_text)


def format_size(size: int) -> bytes:
    """Write the size that a witness knows, as the body of its answer 409."""
    return b"%d\n" % size


def parse_size(body: bytes) -> int:
    """Read that size. Raises FormatError."""
    try:
        text = body.decode("ascii")
    except UnicodeDecodeError:
        raise FormatError("a size is written in ASCII") from None
    if not text.endswith("\n"):
        raise FormatError("a size ends in a newline")
    return decode_decimal(text.removesuffix("\n"))
