"""Going on with a log whose high-water mark is missing or contradicts it: a decision, taken with all that is known.

The mark is one witness of how far the log was acknowledged; the others are outside: checkpoints that people kept, and
those that witnesses have cosigned. When none of them knows more than the database, the log may go on. When one does,
entries that were acknowledged are gone, and people hold receipts for them. Then the honest ways are to put a newer
backup back, or to leave this log as it is, answering and signing nothing, and to begin another under another name. To
go on in spite of it is possible, for a registry that has to work tomorrow, but never silently: the next entry of the
log says how many entries were lost, what was known about them, and why the log goes on.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from sqlalchemy import Engine

from ledger.alarms import AlarmKind, raise_alarm
from ledger.checkpoint import open_checkpoint
from ledger.errors import AcknowledgedLost, NoteError, TransportError
from ledger.keys.log_keys import LogKeys
from ledger.log import Appended, Log
from ledger.mark.high_water import Finding, HighWaterMark
from ledger.own import OwnKind, StatementSigner
from ledger.strict import encode_base64
from ledger.witnessing.policy import Policy
from ledger.witnessing.transport import Transport

MAX_REASON = 500
MAX_STATED = 10
"""So many checkpoints that contradict the log are put into its entry."""
MAX_NOTE = 4_000
MARK = "high-water mark"

_NOT_FOUND = 404


@dataclass(frozen=True, slots=True)
class Word:
    """What somebody knows of the log: `source` saw `size` entries under `root`; `note` is signed, "" for the mark."""

    source: str
    size: int
    root: bytes
    note: str = ""

    def to_members(self) -> dict[str, Any]:
        """Give the JSON object for people and for the log."""
        return {"source": self.source, "size": self.size, "root": encode_base64(self.root), "note": self.note}


@dataclass(frozen=True, slots=True)
class Silent:
    """Somebody who should know and did not say; `why` is a sentence."""

    source: str
    why: str


@dataclass(frozen=True, slots=True)
class Assessment:
    """The log in its database (size, root) against every word about it.

    larger: who knows more entries than there are. contradicting: who knows other entries than there are.
    """

    finding: Finding
    size: int
    root: bytes
    words: tuple[Word, ...]
    larger: tuple[Word, ...]
    contradicting: tuple[Word, ...]

    @property
    def lost(self) -> int:
        """How many acknowledged entries are missing at the end, as far as anybody knows."""
        return max((word.size - self.size for word in self.larger), default=0)

    @property
    def is_safe(self) -> bool:
        """Whether nobody knows more than the database, or anything else."""
        return not self.larger and not self.contradicting


def read_word(source: str, note: str | bytes, keys: LogKeys, origin: str) -> Word:
    """Read a checkpoint that somebody kept; NoteError unless it is signed by the log's own key."""
    signed = open_checkpoint(note, keys, origin=origin)
    return Word(source, signed.checkpoint.size, signed.checkpoint.root, signed.note_text)


def ask_witnesses(policy: Policy, keys: LogKeys, origin: str, transport: Transport) -> list[Word | Silent]:
    """Ask every witness of the policy that has an address for the latest checkpoint that it cosigned."""
    found: list[Word | Silent] = []
    name = sha256(origin.encode()).hexdigest()
    for witness in policy.witnesses:
        source = f"witness {witness.name}"
        if witness.url is None:
            found.append(Silent(source, "the policy gives no address; ask for its checkpoint and give it as a file"))
            continue
        try:
            answer = transport.get(f"{witness.url.rstrip('/')}/{name}/checkpoint")
            if answer.status == _NOT_FOUND:
                found.append(Silent(source, "it shows no checkpoint of this log"))
            else:
                found.append(read_word(source, answer.body, keys, origin))
        except TransportError as error:
            found.append(Silent(source, f"it can not be reached: {error}"))
        except NoteError as error:
            found.append(Silent(source, f"its answer can not be used: {error.message}"))
    return found


def assess(log: Log, finding: Finding, words: Sequence[Word]) -> Assessment:
    """Compare the log, as it is in its database, with all words and with its mark, as far as it can be read."""
    size, root = log.head()
    mark = finding.mark
    all_words = list(words)
    if mark is not None and mark.origin == log.origin:
        all_words.insert(0, Word(MARK, mark.size, mark.root))
    return Assessment(
        finding,
        size,
        root,
        tuple(all_words),
        larger=tuple(word for word in all_words if word.size > size),
        contradicting=tuple(word for word in all_words if word.size <= size and log.root_at(word.size) != word.root),
    )


def adopt(
    assessment: Assessment,
    *,
    log: Log,
    mark: HighWaterMark,
    engine: Engine,
    signer: StatementSigner,
    reason: str,
    accept_loss: bool = False,
    clock: Callable[[], float] = time.time,
) -> Appended[None] | None:
    """Make the log as it is the one that counts: an entry says so, then the mark follows.

    A frozen log takes no entry, so there only the mark follows, and None is given. `log` is open without a mark. Raises
    AcknowledgedLost unless nobody knows better, or the loss is accepted, with a reason of 1 to 500 characters. With a
    loss an alarm is raised too, for everybody to see.
    """
    if not assessment.is_safe and not accept_loss:
        raise AcknowledgedLost(
            describe(assessment),
            fix="Put a newer backup back. If there is none, see `marchamo ledger adopt --help` about --lost.",
        )
    if not 1 <= len(reason) <= MAX_REASON:
        raise ValueError(f"the reason has 1 to {MAX_REASON} characters")
    against = (*assessment.larger, *assessment.contradicting)
    payload = {
        "origin": log.origin,
        "size": assessment.size,
        "root": encode_base64(assessment.root),
        "state": assessment.finding.state.value,
        "lost": assessment.lost,
        "against": [word.to_members() for word in against if len(word.note) <= MAX_NOTE][:MAX_STATED],
        "reason": reason,
    }
    now = int(clock() * 1000)
    # The entry first: a crash before the mark is adopted leaves a log that is still closed, never one that is silent.
    appended = None if log.frozen() else log.append(signer.entry(OwnKind.ADOPTED, payload, at_ms=now))
    if not assessment.is_safe:
        evidence = "\n".join(word.note or f"{word.source}: {word.size} {encode_base64(word.root)}" for word in against)
        goes_on = "The ledger is frozen" if appended is None else f"Entry {appended.index} says why the ledger goes on"
        detail = f"{describe(assessment)} {goes_on}: {reason}"
        raise_alarm(engine, AlarmKind.FORK, detail=detail, evidence=evidence, clock=clock)
    size, root = log.head()
    mark.adopt(size, root)
    log.checkpoint(at_least=size)
    return appended


def describe(assessment: Assessment) -> str:
    """Say in plain words what is wrong, or that nothing is known to be."""
    if assessment.is_safe:
        return f"Nothing that is known goes beyond the {assessment.size} entries in the database, or contradicts them."
    parts = []
    if assessment.lost:
        sources = ", ".join(word.source for word in assessment.larger)
        last = assessment.size + assessment.lost - 1
        parts.append(
            f"{assessment.lost} acknowledged entries, {assessment.size} to {last}, are not in the database (known by: "
            f"{sources})."
        )
    if assessment.contradicting:
        sources = ", ".join(f"{word.source} at size {word.size}" for word in assessment.contradicting)
        parts.append(f"The database holds another history than was acknowledged (known by: {sources}).")
    return " ".join(parts)
