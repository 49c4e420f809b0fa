"""Passwords: how they are made, and the only form in which they are kept."""

import secrets
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError

from scanners.codes.serial import ALPHABET

MIN_PASSWORD = 12
MAX_PASSWORD = 200

_hasher = PasswordHasher()


def new_temporary_password() -> str:
    """A password of 80 bits that a person can read out and type, in groups of four."""
    text = "".join(secrets.choice(ALPHABET) for _ in range(16))
    return "-".join(text[start : start + 4] for start in range(0, 16, 4))


def hash_password(password: str) -> str:
    """Argon2id hash with the library's current parameters."""
    return _hasher.hash(password)


def password_matches(password_hash: str, password: str) -> bool:
    """Whether the password fits; costs the same whether or not it does."""
    try:
        return _hasher.verify(password_hash, password)
    except (Argon2Error, InvalidHashError):
        return False


@cache
def decoy_hash() -> str:
    """A hash for accounts that do not exist, so that their absence takes as long to say."""
    return _hasher.hash(secrets.token_urlsafe(16))


def needs_rehash(password_hash: str) -> bool:
    """Whether the library's parameters have become stronger since."""
    return _hasher.check_needs_rehash(password_hash)
