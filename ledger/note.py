"""Signed notes (C2SP signed-note): a text, a blank line, signature lines. Ed25519, signature type 0x01.

A note is read strictly and nothing in it counts before a known key has verified it. Signatures of unknown keys are
kept and ignored: that is how witnesses add theirs. If a known key's signature fails, the whole note is refused.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from ledger.errors import FormatError, NoteError
from ledger.strict import decode_base64, encode_base64

ED25519 = 0x01
"""The signature type byte; part of the key id, so a key of one type never answers for another."""

MAX_NOTE_SIZE = 1_000_000
MAX_SIGNATURES = 100
MAX_NAME_SIZE = 255
_SIGNATURE_START = "— "
_PRIVATE_START = "PRIVATE+KEY"


def key_id(name: str, signature_type: int, public_key: bytes) -> int:
    """Give the 32-bit key id: SHA-256(name || newline || type || public key), its first four bytes."""
    digest = sha256(name.encode() + b"\n" + bytes([signature_type]) + public_key).digest()
    return int.from_bytes(digest[:4], "big")


def check_key_name(name: str) -> None:
    """Refuse with NoteError a key name that is empty or holds Unicode spaces, plus signs or control characters."""
    if not name or "+" in name or any(char.isspace() or char < " " for char in name):
        raise NoteError("a key name must not be empty nor hold spaces, plus signs or control characters")
    if len(_utf8(name)) > MAX_NAME_SIZE:
        raise NoteError(f"a key name has at most {MAX_NAME_SIZE} bytes")


@dataclass(frozen=True, slots=True)
class Signature:
    """One signature line: who says to have signed, and the bytes after the key id."""

    name: str
    key_id: int
    signature: bytes

    def line(self) -> str:
        """Give the line as it stands in the note, with its newline."""
        return f"{_SIGNATURE_START}{self.name} {encode_base64(struct.pack('>I', self.key_id) + self.signature)}\n"


@dataclass(frozen=True, slots=True)
class Note:
    """A note as read: the signed text (with its last newline) and the signature lines, none of them verified."""

    text: str
    signatures: tuple[Signature, ...]

    def to_text(self) -> str:
        """Give the whole note, byte for byte as it was read."""
        return f"{self.text}\n{''.join(signature.line() for signature in self.signatures)}"


@dataclass(frozen=True, slots=True)
class NoteVerifier:
    """A public key under a name; the name and the key id together identify it."""

    name: str
    public_key: Ed25519PublicKey
    key_id: int = field(init=False)

    def __post_init__(self) -> None:
        check_key_name(self.name)
        object.__setattr__(self, "key_id", key_id(self.name, ED25519, self.public_key.public_bytes_raw()))

    @classmethod
    def from_text(cls, text: str) -> NoteVerifier:
        """Read a verifier key `name+hash+base64` as Go's sumdb writes it. Raises NoteError."""
        name, stated_id, raw = _read_key(text)
        verifier = cls(name, Ed25519PublicKey.from_public_bytes(raw))
        if verifier.key_id != stated_id:
            raise NoteError("the verifier key does not match its own hash: it was mistyped or changed")
        return verifier

    def to_text(self) -> str:
        """Give the verifier key `name+hash+base64`."""
        return _write_key(self.name, self.key_id, self.public_key.public_bytes_raw())

    def knows(self, signature: Signature) -> bool:
        """Say whether this key claims the signature line (name and key id agree)."""
        return signature.key_id == self.key_id and signature.name == self.name

    def verify(self, text: str, signature: bytes) -> None:
        """Check one signature over the note text. Raises NoteError."""
        try:
            self.public_key.verify(signature, text.encode())
        except InvalidSignature:
            raise NoteError(f"the signature of {self.name} does not fit this note") from None


@dataclass(frozen=True, slots=True)
class NoteSigner:
    """A private key under a name. Its representation never shows the key."""

    name: str
    private_key: Ed25519PrivateKey = field(repr=False)
    verifier: NoteVerifier = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "verifier", NoteVerifier(self.name, self.private_key.public_key()))

    @classmethod
    def generate(cls, name: str) -> NoteSigner:
        """Make a new key."""
        return cls(name, Ed25519PrivateKey.generate())

    @classmethod
    def from_text(cls, text: str) -> NoteSigner:
        """Read a signer key `PRIVATE+KEY+name+hash+base64` as Go's sumdb writes it. Raises NoteError."""
        start, _, rest = text.partition(f"{_PRIVATE_START}+")
        if start or not rest:
            raise NoteError(f"a signer key starts with {_PRIVATE_START}+")
        name, stated_id, raw = _read_key(rest)
        signer = cls(name, Ed25519PrivateKey.from_private_bytes(raw))
        if signer.verifier.key_id != stated_id:
            raise NoteError("the signer key does not match its own hash: it was mistyped or changed")
        return signer

    def to_text(self) -> str:
        """Give the signer key as text. It is a secret: store it, never show it."""
        return f"{_PRIVATE_START}+{_write_key(self.name, self.verifier.key_id, self.private_key.private_bytes_raw())}"

    def sign(self, text: str) -> Signature:
        """Sign a note text, which must end in a newline."""
        return Signature(self.name, self.verifier.key_id, self.private_key.sign(check_note_text(text)))


def sign_note(text: str, signers: Sequence[NoteSigner]) -> str:
    """Give the signed note of `text` with one line for each signer."""
    return Note(text, tuple(signer.sign(text) for signer in signers)).to_text()


def add_signatures(note_text: str, signatures: Sequence[Signature]) -> str:
    """Append signature lines (of witnesses) to a note, leaving what is there untouched."""
    note = parse_note(note_text)
    return Note(note.text, (*note.signatures, *signatures)).to_text()


def check_note_text(text: str) -> bytes:
    """Give the bytes of a note text; refuses one that does not end in a newline or holds control characters."""
    data = _utf8(text)
    if not text.endswith("\n"):
        raise NoteError("the text of a note must end in a newline")
    if any(char < " " and char != "\n" for char in text):
        raise NoteError("a note must not hold control characters")
    return data


def parse_note(note: str | bytes) -> Note:
    """Read the parts of a note without verifying any signature. Raises NoteError when a rule is broken."""
    if len(note) > MAX_NOTE_SIZE:
        raise NoteError(f"a note has at most {MAX_NOTE_SIZE} bytes")
    if isinstance(note, bytes):
        try:
            note = note.decode("utf-8")
        except UnicodeDecodeError:
            raise NoteError("a note must be UTF-8") from None
    check_note_text(note)
    # The text may hold blank lines itself: the last one separates it from the signatures.
    body, separator, tail = note.rpartition("\n\n")
    if not separator or not tail:
        raise NoteError("a note has a text, a blank line and at least one signature")
    lines = tail.removesuffix("\n").split("\n")
    if len(lines) > MAX_SIGNATURES:
        raise NoteError(f"a note has at most {MAX_SIGNATURES} signatures")
    return Note(f"{body}\n", tuple(_read_signature(line) for line in lines))


def open_note(note: str | bytes, verifiers: Sequence[NoteVerifier]) -> tuple[Note, tuple[NoteVerifier, ...]]:
    """Read a note and verify it: gives the note and the keys whose signatures hold, at least one.

    Raises NoteError when a known key's signature fails, or when no known key signed.
    """
    parsed = parse_note(note)
    signed_by: list[NoteVerifier] = []
    for signature in parsed.signatures:
        for verifier in verifiers:
            if verifier.knows(signature):
                verifier.verify(parsed.text, signature.signature)
                if verifier not in signed_by:
                    signed_by.append(verifier)
    if not signed_by:
        raise NoteError("no known key signed this note", fix="Check that you hold the verifier key of this very log.")
    return parsed, tuple(signed_by)


def _read_signature(line: str) -> Signature:
    if not line.startswith(_SIGNATURE_START):
        raise NoteError("a signature line starts with an em dash and a space")
    name, separator, encoded = line.removeprefix(_SIGNATURE_START).partition(" ")
    check_key_name(name)
    try:
        data = decode_base64(encoded)
    except FormatError as error:
        raise NoteError(f"a signature line ends in base64: {error.message}") from None
    if not separator or len(data) < 5:
        raise NoteError("a signature line holds a name, a key id of four bytes and a signature")
    return Signature(name, int.from_bytes(data[:4], "big"), data[4:])


def _read_key(text: str) -> tuple[str, int, bytes]:
    """Split `name+hash+base64`; the base64 holds the type byte and 32 bytes of key."""
    name, _, rest = text.partition("+")
    hash_text, _, encoded = rest.partition("+")
    check_key_name(name)
    if len(hash_text) != 8 or not set(hash_text) <= set("0123456789abcdef"):
        raise NoteError("a key is written name+hash+base64, the hash as eight lower-case hexadecimal digits")
    try:
        data = decode_base64(encoded, size=33)
    except FormatError as error:
        raise NoteError(f"the last part of a key is base64: {error.message}") from None
    if data[0] != ED25519:
        raise NoteError(f"key type {data[0]} is not known here: only Ed25519 (1) is")
    return name, int(hash_text, 16), data[1:]


def _write_key(name: str, identifier: int, raw: bytes) -> str:
    return f"{name}+{identifier:08x}+{encode_base64(bytes([ED25519]) + raw)}"


def _utf8(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise NoteError("a note must be valid Unicode") from None
