"""Cosignatures (C2SP tlog-cosignature): what a witness says about a checkpoint, and when it said so.

A cosignature states that, as of its time, the checkpoint is the largest consistent tree that the cosigner has seen of
this log. Two types: Ed25519 (0x04), which signs the whole text of the checkpoint, and ML-DSA-44 (0x06), which signs
origin, size and root, and withstands quantum computers. A verifier reads exactly one type: that of its key.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey, MLDSA44PublicKey

from ledger.checkpoint import Checkpoint
from ledger.errors import NoteError
from ledger.note import KeyParts, Signature, check_key_name, key_id, read_key, read_secret_key
from ledger.strict import MAX_INTEGER

ED25519_COSIGNATURE = 0x04
ML_DSA_44_COSIGNATURE = 0x06

PUBLIC_KEY_SIZES = {ED25519_COSIGNATURE: 32, ML_DSA_44_COSIGNATURE: 1_312}
"""Bytes of a public key, by signature type."""

SIGNATURE_SIZES = {ED25519_COSIGNATURE: 64, ML_DSA_44_COSIGNATURE: 2_420}
"""Bytes of a signature behind its eight bytes of time, by signature type."""

_SEED_SIZES = {ED25519_COSIGNATURE: 32, ML_DSA_44_COSIGNATURE: 32}
_SUBTREE_LABEL = b"subtree/v1\n\0"
_TIME = struct.Struct(">Q")

PublicKey = Ed25519PublicKey | MLDSA44PublicKey
PrivateKey = Ed25519PrivateKey | MLDSA44PrivateKey


@dataclass(frozen=True, slots=True)
class CosignatureVerifier:
    """A cosigner's public key under its name; the key's kind decides the type of its signatures."""

    name: str
    public_key: PublicKey
    key_id: int = field(init=False)

    def __post_init__(self) -> None:
        check_key_name(self.name)
        identifier = key_id(self.name, self.signature_type, self.public_key.public_bytes_raw())
        object.__setattr__(self, "key_id", identifier)

    @property
    def signature_type(self) -> int:
        """The type byte: 4 for Ed25519, 6 for ML-DSA-44."""
        return ED25519_COSIGNATURE if isinstance(self.public_key, Ed25519PublicKey) else ML_DSA_44_COSIGNATURE

    @classmethod
    def from_text(cls, text: str) -> CosignatureVerifier:
        """Read a verifier key `name+hash+base64` of type 4 or 6. Raises NoteError."""
        parts = read_key(text, PUBLIC_KEY_SIZES)
        verifier = cls(parts.name, _public_key(parts))
        parts.check_id(verifier.key_id)
        return verifier

    def to_text(self) -> str:
        """Give the verifier key `name+hash+base64`."""
        raw = self.public_key.public_bytes_raw()
        return KeyParts(self.name, self.key_id, self.signature_type, raw).to_text()

    def verify(self, text: str, signature: bytes) -> None:
        """Check one cosignature over the text of a checkpoint. Raises NoteError."""
        moment = self.time_of(signature)
        try:
            self.public_key.verify(signature[_TIME.size :], _message(self.name, self.signature_type, text, moment))
        except InvalidSignature:
            raise NoteError(f"the cosignature of {self.name} does not fit this checkpoint") from None

    def time_of(self, signature: bytes) -> int:
        """Read when a cosignature says it was made: seconds since 1970. Raises NoteError; verifies nothing.

        Zero, which only ML-DSA-44 allows, means that nothing is said about the tree being the largest.
        """
        if len(signature) != _TIME.size + SIGNATURE_SIZES[self.signature_type]:
            raise NoteError(f"a cosignature of {self.name} is cut short or too long")
        moment: int = _TIME.unpack_from(signature)[0]
        if moment > MAX_INTEGER or (moment == 0 and self.signature_type == ED25519_COSIGNATURE):
            raise NoteError(f"a cosignature of {self.name} has an impossible time")
        return moment


@dataclass(frozen=True, slots=True)
class CosignatureSigner:
    """A cosigner's private key under its name. Its representation never shows the key."""

    name: str
    private_key: PrivateKey = field(repr=False, compare=False)
    clock: Callable[[], float] = field(default=time.time, repr=False, compare=False)
    verifier: CosignatureVerifier = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "verifier", CosignatureVerifier(self.name, self.private_key.public_key()))

    @classmethod
    def generate(cls, name: str, signature_type: int = ED25519_COSIGNATURE) -> CosignatureSigner:
        """Make a new key of type 4 or 6. Raises NoteError when this machine's cryptography has no ML-DSA-44."""
        if signature_type == ED25519_COSIGNATURE:
            return cls(name, Ed25519PrivateKey.generate())
        try:
            return cls(name, MLDSA44PrivateKey.generate())
        except UnsupportedAlgorithm:
            raise _no_ml_dsa() from None

    @classmethod
    def from_text(cls, text: str) -> CosignatureSigner:
        """Read a signer key `PRIVATE+KEY+name+hash+base64` of type 4 or 6. Raises NoteError."""
        parts = read_secret_key(text, _SEED_SIZES)
        signer = cls(parts.name, _private_key(parts))
        parts.check_id(signer.verifier.key_id)
        return signer

    def to_text(self) -> str:
        """Give the signer key as text. It is a secret: store it, never show it."""
        verifier, raw = self.verifier, self.private_key.private_bytes_raw()
        return KeyParts(self.name, verifier.key_id, verifier.signature_type, raw).to_secret_text()

    def sign(self, text: str) -> Signature:
        """Cosign the text of a checkpoint as of now. The caller must have checked that it is consistent."""
        return self.sign_at(text, int(self.clock()))

    def sign_at(self, text: str, moment: int) -> Signature:
        """Cosign the text of a checkpoint as of `moment`, in seconds since 1970 (from 1). Raises NoteError."""
        if not 1 <= moment <= MAX_INTEGER:
            raise NoteError("a cosignature needs the time at which it is made")
        signature = self.private_key.sign(_message(self.name, self.verifier.signature_type, text, moment))
        return Signature(self.name, self.verifier.key_id, _TIME.pack(moment) + signature)


def _message(name: str, signature_type: int, text: str, moment: int) -> bytes:
    """Build the bytes that are signed. Text that is no checkpoint is refused: nothing else can be cosigned."""
    checkpoint = Checkpoint.from_text(text)
    if signature_type == ED25519_COSIGNATURE:
        return b"cosignature/v1\ntime %d\n%b" % (moment, text.encode())
    # cosigned_message, in the notation of RFC 8446. The subtree is the whole tree: it starts at 0.
    return b"".join(
        [
            _SUBTREE_LABEL,
            _opaque(name),
            _TIME.pack(moment),
            _opaque(checkpoint.origin),
            struct.pack(">QQ", 0, checkpoint.size),
            checkpoint.root,
        ]
    )


def _opaque(text: str) -> bytes:
    data = text.encode()
    if not 1 <= len(data) <= 255:
        raise NoteError("an ML-DSA-44 cosignature holds names of at most 255 bytes")
    return bytes([len(data)]) + data


def _public_key(parts: KeyParts) -> PublicKey:
    if parts.signature_type == ED25519_COSIGNATURE:
        return Ed25519PublicKey.from_public_bytes(parts.material)
    try:
        return MLDSA44PublicKey.from_public_bytes(parts.material)
    except UnsupportedAlgorithm:
        raise _no_ml_dsa() from None


def _private_key(parts: KeyParts) -> PrivateKey:
    if parts.signature_type == ED25519_COSIGNATURE:
        return Ed25519PrivateKey.from_private_bytes(parts.material)
    try:
        return MLDSA44PrivateKey.from_seed_bytes(parts.material)
    except UnsupportedAlgorithm:
        raise _no_ml_dsa() from None


def _no_ml_dsa() -> NoteError:
    return NoteError(
        "the cryptography library of this machine has no ML-DSA-44",
        fix="Use an Ed25519 cosigner (type 4), or a build of the library that has it.",
    )
