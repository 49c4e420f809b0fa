"""The ledger's own entries: what the log says about itself, in itself.

Each kind has one subject, which is no secret: whoever reads the public leaves finds all entries of that kind by their
tags, and that none is left out. They are signed with the registry's statement key, never with the log's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from hashlib import sha256
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ledger.leaf import NewEntry
from ledger.statement import STATEMENT_TYPE, sign_statement


class OwnKind(StrEnum):
    """What the ledger says about itself."""

    ADOPTED = "ledger.adopted"
    ERASED = "ledger.erased"
    FROZEN = "ledger.frozen"
    KEY = "ledger.key"
    MAP = "ledger.map"


def own_subject(kind: OwnKind) -> bytes:
    """Give the subject (32 bytes, public) of all entries of this kind: SHA-256("marchamo subject v1" newline kind)."""
    return sha256(b"marchamo subject v1\n" + kind.encode("ascii")).digest()


@dataclass(frozen=True, slots=True)
class StatementSigner:
    """The key that signs the ledger's own statements. Its representation never shows it."""

    key_id: str
    private_key: Ed25519PrivateKey = field(repr=False)

    def entry(self, kind: OwnKind, payload: Mapping[str, Any], *, at_ms: int) -> NewEntry:
        """Make the entry that states `payload`, with its kind and time (milliseconds since 1970) put in."""
        statement = sign_statement(
            {"v": 1, "kind": kind.value, "time": _rfc3339(at_ms), **payload},
            private_key=self.private_key,
            key_id=self.key_id,
            typ=STATEMENT_TYPE,
        )
        return NewEntry(kind.value, (own_subject(kind),), statement, self.key_id)


def _rfc3339(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
