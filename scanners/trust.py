"""The trust list: what a reader must know beforehand to judge without a connection.

It is the JSON document that the registry serves at ``/v1/trust``: hosts of the registry's codes, the log's verifier
key, and the public keys under which codes, batch statements and receipts are signed. Whoever keeps it decides whom to
trust: compare the log's key with one that you got in another way.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from ledger.errors import LedgerError
from ledger.note import NoteVerifier
from ledger.strict import MAX_INTEGER, decode_base64, decode_json_object
from scanners.codes.errors import CodeError
from scanners.codes.signature import load_public_key

FORMAT = "marchamo trust list v1"
MAX_BYTES = 16 * 1024 * 1024
MAX_KEY_ID = 0xFFFFFFFF

T = TypeVar("T")


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
        """Read a trust list; raises TrustError for anything that is not one. Members it does not know are left out."""
        if len(text) > MAX_BYTES:
            raise TrustError(f"a trust list has at most {MAX_BYTES} bytes")
        try:
            members = decode_json_object(text)
            if members.get("format") != FORMAT:
                raise TrustError(f"this is not a '{FORMAT}'", fix="Fetch it with: marchamo trust SERVER > trust.json")
            return cls(
                registry=_member(members, "registry", str),
                as_of=_number(members, "as_of"),
                hosts=frozenset(_host(host) for host in _member(members, "hosts", list)),
                log=_log(_member(members, "log", str)),
                code_keys=_code_keys(_member(members, "code_keys", list)),
                statement_keys=_named_keys(_member(members, "statement_keys", dict)),
                receipt_keys=_named_keys(_member(members, "receipt_keys", dict)),
            )
        except (LedgerError, CodeError) as error:
            raise TrustError(f"the trust list is malformed: {error.message}") from error

    @classmethod
    def from_file(cls, path: Path) -> "TrustList":
        """Read a trust list from a file; raises TrustError, also when the file can not be read."""
        try:
            with path.open("rb") as file:
                return cls.from_json(file.read(MAX_BYTES + 1))
        except OSError as error:
            raise TrustError(f"the trust list cannot be read: {error.strerror}") from error


def _member(members: Any, name: str, wanted: type[T]) -> T:
    value = members.get(name) if isinstance(members, dict) else None
    if type(value) is not wanted:  # not isinstance: true is no number here
        raise TrustError(f"the trust list is malformed: {name} is missing or of the wrong type")
    return value


def _number(members: Any, name: str, limit: int = MAX_INTEGER) -> int:
    value = _member(members, name, int)
    if not 0 <= value <= limit:
        raise TrustError(f"the trust list is malformed: {name} is out of range")
    return value


def _host(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise TrustError("the trust list is malformed: a host is not text")
    return value.lower()


def _log(text: str) -> NoteVerifier:
    log = NoteVerifier.from_text(text)
    load_public_key(log.public_key.public_bytes_raw())  # refuses the weak keys that the format of notes allows
    return log


def _code_keys(rows: Iterable[Any]) -> dict[int, CodeKey]:
    keys: dict[int, CodeKey] = {}
    for row in rows:
        key = _code_key(row)
        if key.key_id in keys:
            raise TrustError(f"the trust list is malformed: code key {key.key_id} is there twice")
        keys[key.key_id] = key
    return keys


def _code_key(row: Any) -> CodeKey:
    if not isinstance(row, dict) or "revoked_index" not in row:
        raise TrustError("the trust list is malformed: a code key has no revoked_index")
    return CodeKey(
        key_id=_number(row, "key_id", MAX_KEY_ID),
        issuer=_member(row, "issuer", str),
        public_key=_public_key(_member(row, "public_key", str)),
        valid_until=_number(row, "valid_until"),
        registered_index=_number(row, "registered_index"),
        revoked_index=None if row["revoked_index"] is None else _number(row, "revoked_index"),
    )


def _named_keys(rows: Mapping[str, Any]) -> dict[str, Ed25519PublicKey]:
    return {name: _public_key(_member(rows, name, str)) for name in rows}


def _public_key(text: str) -> Ed25519PublicKey:
    return load_public_key(decode_base64(text))
