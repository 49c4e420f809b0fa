"""What the outside world holds against a log: acknowledgements and signed checkpoints, and the check that all hold.

The tree is grown here once more, from the leaf hashes that the log serves, without the ledger's own code.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from sqlalchemy import Engine, text

from ledger.audit import audit
from ledger.checkpoint import open_checkpoint
from ledger.log import Appended, Log
from ledger.mark.high_water import MarkState
from ledger.note import NoteSigner
from ledger.storage.engine import create_database_engine
from tests.faults.log_appender import Acknowledgement, high_water, remember
from tests.log_builders import ORIGIN, facts, new_entry

HASH = 32
TILE = 256


@dataclass
class GrowingTree:
    """An RFC 6962 tree that grows leaf by leaf: the roots of its perfect subtrees, the greatest first."""

    size: int = 0
    peaks: list[tuple[int, bytes]] = field(default_factory=list)

    def add(self, leaf: bytes) -> None:
        self.size += 1
        height = 0
        while self.peaks and self.peaks[-1][0] == height:
            leaf = sha256(b"\x01" + self.peaks.pop()[1] + leaf).digest()
            height += 1
        self.peaks.append((height, leaf))

    def root(self) -> bytes:
        if not self.peaks:
            return sha256().digest()
        root = self.peaks[-1][1]
        for _, peak in reversed(self.peaks[:-1]):
            root = sha256(b"\x01" + peak + root).digest()
        return root


@dataclass
class Evidence:
    """All that was promised in the name of one log."""

    url: str
    signer: NoteSigner = field(default_factory=lambda: NoteSigner.generate(ORIGIN))
    places: dict[int, int] = field(default_factory=dict)
    """Number of a statement -> the index it was acknowledged with."""
    roots: dict[int, set[bytes]] = field(default_factory=dict)
    """Size -> the roots that were signed for it."""
    notes: set[str] = field(default_factory=set)
    durable: bool = True
    """Whether the engines opened here flush to disk: not needed where only processes die."""
    mark: Path | None = None
    """The file of the log's high-water mark, if it has one."""

    def add(self, said: Iterable[Acknowledgement]) -> None:
        """Take what clients were told. No statement may ever be told two places."""
        for one in said:
            if one.note not in self.notes:
                self.notes.add(one.note)
                checkpoint = open_checkpoint(one.note, self.signer.verifier, origin=ORIGIN).checkpoint
                self.roots.setdefault(checkpoint.size, set()).add(checkpoint.root)
            if one.number is not None and one.index is not None:
                assert self.places.setdefault(one.number, one.index) == one.index, f"two places for {one.number}"

    def take(self, number: int, appended: Appended[None]) -> None:
        """Take an acknowledgement that this process got itself."""
        self.add([Acknowledgement(number, appended.index, appended.checkpoint.note_text)])

    @contextmanager
    def reopened(self) -> Iterator[tuple[Engine, Log]]:
        """Open the log as a process does that starts now: on an engine of its own, nothing remembered."""
        engine = create_database_engine(self.url, durable=self.durable)
        try:
            yield engine, Log.open(engine, origin=ORIGIN, signer=self.signer, high_water=high_water(self.mark))
        finally:
            engine.dispose()

    def check(self, *, ask_again: Iterable[int] = (), since: int | None = None) -> int:
        """Reopen the log and check that everything promised holds. Returns its size.

        `ask_again` are statements whose clients had no answer: each is submitted again, and must be found where it
        was recorded or be recorded now. With `since` only the entries from there on are audited.
        """
        with self.reopened() as (engine, log):
            for number in ask_again:
                self._ask_again(engine, log, number)
            size, _ = log.head()
            self._check_places(engine, size)
            self.check_roots(log)
            self.check_mark(log)
            report = audit(engine, self.signer.verifier, since=since, known_checkpoints=sorted(self.notes)[-3:])
            assert report.faults == []
        return size

    def check_reopened(self, *, first_number: int, ask_again: Iterable[int] = ()) -> int:
        """Do the cheap part of `check`, for statements from `first_number` on: no roots, no audit."""
        with self.reopened() as (engine, log):
            for number in ask_again:
                self._ask_again(engine, log, number)
            size, _ = log.head()
            self._check_places(engine, size, first_number)
        return size

    def check_mark(self, log: Log) -> None:
        """Check that the high-water mark knows of all that was acknowledged, and of nothing that is not recorded."""
        if self.mark is None:
            return
        finding = log.finding()
        assert finding is not None
        assert finding.state is MarkState.OK, finding.message
        assert finding.mark is not None
        assert max(self.roots, default=0) <= finding.mark.size <= finding.size

    def _ask_again(self, engine: Engine, log: Log, number: int) -> None:
        first = log.append(new_entry(number), remember(number))
        second = log.append(new_entry(number), remember(number))
        assert second.duplicate
        assert second.index == first.index
        assert recorded_from(engine, number, number) == {number: first.index}
        self.take(number, first)
        self.take(number, second)

    def _check_places(self, engine: Engine, size: int, first_number: int | None = None) -> None:
        if first_number is None:
            recorded = dict(facts(engine))
            assert sorted(recorded.values()) == list(range(size)), "an event without its entry, or the reverse"
        else:
            recorded = recorded_from(engine, first_number)
            assert all(place < size for place in recorded.values())
        wanted = {number: index for number, index in self.places.items() if number >= (first_number or 0)}
        lost = {number: index for number, index in wanted.items() if recorded.get(number) != index}
        assert lost == {}, "acknowledged entries are lost or have moved"

    def check_roots(self, log: Log) -> None:
        """Check that every checkpoint that was handed out is a state of this log: no fork, no entry cut off."""
        size, root = log.head()
        assert max(self.roots, default=0) <= size, "the log is shorter than a checkpoint that was handed out"
        tree = GrowingTree()
        for leaf in leaf_hashes(log, size):
            tree.add(leaf)
            if tree.size in self.roots:
                assert self.roots[tree.size] == {tree.root()}, f"a fork at size {tree.size}"
        assert tree.root() == root


def recorded_from(engine: Engine, first: int, last: int = 2**62) -> dict[int, int]:
    """Give what callers have committed about the statements `first` to `last`: number -> index."""
    with engine.connect() as connection:
        rows = connection.execute(
            text("SELECT number, place FROM facts WHERE number BETWEEN :first AND :last"),
            {"first": first, "last": last},
        )
        return {row[0]: row[1] for row in rows}


def leaf_hashes(log: Log, size: int) -> Iterator[bytes]:
    """Give the hashes of all leaves as the log serves them."""
    for start in range(0, size, TILE):
        data = log.tile(0, start // TILE, min(TILE, size - start))
        for at in range(0, len(data), HASH):
            yield data[at : at + HASH]
