"""A frozen log ends with the entry that says so; it answers for ever, and neither program nor database adds to it."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import Engine, text
from sqlalchemy.exc import DatabaseError

from ledger.audit import FaultCode, audit
from ledger.errors import LogFrozen
from ledger.export import export
from ledger.freezing import Frozen, MapBehind, freeze
from ledger.leaf import Leaf
from ledger.log import Log
from ledger.map.keeper import SubjectMap
from ledger.note import NoteSigner
from ledger.own import OwnKind, StatementSigner
from ledger.proof import verify_leaf_proof
from ledger.storage.engine import begin_write
from ledger.storage.map_sql import MapHead
from ledger.storage.sql import SqlReader
from tests.log_builders import ORIGIN, Clock, new_entry

REASON = "The registry was wound up by law."


@pytest.fixture
def statements() -> StatementSigner:
    return StatementSigner("registry-1", Ed25519PrivateKey.generate())


@pytest.fixture
def subject_map(log: Log, engine: Engine, statements: StatementSigner, clock: Clock) -> SubjectMap:
    return SubjectMap(log, engine, statements, clock=clock)


def test_the_last_entry_and_the_last_checkpoint_say_that_it_is_over(
    log: Log, engine: Engine, signer: NoteSigner, statements: StatementSigner, subject_map: SubjectMap
) -> None:
    log.append_many([new_entry(number) for number in range(5)])
    frozen = freeze(log, subject_map, reason=REASON, signer=statements)
    assert frozen.entry == 6, "after the entry that states the last map"
    assert frozen.checkpoint.checkpoint.size == 7
    body = log.entry(6).body
    assert body is not None
    assert body.kind == OwnKind.FROZEN
    assert audit(engine, signer.verifier, known_checkpoints=[frozen.checkpoint.note_text]).ok


def test_nothing_is_appended_to_a_frozen_log_by_this_process_or_another(
    log: Log, engine: Engine, signer: NoteSigner, statements: StatementSigner, subject_map: SubjectMap, *, clock: Clock
) -> None:
    log.append(new_entry(0))
    freeze(log, subject_map, reason=REASON, signer=statements)
    for one in (log, Log.open(engine, origin=ORIGIN, signer=signer, clock=clock)):
        with pytest.raises(LogFrozen):
            one.append(new_entry(1))
        with pytest.raises(LogFrozen):
            one.append_many([new_entry(2), new_entry(3)])
        with pytest.raises(LogFrozen):
            freeze(one, SubjectMap(one, engine, statements), reason=REASON, signer=statements)
        assert one.append(new_entry(0)).duplicate, "what is recorded is acknowledged as before"
        assert one.head()[0] == 3


def test_what_a_caller_does_beside_a_refused_entry_is_undone(
    log: Log, engine: Engine, statements: StatementSigner, subject_map: SubjectMap
) -> None:
    freeze(log, subject_map, reason=REASON, signer=statements)
    with pytest.raises(LogFrozen):
        log.append(new_entry(1), lambda connection, _: connection.execute(text("INSERT INTO facts VALUES (1, 1)")))
    with engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM facts")).scalar() == 0


def test_a_frozen_log_goes_on_to_answer(
    log: Log, signer: NoteSigner, statements: StatementSigner, subject_map: SubjectMap, *, clock: Clock, tmp_path: Path
) -> None:
    log.append_many([new_entry(number) for number in range(300)])
    frozen = freeze(log, subject_map, reason=REASON, signer=statements)
    clock.now += 86_400 * 365
    assert log.checkpoint() == frozen.checkpoint
    leaf = log.entry(7).leaf
    assert isinstance(leaf, Leaf)
    assert verify_leaf_proof(log.prove(7), leaf.hash(), signer.verifier).size == 302
    assert export(log, tmp_path / "export").checkpoint == frozen.checkpoint


def test_the_database_itself_takes_no_head_after_the_end(
    log: Log, engine: Engine, statements: StatementSigner, subject_map: SubjectMap
) -> None:
    log.append(new_entry(0))
    freeze(log, subject_map, reason=REASON, signer=statements)
    with pytest.raises(DatabaseError, match="frozen"), begin_write(engine) as connection:
        connection.execute(
            text("INSERT INTO ledger_heads (size, prev_size, root, time) VALUES (4, 3, :root, 0)"), {"root": bytes(32)}
        )
    with pytest.raises(DatabaseError, match="append-only"), begin_write(engine) as connection:
        connection.execute(text("DELETE FROM ledger_freezes"))


def test_entries_that_arrive_with_the_end_come_before_it_or_not_at_all(
    log: Log, engine: Engine, signer: NoteSigner, statements: StatementSigner, subject_map: SubjectMap
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
            time.sleep(0.01)

    threads = [threading.Thread(target=work, args=(first,)) for first in range(4)]
    for thread in threads:
        thread.start()
    while len(accepted) < 20:
        time.sleep(0.001)
    frozen = freeze_between(log, subject_map, statements)
    for thread in threads:
        thread.join()
    assert len(refused) == 4
    assert max(accepted) < frozen.entry == log.head()[0] - 1
    assert audit(engine, signer.verifier).ok


def test_an_end_without_a_reason_is_none(log: Log, statements: StatementSigner, subject_map: SubjectMap) -> None:
    for reason in ("", "x" * 501):
        with pytest.raises(ValueError, match="reason"):
            freeze(log, subject_map, reason=reason, signer=statements)
    assert log.head()[0] == 0


def freeze_between(log: Log, subject_map: SubjectMap, statements: StatementSigner) -> Frozen:
    """Freeze a log that others append to, as often as it takes."""
    while True:
        with suppress(MapBehind):
            return freeze(log, subject_map, reason=REASON, signer=statements)


class Beside(SubjectMap):
    """A map after whose publication somebody appends an entry, so many times."""

    times = 0

    def publish(self) -> MapHead | None:
        head = super().publish()
        if self.times:
            self.times -= 1
            self._log.append(new_entry(1_000 + self.times))
        return head


def test_an_entry_between_the_last_map_and_the_end_gets_a_map_of_its_own(
    log: Log, engine: Engine, statements: StatementSigner
) -> None:
    log.append(new_entry(0))
    subject_map = Beside(log, engine, statements)
    subject_map.times = 2
    frozen = freeze(log, subject_map, reason=REASON, signer=statements)
    head = subject_map.head()
    assert head is not None
    assert (head.size, head.entry, frozen.entry) == (5, 5, 6), "entry, map, entry, map, entry, map, end"


def test_a_log_whose_map_does_not_keep_up_is_not_frozen(log: Log, engine: Engine, statements: StatementSigner) -> None:
    log.append(new_entry(0))
    subject_map = Beside(log, engine, statements)
    subject_map.times = 1_000
    with pytest.raises(MapBehind, match="nothing was frozen"):
        freeze(log, subject_map, reason=REASON, signer=statements)
    assert not log.frozen()
    assert log.append(new_entry(1)).duplicate is False


def without_guards(engine: Engine, statement: str) -> None:
    """What the owner of the database does: take the guards away, change something, put them back."""
    with begin_write(engine) as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(text("SET LOCAL session_replication_role = replica"))
            connection.execute(text(statement))
            return
        triggers = connection.execute(text("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'")).all()
        for name, _ in triggers:
            connection.execute(text(f"DROP TRIGGER {name}"))
        connection.execute(text(statement))
        for _, made in triggers:
            connection.exec_driver_sql(made)


def test_the_end_outlasts_the_row_that_says_so(
    log: Log, engine: Engine, signer: NoteSigner, statements: StatementSigner, subject_map: SubjectMap
) -> None:
    log.append(new_entry(0))
    frozen = freeze(log, subject_map, reason=REASON, signer=statements)
    without_guards(engine, "DELETE FROM ledger_freezes")
    again = Log.open(engine, origin=ORIGIN, signer=signer)
    assert again.frozen()
    with pytest.raises(LogFrozen):
        again.append(new_entry(1))
    for report in (audit(engine, signer.verifier), audit(engine, signer.verifier, sample=2)):
        assert [(fault.code, fault.where) for fault in report.faults] == [
            (FaultCode.LOG_FROZEN, f"ledger_freezes {frozen.entry}")
        ]


def test_entries_after_the_end_are_a_fault_also_without_the_row(
    log: Log,
    engine: Engine,
    signer: NoteSigner,
    statements: StatementSigner,
    subject_map: SubjectMap,
    *,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    log.append(new_entry(0))
    frozen = freeze(log, subject_map, reason=REASON, signer=statements)
    without_guards(engine, "DELETE FROM ledger_freezes")
    monkeypatch.setattr(SqlReader, "frozen", lambda _self: False)  # a program that was changed too
    log.append(new_entry(1))
    assert [(fault.code, fault.where) for fault in audit(engine, signer.verifier).faults] == [
        (FaultCode.LOG_FROZEN, f"ledger_freezes {frozen.entry}")
    ]
