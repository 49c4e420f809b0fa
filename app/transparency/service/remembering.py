"""What devices remember of the log: the last checkpoint that each saw, compared with this log on every call.

A register that shows different people different histories must show the same device two histories at some time. So a
device sends the last checkpoint that it saw and gets back the newest with a proof that the one extends the other. The
device checks the proof; this side checks the device's checkpoint. One that carries the log's own signature and does
not fit the log is evidence of a fork, and raises an alarm. Nobody else can raise one: it takes the log's key.
"""

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import structlog

from app.core.errors import Malformed
from app.core.services import Services
from app.transparency.service.proving import consistency_texts
from ledger.alarms import AlarmKind, raise_alarm
from ledger.checkpoint import Checkpoint
from ledger.errors import NoteError
from ledger.keys.log_keys import LogKeys
from ledger.log import Log
from ledger.note import NoteVerifier, open_note

MAX_NOTE = 16_384
"""Characters of a checkpoint that a device sends: its own signatures and those of some witnesses."""
KNOWN = 4_096
"""Checkpoints found good before, kept in memory: devices that scan now and then come with those of the last hour."""

logger = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Memory:
    """What a device said it saw last. size: 0 for nothing. alarm: number of the alarm when it contradicts the log."""

    size: int
    alarm: int | None = None


NOTHING = Memory(0)


class _Known:
    """Checkpoints that were compared with the log already, by their text; the oldest is forgotten first."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._memories: OrderedDict[str, Memory] = OrderedDict()

    def get(self, note: str) -> Memory | None:
        return self._memories.get(note)

    def add(self, note: str, memory: Memory) -> None:
        with self._lock:
            self._memories[note] = memory
            if len(self._memories) > KNOWN:
                self._memories.popitem(last=False)


def take_memory(services: Services, note: str) -> Memory:
    """Compare a device's last checkpoint (empty: it has none) with the log; the common ones are known already.

    Raises Malformed for what this log's key did not sign: that proves nothing against anybody and is kept nowhere.
    """
    if not note:
        return NOTHING
    known: _Known | None = services.features.get(_Known)
    if known is None:
        known = services.features.setdefault(_Known, _Known())
    memory = known.get(note)
    if memory is None:
        memory = _compare(services, note)
        known.add(note, memory)
    return memory


def continuation(services: Services, memory: Memory) -> dict[str, Any]:
    """Give the JSON object that a device gets back: the newest checkpoint, and the proof that it extends the old one.

    Without a proof (null) when the device's checkpoint contradicts this log: there is none.
    """
    if memory.alarm is not None:
        newest, proof = services.checkpoints.latest().signed, None
    else:
        newest = services.checkpoints.covering(memory.size).signed
        proof = consistency_texts(services, memory.size, newest.checkpoint.size)
    return {"checkpoint": newest.note_text, "from": memory.size, "consistency": proof, "alarm": memory.alarm}


def _compare(services: Services, note: str) -> Memory:
    keys = services.log.keys()
    try:
        checkpoint, signed_by = _open(note, keys)
    except NoteError as error:
        raise Malformed(
            "The checkpoint is not one that this ledger signed: %(reason)s.",
            code="checkpoint_not_ours",
            fix="Fetch the ledger's key and checkpoint at /v1/log, and compare them with what you keep.",
            reason=error.message,
        ) from error
    detail = _contradiction(services.log, checkpoint) or _misuse(keys, checkpoint.size, signed_by)
    if detail is None:
        return Memory(checkpoint.size)
    alarm = raise_alarm(services.engine, AlarmKind.FORK, detail=detail, evidence=note)
    logger.critical("the ledger's key signed another history", alarm=alarm.number, size=checkpoint.size, detail=detail)
    return Memory(checkpoint.size, alarm.number)


def _open(note: str, keys: LogKeys) -> tuple[Checkpoint, Sequence[NoteVerifier]]:
    """Read a checkpoint that any key of the log has signed, whether or not it may: a false one is evidence then."""
    if len(note) > MAX_NOTE:
        raise NoteError("it is too long")
    opened, signed_by = open_note(note, keys.verifiers)
    checkpoint = Checkpoint.from_text(opened.text)
    if checkpoint.origin != keys.origin:
        raise NoteError("it is another ledger's")
    return checkpoint, signed_by


def _contradiction(log: Log, checkpoint: Checkpoint) -> str | None:
    """Say how the checkpoint contradicts the log; None when it fits."""
    size, root = log.head()
    sentence = None
    if checkpoint.size > size:
        sentence = (
            f"A device showed a checkpoint of size {checkpoint.size} that this ledger's key signed, but the ledger has "
            f"only {size} entries: entries were lost, or the key signs a second ledger."
        )
    elif checkpoint.root != (root if checkpoint.size == size else log.root_at(checkpoint.size)):
        sentence = (
            f"A device showed a checkpoint of size {checkpoint.size} that this ledger's key signed, with another root "
            "than the ledger's: there are two histories."
        )
    return sentence


def _misuse(keys: LogKeys, size: int, signed_by: Sequence[NoteVerifier]) -> str | None:
    """Say that a key signed which has no say over this size, such as a retired one; None when the keys are right."""
    sentence = None
    try:
        keys.require_any(size, signed_by)
    except NoteError:
        sentence = (
            f"A device showed a checkpoint of size {size} signed by a key of this ledger that does not sign that "
            "size: somebody else may hold a key that was retired."
        )
    return sentence
