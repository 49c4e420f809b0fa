"""The trust list: what a reader must know beforehand to judge without a connection.

It is the JSON document that the registry serves at ``/v1/trust``: hosts of the registry's codes, the log's verifier
key, and the public keys under which codes, batch statements and receipts are signed. Whoever keeps it decides whom to
trust: compare the log's key with one that you got in another way.
"""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from ledger.errors import LedgerError
from ledger.note import NoteVerifier
from ledger.strict import decode_json_object
from scanners.codes.errors import CodeError
from scanners.codes.signature import load_public_key

FORMAT = "marchamo trust list v1"
MAX_BYTES = 16 * 1024 * 1024


class TrustError(ValueError):
    """A trust list that cannot be used."""

    def __init__(self, message: str, *, fix: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.fix = fix


@dataclass(frozen=True, slots=True)
class CodeKey:
    """A key under which codes are signed; the times and positions are those of the registry's records.

    valid_until in milliseconds since 1970; revoked_index is the ledger position of the revocation, None while valid.
    """

    key_id: int
    issuer: str
    public_key: Ed25519PublicKey
    valid_until: int
    registered_index: int
    revoked_index: int | None


@dataclass(frozen=True, slots=True)
class TrustList:
    """What the reader trusts; `statement_keys` and `receipt_keys` by the key id that stands in a JWS header."""

    registry: str
    as_of: int
    hosts: frozenset[str]
    log: NoteVerifier
    code_keys: Mapping[int, CodeKey]
    statement_keys: Mapping[str, Ed25519PublicKey]
    receipt_keys: Mapping[str, Ed25519PublicKey]

    @classmethod
    def from_json(cls, text: bytes) -> "TrustList":
        """Read a trust list; raises TrustError for anything that is not exactly one."""
        if len(text) > MAX_BYTES:
            raise TrustError(f"a trust list has at most {MAX_BYTES} bytes")
        try:
            members = decode_json_object(text)
            if members.get("format") != FORMAT:
                raise TrustError(f"this is not a '{FORMAT}'", fix="Fetch it with: marchamo trust SERVER > trust.json")
            keys = [_code_key(row) for row in members["code_keys"]]
            return cls(
                registry=str(members["registry"]),
                as_of=int(members["as_of"]),
                hosts=frozenset(str(host).lower() for host in members["hosts"]),
                log=NoteVerifier.from_text(members["log"]),
                code_keys={key.key_id: key for key in keys},
                statement_keys=_named_keys(members["statement_keys"]),
                receipt_keys=_named_keys(members["receipt_keys"]),
            )
        except (KeyError, TypeError, ValueError, LedgerError, binascii.Error) as error:
            if isinstance(error, TrustError):
                raise
            raise TrustError(f"the trust list is malformed: {error}") from error

    @classmethod
    def from_file(cls, path: Path) -> "TrustList":
        """Read a trust list from a file; raises TrustError, also when the file can not be read."""
        try:
            with path.open("rb") as file:
                return cls.from_json(file.read(MAX_BYTES + 1))
        except OSError as error:
            raise TrustError(f"the trust list cannot be read: {error.strerror}") from error


def _code_key(row: Mapping[str, Any]) -> CodeKey:
    revoked = row["revoked_index"]
    return CodeKey(
        key_id=int(row["key_id"]),
        issuer=str(row["issuer"]),
        public_key=_public_key(row["public_key"]),
        valid_until=int(row["valid_until"]),
        registered_index=int(row["registered_index"]),
        revoked_index=None if revoked is None else int(revoked),
    )


def _named_keys(rows: Mapping[str, str]) -> dict[str, Ed25519PublicKey]:
    return {str(name): _public_key(value) for name, value in rows.items()}


def _public_key(text: str) -> Ed25519PublicKey:
    try:
        return load_public_key(base64.b64decode(text, validate=True))
    except CodeError as error:
        raise TrustError(f"a key of the trust list is refused: {error}") from error
