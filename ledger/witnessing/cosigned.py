"""The published checkpoint with its cosignatures: what verdicts rest on and what outsiders fetch.

A checkpoint that was published this moment has no cosignature yet. So the newest one that meets the policy's quorum is
given, as long as it is at most ten seconds older than the newest of all; when witnesses fail for longer, the newest of
all is given with the few cosignatures, or none, that it has. How many they are is always said: nothing here looks
witnessed that is not.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ledger.checkpoint import SignedCheckpoint, open_checkpoint
from ledger.errors import NoteError
from ledger.log import Log
from ledger.note import Note, Signature, parse_note, read_signature
from ledger.storage.interface import CheckpointRow, LogStorage
from ledger.witnessing.policy import Policy, Witnessed

WITNESS_LAG_MS = 10_000
"""How much older than the newest checkpoint one that the quorum has witnessed may be to be preferred."""

REFRESH_SECONDS = 0.25
"""How long an answer is given from memory."""

_LOOKED_AT = 16
"""Checkpoints looked at for one with a quorum: more than are published within the lag."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class CosignedCheckpoint:
    """A published checkpoint, its note with the verified cosignatures of the policy's witnesses, and their count."""

    signed: SignedCheckpoint
    witnessed: Witnessed


class CosignedCheckpoints:
    """Reads the cosigned checkpoints of one log under one policy; safe for threads, fast for those who ask often."""

    def __init__(
        self,
        log: Log,
        storage: LogStorage,
        policy: Policy,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.policy = policy
        self._log = log
        self._storage = storage
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._latest: CosignedCheckpoint | None = None
        self._read_at = 0.0
        self._nobody = policy.judge({})

    def latest(self) -> CosignedCheckpoint:
        """Give the checkpoint to rest on (see above), at most a quarter of a second old; publishes one when due.

        Raises what `Log.checkpoint` raises.
        """
        if not self.policy.witnesses:
            return CosignedCheckpoint(self._log.checkpoint(), self._nobody)
        known, age = self._latest, self._monotonic() - self._read_at
        if known is not None and age < REFRESH_SECONDS:
            return known
        # One reads, the others go on with what they have, unless that is old.
        wait = known is None or age > 4 * REFRESH_SECONDS
        if not self._lock.acquire(blocking=wait) and known is not None:
            return known
        try:
            if self._latest is known:
                self._latest, self._read_at = self.read(), self._monotonic()
            return self._latest or self.read()
        finally:
            self._lock.release()

    def covering(self, size: int) -> CosignedCheckpoint:
        """Give the same, but one that covers `size` entries, witnessed or not yet. Raises EntryNotFound."""
        found = self.latest()
        if found.signed.checkpoint.size >= size:
            return found
        signed = self._log.checkpoint(at_least=size)
        with self._storage.reading() as reader:
            lines = reader.cosignatures(signed.checkpoint.size)
        return self._with(signed, lines)

    def read(self) -> CosignedCheckpoint:
        """Give the same as `latest`, read from the database now."""
        signed = self._log.checkpoint()
        with self._storage.reading() as reader:
            rows = reader.checkpoints(_LOOKED_AT if self.policy.witnesses else 1)
            newest = self._cosigned(rows[0], reader.cosignatures(rows[0].size)) if rows else None
            if newest is None or newest.witnessed.by_quorum:
                return newest or CosignedCheckpoint(signed, self._nobody)
            for row in rows[1:]:
                if rows[0].time - row.time > WITNESS_LAG_MS:
                    break
                # One that nobody cosigned needs no closer look.
                if lines := reader.cosignatures(row.size):
                    found = self._cosigned(row, lines)
                    if found.witnessed.by_quorum:
                        return found
        return newest

    def _cosigned(self, row: CheckpointRow, lines: Sequence[str]) -> CosignedCheckpoint:
        return self._with(open_checkpoint(row.note, self._log.keys(), origin=self._log.origin), lines)

    def _with(self, signed: SignedCheckpoint, lines: Sequence[str]) -> CosignedCheckpoint:
        """Add the cosignatures that were kept, each verified again."""
        note = parse_note(signed.note_text)
        times: dict[str, int] = {}
        verified: list[Signature] = []
        for line in lines:
            try:
                signature = read_signature(line.removesuffix("\n"))
                witness = self.policy.witness_of(signature.key_id, signature.name)
                if witness is None:
                    continue  # of a witness that this policy does not know any more
                witness.verifier.verify(note.text, signature.signature)
            except NoteError as error:
                # It was verified before it was stored: the row was changed. It counts for nothing and is not shown.
                logger.warning("a stored cosignature on a checkpoint is damaged: %s", error.message)
                continue
            times[witness.name] = witness.verifier.time_of(signature.signature)
            verified.append(signature)
        text = Note(note.text, (*note.signatures, *verified)).to_text()
        return CosignedCheckpoint(SignedCheckpoint(signed.checkpoint, text), self.policy.judge(times))
