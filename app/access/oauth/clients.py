"""Who can be a client: a value, and the places where clients are looked for.

A feature that has clients of its own (devices) registers a source when it is installed; none of them learns of the
others. Every source is asked for every identifier, so that the time does not tell who knows one.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sqlalchemy.orm import Session

from app.core.authorisation import Permission, Role

CLIENT_ID = re.compile(r"[A-Za-z0-9._:-]{1,64}")
"""The form of every client identifier; what has another form is not looked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OAuthClient:
    """A machine that may ask for access tokens.

    client_id: matches `CLIENT_ID`. machine: its stable name in records, such as ``device:7``. scopes: narrows the role;
    None for all of it. secret_hash: `app.core.tokens.token_hash` of its secret, None when it has none. public_jwk: the
    public key under which it signs its assertions, in the form that `keys.read_jwk` gave; None when it has none. valid:
    False once it was revoked or has expired: it gets no tokens, and those it has stop within `CACHE_SECONDS`.
    """

    client_id: str
    organisation_id: int
    role: Role
    machine: str
    name: str
    scopes: frozenset[Permission] | None = None
    secret_hash: bytes | None = None
    public_jwk: Mapping[str, str] | None = None
    valid: bool = True


ClientSource = Callable[[Session, str], OAuthClient | None]
"""Gives the client of this identifier, None when it has none such."""

_sources: list[ClientSource] = []


def register_client_source(source: ClientSource) -> None:
    """Let clients be looked for in one more place; registering the same function again changes nothing."""
    if source not in _sources:
        _sources.append(source)


def find_client(session: Session, client_id: str) -> OAuthClient | None:
    """The client of this identifier, from whichever source knows it; also one that is not valid any more."""
    if not CLIENT_ID.fullmatch(client_id):
        return None
    found = [source(session, client_id) for source in _sources]
    return next((client for client in found if client is not None), None)
