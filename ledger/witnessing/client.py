"""The log's side of witnessing (C2SP tlog-witness): it shows its checkpoints to witnesses and keeps what they sign.

Each witness is asked on a thread of its own, so that one that is slow or gone stops no other. Nothing is kept that was
not verified with the key in the policy. A witness that saw another history than ours raises an alarm: either this log
was rolled back or forked, or the witness errs; both need a person.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from http import HTTPStatus
from typing import Protocol

from ledger.checkpoint import SignedCheckpoint, open_checkpoint
from ledger.errors import FormatError, NoteError, TransportError
from ledger.log import Log
from ledger.note import MAX_SIGNATURES, Note, Signature, claims, parse_note, read_signature
from ledger.storage.interface import CosignatureRow, LogReader, LogStorage
from ledger.tiles import LOG_HEIGHT, tree_root
from ledger.witness.protocol import SIZE_TYPE, AddCheckpoint, parse_size
from ledger.witnessing.policy import Policy, Witness
from ledger.witnessing.transport import Answer, Transport, check_url

PATIENCE_SECONDS = 1.0
"""How long a round waits for its witnesses; what comes later is kept by the next round."""

MAX_PAUSE_SECONDS = 60.0
"""A witness that failed again and again is asked at least so often."""

_ATTEMPTS = 3


class Result(StrEnum):
    """What became of one request to a witness."""

    COSIGNED = "cosigned"
    UNREACHABLE = "unreachable"
    REFUSED = "refused"
    """It answered, but with nothing that counts."""
    CONTRADICTED = "contradicted"
    """It knows another history of this log; an alarm was raised."""


@dataclass(frozen=True, slots=True)
class Report:
    """The result for one witness (its key name) and a checkpoint of `size`; `detail` is a sentence for failures."""

    witness: str
    result: Result
    size: int
    detail: str = ""


class Alarm(Protocol):
    """Stores an alarm."""

    def __call__(self, *, proven: bool, detail: str, evidence: str) -> None:
        """Store it. proven: the evidence is a note signed by this log's key that contradicts this log."""


class _Refused(Exception):
    """The witness answered with nothing that counts."""


class _Contradicted(Exception):
    """The witness knows another history than ours."""


@dataclass(slots=True)
class _Contact:
    """What is known about one witness while this process runs."""

    witness: Witness
    url: str
    seen: int = 0
    """Size of the latest checkpoint that it has, as far as we know: the old size of the next request."""
    cosigned: int = -1
    """Size of the latest checkpoint for which its cosignature came in."""
    failures: int = 0
    resume_at: float = 0.0
    alarmed: bool = False
    pending: Future[Report] | None = None


class Witnessing:
    """Shows the latest published checkpoint of one log to the witnesses of a policy that have an address."""

    def __init__(
        self,
        log: Log,
        storage: LogStorage,
        policy: Policy,
        *,
        transport: Transport,
        alarm: Alarm,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        patience: float = PATIENCE_SECONDS,
    ) -> None:
        self._log = log
        self._storage = storage
        self._transport = transport
        self._alarm = alarm
        self._clock = clock
        self._monotonic = monotonic
        self._patience = patience
        self._contacts = [_Contact(one, check_url(one.url)) for one in policy.witnesses if one.url is not None]
        self._pool = ThreadPoolExecutor(max(1, len(self._contacts)), thread_name_prefix="witness")
        self._lock = threading.Lock()
        self._unkept: list[CosignatureRow] = []

    def run_once(self) -> list[Report]:
        """Ask every witness that has not cosigned the latest published checkpoint, and keep what they sign.

        Publishes a checkpoint first when one is due. Gives a report for each request that ended. Raises LedgerError or
        SQLAlchemyError when the log's own database fails; what witnesses fail to do only stands in the reports.
        """
        if not self._contacts:
            return []
        signed = self._log.checkpoint()
        for contact in self._contacts:
            if self._is_due(contact, signed.checkpoint.size):
                contact.pending = self._pool.submit(self._ask, contact, signed)
        wait([one.pending for one in self._contacts if one.pending is not None], timeout=self._patience)
        self._keep()
        reports = []
        for contact in self._contacts:
            if contact.pending is not None and contact.pending.done():
                ended, contact.pending = contact.pending, None
                reports.append(ended.result())
        return reports

    def close(self) -> None:
        """Wait for requests that are under way (at most their deadline), keep what they brought, end the threads."""
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._keep()

    def _is_due(self, contact: _Contact, size: int) -> bool:
        return contact.pending is None and contact.cosigned < size and self._monotonic() >= contact.resume_at

    def _ask(self, contact: _Contact, signed: SignedCheckpoint) -> Report:
        """Ask one witness, on its own thread. What it does wrong becomes a report, our own errors go through."""
        name = contact.witness.verifier.name
        try:
            size = self._cosign(contact, signed)
        except (TransportError, _Refused, _Contradicted) as error:
            result = _RESULTS[type(error)]
            contact.failures += 1
            contact.resume_at = self._monotonic() + min(2.0**contact.failures, MAX_PAUSE_SECONDS)
            if result is Result.CONTRADICTED and not contact.alarmed:
                self._raise_alarm(contact, signed, str(error))
                contact.alarmed = True
            return Report(name, result, signed.checkpoint.size, str(error))
        contact.seen = contact.cosigned = size
        contact.failures, contact.alarmed = 0, False
        return Report(name, Result.COSIGNED, size)

    def _cosign(self, contact: _Contact, signed: SignedCheckpoint) -> int:
        """Get a witness to cosign a checkpoint, or a newer one if it is further; gives the size."""
        for _ in range(_ATTEMPTS):
            size = signed.checkpoint.size
            old_size = min(contact.seen, size)
            path = self._log.consistency_path(old_size, size)
            request = AddCheckpoint(old_size, tuple(path), signed.note_text)
            answer = self._transport.post(f"{contact.url}/add-checkpoint", request.to_bytes())
            if answer.status == HTTPStatus.OK:
                self._take(contact.witness, signed, answer)
                return size
            if answer.status == HTTPStatus.UNPROCESSABLE_ENTITY and old_size > 0:
                raise _Contradicted(
                    f"The witness {contact.witness.verifier.name} saw another history of this ledger up to entry "
                    f"{old_size}, or errs: {_sentence(answer)}"
                )
            if answer.status != HTTPStatus.CONFLICT:
                raise _Refused(f"it answered {answer.status}: {_sentence(answer)}")
            contact.seen = _told_size(answer, old_size)
            if contact.seen > size:
                signed = self._newer(contact)
        raise _Refused("it tells another size each time")

    def _newer(self, contact: _Contact) -> SignedCheckpoint:
        """Give a checkpoint that covers what the witness has seen; without one, entries of this log are gone."""
        size, _ = self._log.head()
        if contact.seen > size:
            raise _Contradicted(
                f"The witness {contact.witness.verifier.name} saw {contact.seen} entries of this ledger, which has "
                f"only {size}: entries were lost, the key signs a second ledger, or the witness errs."
            )
        return self._log.checkpoint(at_least=contact.seen)

    def _take(self, witness: Witness, signed: SignedCheckpoint, answer: Answer) -> None:
        """Verify the cosignature in an answer and put it with those that are to be kept."""
        verifier = witness.verifier
        text = parse_note(signed.note_text).text
        timed = []
        try:
            for line in _signature_lines(answer):
                # Lines of other keys are ignored, as the protocol asks.
                if claims(verifier, line):
                    verifier.verify(text, line.signature)
                    timed += [line] if verifier.time_of(line.signature) else []
        except NoteError as error:
            raise _Refused(f"its answer cannot be used: {error.message}") from None
        if not timed:
            raise _Refused("its answer holds no cosignature of the key in the policy")
        now = int(self._clock() * 1000)
        with self._lock:
            self._unkept.append(CosignatureRow(signed.checkpoint.size, verifier.key_id, timed[0].line(), now))

    def _keep(self) -> None:
        """Store what came in: at most one line of a witness on a checkpoint, the first one."""
        with self._lock:
            rows = list(self._unkept)
        if not rows:
            return
        with self._storage.writing() as writer:
            known = {(size, line.key_id) for size in {row.size for row in rows} for line in _lines(writer, size)}
            fresh = {(row.size, row.key_id): row for row in reversed(rows) if (row.size, row.key_id) not in known}
            writer.add_cosignatures(list(fresh.values()))
        # A crash or an error before this line: the rows are tried again, or the witness is asked again.
        with self._lock:
            del self._unkept[: len(rows)]

    def _raise_alarm(self, contact: _Contact, signed: SignedCheckpoint, detail: str) -> None:
        note = self._proof_of_fork(contact)
        if note is None:
            self._alarm(proven=False, detail=detail, evidence=signed.note_text)
        else:
            self._alarm(proven=True, detail=detail, evidence=note)

    def _proof_of_fork(self, contact: _Contact) -> str | None:
        """Fetch what the witness cosigned (its monitoring address): a note of our own key that contradicts us.

        Only our own signatures stay on it: the same fork seen by three witnesses is one piece of evidence, one alarm.
        """
        name = sha256(self._log.origin.encode()).hexdigest()
        try:
            note = self._transport.get(f"{contact.url}/{name}/checkpoint").body
            keys = self._log.keys()
            seen = open_checkpoint(note, keys, origin=self._log.origin)
        except (TransportError, NoteError):
            return None
        size, _ = self._log.head()
        checkpoint = seen.checkpoint
        if checkpoint.size <= size and tree_root(self._log.tile, LOG_HEIGHT, checkpoint.size) == checkpoint.root:
            return None
        whole = parse_note(seen.note_text)
        own = tuple(line for line in whole.signatures if any(claims(key, line) for key in keys.verifiers))
        return Note(whole.text, own).to_text()


_RESULTS: dict[type[Exception], Result] = {
    TransportError: Result.UNREACHABLE,
    _Refused: Result.REFUSED,
    _Contradicted: Result.CONTRADICTED,
}


def _told_size(answer: Answer, old_size: int) -> int:
    try:
        told = parse_size(answer.body)
    except FormatError:
        raise _Refused("it states a conflict, but no size") from None
    if answer.content_type != SIZE_TYPE or told == old_size:
        raise _Refused("it states a conflict, but no other size")
    return told


def _signature_lines(answer: Answer) -> list[Signature]:
    try:
        lines = answer.body.decode("utf-8").removesuffix("\n").split("\n")
    except UnicodeDecodeError:
        raise NoteError("it is not UTF-8") from None
    if len(lines) > MAX_SIGNATURES:
        raise NoteError("it holds too many lines")
    return [read_signature(line) for line in lines]


def _lines(reader: LogReader, size: int) -> list[Signature]:
    return [read_signature(line.removesuffix("\n")) for line in reader.cosignatures(size)]


def _sentence(answer: Answer) -> str:
    """Give the start of an answer's text, fit for a log: it is somebody else's."""
    text = answer.body[:200].decode("utf-8", "replace")
    return "".join(char if char.isprintable() else " " for char in text).strip()
