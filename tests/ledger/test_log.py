"""The log as its callers see it, on both databases."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace

import pytest
from sqlalchemy import Connection, Engine, text

from ledger.errors import EntryNotFound, FormatError, LogUnavailable, StorageError
from ledger.leaf import subject_tag
from ledger.log import Log, NewEntry
from ledger.merkle import root as tree_root_of
from ledger.merkle import verify_consistency
from ledger.note import NoteSigner
from ledger.proof import parse_proof, verify_leaf_proof
from ledger.storage.engine import begin_write
from ledger.submission import statement_key
from ledger.tiles import parse_entry_bundle
from tests.log_builders import ORIGIN, Clock, facts, new_entry


def remember(number: int) -> Callable[[Connection, int], str]:
    def apply(connection: Connection, index: int) -> str:
        connection.execute(text("INSERT INTO facts VALUES (:number, :place)"), {"number": number, "place": index})
        return f"fact {number}"

    return apply


def test_an_acknowledged_entry_is_in_the_tree_and_under_a_signed_checkpoint(log: Log) -> None:
    appended = log.append(new_entry(1))
    proof = log.prove(appended.index, checkpoint=appended.checkpoint)
    checkpoint = verify_leaf_proof(proof, log.entry(appended.index).leaf.hash(), log.verifier)
    assert (appended.index, appended.size, appended.duplicate, checkpoint.size) == (0, 1, False, 1)


def test_the_event_of_the_caller_commits_with_the_entry(log: Log, engine: Engine) -> None:
    appended = log.append(new_entry(1), remember(7))
    assert appended.result == "fact 7"
    assert facts(engine) == [(7, 0)]


def test_the_same_statement_gives_its_first_index_and_runs_nothing(log: Log, engine: Engine) -> None:
    log.append(new_entry(1), remember(1))
    log.append(new_entry(2), remember(2))
    again = log.append(new_entry(1), remember(3))
    assert (again.index, again.duplicate, again.result) == (0, True, None)
    assert facts(engine) == [(1, 0), (2, 1)]
    assert log.head()[0] == 2


def test_an_event_that_fails_takes_its_entry_with_it_and_nobody_elses(log: Log, engine: Engine) -> None:
    log.append(new_entry(1), remember(1))
    with pytest.raises(Exception, match=r"(?i)unique"):
        log.append(new_entry(2), remember(1))
    assert log.append(new_entry(3), remember(3)).index == 1
    assert facts(engine) == [(1, 0), (3, 1)]


def test_a_statement_whose_event_failed_may_come_again(log: Log, engine: Engine) -> None:
    def refuse(_connection: Connection, _index: int) -> None:
        raise KeyError("not today")

    with pytest.raises(KeyError, match="not today"):
        log.append(new_entry(1), refuse)
    assert not log.append(new_entry(1), remember(1)).duplicate


def test_an_event_that_ends_the_transaction_is_refused(log: Log) -> None:
    with pytest.raises(LogUnavailable, match="ended the log's transaction"):
        log.append(new_entry(1), lambda connection, _: connection.rollback())
    assert log.append(new_entry(2)).index == 0


def test_an_event_that_appends_to_the_log_itself_is_refused_instead_of_hanging(log: Log) -> None:
    with pytest.raises(RuntimeError, match="wait for itself"):
        log.append(new_entry(1), lambda _connection, _index: log.append(new_entry(2)))


def test_a_malformed_entry_is_refused_before_it_waits(log: Log) -> None:
    with pytest.raises(FormatError):
        log.append(NewEntry("Kind with spaces", (bytes(32),), b"a.b.c", "key"))


def test_the_root_is_the_one_of_rfc_6962_over_all_leaves(log: Log) -> None:
    for number in range(5):
        log.append(new_entry(number))
    log.append_many([new_entry(number) for number in range(5, 700)])
    hashes = [log.entry(index).leaf.hash() for index in range(700)]
    assert log.head() == (700, tree_root_of(hashes))


def test_each_leaf_chains_to_the_one_before_across_tiles(log: Log) -> None:
    log.append_many([new_entry(number) for number in range(300)])
    prev = bytes(32)
    for index in range(300):
        leaf = log.entry(index).leaf
        assert leaf.prev == prev
        prev = leaf.hash()


def test_bodies_of_one_subject_chain_to_each_other(log: Log) -> None:
    log.append_many([new_entry(number, subject=f"unit {number % 2}") for number in range(4)])
    log.append(new_entry(9, subject="unit 0"))
    subject = new_entry(0, subject="unit 0").subjects[0]
    assert log.entries_of(subject) == [0, 2, 4]
    bodies = [log.entry(index).body for index in (0, 2, 4)]
    assert [body.subjects for body in bodies if body] == [((subject, 0),), ((subject, 1),), ((subject, 2),)]
    for number, index in enumerate((0, 2, 4)):
        assert log.entry(index).leaf.tags == (subject_tag(subject, number),)


def test_an_entry_about_several_subjects_is_found_under_each(log: Log) -> None:
    one, two = sorted(new_entry(0, subject=name).subjects[0] for name in ("one", "two"))
    log.append(replace(new_entry(1), subjects=(two,)))
    log.append(replace(new_entry(2), subjects=(one, two)))
    assert (log.entries_of(one), log.entries_of(two)) == ([1], [0, 1])
    body = log.entry(1).body
    assert body is not None
    assert body.subjects == ((one, 0), (two, 1))
    assert log.entry(1).leaf.tags == body.tags() == (subject_tag(one, 0), subject_tag(two, 1))


@pytest.mark.parametrize("count", [1, 2, 3, 7, 8, 9, 33])
def test_another_process_counts_the_entries_about_a_subject_whatever_it_remembers(
    log: Log, engine: Engine, signer: NoteSigner, count: int
) -> None:
    other = Log.open(engine, origin=ORIGIN, signer=signer)
    other.append(new_entry(0))
    log.append_many([new_entry(number) for number in range(1, count + 1)])
    index = other.append(new_entry(99)).index
    body = log.entry(index).body
    assert body is not None
    assert body.subjects[0][1] == count + 1


def test_subjects_out_of_order_or_given_twice_are_refused(log: Log) -> None:
    one, two = sorted(new_entry(0, subject=name).subjects[0] for name in ("one", "two"))
    for subjects in [(two, one), (one, one), (), (one[:31],)]:
        with pytest.raises(FormatError):
            log.append(replace(new_entry(1), subjects=subjects))
    assert log.head()[0] == 0


def test_a_batch_with_statements_given_twice_records_each_once(log: Log) -> None:
    appended = log.append_many([new_entry(1), new_entry(2), new_entry(1)])
    assert [(one.index, one.duplicate) for one in appended] == [(0, False), (1, False), (0, True)]
    assert [one.duplicate for one in log.append_many([new_entry(2), new_entry(3)])] == [True, False]


@pytest.mark.parametrize("size", [1, 255, 256, 257, 600])
def test_another_process_continues_where_this_one_stopped(
    log: Log, engine: Engine, signer: NoteSigner, size: int
) -> None:
    log.append_many([new_entry(number) for number in range(size)])
    other = Log.open(engine, origin=ORIGIN, signer=signer)
    assert other.head() == log.head()
    assert other.append(new_entry(10**6)).index == size
    assert log.append(new_entry(10**7)).index == size + 1
    assert other.head() == log.head()


def test_proofs_hold_under_the_published_checkpoint_for_every_entry(log: Log) -> None:
    log.append_many([new_entry(number) for number in range(520)])
    for index in (0, 1, 255, 256, 511, 512, 519):
        checkpoint = verify_leaf_proof(log.prove(index), log.entry(index).leaf.hash(), log.verifier)
        assert checkpoint == log.checkpoint().checkpoint


def test_a_proof_for_an_entry_beyond_the_published_checkpoint_publishes_one(log: Log) -> None:
    log.append(new_entry(1))
    assert log.checkpoint().checkpoint.size == 1
    log.append(new_entry(2))
    assert log.checkpoint().checkpoint.size == 1
    verify_leaf_proof(log.prove(1), log.entry(1).leaf.hash(), log.verifier)
    assert log.checkpoint().checkpoint.size == 2


def test_checkpoints_are_published_at_most_once_a_second_and_stay_consistent(
    log: Log, engine: Engine, clock: Clock
) -> None:
    old = log.append(new_entry(0)).checkpoint.checkpoint
    for number in range(1, 40):
        clock.now += 0.125
        log.append(new_entry(number))
    with engine.connect() as connection:
        sizes = list(connection.execute(text("SELECT size FROM ledger_checkpoints ORDER BY size")).scalars())
    assert sizes == [1, 9, 17, 25, 33]
    clock.now += 1
    new = log.checkpoint().checkpoint
    assert new.size == 40
    path = log.consistency_path(old.size, new.size)
    verify_consistency(old_size=old.size, new_size=new.size, old_root=old.root, new_root=new.root, path=path)


def test_an_old_size_can_be_proved_under_while_its_checkpoint_is_published(log: Log, clock: Clock) -> None:
    log.append_many([new_entry(number) for number in range(300)])
    clock.now += 2
    log.append(new_entry(1000))
    assert parse_proof(log.prove(5, 300)).checkpoint_note != log.checkpoint().note_text
    with pytest.raises(EntryNotFound):
        log.prove(5, 299)


def test_an_empty_log_publishes_a_checkpoint_of_size_zero(log: Log) -> None:
    assert log.checkpoint().checkpoint.size == 0
    with pytest.raises(EntryNotFound):
        log.prove(0)
    with pytest.raises(EntryNotFound):
        log.entry(0)


def test_entry_bundles_hold_the_leaves_behind_their_lengths(log: Log) -> None:
    log.append_many([new_entry(number) for number in range(258)])
    bundle = log.entry_bundle(1, 2)
    assert parse_entry_bundle(bundle, 2) == [log.entry(index).leaf.to_bytes() for index in (256, 257)]


def test_many_threads_get_indexes_without_gap_and_their_own_results(log: Log, engine: Engine) -> None:
    outcomes: dict[int, tuple[int, str | None]] = {}

    def work(start: int) -> None:
        for number in range(start, start + 25):
            try:
                appended = log.append(new_entry(number), remember(number if number % 10 else 0))
                outcomes[number] = appended.index, appended.result
            except Exception:  # noqa: S110 -- every tenth violates a constraint, on purpose
                pass

    threads = [threading.Thread(target=work, args=(100 * thread,)) for thread in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    recorded = {number for number in outcomes if number % 10}
    assert len(recorded) == sum(1 for t in range(16) for n in range(100 * t, 100 * t + 25) if n % 10)
    assert sorted(index for index, _ in outcomes.values()) == list(range(log.head()[0]))
    assert all(outcomes[number][1] == f"fact {number}" for number in recorded)
    assert dict(facts(engine)).items() >= {(number, outcomes[number][0]) for number in recorded}


def test_what_somebody_put_beyond_the_head_is_no_entry(log: Log, engine: Engine) -> None:
    log.append(new_entry(1))
    key = statement_key(new_entry(2).statement)
    with begin_write(engine) as connection:
        connection.execute(
            text('INSERT INTO ledger_entries ("index", statement_key, salt, body) VALUES (1000, :key, NULL, :body)'),
            {"key": key, "body": bytes(48)},
        )
    appended = log.append(new_entry(2), remember(2))
    assert (appended.index, appended.duplicate, appended.result) == (1, False, "fact 2")


@pytest.mark.parametrize("place", [0, 1, 5_000])
def test_nothing_is_counted_past_a_tag_that_no_entry_bears(log: Log, engine: Engine, place: int) -> None:
    """A recall counted as one entry later would be left out of every proof that the entries before it are all."""
    log.append(new_entry(0, subject="unit 1"))
    log.append(new_entry(1, subject="unit 2"))
    subject = new_entry(0, subject="unit 1").subjects[0]
    with begin_write(engine) as connection:
        connection.execute(
            text('INSERT INTO ledger_tags (tag, "index") VALUES (:tag, :place)'),
            {"tag": subject_tag(subject, 1), "place": place},
        )
    with pytest.raises(StorageError, match="no entry says"):
        log.append(new_entry(2, subject="unit 1"), remember(2))
    assert facts(engine) == []
    assert log.append(new_entry(3, subject="unit 2")).index == 2
