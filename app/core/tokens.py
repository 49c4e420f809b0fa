"""Secrets that are random and long, so that a fast hash keeps them safely: SHA-256 of 256 random bits."""

import hashlib
import secrets

TOKEN_BYTES = 32


def new_token() -> str:
    """A URL-safe secret of 256 bits."""
    return secrets.token_urlsafe(TOKEN_BYTES)


def token_hash(token: str) -> bytes:
    """The only form in which a token is stored: unguessable, so a fast hash is enough."""
    return hashlib.sha256(token.encode()).digest()
