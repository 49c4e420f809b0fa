"""The trust root: which list of trusted keys is the registry's, until when, and which list may follow which.

A trust list is a JSON document signed by the log's keys. Its rules are those of TUF's root role, cut down to one role
and one document (The Update Framework, section 5.3):

* It is signed by every key of the log that it names as current. That says only that it is of one piece: whom to trust
  at first is for a person to compare (`ledger.keys.log_keys.fingerprint`).
* Whoever holds a list takes another only if a key that is current in the list he holds has signed it, or a key to
  which such a key leads by successions (`ledger.keys.log_keys`). So neither a missed list nor a missed rotation breaks
  the chain, and nobody without such a key can put a list under it.
* It never goes back: not to an older version, not to fewer keys of the log, not to other sizes of checkpoints for them.
* It ends. A list out of its time still vouches for the one that follows, as in TUF, but for nothing else.

What it can not do: whoever stole a key of the log that was later retired can deceive a reader whose list names that
key as current still. Such a reader's list is at most `MAX_LIFETIME_MS` old, or he is told that it has expired.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from itertools import pairwise
from typing import Any

from ledger.errors import LogKeyError, NoteError, TrustRootError
from ledger.keys.log_keys import LogKey, LogKeys, read_succession
from ledger.note import NoteSigner, NoteVerifier, open_note, sign_note
from ledger.strict import MAX_INTEGER, encode_base64, encode_json

HEADER = "marchamo trust list v1"
"""First line of the signed text; a key name holds no spaces, so no checkpoint of any log starts with it."""

SIGNATURE = "signature"
"""The member of the document that holds the signed note; the digest is that of the document without it."""

MAX_LIFETIME_MS = 366 * 86_400_000
"""A list can not be made to last longer, whoever signs it."""

CLOCK_TOLERANCE_MS = 86_400_000
"""A reader's clock may be a day behind the registry's, the breadth of all time zones."""

_KEY_MEMBERS = {"key", "first_size", "last_size", "succession"}


class TrustState(StrEnum):
    """Whether a list may be relied on at a time."""

    VALID = "valid"
    EXPIRED = "expired"
    CLOCK_BEHIND = "clock_behind"
    """The reader's clock shows a time before the list was made: nobody can tell whether it has expired."""


@dataclass(frozen=True, slots=True)
class TrustRoot:
    """What the signature of a trust list covers.

    keys: the log's keys. version: how many entries the log had when the list was made. as_of, expires_at: milliseconds
    since 1970. digest: SHA-256 of the document without its signature. Raises TrustRootError for impossible numbers.
    """

    keys: LogKeys
    version: int
    as_of: int
    expires_at: int
    digest: bytes

    def __post_init__(self) -> None:
        if not 0 <= self.version <= MAX_INTEGER or not 0 <= self.as_of < self.expires_at <= MAX_INTEGER:
            raise TrustRootError("the version or a time of the trust list is impossible")
        if self.expires_at - self.as_of > MAX_LIFETIME_MS:
            raise TrustRootError("the trust list is made to last for more than a year")

    @classmethod
    def of(cls, members: Mapping[str, Any], keys: LogKeys) -> TrustRoot:
        """Read the root of a document whose keys were read already. Raises TrustRootError."""
        version, as_of, expires_at = (_number(members, name) for name in ("version", "as_of", "expires_at"))
        return cls(keys, version, as_of, expires_at, document_digest(members))

    def to_text(self) -> str:
        """Give the text that is signed."""
        numbers = "".join(f"{number}\n" for number in (self.version, self.as_of, self.expires_at))
        return f"{HEADER}\n{self.keys.origin}\n{numbers}{encode_base64(self.digest)}\n"

    def sign(self, signers: Sequence[NoteSigner]) -> str:
        """Give the signed note. Raises TrustRootError unless the signers are the log's current keys."""
        if tuple(signer.verifier for signer in signers) != _current(self.keys):
            raise TrustRootError("a trust list is signed by all current keys of the log, and by no other")
        return sign_note(self.to_text(), signers)

    def verify(self, note_text: str) -> None:
        """Check that every key that this list names as current has signed it. Raises TrustRootError."""
        signed_by = _signers_of(self, note_text, _current(self.keys))
        if len(signed_by) != len(self.keys.current):
            raise TrustRootError("the trust list is not signed by all keys of the log that it names as current")

    def require_successor(self, later: TrustRoot, note_text: str) -> None:
        """Check that `later`, with this signed note, may take the place of this list. Raises TrustRootError."""
        if later.keys.origin != self.keys.origin:
            raise TrustRootError(f"the new trust list is of another log, {later.keys.origin}")
        trusted = _reachable(_current(self.keys), later.keys)
        current = tuple(verifier for verifier in _current(later.keys) if verifier in trusted)
        if not current or not _signers_of(later, note_text, current):
            raise TrustRootError(
                "the new trust list is not signed by a key of the log that the old list trusts",
                fix="If the log has really lost its keys, the registry must tell you so in another way; then begin "
                "anew, without the old list, and compare the fingerprint of the key.",
            )
        if (later.version, later.as_of) < (self.version, self.as_of):
            raise TrustRootError(
                f"the new trust list, version {later.version}, is older than the one you hold, version {self.version}",
                fix="Somebody is holding newer lists back from you, or the registry was restored from an old backup.",
            )
        _require_same_history(self.keys, later.keys)

    def state(self, now: int) -> TrustState:
        """Say whether the list may be relied on at `now`, in milliseconds since 1970."""
        if now >= self.expires_at:
            return TrustState.EXPIRED
        return TrustState.CLOCK_BEHIND if now < self.as_of - CLOCK_TOLERANCE_MS else TrustState.VALID


def document_digest(members: Mapping[str, Any]) -> bytes:
    """Give SHA-256 of the canonical JSON of a document without its member `signature`."""
    return sha256(encode_json({name: value for name, value in members.items() if name != SIGNATURE})).digest()


def keys_to_members(keys: LogKeys) -> list[dict[str, Any]]:
    """Give the member `log_keys` of a document."""
    return [
        {
            "key": key.verifier.to_text(),
            "first_size": key.first_size,
            "last_size": key.last_size,
            "succession": key.succession,
        }
        for key in keys.keys
    ]


def keys_from_members(rows: object) -> LogKeys:
    """Read the member `log_keys` and verify its successions. Raises LogKeyError or NoteError."""
    if not isinstance(rows, list):
        raise LogKeyError("the keys of the log are a list")
    keys = LogKeys(tuple(_read_key(row) for row in rows))
    for earlier, later in pairwise(keys.keys):
        if later.succession is None or read_succession(later.succession, earlier.verifier) != later.verifier:
            raise LogKeyError("a key of the log does not follow the one before it")
    return keys


def _read_key(row: object) -> LogKey:
    if not isinstance(row, dict) or row.keys() != _KEY_MEMBERS or not isinstance(row["key"], str):
        raise LogKeyError(f"a key of the log has exactly the members {', '.join(sorted(_KEY_MEMBERS))}")
    last_size, succession = row["last_size"], row["succession"]
    if type(row["first_size"]) is not int or not (last_size is None or type(last_size) is int):
        raise LogKeyError("the sizes that a key of the log signs are whole numbers")
    if not (succession is None or isinstance(succession, str)):
        raise LogKeyError("the succession of a key of the log is a signed note")
    return LogKey(NoteVerifier.from_text(row["key"]), row["first_size"], last_size, succession)


def _number(members: Mapping[str, Any], name: str) -> int:
    value = members.get(name)
    if type(value) is not int:  # not isinstance: true is no number here
        raise TrustRootError(f"{name} of the trust list is missing or no whole number")
    return value


def _current(keys: LogKeys) -> tuple[NoteVerifier, ...]:
    return tuple(key.verifier for key in keys.current)


def _reachable(trusted: Sequence[NoteVerifier], keys: LogKeys) -> tuple[NoteVerifier, ...]:
    """Give the keys of a list that are trusted, or follow a trusted one: each is vouched for by the one before it."""
    verifiers = keys.verifiers
    first = next((at for at, verifier in enumerate(verifiers) if verifier in trusted), len(verifiers))
    return verifiers[first:]


def _signers_of(root: TrustRoot, note_text: str, keys: Sequence[NoteVerifier]) -> tuple[NoteVerifier, ...]:
    try:
        note, signed_by = open_note(note_text, keys)
    except NoteError as error:
        raise TrustRootError(f"the signature of the trust list does not hold: {error.message}") from None
    if note.text != root.to_text():
        raise TrustRootError("the trust list is not the one that was signed: it was changed or damaged")
    return signed_by


def _require_same_history(held: LogKeys, later: LogKeys) -> None:
    """Refuse a list that tells another past: what a key may sign can only come to an end."""
    found = {key.verifier.key_id: key for key in later.keys}
    for key in held.keys:
        other = found.get(key.verifier.key_id)
        if other is None or other.verifier != key.verifier or other.first_size != key.first_size:
            raise TrustRootError("the new trust list leaves out a key of the log that the old one names")
        if key.last_size not in (None, other.last_size):
            raise TrustRootError("the new trust list lets a retired key of the log sign again")
