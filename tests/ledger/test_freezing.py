"""A frozen log ends with the entry that says so; it answers for ever, and neither program nor database adds to it."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import Engine, text
from sqlalchemy.exc import DatabaseError

from ledger.audit import audit
from ledger.errors import LogFrozen
from ledger.export import export
from ledger.freezing import freeze
from ledger.leaf import Leaf
from ledger.log import Log
from ledger.note import NoteSigner
from ledger.own import OwnKind, StatementSigner
from ledger.proof import verify_leaf_proof
from ledger.storage.engine import begin_write
from tests.log_builders import ORIGIN, Clock, new_entry

REASON = "The registry was wound up by law."


@pytest.fixture
def statements() -> StatementSigner:
    return StatementSigner("registry-1", Ed25519PrivateKey.generate())


def test_the_last_entry_and_the_last_checkpoint_say_that_it_is_over(
    log: Log, engine: Engine, signer: NoteSigner, statements: StatementSigner
) -> None:
    log.append_many([new_entry(number) for number in range(5)])
    frozen = freeze(log, reason=REASON, signer=statements)
    assert frozen.entry == 5
    assert frozen.checkpoint.checkpoint.size == 6
    body = log.entry(5).body
    assert body is not None
    assert body.kind == OwnKind.FROZEN
    assert audit(engine, signer.verifier, known_checkpoints=[frozen.checkpoint.note_text]).ok


def test_nothing_is_appended_to_a_frozen_log_by_this_process_or_another(
    log: Log, engine: Engine, signer: NoteSigner, statements: StatementSigner, clock: Clock
) -> None:
    log.append(new_entry(0))
    freeze(log, reason=REASON, signer=statements)
    for one in (log, Log.open(engine, origin=ORIGIN, signer=signer, clock=clock)):
        with pytest.raises(LogFrozen):
            one.append(new_entry(1))
        with pytest.raises(LogFrozen):
            one.append_many([new_entry(2), new_entry(3)])
        with pytest.raises(LogFrozen):
            freeze(one, reason=REASON, signer=statements)
        assert one.append(new_entry(0)).duplicate, "what is recorded is acknowledged as before"
        assert one.head()[0] == 2


def test_what_a_caller_does_beside_a_refused_entry_is_undone(
    log: Log, engine: Engine, statements: StatementSigner
) -> None:
    freeze(log, reason=REASON, signer=statements)
    with pytest.raises(LogFrozen):
        log.append(new_entry(1), lambda connection, _: connection.execute(text("INSERT INTO facts VALUES (1, 1)")))
    with engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM facts")).scalar() == 0


def test_a_frozen_log_goes_on_to_answer(
    log: Log, signer: NoteSigner, statements: StatementSigner, clock: Clock, tmp_path: Path
) -> None:
    log.append_many([new_entry(number) for number in range(300)])
    frozen = freeze(log, reason=REASON, signer=statements)
    clock.now += 86_400 * 365
    assert log.checkpoint() == frozen.checkpoint
    leaf = log.entry(7).leaf
    assert isinstance(leaf, Leaf)
    assert verify_leaf_proof(log.prove(7), leaf.hash(), signer.verifier).size == 301
    assert export(log, tmp_path / "export").checkpoint == frozen.checkpoint


def test_the_database_itself_takes_no_head_after_the_end(log: Log, engine: Engine, statements: StatementSigner) -> None:
    log.append(new_entry(0))
    freeze(log, reason=REASON, signer=statements)
    with pytest.raises(DatabaseError, match="frozen"), begin_write(engine) as connection:
        connection.execute(
            text("INSERT INTO ledger_heads (size, prev_size, root, time) VALUES (3, 2, :root, 0)"), {"root": bytes(32)}
        )
    with pytest.raises(DatabaseError, match="append-only"), begin_write(engine) as connection:
        connection.execute(text("DELETE FROM ledger_freezes"))


def test_entries_that_arrive_with_the_end_come_before_it_or_not_at_all(
    log: Log, engine: Engine, signer: NoteSigner, statements: StatementSigner
) -> None:
    refused: list[int] = []
    accepted: list[int] = []

    def work(first: int) -> None:
        for number in range(first, 4_000, 4):
            try:
                accepted.append(log.append(new_entry(number)).index)
            except LogFrozen:
                refused.append(number)
                return

    threads = [threading.Thread(target=work, args=(first,)) for first in range(4)]
    for thread in threads:
        thread.start()
    while len(accepted) < 20:
        time.sleep(0.001)
    frozen = freeze(log, reason=REASON, signer=statements)
    for thread in threads:
        thread.join()
    assert len(refused) == 4
    assert max(accepted) < frozen.entry == log.head()[0] - 1
    assert audit(engine, signer.verifier).ok


def test_an_end_without_a_reason_is_none(log: Log, statements: StatementSigner) -> None:
    for reason in ("", "x" * 501):
        with pytest.raises(ValueError, match="reason"):
            freeze(log, reason=reason, signer=statements)
    assert log.head()[0] == 0
