"""The judgement of a witness: whether a checkpoint may be cosigned (C2SP tlog-witness, add-checkpoint).

The order of the checks is that of the specification, since it decides which status a faulty request gets.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from ledger.checkpoint import Checkpoint
from ledger.cosignature import CosignatureSigner
from ledger.errors import FormatError, NoteError, ProofError
from ledger.merkle import HASH_SIZE, verify_consistency
from ledger.note import Note, claims, open_note, parse_note
from ledger.strict import decode_base64
from ledger.witness.protocol import SIZE_TYPE, AddCheckpoint, format_size
from ledger.witness.state import Evidence, Latest, StateWriter, WitnessState
from ledger.witnessing.policy import LogVerifier

TEXT_TYPE = "text/plain; charset=utf-8"

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a request gets: status (HTTP), media type and body."""

    status: int
    body: bytes
    content_type: str = TEXT_TYPE

    @classmethod
    def saying(cls, status: int, sentence: str) -> Answer:
        """Make an answer of one line of text."""
        return cls(status, f"{sentence}\n".encode())


class _Refused(Exception):
    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.answer = Answer.saying(status, sentence)


class Cosigner:
    """One witness: its keys, the logs it knows, and its state. Safe for threads and for several processes."""

    def __init__(
        self,
        signers: Sequence[CosignatureSigner],
        logs: Sequence[LogVerifier],
        state: WitnessState,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.signers = tuple(signers)
        self.logs: dict[str, list[LogVerifier]] = {}
        for verifier in logs:
            self.logs.setdefault(verifier.name, []).append(verifier)
        self.state = state
        self._clock = clock

    def add_checkpoint(self, body: bytes) -> Answer:
        """Answer a request to cosign. Raises sqlite3.Error when the state cannot be read or written."""
        try:
            request = AddCheckpoint.from_bytes(body)
            note = parse_note(request.note_text)
        except (FormatError, NoteError) as error:
            return Answer.saying(400, error.message)
        try:
            signed = self._verified(note)
            checkpoint = _read_checkpoint(signed.text)
        except _Refused as refused:
            return refused.answer
        if request.old_size > checkpoint.size:
            return Answer.saying(400, f"the old size {request.old_size} is larger than that of the checkpoint")
        with self.state.exclusive() as state:
            return self._judge(state, request, signed, checkpoint)

    def _verified(self, note: Note) -> Note:
        """Give the note with nothing but the signatures of the log's known keys, all of them verified."""
        origin = note.text.partition("\n")[0]
        verifiers = self.logs.get(origin)
        if verifiers is None:
            raise _Refused(404, "this witness does not know that log")
        try:
            _, signed_by = open_note(note.to_text(), verifiers)
        except NoteError as error:
            raise _Refused(403, error.message) from None
        known = [line for line in note.signatures if any(claims(verifier, line) for verifier in signed_by)]
        return Note(note.text, tuple(dict.fromkeys(known)))

    def _judge(self, state: StateWriter, request: AddCheckpoint, signed: Note, checkpoint: Checkpoint) -> Answer:
        """Compare with what was cosigned last, and cosign. Runs inside the exclusive transaction."""
        latest = state.latest(checkpoint.origin)
        if request.old_size != latest.size:
            return Answer(409, format_size(latest.size), SIZE_TYPE)
        now = int(self._clock())
        try:
            verify_consistency(
                old_size=latest.size,
                new_size=checkpoint.size,
                old_root=latest.root,
                new_root=checkpoint.root,
                path=request.path,
            )
        except ProofError as error:
            if latest.note and state.add_evidence(
                Evidence(checkpoint.origin, now, error.message, latest.note, signed.to_text())
            ):
                logger.warning("refused a checkpoint of %s: %s", checkpoint.origin, error.message)
            return Answer.saying(422, error.message)
        # A cosignature says "as of this time, this is the largest": a clock set back must not make an earlier one lie.
        moment = max(now, latest.time)
        lines = [signer.sign_at(signed.text, moment) for signer in self.signers]
        cosigned = replace(signed, signatures=(*signed.signatures, *lines))
        # A crash from here to the end of the transaction: nobody has the cosignature, the log asks again. A crash
        # after it: the state has it, the log is told the size (409) and goes on from there.
        state.put(checkpoint.origin, Latest(checkpoint.size, checkpoint.root, moment, cosigned.to_text()))
        return Answer(200, "".join(line.line() for line in lines).encode())


def _read_checkpoint(text: str) -> Checkpoint:
    """Read the text of a checkpoint; 400 for what is none, 422 for an empty tree with a root of its own."""
    try:
        return Checkpoint.from_text(text)
    except NoteError as error:
        status = 422 if _is_empty_with_root(text) else 400
        raise _Refused(status, error.message) from None


def _is_empty_with_root(text: str) -> bool:
    lines = text.split("\n")
    with suppress(FormatError):
        return len(lines) > 3 and lines[1] == "0" and bool(decode_base64(lines[2], size=HASH_SIZE))
    return False
