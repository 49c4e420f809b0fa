"""The map in the database: it moves with the log, all or nothing, and never over tampered rows."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from sqlalchemy import Engine, func, select, text

from ledger.errors import EntryNotFound, LogFrozen, ProofError, StorageError
from ledger.log import Log, NewEntry
from ledger.map import keeper as map_keeper
from ledger.map.files import MapFiles, read_line
from ledger.map.keeper import ON_DEMAND_ENTRIES
from ledger.map.statement import MAP_SUBJECT, verify_map_body
from ledger.map.subject_map import build_map
from ledger.own import OwnKind, StatementSigner, own_subject
from ledger.storage.map_sql import MapReader, write_map
from ledger.storage.tables import ledger_map_heads, ledger_tags
from tests.guards import without_guards
from tests.ledger.map.map_builders import MappedLog, subject_of
from tests.log_builders import Clock


@pytest.fixture
def mapped(log: Log, engine: Engine, clock: Clock) -> MappedLog:
    return MappedLog(log, engine, clock)


def root_of_tags(mapped: MappedLog, size: int) -> bytes:
    """The map's root at `size` by the plain way: all tags of the first `size` entries."""
    with mapped.engine.connect() as connection:
        tags = ledger_tags.c
        rows = connection.execute(select(tags.tag, tags.index).where(tags.index < size))
        return build_map(sorted((row[0], row[1]) for row in rows)).root


def heads(mapped: MappedLog) -> int:
    with mapped.engine.connect() as connection:
        return connection.execute(select(func.count()).select_from(ledger_map_heads)).scalar_one()


def tamper(mapped: MappedLog, *statements: str) -> None:
    """Change rows as somebody with the database's owner's rights could: the guards taken away."""
    with mapped.engine.begin() as connection, without_guards(connection):
        for statement in statements:
            connection.execute(text(statement))


def test_an_empty_log_has_no_map(mapped: MappedLog) -> None:
    assert mapped.map.publish() is None
    assert mapped.map.head() is None
    with pytest.raises(EntryNotFound, match="no subject map"):
        mapped.map.prove(subject_of("a"))


def test_the_map_is_stated_in_the_log_and_holds_all_tags_before_it(mapped: MappedLog) -> None:
    mapped.record("a", "b", "c")
    mapped.record("b")
    mapped.publish()
    head = mapped.map.head()
    assert head is not None
    assert (head.size, head.entry) == (2, 2)
    assert head.root == root_of_tags(mapped, 2)
    body = mapped.log.entry(2).body
    assert body is not None
    stated = verify_map_body(body, mapped.map_keys)
    assert (stated.size, stated.root, stated.time) == (2, head.root, "2023-11-14T22:13:22.000Z")
    assert mapped.log.entries_of(MAP_SUBJECT) == [2]
    assert own_subject(OwnKind.MAP) == MAP_SUBJECT


def test_each_step_gives_the_map_that_would_be_built_at_once(mapped: MappedLog) -> None:
    for step in range(5):
        mapped.record_many([f"subject {step * number % 7}" for number in range(1, 30)])
        mapped.publish()
        head = mapped.map.head()
        assert head is not None
        assert head.size == 30 * step + 29
        assert head.root == root_of_tags(mapped, head.size)


def test_many_new_entries_are_read_in_one_pass_and_give_the_same_map(
    mapped: MappedLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    mapped.record_many([f"{number}" for number in range(50)])
    mapped.publish()
    for name in ("REBUILD_FROM_BUCKETS", "REBUILD_FROM_ENTRIES"):
        with monkeypatch.context() as few:
            few.setattr(map_keeper, name, 10)
            mapped.record_many([f"{name} {number}" for number in range(50)])
            mapped.publish()
        head = mapped.map.head()
        assert head is not None
        assert head.root == root_of_tags(mapped, head.size)
    mapped.record("on the tiles of that pass")
    mapped.publish()


def test_nothing_is_stated_when_nothing_but_maps_came(mapped: MappedLog) -> None:
    mapped.record("a")
    mapped.publish()
    assert mapped.map.publish() is None
    assert heads(mapped) == 1
    mapped.record("a")
    mapped.publish()
    assert heads(mapped) == 2


class SlowSigner(StatementSigner):
    """Signs after something else has happened, when all hashing is done."""

    meanwhile: Callable[[], object]

    def entry(self, kind: OwnKind, payload: Mapping[str, Any], *, at_ms: int) -> NewEntry:
        self.meanwhile()
        return super().entry(kind, payload, at_ms=at_ms)


def slow_signer(mapped: MappedLog, meanwhile: Callable[[], object]) -> SlowSigner:
    signer = SlowSigner(mapped.signer.key_id, mapped.signer.private_key)
    object.__setattr__(signer, "meanwhile", meanwhile)
    return signer


def test_who_was_slower_writes_nothing(mapped: MappedLog) -> None:
    mapped.record("a")
    mapped.clock.now += 1
    before = mapped.log.head()[0]
    assert mapped.keeper(slow_signer(mapped, mapped.publish)).publish() is None
    assert mapped.log.head()[0] == before + 1
    assert heads(mapped) == 1
    mapped.record("b")
    mapped.publish()


def test_the_same_map_stated_twice_in_one_millisecond_is_one_entry(mapped: MappedLog) -> None:
    mapped.record("a")
    assert mapped.keeper(slow_signer(mapped, mapped.map.publish)).publish() is None
    assert mapped.log.head()[0] == 2
    assert heads(mapped) == 1


def test_many_publishers_beside_many_writers_state_true_maps_only(mapped: MappedLog) -> None:
    failures: list[BaseException] = []
    written = threading.Event()

    def publish() -> None:
        while not written.is_set():
            mapped.keeper().publish()

    def record() -> None:
        for number in range(15):
            mapped.record_many([f"{threading.get_ident()} {number % 4}", "all"])

    def work(act: Callable[[], object]) -> None:
        try:
            act()
        except BaseException as error:
            failures.append(error)

    publishers = [threading.Thread(target=work, args=(publish,)) for _ in range(3)]
    writers = [threading.Thread(target=work, args=(record,)) for _ in range(2)]
    for thread in (*publishers, *writers):
        thread.start()
    for thread in writers:
        thread.join()
    written.set()
    for thread in publishers:
        thread.join()
    assert failures == []
    mapped.map.publish()
    with mapped.engine.connect() as connection:
        stated = connection.execute(select(ledger_map_heads.c.size, ledger_map_heads.c.root)).all()
    assert len(stated) > 1
    assert all(root == root_of_tags(mapped, size) for size, root in stated)
    assert len(mapped.verify(mapped.map.prove(subject_of("all")), "all").entries) == 30


def test_entries_that_come_while_the_map_is_made_are_not_in_it(mapped: MappedLog) -> None:
    mapped.record("a")
    head = mapped.keeper(slow_signer(mapped, lambda: mapped.record("b"))).publish()
    assert head is not None
    assert (head.size, head.entry, head.root) == (1, 2, root_of_tags(mapped, 1))


def test_when_the_entry_fails_neither_head_nor_tiles_remain(mapped: MappedLog, monkeypatch: pytest.MonkeyPatch) -> None:
    mapped.record("a")
    mapped.publish()
    with mapped.engine.connect() as connection:
        before = MapReader(connection).tile(3, 0)
    mapped.record("b")

    def write_and_fail(*args: Any, **options: Any) -> None:
        write_map(*args, **options)
        raise RuntimeError("the disk is full")

    with monkeypatch.context() as broken:
        broken.setattr(map_keeper, "write_map", write_and_fail)
        with pytest.raises(RuntimeError):
            mapped.map.publish()
    with mapped.engine.connect() as connection:
        assert MapReader(connection).tile(3, 0) == before
    assert (heads(mapped), mapped.log.head()[0]) == (1, 3)
    mapped.publish()


def test_the_state_of_a_subject_is_proved(mapped: MappedLog) -> None:
    mapped.record("a", "b")
    mapped.record("b")
    mapped.record("c")
    mapped.publish()
    proof = mapped.map.prove(subject_of("b"))
    state = mapped.verify(proof, "b")
    assert [(entry.number, entry.index, entry.beyond) for entry in state.entries] == [(0, 0, False), (1, 1, False)]
    assert (state.as_of_size, state.map_index, state.checkpoint.size) == (3, 3, 4)
    nothing = mapped.verify(mapped.map.prove(subject_of("nobody")), "nobody")
    assert nothing.entries == ()


def test_whoever_asks_gets_a_new_map_when_the_last_is_a_second_old(mapped: MappedLog) -> None:
    mapped.record("a")
    assert mapped.verify(mapped.map.prove(subject_of("a")), "a").as_of_size == 1
    mapped.record("a")
    at_once = mapped.verify(mapped.map.prove(subject_of("a")), "a")
    assert [(entry.index, entry.beyond) for entry in at_once.entries] == [(0, False), (2, True)]
    assert at_once.as_of_size == 1
    assert at_once.checkpoint.size == 3
    mapped.clock.now += 1
    later = mapped.verify(mapped.map.prove(subject_of("a")), "a")
    assert [(entry.index, entry.beyond) for entry in later.entries] == [(0, False), (2, False)]
    mapped.clock.now += 1
    assert mapped.verify(mapped.map.prove(subject_of("a")), "a").as_of_size == later.as_of_size


def test_states_asked_for_together_are_by_one_map_under_one_checkpoint(mapped: MappedLog) -> None:
    mapped.record("unit")
    mapped.record("batch")
    states = [
        mapped.verify(proof, name)
        for name, proof in zip(
            ("unit", "batch", "nobody"),
            mapped.map.prove_all([subject_of(name) for name in ("unit", "batch", "nobody")]),
            strict=True,
        )
    ]
    assert [len(state.entries) for state in states] == [1, 1, 0]
    assert len({(state.as_of_size, state.map_index, state.checkpoint) for state in states}) == 1


def test_a_log_that_takes_no_entries_still_proves_by_the_map_it_has(
    mapped: MappedLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    mapped.record("a")
    mapped.publish()
    mapped.record("a")
    mapped.clock.now += 10

    def frozen(*_: Any) -> None:
        raise LogFrozen("the log has ended")

    monkeypatch.setattr(mapped.log, "append", frozen)
    state = mapped.verify(mapped.map.prove(subject_of("a")), "a")
    assert [entry.beyond for entry in state.entries] == [False, True]


def test_an_asker_does_not_wait_for_a_long_way_to_the_new_map(mapped: MappedLog) -> None:
    mapped.record("a")
    mapped.publish()
    mapped.record_many(["b"] * (ON_DEMAND_ENTRIES + 1))
    mapped.clock.now += 10
    assert mapped.verify(mapped.map.prove(subject_of("a")), "a").as_of_size == 1


def test_a_subject_with_more_entries_than_a_proof_shows_is_refused(
    mapped: MappedLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(map_keeper, "MAX_ENTRIES_SHOWN", 3)
    mapped.record_many(["a"] * 3)
    assert mapped.verify(mapped.map.prove(subject_of("a")), "a").entries
    mapped.record("a")
    with pytest.raises(ProofError, match="more than 3 entries"):
        mapped.map.prove(subject_of("a"))
    monkeypatch.setattr(map_keeper, "MAX_BODIES_SHOWN", 100)
    mapped.record("b")
    with pytest.raises(ProofError, match="too long"):
        mapped.map.prove(subject_of("b"))


def test_statements_are_published_as_far_as_the_checkpoint_goes(
    mapped: MappedLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ledger.map.files.STATEMENTS_A_FILE", 2)
    files = MapFiles(mapped.log, mapped.engine)
    mapped.record("a")
    early = mapped.log.checkpoint(at_least=1)
    for _ in range(3):
        mapped.publish()
        mapped.record("a")
    assert list(files.files(early)) == []
    signed = mapped.log.checkpoint(at_least=mapped.log.head()[0])
    assert [name for name, _ in files.files(signed)] == ["maps/0", "maps/1", "map"]
    size = signed.checkpoint.size
    assert [files.statements(number, size)[1] for number in range(2)] == [True, False]
    assert [read_line(line)[0] for line in files.statements(0, size)[0].splitlines()] == [1, 3]
    assert files.statements(0, 3) == (files.statements(0, size)[0].splitlines(keepends=True)[0], False)


def test_a_subject_with_many_entries_is_shown_whole(mapped: MappedLog) -> None:
    for count in (16, 17, 60):
        mapped.record_many([f"about {count}"] * count)
    mapped.publish()
    for count in (16, 17, 60):
        state = mapped.verify(mapped.map.prove(subject_of(f"about {count}")), f"about {count}")
        assert [entry.number for entry in state.entries] == list(range(count))


DELETED_TAG = 'DELETE FROM ledger_tags WHERE "index" = 3'
MOVED_TAG = 'UPDATE ledger_tags SET "index" = 4 WHERE "index" = 3'
CHANGED_TILE = "UPDATE ledger_map_tiles SET data = (SELECT data FROM ledger_map_tiles WHERE level = 3) WHERE level = 2"


@pytest.mark.parametrize("change", [DELETED_TAG, MOVED_TAG])
def test_over_a_changed_tag_no_answer_and_no_new_map_is_made(
    mapped: MappedLog, change: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    mapped.record_many([f"{number}" for number in range(10)])
    mapped.publish()
    tamper(mapped, change)
    with pytest.raises(StorageError, match="subject map"):
        mapped.map.prove(subject_of("3"))
    mapped.record("5")
    monkeypatch.setattr(map_keeper, "REBUILD_FROM_ENTRIES", 0)  # all buckets are read; else those with news are
    with pytest.raises(StorageError, match="subject map"):
        mapped.map.publish()


@pytest.mark.parametrize("change", [DELETED_TAG, MOVED_TAG])
def test_no_map_is_made_without_the_tags_of_new_entries(mapped: MappedLog, change: str) -> None:
    mapped.record_many(["0", "1"])
    mapped.publish()
    assert mapped.record("hidden") == 3
    mapped.record("4")
    tamper(mapped, change)
    with pytest.raises(StorageError, match="subject map"):
        mapped.map.publish()


def test_over_a_changed_tile_no_answer_and_no_new_map_is_made(mapped: MappedLog) -> None:
    mapped.record_many([f"{number}" for number in range(10)])
    mapped.publish()
    tamper(mapped, CHANGED_TILE)
    with pytest.raises(StorageError, match="subject map"):
        mapped.map.prove(subject_of("3"))
    mapped.record("3")
    with pytest.raises(StorageError, match="subject map"):
        mapped.map.publish()


def test_damaged_tiles_are_made_again_from_the_tags(mapped: MappedLog) -> None:
    assert mapped.map.rebuild() is None
    mapped.record_many([f"{number}" for number in range(10)])
    mapped.publish()
    mapped.record("beyond the map")
    tamper(mapped, CHANGED_TILE, "DELETE FROM ledger_map_tiles WHERE level = 1")
    with pytest.raises(StorageError, match="missing"):
        mapped.map.prove(subject_of("3"))
    assert mapped.map.rebuild() == mapped.map.head()
    mapped.publish()
    assert mapped.verify(mapped.map.prove(subject_of("3")), "3").entries


def test_no_tiles_are_made_from_tags_that_do_not_give_the_stated_root(mapped: MappedLog) -> None:
    mapped.record_many([f"{number}" for number in range(10)])
    mapped.publish()
    tamper(mapped, DELETED_TAG)
    with pytest.raises(StorageError, match="subject map"):
        mapped.map.rebuild()


@pytest.mark.parametrize("earlier", [False, True])
def test_a_tag_removed_before_a_map_is_made_in_one_pass_is_not_signed_away(
    mapped: MappedLog, monkeypatch: pytest.MonkeyPatch, earlier: bool
) -> None:
    if earlier:
        mapped.record("a")
        mapped.publish()
        monkeypatch.setattr(map_keeper, "REBUILD_FROM_BUCKETS", 1)
    monkeypatch.setattr(map_keeper, "TAGS_A_CHECK", 3)
    mapped.record_many([f"subject {number}" for number in range(8)])
    lost = mapped.log.head()[0] - 2
    tamper(mapped, f'DELETE FROM ledger_tags WHERE "index" = {lost}')  # noqa: S608 -- a number
    before = heads(mapped)
    mapped.clock.now += 2
    with pytest.raises(StorageError, match="are not those by which the subject map is made"):
        mapped.map.publish()
    assert heads(mapped) == before
