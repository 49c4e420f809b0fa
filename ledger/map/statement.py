"""What an entry of the kind `ledger.map` states: at this size of the log, the subject map has this root.

Every such entry is about one public subject, so its leaf bears a tag that anybody can compute: no map can be shown to
one person without standing in the log where everybody who watches it looks for maps.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from ledger.errors import FormatError, ProofError
from ledger.leaf import Body
from ledger.merkle import HASH_SIZE
from ledger.own import OwnKind, own_subject
from ledger.statement import STATEMENT_TYPE, verify_statement
from ledger.strict import MAX_INTEGER, decode_base64

MAP_KIND = OwnKind.MAP.value
MAP_SUBJECT = own_subject(OwnKind.MAP)
MAP_STATEMENT_VERSION = 1

_MEMBERS: Mapping[str, type] = {"v": int, "kind": str, "size": int, "root": str, "time": str}
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", re.ASCII)


@dataclass(frozen=True, slots=True)
class MapStatement:
    """The map of the entries 0 to size - 1 has this root (32 bytes). time: when that was stated, RFC 3339 in UTC."""

    size: int
    root: bytes
    time: str

    @classmethod
    def from_payload(cls, payload: Mapping[str, Any]) -> MapStatement:
        """Read it; FormatError for a missing, further or ill-typed member."""
        if payload.keys() != _MEMBERS.keys():
            raise FormatError(f"the statement of a map has exactly the members {', '.join(_MEMBERS)}")
        if any(type(payload[name]) is not wanted for name, wanted in _MEMBERS.items()):
            raise FormatError("a member of the statement of a map has the wrong type")
        if payload["v"] != MAP_STATEMENT_VERSION or payload["kind"] != MAP_KIND:
            raise FormatError("this is not the statement of a map, or of another version")
        if not 0 <= payload["size"] <= MAX_INTEGER or not _TIME.fullmatch(payload["time"]):
            raise FormatError("the size or the time of the map is malformed")
        return cls(payload["size"], decode_base64(payload["root"], size=HASH_SIZE), payload["time"])


def verify_map_body(body: Body, keys: Mapping[str, Ed25519PublicKey]) -> MapStatement:
    """Read the map that a body states, signed by one of these keys (by key id). Raises ProofError or StatementError."""
    if body.kind != MAP_KIND or [subject for subject, _ in body.subjects] != [MAP_SUBJECT]:
        raise ProofError(f"this is no entry of the kind {MAP_KIND} about the subject map")
    key = keys.get(body.key_id)
    if key is None:
        raise ProofError(f"the map is signed with the key {body.key_id}, which is none of those that may state a map")
    statement = verify_statement(body.statement, public_key=key, typ=STATEMENT_TYPE)
    if statement.key_id != body.key_id:
        raise ProofError("the map's body and its statement name different keys")
    try:
        return MapStatement.from_payload(statement.payload)
    except FormatError as error:
        raise ProofError(error.message) from None
