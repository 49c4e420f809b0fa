"""Witness policies (C2SP tlog-policy): whose logs are known, which witnesses count, and how many make a quorum.

A policy file is read as octets and strictly: what breaks a rule is refused with the number of its line. Two rules are
ours, beyond the specification: no key may be both a log's and a witness's (a log does not witness itself), and no two
witnesses may share a key id (it is the name under which their cosignatures are kept).

`count` refuses a checkpoint on which the cosignature of a known witness fails (C2SP signed-note: such a note is
rejected as a whole), so that a broken cosignature never looks like a witnessed checkpoint, nor like an unwitnessed one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from ledger.cosignature import ML_DSA_44_COSIGNATURE, PUBLIC_KEY_SIZES, CosignatureVerifier
from ledger.errors import FormatError, LedgerError, PolicyError
from ledger.note import ED25519, Note, NoteVerifier, parse_note, read_key
from ledger.strict import decode_decimal

NONE: Final = "none"
"""The quorum that needs no witness."""

MAX_POLICY_SIZE = 1_000_000
MAX_ITEMS = 64
"""Logs, witnesses and groups a policy may have, of each; the specification asks for at least 32."""

_LOG_KEY_SIZES = {ED25519: 32, ML_DSA_44_COSIGNATURE: PUBLIC_KEY_SIZES[ML_DSA_44_COSIGNATURE]}
_OCTETS = frozenset([0x09, 0x0A, *range(0x20, 0x7F), *range(0x80, 0x100)])

LogVerifier = NoteVerifier | CosignatureVerifier


@dataclass(frozen=True, slots=True)
class KnownLog:
    """A log whose checkpoints are accepted; its origin is the key's name."""

    verifier: LogVerifier
    url: str | None = None


@dataclass(frozen=True, slots=True)
class Witness:
    """A witness. `name` has a meaning inside the policy only; `url` is its submission prefix (tlog-witness)."""

    name: str
    verifier: CosignatureVerifier
    url: str | None = None


@dataclass(frozen=True, slots=True)
class Group:
    """Members, witnesses or earlier groups by name, of which `threshold` must have witnessed (1 to all)."""

    name: str
    threshold: int
    members: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Witnessed:
    """What a checkpoint's cosignatures come to: `k` of the policy's `n` witnesses, and whether that is the quorum.

    names: key names of those who cosigned, in the policy's order. oldest, newest: the times of their cosignatures in
    seconds since 1970, None without any. A policy that asks for no witness (`quorum none`) is met by every checkpoint:
    `quorum_met` alone never means that anybody witnessed it.
    """

    k: int
    n: int
    quorum_met: bool
    names: tuple[str, ...] = ()
    oldest: int | None = None
    newest: int | None = None

    @property
    def by_quorum(self) -> bool:
        """Whether witnesses cosigned, and enough of them: never true when nobody did."""
        return self.quorum_met and self.k > 0

    def to_members(self) -> dict[str, Any]:
        """Give the JSON object: how many of how many, and whether enough of them did (false when nobody did)."""
        return {"k": self.k, "n": self.n, "quorum": self.by_quorum}


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy. Raises PolicyError when its parts do not fit together."""

    quorum: str = NONE
    logs: tuple[KnownLog, ...] = ()
    witnesses: tuple[Witness, ...] = ()
    groups: tuple[Group, ...] = ()
    _by_key_id: Mapping[int, Witness] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if max(len(self.logs), len(self.witnesses), len(self.groups)) > MAX_ITEMS:
            raise PolicyError(f"a policy has at most {MAX_ITEMS} logs, {MAX_ITEMS} witnesses and {MAX_ITEMS} groups")
        _check_keys(self.logs, self.witnesses)
        for url in (*(log.url for log in self.logs), *(witness.url for witness in self.witnesses)):
            if url is not None:
                _check_word(url)
        names = _Names()
        for witness in self.witnesses:
            names.define(witness.name)
        for group in self.groups:
            names.define_group(group)
        names.check_quorum(self.quorum)
        object.__setattr__(self, "_by_key_id", {one.verifier.key_id: one for one in self.witnesses})

    @classmethod
    def from_bytes(cls, data: bytes) -> Policy:
        """Read a policy file. Raises PolicyError naming the line."""
        return _Reader().read(data)

    def to_bytes(self) -> bytes:
        """Write the policy file, which `from_bytes` reads back as an equal policy."""
        lines = [
            *(_line("log", log.verifier.to_text(), log.url) for log in self.logs),
            *(_line("witness", one.name, one.verifier.to_text(), one.url) for one in self.witnesses),
            *(_line("group", one.name, str(one.threshold), *one.members) for one in self.groups),
            _line("quorum", self.quorum),
        ]
        return b"".join(lines)

    def witness_of(self, key_id: int, name: str) -> Witness | None:
        """Give the witness whose signature lines carry this key id and key name."""
        witness = self._by_key_id.get(key_id)
        return witness if witness is not None and witness.verifier.name == name else None

    def count(self, note: Note | str | bytes) -> Witnessed:
        """Count the witnesses that cosigned a checkpoint; the log's own signature is the caller's to verify.

        Every signature line of a known witness is verified. Raises NoteError when one fails, or when the note is not
        a checkpoint. A cosignature without a time counts for nothing: it does not say that the tree is the latest.
        """
        if not isinstance(note, Note):
            note = parse_note(note)
        times: dict[str, int] = {}
        for signature in note.signatures:
            witness = self.witness_of(signature.key_id, signature.name)
            if witness is None:
                continue
            witness.verifier.verify(note.text, signature.signature)
            moment = witness.verifier.time_of(signature.signature)
            if moment:
                times[witness.name] = max(moment, times.get(witness.name, 0))
        return self.judge(times)

    def judge(self, times: Mapping[str, int]) -> Witnessed:
        """Say what verified cosignatures come to: name in this policy -> time in seconds since 1970."""
        met = {NONE, *times}
        for group in self.groups:
            if sum(member in met for member in group.members) >= group.threshold:
                met.add(group.name)
        return Witnessed(
            k=len(times),
            n=len(self.witnesses),
            quorum_met=self.quorum in met,
            names=tuple(one.verifier.name for one in self.witnesses if one.name in times),
            oldest=min(times.values(), default=None),
            newest=max(times.values(), default=None),
        )


def read_policy(path: Path) -> Policy:
    """Read a policy file. Raises PolicyError naming the file, also when it cannot be read."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_POLICY_SIZE + 1)
    except OSError as error:
        raise PolicyError(f"the witness policy {path} cannot be read: {error.strerror}") from None
    try:
        return Policy.from_bytes(data)
    except PolicyError as error:
        raise PolicyError(f"the witness policy {path} cannot be used: {error.message}", fix=error.fix) from None


class _Names:
    """The names that are defined so far: the order of definitions rules out groups that contain each other."""

    def __init__(self) -> None:
        self._defined = {NONE}
        self._members: set[str] = set()

    def define(self, name: str) -> None:
        _check_word(name)
        if name in self._defined:
            raise PolicyError(f"the name {_shown(name)} is defined already")
        self._defined.add(name)

    def define_group(self, group: Group) -> None:
        for member in group.members:
            if member == NONE or member not in self._defined:
                raise PolicyError(f"the member {_shown(member)} is not a witness or group defined before")
            if member in self._members:
                raise PolicyError(f"{_shown(member)} is listed as a member twice")
            self._members.add(member)
        if not 1 <= group.threshold <= len(group.members):
            raise PolicyError(f"the group {_shown(group.name)} needs at least 1 and at most all of its members")
        self.define(group.name)

    def check_quorum(self, name: str) -> None:
        if name not in self._defined:
            raise PolicyError(f"the quorum {_shown(name)} is not defined before it")


class _Reader:
    """Reads the lines of one policy file in order."""

    def __init__(self) -> None:
        self._logs: list[KnownLog] = []
        self._witnesses: list[Witness] = []
        self._groups: list[Group] = []
        self._quorum: str | None = None
        self._names = _Names()

    def read(self, data: bytes) -> Policy:
        if len(data) > MAX_POLICY_SIZE:
            raise PolicyError(f"a policy has at most {MAX_POLICY_SIZE} bytes")
        if not _OCTETS.issuperset(data):
            raise PolicyError("a policy holds no control characters but tab and newline")
        if not data.endswith(b"\n"):
            raise PolicyError("the last line of a policy must end in a newline: the file may have been cut short")
        for number, line in enumerate(data.split(b"\n"), start=1):
            # bytes.split() parts at ASCII white space only, and of that only space and tab have come so far.
            words = line.split()
            if not words or words[0].startswith(b"#"):
                continue
            try:
                self._read_line([_text(word) for word in words])
            except LedgerError as error:
                raise PolicyError(f"line {number}: {error.message}", fix=error.fix) from None
        if self._quorum is None:
            raise PolicyError("the policy has no quorum line")
        return Policy(self._quorum, tuple(self._logs), tuple(self._witnesses), tuple(self._groups))

    def _read_line(self, words: list[str]) -> None:
        match words:
            case ["log", key, *url] if len(url) <= 1:
                self._logs.append(KnownLog(read_log_verifier(key), *url))
            case ["witness", name, key, *url] if len(url) <= 1:
                self._names.define(name)
                self._witnesses.append(Witness(name, CosignatureVerifier.from_text(key), *url))
            case ["group", name, threshold, *members] if members:
                group = Group(name, _threshold(threshold, len(members)), tuple(members))
                self._names.define_group(group)
                self._groups.append(group)
            case ["quorum", name] if self._quorum is None:
                self._names.check_quorum(name)
                self._quorum = name
            case ["quorum", _]:
                raise PolicyError("a policy has only one quorum line")
            case ["log" | "witness" | "group" | "quorum" as keyword, *_]:
                raise PolicyError(f"a {keyword} line has too few or too many words")
            case _:
                raise PolicyError("a line starts with log, witness, group, quorum or #")


def _check_keys(logs: Sequence[KnownLog], witnesses: Sequence[Witness]) -> None:
    log_keys = {log.verifier.public_key.public_bytes_raw() for log in logs}
    witness_keys = {witness.verifier.public_key.public_bytes_raw() for witness in witnesses}
    if len(log_keys) < len(logs):
        raise PolicyError("two logs have the same public key")
    if len(witness_keys) < len(witnesses):
        raise PolicyError("two witnesses have the same public key")
    if not log_keys.isdisjoint(witness_keys):
        raise PolicyError("the same public key is a log's and a witness's: a log does not witness itself")
    if len({witness.verifier.key_id for witness in witnesses}) < len(witnesses):
        raise PolicyError("two witnesses have the same key id", fix="Ask one of them for another key.")


def _check_word(text: str) -> None:
    octets = text.encode("utf-8", "surrogateescape")
    if not _OCTETS.issuperset(octets) or octets.split() != [octets]:
        raise PolicyError("a name or address is not empty and holds no white space nor control characters")


def _threshold(text: str, members: int) -> int:
    if text in {"any", "all"}:
        return 1 if text == "any" else members
    try:
        return decode_decimal(text)
    except FormatError:
        raise PolicyError("how many of a group is written all, any or as a decimal number") from None


def read_log_verifier(text: str) -> LogVerifier:
    """Read the verifier key of a log: Ed25519 (type 1), or ML-DSA-44 (type 6). Raises NoteError."""
    parts = read_key(text, _LOG_KEY_SIZES)
    return NoteVerifier.from_text(text) if parts.signature_type == ED25519 else CosignatureVerifier.from_text(text)


def _text(word: bytes) -> str:
    """Octets that are not UTF-8 are kept apart from all others, and written back as they were."""
    return word.decode("utf-8", "surrogateescape")


def _shown(name: str) -> str:
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _line(*words: str | None) -> bytes:
    return " ".join(word for word in words if word is not None).encode("utf-8", "surrogateescape") + b"\n"
