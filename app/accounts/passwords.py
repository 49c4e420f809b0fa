"""Passwords: how they are made, and the only form in which they are kept."""

import secrets
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError

MIN_PASSWORD = 12
MAX_PASSWORD = 200

_hasher = PasswordHasher()


def hash_password(password: str) -> str:
    """Argon2id hash with the library's current parameters."""
    return _hasher.hash(password)


def password_matches(password_hash: str, password: str) -> bool:
    """Whether the password fits; costs the same whether or not it does, and for a person who has no password."""
    if not password_hash.startswith("$argon2"):
        password_hash, password = decoy_hash(), ""
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
