"""What a device remembers of a registry's ledger, so that nobody can show it two histories.

The device keeps the last checkpoint that it saw and the key that signed it. Each answer of the registry brings a newer
one with the proof that it extends the kept one (RFC 9162 section 2.1.4). An answer that does not is refused, and the
two signed checkpoints are kept as evidence: together they prove the contradiction to anybody who has the key.

At the first contact there is nothing to compare with: the key is believed then, and only then. Later keys are believed
when the kept one has named them its successors.
"""

import json
import os
import re
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ledger.checkpoint import Checkpoint
from ledger.errors import FormatError, LedgerError, ProofError, UnknownKey
from ledger.keys.log_keys import read_succession
from ledger.merkle import MAX_PATH_LENGTH, verify_consistency
from ledger.note import Note, NoteVerifier, claims, open_note, parse_note
from ledger.strict import decode_base64, decode_json_object

FORMAT = "marchamo ledger memory v1"
EVIDENCE_FORMAT = "marchamo ledger contradiction v1"
MAX_BYTES = 1_000_000
MAX_NOTE = 65_536
MAX_SUCCESSIONS = 1_000


class MemoryRefusal(Exception):
    """What the registry shows of its ledger can not be accepted; `message` is a sentence for a person."""

    def __init__(self, message: str, *, fix: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.fix = fix


class Contradiction(MemoryRefusal):
    """The registry shows another history than before; `evidence` is the file that proves it."""

    def __init__(self, message: str, evidence: Path) -> None:
        super().__init__(
            message, fix=f"Do not rely on this registry. The proof is kept in {evidence}: show it to others."
        )
        self.evidence = evidence


@dataclass(frozen=True, slots=True)
class Remembered:
    """What the file holds: the last checkpoint's signed note, and the keys of the ledger that signed it."""

    note: str
    keys: tuple[NoteVerifier, ...]


FetchSuccessions = Callable[[], Sequence[object]]
"""Fetches the notes by which the ledger's keys named their successors, oldest first; called only when needed."""


class LogMemory:
    """The memory of one registry's ledger, in one file of `folder`."""

    def __init__(self, folder: Path, server: str, *, clock: Callable[[], float] = time.time) -> None:
        self._folder = folder
        self._server = server
        self._clock = clock
        name = re.sub(r"[^a-z0-9.-]+", "_", server.lower().rstrip("/").partition("://")[2])
        self.path = folder / f"{name}.json"
        self._known = self._read()

    @property
    def note(self) -> str:
        """The last checkpoint seen, as it is sent to the registry: with the ledger's own signatures; empty for none."""
        if self._known is None or not self._known.note:
            return ""
        note = parse_note(self._known.note)
        own = [one for one in note.signatures if any(claims(key, one) for key in self._known.keys)]
        return Note(note.text, tuple(own)).to_text()

    @property
    def is_empty(self) -> bool:
        """Whether this is the first contact."""
        return self._known is None

    def believe(self, key_text: str) -> NoteVerifier:
        """At the first contact: take this verifier key as the ledger's. What is shown next must be signed by it."""
        try:
            verifier = NoteVerifier.from_text(key_text)
        except LedgerError as error:
            raise MemoryRefusal(f"The registry's ledger has no usable key: {error.message}.") from error
        self._known = self._known or Remembered("", (verifier,))
        return verifier

    def follow(self, shown: object, fetch_successions: FetchSuccessions) -> None:
        """Check the answer's `log` member against what is remembered, and remember it.

        Raises Contradiction, or MemoryRefusal for what is missing, malformed or signed by an unknown key.
        """
        known = self._known
        if known is None:
            raise MemoryRefusal("Nothing is known of this registry's ledger yet.")
        note, path, alarm = _members(shown)
        signed_by, new = self._open(note, known, fetch_successions)
        if not known.note:
            self._remember(note, signed_by)
            return
        old = Checkpoint.from_text(open_note(known.note, known.keys)[0].text)
        reason = _contradiction(old, new, path)
        if alarm is not None:
            # The registry owns up: it has stored our checkpoint as the evidence of an alarm.
            reason = reason or "the registry itself says that the kept checkpoint is none of its ledger"
        if reason is not None:
            evidence = self._keep_evidence(known, shown, reason)
            raise Contradiction(
                f"The registry at {self._server} contradicts what it showed before: {reason}.", evidence
            )
        if note != known.note:
            self._remember(note, signed_by)

    def _open(
        self, note: str, known: Remembered, fetch_successions: FetchSuccessions
    ) -> tuple[tuple[NoteVerifier, ...], Checkpoint]:
        """Read the note under the known keys, or under their successors when the known ones have been retired."""
        keys = known.keys
        try:
            try:
                opened, signed_by = open_note(note, keys)
            except UnknownKey:
                keys = _successors(keys, fetch_successions())
                opened, signed_by = open_note(note, keys)
            checkpoint = Checkpoint.from_text(opened.text)
        except LedgerError as error:
            raise MemoryRefusal(
                f"The registry's ledger is not signed by the key that is known here: {error.message}.",
                fix=f"Compare its key with that of others. To begin anew with another ledger, remove {self.path}.",
            ) from error
        if checkpoint.origin != keys[0].name:
            raise MemoryRefusal("The registry shows the checkpoint of another ledger.")
        return signed_by, checkpoint

    def _remember(self, note: str, signed_by: tuple[NoteVerifier, ...]) -> None:
        # Only the keys that signed the newest checkpoint: a retired one has nothing to say any more.
        self._known = Remembered(note, signed_by)
        keys = [verifier.to_text() for verifier in signed_by]
        self._write(self.path, {"format": FORMAT, "server": self._server, "keys": keys, "checkpoint": note})

    def _keep_evidence(self, known: Remembered, shown: object, reason: str) -> Path:
        path = self.path.with_name(f"contradiction-{self.path.stem}-{int(self._clock() * 1000)}.json")
        members = {
            "format": EVIDENCE_FORMAT,
            "server": self._server,
            "time": int(self._clock() * 1000),
            "reason": reason,
            "keys": [verifier.to_text() for verifier in known.keys],
            "kept": known.note,
            "shown": shown,
        }
        self._write(path, members)
        return path

    def _read(self) -> Remembered | None:
        try:
            with self.path.open("rb") as file:
                data = file.read(MAX_BYTES + 1)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise MemoryRefusal(f"{self.path} cannot be read: {error.strerror}.") from error
        try:
            members = decode_json_object(data)
            if len(data) > MAX_BYTES or members.get("format") != FORMAT:
                raise FormatError("it is of another format")
            keys = tuple(NoteVerifier.from_text(_text(key)) for key in members["keys"])
            note = _text(members["checkpoint"])
            open_note(note, keys)
        except (LedgerError, KeyError, TypeError) as error:
            # Never passed over in silence: whoever can damage this file could make the device forget.
            raise MemoryRefusal(
                f"What this device remembers of the ledger is damaged: {self.path}.",
                fix="Find out who changed it; remove it to begin anew.",
            ) from error
        return Remembered(note, keys)

    def _write(self, path: Path, members: dict[str, Any]) -> None:
        """Write a file that is there whole or not at all, also after a power cut."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            descriptor, unfinished = tempfile.mkstemp(dir=self._folder, suffix=".tmp")
            try:
                with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                    json.dump(members, file, indent=1)
                    file.flush()
                    os.fsync(file.fileno())
                Path(unfinished).replace(path)
            except BaseException:
                with suppress(OSError):
                    Path(unfinished).unlink()
                raise
        except OSError as error:
            raise MemoryRefusal(f"{path} cannot be written: {error.strerror}.") from error


def _contradiction(old: Checkpoint, new: Checkpoint, path: Sequence[bytes] | None) -> str | None:
    """Say how the shown checkpoint contradicts the kept one; None when it is proved to extend it."""
    if new.size < old.size:
        return f"it shows {new.size} entries, and showed {old.size} before"
    try:
        verify_consistency(old_size=old.size, new_size=new.size, old_root=old.root, new_root=new.root, path=path or ())
    except ProofError as error:
        return error.message
    return None


def _members(shown: object) -> tuple[str, list[bytes] | None, int | None]:
    """Read the `log` member: checkpoint, consistency path or None, alarm or None."""
    malformed = MemoryRefusal("The registry does not show how its ledger has grown.", fix="It may be an older one.")
    if not isinstance(shown, dict):
        raise malformed
    note, path, alarm = shown.get("checkpoint"), shown.get("consistency"), shown.get("alarm")
    if not isinstance(note, str) or len(note) > MAX_NOTE or not (alarm is None or isinstance(alarm, int)):
        raise malformed
    if path is None:
        return note, None, alarm
    if not isinstance(path, list) or len(path) > MAX_PATH_LENGTH + 1:
        raise malformed
    try:
        return note, [decode_base64(_text(step)) for step in path], alarm
    except FormatError:
        raise malformed from None


def _successors(keys: Sequence[NoteVerifier], notes: Sequence[object]) -> tuple[NoteVerifier, ...]:
    """Give the keys and all that they, one after the other, named their successors."""
    found = list(keys)
    for note in notes[:MAX_SUCCESSIONS]:
        with suppress(LedgerError):  # one that another key wrote, which is not known here
            found.append(read_succession(_text(note), found[-1]))
    return tuple(found)


def _text(value: object) -> str:
    if not isinstance(value, str) or len(value) > MAX_NOTE:
        raise FormatError("a text is missing")
    return value
