"""A firm's code key in a file: PKCS#8, PEM, encrypted under a passphrase, readable by OpenSSL and by nobody else.

The encryption is PBES2 (RFC 8018 section 6.2) with PBKDF2-HMAC-SHA-256 and AES-256-CBC. It is written here because
libraries choose a number of rounds that was right twenty years ago.
"""

import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, padding, serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC

from ledger.strict import encode_base64
from scanners.codes.errors import CodeError
from scanners.codes.signature import load_public_key

ROUNDS = 600_000
"""Of PBKDF2 in what is written here; a quarter of a second for each guess."""
LEAST_PASSPHRASE = 12
"""Characters of a passphrase."""
MAX_FILE = 64 * 1024
_PEM = re.compile(rb"-----BEGIN ENCRYPTED PRIVATE KEY-----")

# DER of object identifiers, tag and length included.
_PBES2 = bytes.fromhex("06092a864886f70d01050d")
_PBKDF2 = bytes.fromhex("06092a864886f70d01050c")
_HMAC_SHA256 = bytes.fromhex("06082a864886f70d0209")
_AES_256_CBC = bytes.fromhex("060960864801650304012a")
_NULL = b"\x05\x00"


class KeyFileError(Exception):
    """A key file that can not be used or written; `message` is a sentence for a person."""

    def __init__(self, message: str, *, fix: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.fix = fix


class PassphraseNeeded(KeyFileError):
    """The file is encrypted and no passphrase was given."""

    def __init__(self) -> None:
        super().__init__("The key file is encrypted.", fix="Give its passphrase with --passphrase-file.")


@dataclass(frozen=True, slots=True)
class CodeKeyPair:
    """A key to sign codes with; the private half never leaves this process."""

    private_key: Ed25519PrivateKey

    @property
    def public_key(self) -> bytes:
        """The 32 bytes that the registry knows."""
        return self.private_key.public_key().public_bytes_raw()


def new_key() -> CodeKeyPair:
    """A new key from the system's randomness."""
    return CodeKeyPair(Ed25519PrivateKey.generate())


def write_key(path: Path, key: CodeKeyPair, passphrase: str) -> None:
    """Write the key, encrypted, to a new file with mode 0600; raises KeyFileError, also when the file exists."""
    if len(passphrase) < LEAST_PASSPHRASE:
        raise KeyFileError(f"A passphrase has at least {LEAST_PASSPHRASE} characters.")
    text = encrypted_pem(key, passphrase)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise KeyFileError(f"{path} exists; a key file is never overwritten.", fix="Choose another name.") from None
    except OSError as error:
        raise KeyFileError(f"{path} cannot be written: {error.strerror}.") from error
    with os.fdopen(descriptor, "wb") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    # And its name: the registry is about to be told of this key, and a power cut must not leave it alone with that.
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def read_key(path: Path, passphrase: str | None) -> CodeKeyPair:
    """Read a private Ed25519 key in PKCS#8; raises KeyFileError, and PassphraseNeeded when it is encrypted.

    A file that is not encrypted is taken when nobody else can read it.
    """
    try:
        with path.open("rb") as file:
            text = file.read(MAX_FILE + 1)
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
    except OSError as error:
        raise KeyFileError(f"{path} cannot be read: {error.strerror}.") from error
    encrypted = _PEM.search(text) is not None
    if encrypted and passphrase is None:
        raise PassphraseNeeded
    if not encrypted and mode & 0o077:
        raise KeyFileError(f"{path} is not encrypted, and others can read it.", fix=f"chmod 600 {path}")
    password = passphrase.encode() if encrypted and passphrase is not None else None
    try:
        found = serialization.load_pem_private_key(text[:MAX_FILE], password)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        what = "the passphrase is wrong, or the file is damaged" if encrypted else "it is no private key in PEM"
        raise KeyFileError(f"{path} cannot be opened: {what}.") from error
    if not isinstance(found, Ed25519PrivateKey):
        raise KeyFileError(f"{path} holds a key of another kind; codes are signed with Ed25519.")
    key = CodeKeyPair(found)
    try:
        load_public_key(key.public_key)
    except CodeError as error:
        raise KeyFileError(f"{path}: {error.message}") from error
    return key


def encrypted_pem(key: CodeKeyPair, passphrase: str) -> bytes:
    """The key as EncryptedPrivateKeyInfo (RFC 5958 section 3) in PEM."""
    plain = key.private_key.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    salt, vector = os.urandom(16), os.urandom(16)
    derived = PBKDF2HMAC(hashes.SHA256(), 32, salt, ROUNDS).derive(passphrase.encode())
    padder = padding.PKCS7(128).padder()
    encryptor = Cipher(algorithms.AES(derived), modes.CBC(vector)).encryptor()
    sealed = encryptor.update(padder.update(plain) + padder.finalize()) + encryptor.finalize()
    derivation = _sequence(_octets(salt), _integer(ROUNDS), _sequence(_HMAC_SHA256, _NULL))
    parameters = _sequence(_sequence(_PBKDF2, derivation), _sequence(_AES_256_CBC, _octets(vector)))
    der = _sequence(_sequence(_PBES2, parameters), _octets(sealed))
    lines = re.findall(".{1,64}", encode_base64(der))
    return "\n".join(
        ["-----BEGIN ENCRYPTED PRIVATE KEY-----", *lines, "-----END ENCRYPTED PRIVATE KEY-----", ""]
    ).encode("ascii")


def _tagged(tag: int, content: bytes) -> bytes:
    length = len(content)
    size = bytes((length,)) if length < 128 else _long_length(length)
    return bytes((tag,)) + size + content


def _long_length(length: int) -> bytes:
    digits = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes((0x80 | len(digits),)) + digits


def _sequence(*parts: bytes) -> bytes:
    return _tagged(0x30, b"".join(parts))


def _octets(content: bytes) -> bytes:
    return _tagged(0x04, content)


def _integer(value: int) -> bytes:
    return _tagged(0x02, value.to_bytes(value.bit_length() // 8 + 1, "big"))
