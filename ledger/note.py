"""Signed notes (C2SP signed-note): a text, a blank line, signature lines. Ed25519, signature type 0x01.

A note is read strictly and nothing in it counts before a known key has verified it. Signatures of unknown keys are
kept and ignored: that is how witnesses add theirs. If a known key's signature fails, the whole note is refused.
Keys of other types live elsewhere (`ledger.cosignature`); here they are what `Verifier` and `Signer` ask for.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Protocol, TypeVar

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from ledger.errors import FormatError, NoteError, UnknownKey
from ledger.strict import decode_base64, encode_base64

ED25519 = 0x01
"""The signature type byte; part of the key id, so a key of one type never answers for another."""

MAX_NOTE_SIZE = 1_000_000
MAX_SIGNATURES = 100
MAX_NAME_SIZE = 255
_SIGNATURE_START = "— "
_PRIVATE_START = "PRIVATE+KEY+"
_HEXADECIMAL = frozenset("0123456789abcdef")
_ED25519_SIZE = {ED25519: 32}


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


class Verifier(Protocol):
    """A public key of any type under a name; the name and the key id together identify it."""

    @property
    def name(self) -> str:
        """The key's name."""

    @property
    def key_id(self) -> int:
        """The 32-bit key id."""

    def verify(self, text: str, signature: bytes) -> None:
        """Check one signature (the bytes after the key id) over the note text. Raises NoteError."""


class Signer(Protocol):
    """A private key of any type under a name."""

    def sign(self, text: str) -> Signature:
        """Sign a note text, which must end in a newline."""


AnyVerifier = TypeVar("AnyVerifier", bound=Verifier)


def claims(verifier: Verifier, signature: Signature) -> bool:
    """Say whether the signature line is in this key's name (name and key id agree)."""
    return signature.key_id == verifier.key_id and signature.name == verifier.name


@dataclass(frozen=True, slots=True)
class KeyParts:
    """A key as written: `name+hash+base64`, the last part holding a type byte and the key itself."""

    name: str
    key_id: int
    signature_type: int
    material: bytes = field(repr=False)

    def check_id(self, actual: int) -> None:
        """Compare the hash as written with that of the public key. Raises NoteError."""
        if self.key_id != actual:
            raise NoteError("the key does not match its own hash: it was mistyped or changed")

    def to_text(self) -> str:
        """Give the key as text."""
        return f"{self.name}+{self.key_id:08x}+{encode_base64(bytes([self.signature_type]) + self.material)}"

    def to_secret_text(self) -> str:
        """Give a private key as text: a secret."""
        return _PRIVATE_START + self.to_text()


@dataclass(frozen=True, slots=True)
class NoteVerifier:
    """A public Ed25519 key under a name; the name and the key id together identify it."""

    name: str
    public_key: Ed25519PublicKey
    key_id: int = field(init=False)

    def __post_init__(self) -> None:
        check_key_name(self.name)
        object.__setattr__(self, "key_id", key_id(self.name, ED25519, self.public_key.public_bytes_raw()))

    @classmethod
    def from_text(cls, text: str) -> NoteVerifier:
        """Read a verifier key `name+hash+base64` as Go's sumdb writes it. Raises NoteError."""
        parts = read_key(text, _ED25519_SIZE)
        verifier = cls(parts.name, Ed25519PublicKey.from_public_bytes(parts.material))
        parts.check_id(verifier.key_id)
        return verifier

    def to_text(self) -> str:
        """Give the verifier key `name+hash+base64`."""
        return KeyParts(self.name, self.key_id, ED25519, self.public_key.public_bytes_raw()).to_text()

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
        parts = read_secret_key(text, _ED25519_SIZE)
        signer = cls(parts.name, Ed25519PrivateKey.from_private_bytes(parts.material))
        parts.check_id(signer.verifier.key_id)
        return signer

    def to_text(self) -> str:
        """Give the signer key as text. It is a secret: store it, never show it."""
        raw = self.private_key.private_bytes_raw()
        return KeyParts(self.name, self.verifier.key_id, ED25519, raw).to_secret_text()

    def sign(self, text: str) -> Signature:
        """Sign a note text, which must end in a newline."""
        return Signature(self.name, self.verifier.key_id, self.private_key.sign(check_note_text(text)))


def read_key(text: str, sizes: Mapping[int, int]) -> KeyParts:
    """Read a key of one of the types in `sizes` (type byte -> bytes of the key itself). Raises NoteError.

    The hash of a private key is that of its public half, so it is the caller who compares it (`check_id`).
    """
    name, _, rest = text.partition("+")
    hash_text, _, encoded = rest.partition("+")
    check_key_name(name)
    if len(hash_text) != 8 or not set(hash_text) <= _HEXADECIMAL:
        raise NoteError("a key is written name+hash+base64, the hash as eight lower-case hexadecimal digits")
    try:
        data = decode_base64(encoded)
    except FormatError as error:
        raise NoteError(f"the last part of a key is base64: {error.message}") from None
    if not data or data[0] not in sizes:
        known = ", ".join(str(one) for one in sorted(sizes))
        raise NoteError(f"this type of key is not known here: the first byte of its last part must be {known}")
    if len(data) != 1 + sizes[data[0]]:
        raise NoteError(f"a key of type {data[0]} has {sizes[data[0]]} bytes, found {len(data) - 1}")
    return KeyParts(name, int(hash_text, 16), data[0], data[1:])


def read_secret_key(text: str, sizes: Mapping[int, int]) -> KeyParts:
    """Read `PRIVATE+KEY+name+hash+base64` likewise. Raises NoteError, which never repeats the key."""
    if not text.startswith(_PRIVATE_START):
        raise NoteError(f"a signer key starts with {_PRIVATE_START}")
    return read_key(text.removeprefix(_PRIVATE_START), sizes)


def sign_note(text: str, signers: Sequence[Signer]) -> str:
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
    return Note(f"{body}\n", tuple(read_signature(line) for line in lines))


def open_note(note: str | bytes, verifiers: Sequence[AnyVerifier]) -> tuple[Note, tuple[AnyVerifier, ...]]:
    """Read a note and verify it: gives the note and the keys whose signatures hold, at least one.

    Raises NoteError when a known key's signature fails, or when no known key signed.
    """
    parsed = parse_note(note)
    signed_by: list[AnyVerifier] = []
    for signature in parsed.signatures:
        for verifier in verifiers:
            if claims(verifier, signature):
                verifier.verify(parsed.text, signature.signature)
                if verifier not in signed_by:
                    signed_by.append(verifier)
    if not signed_by:
        raise UnknownKey("no known key signed this note", fix="Check that you hold the verifier key of this very log.")
    return parsed, tuple(signed_by)


def read_signature(line: str) -> Signature:
    """Read one signature line, given without its newline; verifies nothing. Raises NoteError."""
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


def _utf8(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise NoteError("a note must be valid Unicode") from None
