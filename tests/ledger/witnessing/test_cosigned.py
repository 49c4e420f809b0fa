"""What verdicts rest on: the newest checkpoint that the quorum has witnessed, and never one that only looks so."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest
from sqlalchemy import Engine

from ledger.errors import EntryNotFound
from ledger.log import Log
from ledger.note import open_note, parse_note
from ledger.storage.interface import CosignatureRow
from ledger.storage.sql import SqlLogStorage
from ledger.witnessing.cosigned import REFRESH_SECONDS, WITNESS_LAG_MS, CosignedCheckpoint, CosignedCheckpoints
from ledger.witnessing.policy import Policy
from tests.log_builders import Clock, new_entry
from tests.witness_builders import cosigner_key, policy_of

KEYS = [cosigner_key(f"{letter}.example/w") for letter in "abc"]
TWO_OF_THREE = policy_of(KEYS, 2)


@dataclass
class Desk:
    log: Log
    storage: SqlLogStorage
    clock: Clock
    ticks: float = 0.0

    def view(self, policy: Policy = TWO_OF_THREE) -> CosignedCheckpoints:
        return CosignedCheckpoints(self.log, self.storage, policy, monotonic=lambda: self.ticks)

    def grow(self, *, later: float = 1.5) -> int:
        """Append an entry and publish a checkpoint that covers it; gives the size."""
        size, _ = self.log.head()
        self.log.append(new_entry(size))
        self.clock.now += later
        return self.log.checkpoint(at_least=size + 1).checkpoint.size

    def cosign(self, size: int, *places: int, line: str = "") -> None:
        """Keep the cosignatures of these witnesses on the checkpoint of a size."""
        text = parse_note(self.log._checkpoint_of(size).note_text).text
        keys = [KEYS[place] for place in places]
        rows = [CosignatureRow(size, key.verifier.key_id, line or key.sign(text).line(), 0) for key in keys]
        with self.storage.writing() as writer:
            writer.add_cosignatures(rows)


@pytest.fixture
def desk(log: Log, engine: Engine, clock: Clock) -> Desk:
    return Desk(log, SqlLogStorage(engine), clock)


def test_without_witnesses_it_is_the_published_checkpoint_and_nobody_witnessed_it(desk: Desk) -> None:
    size = desk.grow()
    for found in (desk.view(Policy()).latest(), desk.view(Policy()).read(), desk.view(Policy()).covering(size)):
        assert found.signed == desk.log.checkpoint()
        assert found.witnessed.to_members() == {"k": 0, "n": 0, "quorum": False}


def test_the_note_carries_the_cosignatures_and_their_count(desk: Desk) -> None:
    size = desk.grow()
    desk.cosign(size, 0, 2)
    found = desk.view().latest()
    assert found.signed.checkpoint.size == size
    assert found.witnessed.to_members() == {"k": 2, "n": 3, "quorum": True}
    assert found.witnessed.names == (KEYS[0].name, KEYS[2].name)
    _, signed_by = open_note(found.signed.note_text, [key.verifier for key in KEYS])
    assert {verifier.name for verifier in signed_by} == {KEYS[0].name, KEYS[2].name}
    assert TWO_OF_THREE.count(found.signed.note_text) == found.witnessed
    assert found.signed.note_text.startswith(desk.log.checkpoint().note_text)


def test_fewer_than_the_quorum_are_counted_and_not_called_a_quorum(desk: Desk) -> None:
    desk.cosign(desk.grow(), 1)
    assert desk.view().latest().witnessed.to_members() == {"k": 1, "n": 3, "quorum": False}


def test_a_checkpoint_of_this_moment_waits_for_its_witnesses(desk: Desk) -> None:
    """While they are on their way the one before, which has its quorum, is the one to rest on."""
    witnessed = desk.grow()
    desk.cosign(witnessed, 0, 1)
    newest = desk.grow()
    desk.cosign(newest, 0)
    found = desk.view().latest()
    assert (found.signed.checkpoint.size, found.witnessed.k) == (witnessed, 2)
    desk.cosign(newest, 1)
    found = desk.view().latest()
    assert (found.signed.checkpoint.size, found.witnessed.k) == (newest, 2)


def test_when_witnesses_fail_for_long_the_newest_is_given_for_what_it_is(desk: Desk) -> None:
    witnessed = desk.grow(later=1.0)
    desk.cosign(witnessed, 0, 1)
    sizes = [desk.grow(later=1.0) for _ in range(WITNESS_LAG_MS // 1000)]
    assert desk.view().latest().signed.checkpoint.size == witnessed
    sizes.append(desk.grow(later=1.0))
    found = desk.view().latest()
    assert found.signed.checkpoint.size == sizes[-1]
    assert found.witnessed.to_members() == {"k": 0, "n": 3, "quorum": False}


def test_a_damaged_row_counts_for_nothing_and_is_not_shown(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    size = desk.grow()
    other = KEYS[1].sign(parse_note(desk.log._checkpoint_of(size).note_text).text.replace(f"\n{size}\n", "\n99\n"))
    desk.cosign(size, 0)
    desk.cosign(size, 1, line=other.line())
    desk.cosign(size, 2, line="— no signature\n")
    found = desk.view().latest()
    assert found.witnessed.to_members() == {"k": 1, "n": 3, "quorum": False}
    assert len(parse_note(found.signed.note_text).signatures) == 2
    assert caplog.text.count("is damaged") == 2


def test_cosignatures_of_witnesses_that_the_policy_no_longer_knows_are_not_shown(desk: Desk) -> None:
    size = desk.grow()
    desk.cosign(size, 0, 1, 2)
    found = desk.view(policy_of(KEYS[:1], 1)).latest()
    assert found.witnessed.to_members() == {"k": 1, "n": 1, "quorum": True}
    assert len(parse_note(found.signed.note_text).signatures) == 2


def test_one_that_covers_an_entry_is_given_even_when_nobody_witnessed_it_yet(desk: Desk) -> None:
    witnessed = desk.grow()
    desk.cosign(witnessed, 0, 1)
    newest = desk.grow()
    assert desk.view().covering(witnessed).signed.checkpoint.size == witnessed
    found = desk.view().covering(newest)
    assert (found.signed.checkpoint.size, found.witnessed.k) == (newest, 0)
    with pytest.raises(EntryNotFound):
        desk.view().covering(newest + 1)


def test_answers_come_from_memory_for_a_quarter_of_a_second(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.cosign(desk.grow(), 0, 1)
    view = desk.view()
    reads, read = [], view.read

    def counted() -> CosignedCheckpoint:
        reads.append(desk.ticks)
        return read()

    monkeypatch.setattr(view, "read", counted)
    for tick in range(100):
        desk.ticks = tick * REFRESH_SECONDS / 10
        view.latest()
    assert len(reads) == 10


def test_threads_that_find_it_old_wait_for_one_that_reads(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.cosign(desk.grow(), 0, 1)
    view, reading, go_on = desk.view(), threading.Event(), threading.Event()
    first = view.latest()
    read, reads = view.read, []

    def slow() -> object:
        reads.append(desk.ticks)
        reading.set()
        assert go_on.wait(20)
        return read()

    monkeypatch.setattr(view, "read", slow)
    with ThreadPoolExecutor(4) as pool:
        desk.ticks = REFRESH_SECONDS
        reader = pool.submit(view.latest)
        assert reading.wait(20)
        assert view.latest() is first  # a little old: the others go on with it
        desk.ticks = 60.0
        others = [pool.submit(view.latest) for _ in range(3)]
        go_on.set()
        assert {id(one.result()) for one in others} == {id(reader.result())}
    assert len(reads) == 1
    assert view.latest() is reader.result()


def test_a_reader_that_fails_leaves_the_way_free(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.cosign(desk.grow(), 0, 1)
    view = desk.view()

    def broken() -> None:
        raise OSError("the database is gone")

    monkeypatch.setattr(view, "read", broken)
    with pytest.raises(OSError, match="gone"):
        view.latest()
    monkeypatch.undo()
    assert view.latest().witnessed.k == 2
