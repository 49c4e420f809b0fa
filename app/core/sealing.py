"""Secrets at rest: AES-256-GCM (NIST SP 800-38D) under the key-encryption key.

A sealed value is ``1 byte version | 12 byte nonce | ciphertext and tag``. The context (what the secret is for) is
authenticated with it, so that a sealed key moved to another row does not open.
"""

import hashlib
import hmac
import os
import secrets
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from app.core.config import Settings

KEY_SIZE = 32
_NONCE_SIZE = 12
_VERSION = b"\x01"
WRAPPED = b"marchamo-kek-1\n"
"""How a file with a wrapped key begins."""


class SealError(Exception):
    """A sealed value that does not open: another key-encryption key, another context, or damage."""


class Sealer:
    """Seals and opens small secrets, and derives keys for named purposes.

    derivation_root: what keys are derived from, 32 bytes; made from the key itself while that was never changed.
    Derived keys stay when the key-encryption key changes: the
    ledger's entries about one subject are found by one of them.
    """

    __slots__ = ("_cipher", "derivation_root", "fingerprint")

    def __init__(self, key_encryption_key: bytes, derivation_root: bytes | None = None) -> None:
        if len(key_encryption_key) != KEY_SIZE:
            raise SealError(f"the key-encryption key must have {KEY_SIZE} bytes")
        self._cipher = AESGCM(key_encryption_key)
        # HKDF-Extract without salt (RFC 5869, section 2.2): from the root nobody comes back to the key.
        own_root = hmac.digest(bytes(32), key_encryption_key, hashlib.sha256)
        self.derivation_root = own_root if derivation_root is None else derivation_root
        self.fingerprint = hmac.digest(key_encryption_key, b"marchamo fingerprint", hashlib.sha256)[:6].hex()

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
        return HKDFExpand(hashes.SHA256(), KEY_SIZE, purpose.encode()).derive(self.derivation_root)


def key_file(settings: Settings) -> Path:
    """The file that holds the key-encryption key, in clear or wrapped by a module."""
    return Path(settings.kek_file) if settings.kek_file else settings.data_dir / "kek"


def load_key_encryption_key(settings: Settings) -> bytes:
    """The key from the environment, else from its file, else unwrapped by the PKCS#11 module that the settings name.

    Only the file ``kek`` in the data folder is made at first use: one that was named and is not there may be a disk
    that is not mounted, and a new key would open nothing. Raises SealError.
    """
    if settings.key_encryption_key:
        if settings.kek_uri:
            raise SealError("MARCHAMO_KEY_ENCRYPTION_KEY and MARCHAMO_KEK_URI are both set: one of them must go")
        return settings.key_encryption_key
    path = key_file(settings)
    if settings.kek_uri:
        from app.core.key_modules import unwrap_key  # noqa: PLC0415  few services have a module

        try:
            return unwrap_key(settings.kek_uri, path.read_bytes())
        except FileNotFoundError:
            raise SealError(f"{path} is not there: `marchamo kek wrap` makes it from the key in use") from None
    try:
        return read_plain_key(path)
    except FileNotFoundError:
        if settings.kek_file:
            raise SealError(f"{path} is not there: it must hold the {KEY_SIZE} bytes of the key") from None
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_new_file(path, secrets.token_bytes(KEY_SIZE), keep=True)
    return read_plain_key(path)


def write_new_file(path: Path, content: bytes, *, keep: bool = False) -> None:
    """Write a file for its owner alone, whole or not at all; one that exists stays.

    keep: nobody minds that one exists: of two processes that start together the slower one takes the other's. Raises
    FileExistsError otherwise.
    """
    partial = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.write(descriptor, content)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    try:
        os.link(partial, path)  # refuses when another process was first; never a half-written key
    except FileExistsError:
        if not keep:
            raise
    finally:
        partial.unlink()
    # The name too must outlive a power cut: what is sealed next may be on a disk of its own, and would outlive the key.
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def read_plain_key(path: Path) -> bytes:
    """Read a key that lies in its file in clear; raises SealError, FileNotFoundError."""
    key = path.read_bytes()
    if key.startswith(WRAPPED):
        raise SealError(f"the key in {path.name} is wrapped by a PKCS#11 module: MARCHAMO_KEK_URI must name it")
    if len(key) != KEY_SIZE:
        raise SealError(f"{path.name} must hold exactly {KEY_SIZE} bytes")
    return key
