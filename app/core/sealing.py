"""Secrets at rest: AES-256-GCM (NIST SP 800-38D) under the key-encryption key.

A sealed value is ``1 byte version | 12 byte nonce | ciphertext and tag``. The context (what the secret is for) is
authenticated with it, so that a sealed key moved to another row does not open.
"""

import os
import secrets
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from app.core.config import Settings

KEY_SIZE = 32
_NONCE_SIZE = 12
_VERSION = b"\x01"


class SealError(Exception):
    """A sealed value that does not open: another key-encryption key, another context, or damage."""


class Sealer:
    """Seals and opens small secrets, and derives keys for named purposes."""

    __slots__ = ("_cipher", "_key")

    def __init__(self, key_encryption_key: bytes) -> None:
        if len(key_encryption_key) != KEY_SIZE:
            raise SealError(f"the key-encryption key must have {KEY_SIZE} bytes")
        self._key = key_encryption_key
        self._cipher = AESGCM(key_encryption_key)

    def seal(self, plain: bytes, context: str) -> bytes:
        """Encrypt and authenticate `plain` for `context`."""
        nonce = secrets.token_bytes(_NONCE_SIZE)
        return _VERSION + nonce + self._cipher.encrypt(nonce, plain, context.encode())

    def open(self, sealed: bytes, context: str) -> bytes:
        """Return what was sealed; raises SealError."""
        if sealed[:1] != _VERSION:
            raise SealError("a sealed value of an unknown version")
        try:
            return self._cipher.decrypt(sealed[1 : 1 + _NONCE_SIZE], sealed[1 + _NONCE_SIZE :], context.encode())
        except (InvalidTag, ValueError) as error:  # ValueError: shorter than a nonce
            raise SealError(f"the secret for {context} does not open under this key-encryption key") from error

    def derive(self, purpose: str) -> bytes:
        """32 bytes bound to `purpose` (HKDF-SHA256, RFC 5869)."""
        return HKDF(algorithm=hashes.SHA256(), length=KEY_SIZE, salt=None, info=purpose.encode()).derive(self._key)


def load_key_encryption_key(settings: Settings) -> bytes:
    """The key from the environment, else from the file ``kek`` in the data folder, made there at first use.

    The file is created with mode 0600 and O_EXCL, so that two processes that start together agree on one key.
    """
    if settings.key_encryption_key:
        return settings.key_encryption_key
    path = settings.data_dir / "kek"
    try:
        return _read_key(path)
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    partial = path.with_name(f"kek.{secrets.token_hex(4)}")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.write(descriptor, secrets.token_bytes(KEY_SIZE))
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    try:
        os.link(partial, path)  # refuses when another process was first; never a half-written key
    except FileExistsError:
        pass
    finally:
        partial.unlink()
    return _read_key(path)


def _read_key(path: Path) -> bytes:
    key = path.read_bytes()
    if len(key) != KEY_SIZE:
        raise SealError(f"{path.name} must hold exactly {KEY_SIZE} bytes")
    return key
