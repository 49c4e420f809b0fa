"""The high-water mark: how far this log has been acknowledged, kept outside of its database and of its backups.

A database that is put back from yesterday's backup is sound in itself: every check inside of it passes, and a log that
went on from it would sign a second history beside the one that others hold receipts for. Only something that does not
go back with the database can tell. This is that thing: a small file with the size and root of the last acknowledged
state, on disk before the acknowledgement.

The file has two slots of 4,096 bytes, each a few lines of text under a checksum. Writing goes to the slot that is not
the newest, in place, and waits for the disk (fdatasync): a write torn by a power cut costs the new slot, never the old
one. Writing in place needs no new block and no change of a directory, so a full disk does not stop it, and it costs a
fifth of the usual way by rename. Threads and processes share the file under an advisory lock.
"""

from __future__ import annotations

import base64
import fcntl
import os
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from pathlib import Path

from ledger.errors import EntryNotFound, FormatError, LogReadOnly, LogUnavailable
from ledger.merkle import EMPTY_ROOT, HASH_SIZE
from ledger.strict import decode_base64, decode_decimal, encode_base64

SLOT_SIZE = 4_096
"""Bytes of a slot: what a file system writes as one page, and at least one sector of any disk."""

LOCK_TIMEOUT_S = 30.0
"""How long a writer waits for another process that holds the file; as long as for a lock of the database."""

RootAt = Callable[[int], bytes]
"""Gives the root (32 bytes) of a log's first `size` entries; EntryNotFound when there are fewer."""

_LOCK_SLEEP_S = (0.000_1, 0.001)
_TITLE = "marchamo high-water mark v1"
_LINES = 7
_EMPTY_SLOT = bytes(SLOT_SIZE)
_ADOPT = "Run `marchamo ledger adopt`: it shows what is known and asks what shall count."


@dataclass(frozen=True, slots=True)
class Mark:
    """How far a log has been acknowledged: `size` entries under `root` (32 bytes).

    `sequence` numbers the marks ever written to the file; `time` in milliseconds since 1970.
    """

    sequence: int
    origin: str
    size: int
    root: bytes
    time: int

    def to_bytes(self) -> bytes:
        """Give the slot: lines of text, the last of them SHA-256 of those before, filled up with spaces."""
        lines = (_TITLE, str(self.sequence), self.origin, str(self.size), encode_base64(self.root), str(self.time))
        text = "".join(f"{line}\n" for line in lines).encode()
        record = text + base64.b64encode(sha256(text).digest()) + b"\n"
        if len(record) > SLOT_SIZE or "\n" in self.origin:
            raise FormatError("this origin does not fit into a high-water mark")
        return record.ljust(SLOT_SIZE - 1) + b"\n"

    @classmethod
    def from_bytes(cls, data: bytes) -> Mark:
        """Read a slot; raises FormatError for anything that `to_bytes` would not have written."""
        try:
            lines = data.decode("utf-8").split("\n")
        except UnicodeDecodeError:
            raise FormatError("this slot holds no text") from None
        if len(lines) < _LINES or lines[0] != _TITLE:
            raise FormatError("this slot holds no high-water mark")
        mark = cls(
            sequence=decode_decimal(lines[1]),
            origin=lines[2],
            size=decode_decimal(lines[3]),
            root=decode_base64(lines[4], size=HASH_SIZE),
            time=decode_decimal(lines[5]),
        )
        if mark.to_bytes() != data:
            raise FormatError("the checksum of this slot does not fit")
        return mark


class MarkState(StrEnum):
    """What the mark says about the log in the database."""

    OK = "ok"
    MISSING = "missing"
    DAMAGED = "damaged"
    OTHER_LOG = "other_log"
    AHEAD = "ahead"
    CONTRADICTS = "contradicts"


@dataclass(frozen=True, slots=True)
class Finding:
    """A comparison of the mark with a log of `size` entries; `mark` is None when there is none to be read."""

    state: MarkState
    mark: Mark | None
    size: int

    @property
    def message(self) -> str:
        """Say what was found, in one sentence."""
        marked = 0 if self.mark is None else self.mark.size
        return {
            MarkState.OK: f"the high-water mark of {marked} entries fits the log of {self.size}",
            MarkState.MISSING: f"the log has {self.size} entries, but there is no high-water mark to compare it with",
            MarkState.DAMAGED: "the high-water mark can not be read",
            MarkState.OTHER_LOG: "the high-water mark belongs to another log",
            MarkState.AHEAD: (
                f"{marked} entries were acknowledged, but the database has only {self.size}: it was put back to an "
                f"earlier state, and {marked - self.size} entries that others may hold receipts for are not in it"
            ),
            MarkState.CONTRADICTS: (
                f"the first {marked} entries in the database are not those that were acknowledged: this is another "
                "history of the same log"
            ),
        }[self.state]

    def refusal(self) -> LogReadOnly:
        """Give the error for whoever wants to append now."""
        return LogReadOnly(f"The log takes no entries: {self.message}.", fix=_ADOPT)


class HighWaterMark:
    """The mark of one log in one file; safe for threads, for processes that share the file, and over a fork."""

    def __init__(self, path: Path, *, origin: str, clock: Callable[[], float] = time.time) -> None:
        self.path = path
        self._origin = origin
        self._clock = clock
        self._mutex = threading.Lock()
        self._file = -1
        self._on_disk = -1
        """Sequence of the newest mark that this process knows to have reached the disk."""
        os.register_at_fork(after_in_child=self._renew)

    def read(self) -> Mark | None:
        """Give the newest mark, None when there is no file.

        Waits for nobody: beside a writer at work it may give the mark before. Raises FormatError when the file holds
        no readable mark, OSError when it can not be read.
        """
        try:
            with self.path.open("rb") as file:
                return _newest(file.read(2 * SLOT_SIZE))
        except FileNotFoundError:
            return None

    def check(self, head: Callable[[], tuple[int, bytes]], root_at: RootAt) -> Finding:
        """Compare the mark with the log, and begin a mark for an empty log that has none.

        `head()` reads size and root of the log from its database, `root_at` is asked only for what that has. Changes
        nothing else. Raises OSError.
        """
        while True:
            # The mark first: it never runs ahead of what is committed, so a head that is read later covers it.
            try:
                mark = self.read()
            except FormatError:
                return Finding(MarkState.DAMAGED, None, head()[0])
            size, root = head()
            if mark is not None:
                return self.compare(mark, size, root, root_at)
            if size > 0:
                return Finding(MarkState.MISSING, None, size)
            if self._create(0, EMPTY_ROOT):
                return Finding(MarkState.OK, self.read(), 0)

    def compare(self, mark: Mark, size: int, root: bytes, root_at: RootAt) -> Finding:
        """Compare a mark with a log of `size` entries under `root`; see `check`."""
        if mark.origin != self._origin:
            return Finding(MarkState.OTHER_LOG, mark, size)
        if mark.size > size:
            return Finding(MarkState.AHEAD, mark, size)
        return self._compare_roots(mark, size, root, root_at)

    def _compare_roots(self, mark: Mark, size: int, root: bytes, root_at: RootAt) -> Finding:
        known = root if mark.size == size else root_at(mark.size) if mark.size else EMPTY_ROOT
        return Finding(MarkState.OK if known == mark.root else MarkState.CONTRADICTS, mark, size)

    def require(self, size: int, root: bytes, root_at: RootAt) -> None:
        """Raise LogReadOnly unless the mark fits the log, whose head can not move meanwhile; see `check`.

        LogUnavailable when the file can not be read.
        """
        try:
            mark = self.read()
        except FormatError:
            raise Finding(MarkState.DAMAGED, None, size).refusal() from None
        except OSError as error:
            raise LogUnavailable(f"the high-water mark could not be read ({error.strerror})") from error
        if mark is None:
            raise Finding(MarkState.MISSING, None, size).refusal()
        finding = self.compare(mark, size, root, root_at)
        if finding.state is not MarkState.OK:
            raise finding.refusal()

    def advance(self, size: int, root: bytes, root_at: RootAt) -> None:
        """Return when the disk holds a mark of at least this size; the state must be committed already.

        `root_at` knows the history that this state is of, as far as it is committed: no mark is moved, and none is
        relied on, that was not compared with it. Raises LogReadOnly when the mark is gone, belongs to another log, or
        is of another history or of more entries than there are, and LogUnavailable when the disk refuses: then nothing
        may be acknowledged.
        """
        try:
            with self._locked() as file:
                self._advance(file, size, root, root_at)
        except OSError as error:
            raise LogUnavailable(
                f"the high-water mark could not be written ({error.strerror}); nothing was acknowledged",
                fix=f"Make {self.path.name} writable, on a disk that works; then submit the same statement again.",
            ) from error

    def adopt(self, size: int, root: bytes) -> Mark:
        """Make this state the mark, whatever the file said before: a person's decision, and the only way back.

        Raises OSError, or LogUnavailable when another process keeps the file locked.
        """
        if self._create(size, root):
            return self._require_mark()
        with self._locked() as file:
            data = os.pread(file, 2 * SLOT_SIZE, 0)
            try:
                sequence = _newest(data).sequence + 1
            except FormatError:
                sequence = 1
                os.pwrite(file, _EMPTY_SLOT * 2, 0)
            self._write(file, sequence, size, root)
        return self._require_mark()

    def _advance(self, file: int, size: int, root: bytes, root_at: RootAt) -> None:
        try:
            mark = _newest(os.pread(file, 2 * SLOT_SIZE, 0))
        except FormatError:
            raise Finding(MarkState.DAMAGED, None, size).refusal() from None
        if mark.origin != self._origin:
            raise Finding(MarkState.OTHER_LOG, mark, size).refusal()
        # Also a larger mark: another server may have moved it, with another copy of the database.
        try:
            finding = self._compare_roots(mark, size, root, root_at)
        except EntryNotFound:
            raise Finding(MarkState.AHEAD, mark, size).refusal() from None
        if finding.state is not MarkState.OK:
            raise finding.refusal()
        if mark.size < size:
            self._write(file, mark.sequence + 1, size, root)
        elif mark.sequence != self._on_disk:
            # Another process wrote it, and may have died before the disk had it. Write it again: to wait for the disk
            # only could be told of success when an earlier failure was reported to the other.
            self._write(file, mark.sequence + 1, mark.size, mark.root)

    def _write(self, file: int, sequence: int, size: int, root: bytes) -> None:
        mark = Mark(sequence, self._origin, size, root, self._now())
        place = sequence % 2 * SLOT_SIZE
        try:
            # A crash in here leaves the other slot, which holds the mark before. Nobody was told of the new one.
            _write_all(file, mark.to_bytes(), place)
            os.fdatasync(file)
        except OSError:
            # The system may now show a mark that the disk never got, to everybody: take it back.
            self._on_disk = -1
            with suppress(OSError):
                os.pwrite(file, _EMPTY_SLOT, place)
            raise
        self._on_disk = sequence

    def _create(self, size: int, root: bytes) -> bool:
        """Make the file, whole or not at all; False when it is there."""
        mark = Mark(1, self._origin, size, root, self._now())
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        unfinished = self.path.with_name(f".{self.path.name}.{os.getpid()}.{threading.get_ident()}.new")
        file = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            _write_all(file, _EMPTY_SLOT + mark.to_bytes(), 0)
            os.fsync(file)
            os.link(unfinished, self.path)  # refuses when another process was first
        except FileExistsError:
            return False
        finally:
            os.close(file)
            unfinished.unlink()
        folder = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        return True

    def _now(self) -> int:
        return max(0, int(self._clock() * 1000))

    def _require_mark(self) -> Mark:
        mark = self.read()
        if mark is None:
            raise Finding(MarkState.MISSING, None, 0).refusal()
        return mark

    @contextmanager
    def _locked(self) -> Iterator[int]:
        """Yield the file, open and locked against other threads and processes; it stays open for the next time."""
        with self._mutex:
            file = self._open()
            _lock(file)
            try:
                yield file
            finally:
                fcntl.flock(file, fcntl.LOCK_UN)

    def _open(self) -> int:
        """Give the open file; LogReadOnly when it is not, or no more, what the path names."""
        try:
            named = self.path.stat()
        except FileNotFoundError:
            raise LogReadOnly("The log takes no entries: its high-water mark is gone.", fix=_ADOPT) from None
        if self._file >= 0:
            held = os.fstat(self._file)
            if (held.st_dev, held.st_ino) == (named.st_dev, named.st_ino):
                return self._file
            os.close(self._file)
            self._file = self._on_disk = -1
        self._file = os.open(self.path, os.O_RDWR | os.O_CLOEXEC)
        return self._file

    def _renew(self) -> None:
        """After a fork: the parent's open file would share its lock with the child."""
        self._mutex = threading.Lock()
        if self._file >= 0:
            os.close(self._file)
        self._file = self._on_disk = -1


def _newest(data: bytes) -> Mark:
    """Give the mark with the greatest sequence of both slots; FormatError when neither can be read."""
    marks: list[Mark] = []
    for place in (0, SLOT_SIZE):
        with suppress(FormatError):
            marks.append(Mark.from_bytes(data[place : place + SLOT_SIZE]))
    if not marks:
        raise FormatError("the file holds no high-water mark that can be read")
    return max(marks, key=lambda mark: mark.sequence)


def _write_all(file: int, data: bytes, place: int) -> None:
    while data:
        written = os.pwrite(file, data, place)
        data, place = data[written:], place + written


def _lock(file: int) -> None:
    deadline = time.monotonic() + LOCK_TIMEOUT_S
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise LogUnavailable(
                    "another process keeps the high-water mark locked; nothing was acknowledged",
                    fix="Look for a process of this log that is stopped.",
                ) from None
            time.sleep(random.uniform(*_LOCK_SLEEP_S))  # noqa: S311 -- spreads the askers, no secret
        else:
            return
