"""The log changes its key while it runs: in the log, with an overlap, and with nobody signing out of turn."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
from sqlalchemy import Connection, Engine, insert, select, text

from ledger.audit import AuditReport, audit
from ledger.checkpoint import Checkpoint, open_checkpoint, read_unverified_checkpoint, sign_checkpoint
from ledger.errors import LogKeyError, UnknownKey
from ledger.keys.entries import KeyAction, read_key_entry, rotation
from ledger.keys.log_keys import LogKeys, sign_succession
from ledger.keys.rotation import DAY_MS, OverlapNotOver, retire_key, rotate_key
from ledger.leaf import Body, Leaf, subject_tag
from ledger.log import Log, NewEntry
from ledger.note import NoteSigner, NoteVerifier, parse_note
from ledger.own import OwnKind, own_subject
from ledger.proof import verify_leaf_proof
from ledger.storage.engine import begin_write, create_database_engine
from ledger.storage.sql import SqlLogStorage
from ledger.storage.tables import ledger_checkpoints, ledger_tags
from tests.guards import without_guards
from tests.key_keepers import TableKeeper, kept_keys, make_keeper, statement_signer
from tests.log_builders import ORIGIN, Clock, new_entry

REGISTRY = statement_signer()


@pytest.fixture
def keeper(engine: Engine, signer: NoteSigner) -> TableKeeper:
    return make_keeper(engine, signer)


@pytest.fixture
def log(engine: Engine, signer: NoteSigner, keeper: TableKeeper, clock: Clock) -> Log:
    return open_log(engine, signer, keeper, clock)


def open_log(engine: Engine, signer: NoteSigner, keeper: TableKeeper, clock: Clock) -> Log:
    return Log.open(engine, origin=ORIGIN, signer=signer, signers=keeper.signers, clock=clock)


def grow(log: Log, clock: Clock, first: int, count: int) -> None:
    """Append entries with a published checkpoint after each."""
    for number in range(first, first + count):
        log.append(new_entry(number))
        clock.now += 2
        log.checkpoint(at_least=1)


def notes(engine: Engine) -> dict[int, str]:
    with engine.connect() as connection:
        rows = connection.execute(select(ledger_checkpoints.c.size, ledger_checkpoints.c.note))
        return {row.size: row.note for row in rows}


def signed_by(note: str, keys: LogKeys) -> list[int]:
    """Which of the log's keys signed, in the order of the signature lines."""
    ids = [verifier.key_id for verifier in keys.verifiers]
    return [ids.index(signature.key_id) for signature in parse_note(note).signatures]


def test_both_keys_sign_from_the_entry_on_the_old_one_first_until_it_is_retired(
    log: Log, keeper: TableKeeper, engine: Engine, signer: NoteSigner, clock: Clock
) -> None:
    grow(log, clock, 0, 3)
    rotated = rotate_key(log, keeper, REGISTRY, clock=clock)
    grow(log, clock, 10, 3)
    clock.now += 31 * DAY_MS / 1000
    retired = retire_key(log, keeper, REGISTRY, clock=clock)
    grow(log, clock, 20, 3)
    keys = log.keys()
    assert [(key.first_size, key.last_size) for key in keys.keys] == [
        (0, retired.index),
        (rotated.index + 1, None),
    ]
    for size, note in notes(engine).items():
        expected = [0] if size <= rotated.index else [0, 1] if size <= retired.index else [1]
        assert signed_by(note, keys) == expected, size
    assert log.verifier == keys.keys[1].verifier
    for verifier in (signer.verifier, keys.keys[1].verifier):
        assert audit(engine, verifier).faults == []
        assert audit(engine, verifier, sample=4).ok
        assert audit(engine, verifier, since=5, known_checkpoints=list(notes(engine).values())).ok


def test_an_acknowledgement_is_signed_by_the_keys_of_its_size(log: Log, keeper: TableKeeper) -> None:
    assert signed_by(log.append(new_entry(1)).checkpoint.note_text, log.keys()) == [0]
    rotated = rotate_key(log, keeper, REGISTRY)
    assert signed_by(log.append(new_entry(2)).checkpoint.note_text, rotated.keys) == [0, 1]
    retired = retire_key(log, keeper, REGISTRY, at_once=True)
    assert signed_by(log.append(new_entry(3)).checkpoint.note_text, retired.keys) == [1]


def test_a_process_that_runs_meanwhile_signs_with_the_new_keys_at_once(
    log: Log, log_database_url: str, signer: NoteSigner, clock: Clock, keeper: TableKeeper
) -> None:
    other_engine = create_database_engine(log_database_url, durable=False)
    other = open_log(other_engine, signer, TableKeeper(other_engine), clock)
    assert signed_by(other.append(new_entry(1)).checkpoint.note_text, log.keys()) == [0]
    keys = rotate_key(log, keeper, REGISTRY).keys
    assert signed_by(other.append(new_entry(2)).checkpoint.note_text, keys) == [0, 1]
    keys = retire_key(log, keeper, REGISTRY, at_once=True).keys
    assert signed_by(other.append(new_entry(3)).checkpoint.note_text, keys) == [1]
    # And it reads what is signed with the new key only, though it was opened with the old one.
    clock.now += 2
    assert other.checkpoint().checkpoint.size == 5
    assert other.keys() == keys
    other_engine.dispose()


def test_entries_of_many_threads_pass_through_two_rotations_without_a_wrong_signature(
    log: Log, keeper: TableKeeper, engine: Engine, signer: NoteSigner, clock: Clock
) -> None:
    stop, acknowledged, failures = threading.Event(), [], []

    def append(worker: int) -> None:
        number = worker * 10_000
        while not stop.is_set():
            try:
                acknowledged.append(log.append(new_entry(number)).checkpoint)
            except Exception as error:
                failures.append(error)
            number += 1

    workers = [threading.Thread(target=append, args=(worker,)) for worker in range(4)]
    for worker in workers:
        worker.start()
    try:
        for _ in range(2):
            rotate_key(log, keeper, REGISTRY, clock=clock)
            clock.now += 2
            retire_key(log, keeper, REGISTRY, clock=clock, at_once=True)
            clock.now += 2
    finally:
        stop.set()
        for worker in workers:
            worker.join()
    assert failures == []
    keys = log.keys()
    assert len(keys.keys) == 3
    for checkpoint in acknowledged:
        open_checkpoint(checkpoint.note_text, keys, by_all=True)
    assert audit(engine, signer.verifier).faults == []


def test_proofs_made_before_a_rotation_hold_after_it_and_an_old_reader_holds_through_the_overlap(
    log: Log, keeper: TableKeeper, signer: NoteSigner
) -> None:
    index = log.append(new_entry(1)).index
    leaf = log.entry(index).leaf.hash()
    proofs = [log.prove(index)]
    rotate_key(log, keeper, REGISTRY)
    proofs.append(log.prove(index, checkpoint=log.append(new_entry(2)).checkpoint))
    retire_key(log, keeper, REGISTRY, at_once=True)
    proofs.append(log.prove(index, checkpoint=log.append(new_entry(3)).checkpoint))
    for proof in proofs:
        verify_leaf_proof(proof, leaf, log.keys())
    for proof in proofs[:2]:
        verify_leaf_proof(proof, leaf, signer.verifier)
    with pytest.raises(UnknownKey):
        verify_leaf_proof(proofs[2], leaf, signer.verifier)


def test_the_log_is_opened_again_with_either_key_and_with_no_other(
    log: Log, keeper: TableKeeper, engine: Engine, signer: NoteSigner, clock: Clock
) -> None:
    keys = rotate_key(log, keeper, REGISTRY).keys
    new = keeper.current()[1]
    retire_key(log, keeper, REGISTRY, at_once=True)
    for known in (signer, new):
        assert open_log(engine, known, keeper, clock).keys().verifiers == keys.verifiers
    with pytest.raises(LogKeyError, match="none of those"):
        open_log(engine, NoteSigner.generate(ORIGIN), keeper, clock)


# --- what is refused -----------------------------------------------------------------------------------------------


def test_a_second_rotation_waits_for_the_end_of_the_first(log: Log, keeper: TableKeeper) -> None:
    rotate_key(log, keeper, REGISTRY)
    with pytest.raises(LogKeyError, match="two keys already"):
        rotate_key(log, keeper, REGISTRY)
    assert len(log.key_entries()) == 1


def test_the_only_key_is_not_retired(log: Log, keeper: TableKeeper) -> None:
    with pytest.raises(LogKeyError, match="only one key"):
        retire_key(log, keeper, REGISTRY, at_once=True)


def test_the_overlap_lasts_thirty_days_unless_somebody_insists(log: Log, keeper: TableKeeper, clock: Clock) -> None:
    rotate_key(log, keeper, REGISTRY, clock=clock)
    clock.now += 30 * 86_400 - 1
    with pytest.raises(OverlapNotOver, match="until 2023-12-14"):
        retire_key(log, keeper, REGISTRY, clock=clock)
    assert len(keeper.current()) == 2
    clock.now += 1
    retire_key(log, keeper, REGISTRY, clock=clock)
    assert len(keeper.current()) == 1


def test_two_commands_at_the_same_moment_change_the_keys_once(
    log: Log, keeper: TableKeeper, engine: Engine, signer: NoteSigner
) -> None:
    class Slow(TableKeeper):
        """Looks, and is overtaken by another command before it gets the log's lock."""

        def current(self) -> list[NoteSigner]:
            found = list(super().current())
            rotate_key(log, keeper, REGISTRY)
            return found

    with pytest.raises(LogKeyError, match="in this moment"):
        rotate_key(log, Slow(engine), REGISTRY)
    assert len(log.keys().keys) == 2
    assert audit(engine, signer.verifier).ok


def test_a_retired_private_key_is_gone(log: Log, keeper: TableKeeper, engine: Engine) -> None:
    rotate_key(log, keeper, REGISTRY)
    retire_key(log, keeper, REGISTRY, at_once=True)
    with engine.connect() as connection:
        seeds = connection.execute(select(kept_keys.c.seed).order_by(kept_keys.c.signs_from)).scalars().all()
    assert seeds[0] is None
    assert seeds[1] is not None


# --- what the audit names --------------------------------------------------------------------------------------------


def faults_after(engine: Engine, signer: NoteSigner, change: Callable[[], None]) -> list[tuple[str, str]]:
    assert audit(engine, signer.verifier).ok
    change()
    report: AuditReport = audit(engine, signer.verifier)
    return [(fault.code, fault.where) for fault in report.faults]


def replace_note(engine: Engine, size: int, *signers: NoteSigner) -> None:
    """Put another signature under the published checkpoint of this size."""
    checkpoint: Checkpoint = read_unverified_checkpoint(notes(engine)[size])
    with begin_write(engine) as connection, without_guards(connection):
        changed = {"size": size, "note": sign_checkpoint(checkpoint, *signers).note_text}
        connection.execute(text("UPDATE ledger_checkpoints SET note = :note WHERE size = :size"), changed)


def test_a_checkpoint_signed_by_a_key_out_of_its_time_is_named(
    log: Log, keeper: TableKeeper, engine: Engine, signer: NoteSigner, clock: Clock
) -> None:
    grow(log, clock, 0, 2)
    rotate_key(log, keeper, REGISTRY, clock=clock)
    new = keeper.current()[1]
    retire_key(log, keeper, REGISTRY, clock=clock, at_once=True)
    grow(log, clock, 10, 2)
    wrong = [(1, [new]), (1, [signer, new]), (3, [signer]), (3, [new]), (5, [signer]), (5, [signer, new])]
    right = {1: [signer], 3: [signer, new], 5: [new]}
    for size, signers in wrong:

        def forge(size: int = size, signers: list[NoteSigner] = signers) -> None:
            replace_note(engine, size, *signers)

        assert faults_after(engine, signer, forge) == [("checkpoint.key", f"ledger_checkpoints {size}")]
        replace_note(engine, size, *right[size])


def test_an_entry_that_makes_a_stranger_the_next_key_is_no_part_of_the_history(
    log: Log, keeper: TableKeeper, engine: Engine, signer: NoteSigner, clock: Clock
) -> None:
    """Whoever can append, but does not hold the old key, can not name the next one."""
    stranger = NoteSigner.generate(ORIGIN)
    grow(log, clock, 0, 1)
    statement = rotation(signer.verifier, stranger.verifier, sign_succession(stranger, stranger))

    def append_forgery() -> None:
        log.append(REGISTRY.entry(OwnKind.KEY, statement, at_ms=1))

    faults = faults_after(engine, signer, append_forgery)
    assert faults == [("key.history", "ledger_entries")]
    with pytest.raises(LogKeyError, match="malformed"):
        open_log(engine, signer, keeper, clock)


def test_another_kind_of_entry_under_the_subject_of_the_keys_is_refused(log: Log, engine: Engine) -> None:
    entry = new_entry(1)
    log.append(NewEntry(entry.kind, (own_subject(OwnKind.KEY),), entry.statement, entry.key_id))
    with pytest.raises(LogKeyError):
        log.keys()


def test_the_entries_say_what_happened_and_when(log: Log, keeper: TableKeeper, clock: Clock) -> None:
    rotated = rotate_key(log, keeper, REGISTRY, clock=clock)
    clock.now += 5
    retire_key(log, keeper, REGISTRY, clock=clock, at_once=True)
    first, second = log.key_entries()
    assert (first.index, first.action, first.time) == (rotated.index, KeyAction.ROTATE, int(clock.now * 1000) - 5_000)
    assert (second.action, second.time, second.succession) == (KeyAction.RETIRE, int(clock.now * 1000), None)
    assert (first.old, first.new) == (second.old, second.new) == rotated.keys.verifiers
    stored = log.entry(first.index)
    assert isinstance(stored.leaf, Leaf)
    assert isinstance(stored.body, Body)
    assert read_key_entry(first.index, stored.body.to_bytes()) == first


def test_rows_that_hide_an_entry_about_the_keys_are_noticed(
    log: Log, keeper: TableKeeper, engine: Engine, signer: NoteSigner, clock: Clock
) -> None:
    rotate_key(log, keeper, REGISTRY)
    retire_key(log, keeper, REGISTRY, at_once=True)

    def hide() -> None:
        with begin_write(engine) as connection, without_guards(connection):
            connection.execute(text('DELETE FROM ledger_tags WHERE "index" = 1'))

    codes = {code for code, _ in faults_after(engine, signer, hide)}
    assert "checkpoint.key" in codes  # the retirement is hidden: the old key seems to owe a signature
    assert codes - {"checkpoint.key"}  # and the missing tag is named too
    with SqlLogStorage(engine).reading() as reader:
        assert reader.head() is not None


def test_a_tag_that_leads_nowhere_is_no_entry_about_the_keys(log: Log, engine: Engine, signer: NoteSigner) -> None:
    log.append(new_entry(1))
    with begin_write(engine) as connection:
        connection.execute(insert(ledger_tags), {"tag": subject_tag(own_subject(OwnKind.KEY), 0), "index": 1_000})
    with pytest.raises(LogKeyError, match="missing"):
        log.keys()
    assert "key.history" in {fault.code for fault in audit(engine, signer.verifier).faults}


def test_a_checkpoint_by_a_key_that_no_entry_names_is_not_shown(log: Log, engine: Engine, keeper: TableKeeper) -> None:
    """A row that no entry speaks of would make a key sign out of turn: the log shows nobody such a checkpoint."""
    intruder = NoteSigner.generate(ORIGIN)
    with begin_write(engine) as connection:
        row = {"public": intruder.verifier.public_key.public_bytes_raw(), "signs_from": 0,
               "seed": intruder.private_key.private_bytes_raw()}  # fmt: skip
        connection.execute(kept_keys.delete())
        connection.execute(insert(kept_keys), row)
    log.append(new_entry(1))
    with pytest.raises(UnknownKey):
        log.checkpoint()


def test_keys_and_entries_from_different_backups_are_not_put_together(
    log: Log, keeper: TableKeeper, engine: Engine, signer: NoteSigner, clock: Clock
) -> None:
    rotate_key(log, keeper, REGISTRY)
    with begin_write(engine) as connection:
        connection.execute(kept_keys.delete().where(kept_keys.c.signs_from > 0))
    with pytest.raises(LogKeyError, match="entries name") as refused:
        open_log(engine, signer, keeper, clock)
    assert refused.value.fix is not None


def test_a_rotation_that_fails_in_the_middle_leaves_neither_entry_nor_key(
    log: Log, keeper: TableKeeper, engine: Engine, signer: NoteSigner
) -> None:
    class Failing(TableKeeper):
        def add(self, connection: Connection, signer: NoteSigner, first_size: int) -> None:
            super().add(connection, signer, first_size)
            raise OSError("no space left")

        def retire(self, connection: Connection, verifier: NoteVerifier, last_size: int) -> None:
            super().retire(connection, verifier, last_size)
            raise OSError("no space left")

    with pytest.raises(OSError, match="no space"):
        rotate_key(log, Failing(engine), REGISTRY)
    assert (len(keeper.current()), len(log.keys().keys), log.head()[0]) == (1, 1, 0)
    rotate_key(log, keeper, REGISTRY)
    with pytest.raises(OSError, match="no space"):
        retire_key(log, Failing(engine), REGISTRY, at_once=True)
    assert (len(keeper.current()), len(log.keys().current), log.head()[0]) == (2, 2, 1)
    retire_key(log, keeper, REGISTRY, at_once=True)
    assert audit(engine, signer.verifier).faults == []
