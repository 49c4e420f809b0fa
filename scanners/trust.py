"""The trust list: what a reader must know beforehand to judge without a connection.

It is the JSON document that the registry serves at ``/v1/trust``: hosts of the registry's codes, the keys of its log,
and the public keys under which codes, batch statements and receipts are signed. It is signed by the log's keys, ends at
a stated time, and only a list that the one before vouches for may follow it (`ledger.keys.trust_root`). Whoever takes a
first list decides whom to trust: compare the fingerprint of the log's key with one that you got in another way.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from ledger.errors import LedgerError
from ledger.keys.log_keys import LogKeys
from ledger.keys.trust_root import HEADER, SIGNATURE, TrustRoot, TrustState, keys_from_members
from ledger.strict import MAX_INTEGER, decode_base64, decode_json_object
from ledger.witnessing.policy import Policy
from scanners.codes.errors import CodeError
from scanners.codes.signature import load_public_key

FORMAT = HEADER
MAX_BYTES = 16 * 1024 * 1024
MAX_KEY_ID = 0xFFFFFFFF

HOW_TO_RENEW = "Renew it with: marchamo trust SERVER --previous trust.json --output trust.json"
STATE_SENTENCES = {
    TrustState.EXPIRED: "The trust list has expired: its keys may have been revoked or changed since.",
    TrustState.CLOCK_BEHIND: "This device's clock shows a time before the trust list was made: set the clock. Whether "
    "the list has expired cannot be told.",
}
"""What a person is told about a list that is not valid now."""


def told_of(state: TrustState) -> str:
    """Say what is wrong with a list in this state, and what to do; no other list helps against a wrong clock."""
    sentence = STATE_SENTENCES[state]
    return f"{sentence} {HOW_TO_RENEW}" if state is TrustState.EXPIRED else sentence


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

    valid_until in milliseconds since 1970; revoked_index is the ledger position of the revocation, None while valid;
    revoked_from the position from which on batches of the key do not count, the same or an earlier one.
    issuer_suspended: the registry had closed the issuer's access when the list was made.
    """

    key_id: int
    issuer: str
    public_key: Ed25519PublicKey
    valid_until: int
    registered_index: int
    revoked_index: int | None
    revoked_from: int | None
    issuer_suspended: bool


@dataclass(frozen=True, slots=True)
class TrustList:
    """What the reader trusts; `statement_keys` and `receipt_keys` by the key id that stands in a JWS header.

    root: the log's keys, version and times of this list. signature: the signed note over it, by those keys.
    """

    root: TrustRoot
    signature: str
    registry: str
    hosts: frozenset[str]
    witness_policy: Policy | None
    code_keys: Mapping[int, CodeKey]
    statement_keys: Mapping[str, Ed25519PublicKey]
    receipt_keys: Mapping[str, Ed25519PublicKey]

    @property
    def log_keys(self) -> LogKeys:
        """The keys of the log, those of earlier times included."""
        return self.root.keys

    @classmethod
    def from_json(cls, text: bytes) -> "TrustList":
        """Read a trust list and check that it is of one piece; members it does not know are left out.

        Raises TrustError for anything that is not one, or is not signed by the keys that it names. Whether these are
        the right keys, and whether the list has expired, is for the caller: `renewed_by`, `state`.
        """
        if len(text) > MAX_BYTES:
            raise TrustError(f"a trust list has at most {MAX_BYTES} bytes")
        try:
            members = decode_json_object(text)
            if members.get("format") != FORMAT:
                raise TrustError(f"this is not a '{FORMAT}'", fix="Fetch it with: marchamo trust SERVER > trust.json")
            signature = _member(members, SIGNATURE, str)
            root = TrustRoot.of(members, _log_keys(members.get("log_keys")))
            root.verify(signature)
            return cls(
                root=root,
                signature=signature,
                registry=_member(members, "registry", str),
                hosts=frozenset(_host(host) for host in _member(members, "hosts", list)),
                witness_policy=_policy(members),
                code_keys=_code_keys(_member(members, "code_keys", list)),
                statement_keys=_named_keys(_member(members, "statement_keys", dict)),
                receipt_keys=_named_keys(_member(members, "receipt_keys", dict)),
            )
        except (LedgerError, CodeError) as error:
            raise TrustError(f"the trust list is malformed: {error.message}") from error

    def renewed_by(self, text: bytes) -> "TrustList":
        """Read the list that is to follow this one. Raises TrustError unless this one vouches for it."""
        later = TrustList.from_json(text)
        try:
            self.root.require_successor(later.root, later.signature)
        except LedgerError as error:
            raise TrustError(error.message, fix=error.fix) from error
        return later

    def state(self, now: int) -> TrustState:
        """Say whether the list may be relied on at `now`, in milliseconds since 1970."""
        return self.root.state(now)

    @classmethod
    def from_file(cls, path: Path) -> "TrustList":
        """Read a trust list from a file; raises TrustError, also when the file can not be read."""
        try:
            with path.open("rb") as file:
                text = file.read(MAX_BYTES + 1)
        except OSError as error:
            raise TrustError(f"the trust list cannot be read: {error.strerror}") from error
        if not text:
            raise TrustError(
                "the trust list is malformed: the file is empty",
                fix="Was it emptied by `> FILE`? Give the file to write with --output.",
            )
        return cls.from_json(text)


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


def _log_keys(rows: object) -> LogKeys:
    keys = keys_from_members(rows)
    for verifier in keys.verifiers:
        load_public_key(verifier.public_key.public_bytes_raw())  # refuses weak keys that the format of notes allows
    return keys


def _policy(members: Mapping[str, Any]) -> Policy | None:
    if "witness_policy" not in members:
        raise TrustError("the trust list is malformed: witness_policy is missing")
    if members["witness_policy"] is None:
        return None
    return Policy.from_bytes(_member(members, "witness_policy", str).encode("utf-8"))


def _code_keys(rows: Iterable[Any]) -> dict[int, CodeKey]:
    keys: dict[int, CodeKey] = {}
    for row in rows:
        key = _code_key(row)
        if key.key_id in keys:
            raise TrustError(f"the trust list is malformed: code key {key.key_id} is there twice")
        keys[key.key_id] = key
    return keys


def _code_key(row: Any) -> CodeKey:
    if not isinstance(row, dict) or not {"revoked_index", "revoked_from"} <= row.keys():
        raise TrustError("the trust list is malformed: a code key does not say whether it is revoked")
    revoked_index, revoked_from = (_position(row, name) for name in ("revoked_index", "revoked_from"))
    if (revoked_index is None) != (revoked_from is None):
        raise TrustError("the trust list is malformed: a code key is half revoked")
    return CodeKey(
        key_id=_number(row, "key_id", MAX_KEY_ID),
        issuer=_member(row, "issuer", str),
        public_key=_public_key(_member(row, "public_key", str)),
        valid_until=_number(row, "valid_until"),
        registered_index=_number(row, "registered_index"),
        revoked_index=revoked_index,
        revoked_from=revoked_from,
        issuer_suspended=_member(row, "issuer_suspended", bool),
    )


def _position(row: Mapping[str, Any], name: str) -> int | None:
    return None if row[name] is None else _number(row, name)


def _named_keys(rows: Mapping[str, Any]) -> dict[str, Ed25519PublicKey]:
    return {name: _public_key(_member(rows, name, str)) for name in rows}


def _public_key(text: str) -> Ed25519PublicKey:
    return load_public_key(decode_base64(text))
