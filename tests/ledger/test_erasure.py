"""Erasing a body: the proof goes on to hold, the log says so, and the database lets nothing else pass."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from ledger.audit import audit
from ledger.erasure import BodyCopies, erase, sweep_erased
from ledger.errors import EntryNotFound, StateRefused, StorageError
from ledger.log import Log
from ledger.note import NoteSigner
from ledger.own import OwnKind, StatementSigner, own_subject
from ledger.proof import verify_leaf_proof
from ledger.statement import read_unverified
from ledger.storage import sweeping
from ledger.storage.engine import begin_write
from tests.guards import without_guards
from tests.log_builders import ORIGIN, Clock, new_entry
from tests.small_log import private_key

REASON = "asked for by the person it names"


@pytest.fixture
def registry() -> StatementSigner:
    return StatementSigner("registry-1", private_key("registry"))


@pytest.fixture
def filled(log: Log) -> Log:
    log.append_many([new_entry(number, subject=f"unit {number % 3}") for number in range(300)])
    return log


def test_the_body_is_gone_and_every_proof_goes_on_to_hold(
    filled: Log, engine: Engine, registry: StatementSigner
) -> None:
    before = filled.entry(7)
    proof = filled.prove(7)
    erase(filled, engine, 7, reason=REASON, signer=registry)
    after = filled.entry(7)
    assert (after.body, after.salt) == (None, None)
    assert after.leaf == before.leaf
    verify_leaf_proof(proof, after.leaf.hash(), filled.verifier)
    verify_leaf_proof(filled.prove(7), after.leaf.hash(), filled.verifier)
    assert 7 in filled.entries_of(new_entry(0, subject="unit 1").subjects[0])


def test_the_log_says_what_was_erased_and_why(filled: Log, engine: Engine, registry: StatementSigner) -> None:
    done = erase(filled, engine, 7, reason=REASON, signer=registry, clock=Clock())
    body = filled.entry(done.index).body
    assert body is not None
    assert body.kind == "ledger.erased"
    payload = read_unverified(body.statement).payload
    assert (payload["index"], payload["reason"], payload["time"]) == (7, REASON, "2023-11-14T22:13:20.000Z")
    assert filled.entries_of(own_subject(OwnKind.ERASED)) == [done.index]


@pytest.mark.parametrize("index", [0, 7, 255, 256, 299])
def test_a_log_with_an_erased_body_opens_goes_on_and_is_audited_clean(
    filled: Log, engine: Engine, signer: NoteSigner, registry: StatementSigner, index: int
) -> None:
    erase(filled, engine, index, reason=REASON, signer=registry)
    reopened = Log.open(engine, origin=ORIGIN, signer=signer)
    assert reopened.append(new_entry(1000)).index == 301
    report = audit(engine, signer.verifier)
    assert report.faults == []
    assert audit(engine, signer.verifier, sample=302).ok


def test_a_statement_whose_body_was_erased_is_still_not_recorded_twice(
    filled: Log, engine: Engine, registry: StatementSigner
) -> None:
    erase(filled, engine, 7, reason=REASON, signer=registry)
    again = filled.append(new_entry(7, subject="unit 1"))
    assert (again.index, again.duplicate) == (7, True)


def test_what_is_erased_or_the_ledgers_own_is_not_erased(
    filled: Log, engine: Engine, registry: StatementSigner
) -> None:
    done = erase(filled, engine, 7, reason=REASON, signer=registry)
    with pytest.raises(StateRefused, match="erased before"):
        erase(filled, engine, 7, reason=REASON, signer=registry)
    with pytest.raises(StateRefused, match="own"):
        erase(filled, engine, done.index, reason=REASON, signer=registry)
    with pytest.raises(EntryNotFound):
        erase(filled, engine, 5000, reason=REASON, signer=registry)
    assert filled.head()[0] == 301


@pytest.mark.parametrize(
    "change",
    [
        "salt = NULL, body = :content",  # no erasure is on record
        "body = :content",
        "salt = NULL",
    ],
)
def test_the_database_refuses_an_erasure_that_is_not_on_record(filled: Log, engine: Engine, change: str) -> None:
    leaf = filled.entry(7).leaf
    content = leaf.commitment + b"".join(leaf.tags)
    with pytest.raises(DBAPIError, match="UPDATE refused"), begin_write(engine) as connection:
        connection.execute(text(f'UPDATE ledger_entries SET {change} WHERE "index" = 7'), {"content": content})  # noqa: S608


@pytest.mark.parametrize(
    "change",
    [
        "salt = NULL, body = :content, statement_key = 1",
        "body = :content",
        "salt = NULL, body = :cut",
    ],
)
def test_a_recorded_erasure_allows_that_one_change_only(filled: Log, engine: Engine, change: str) -> None:
    leaf = filled.entry(7).leaf
    content = leaf.commitment + b"".join(leaf.tags)
    with begin_write(engine) as connection:
        connection.execute(text("INSERT INTO ledger_erasures VALUES (7, 9)"))
    with pytest.raises(DBAPIError, match="UPDATE refused"), begin_write(engine) as connection:
        connection.execute(
            text(f'UPDATE ledger_entries SET {change} WHERE "index" = 7'),  # noqa: S608
            {"content": content, "cut": content[:40]},
        )


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_nothing_of_the_body_is_left_in_the_files_of_sqlite(
    filled: Log, engine: Engine, registry: StatementSigner
) -> None:
    stored = filled.entry(7)
    assert stored.body is not None
    assert stored.salt is not None
    erase(filled, engine, 7, reason=REASON, signer=registry)
    path = Path(str(engine.url.database))
    kept = b"".join(file.read_bytes() for file in path.parent.glob(f"{path.name}*"))
    assert stored.body.statement not in kept
    assert stored.salt not in kept


def test_copies_are_erased_in_the_same_transaction(filled: Log, engine: Engine, registry: StatementSigner) -> None:
    with begin_write(engine) as connection:
        connection.execute(text("CREATE TABLE copies (place INTEGER PRIMARY KEY, body TEXT)"))
        connection.execute(text("INSERT INTO copies VALUES (7, 'name'), (8, 'other')"))

    def forget(connection: Connection, index: int) -> None:
        assert connection.execute(text("SELECT count(*) FROM ledger_erasures")).scalar() == 1
        connection.execute(text("UPDATE copies SET body = '' WHERE place = :index"), {"index": index})

    erase(filled, engine, 7, reason=REASON, signer=registry, copies=[BodyCopies("copies", forget)])
    with engine.connect() as connection:
        assert connection.execute(text("SELECT place, body FROM copies ORDER BY place")).all() == [
            (7, ""),
            (8, "other"),
        ]


def test_a_copy_that_cannot_be_erased_stops_the_erasure(filled: Log, engine: Engine, registry: StatementSigner) -> None:
    def refuse(_connection: Connection, _index: int) -> None:
        raise StateRefused("the copy is in use")

    before = filled.entry(7).body
    with pytest.raises(StateRefused, match="in use"):
        erase(filled, engine, 7, reason=REASON, signer=registry, copies=[BodyCopies("copies", refuse)])
    assert filled.entry(7).body == before
    assert filled.head()[0] == 300


def test_what_the_product_needs_stays(filled: Log, engine: Engine, registry: StatementSigner) -> None:
    kind = new_entry(7).kind
    with pytest.raises(StateRefused, match=f"is of kind {kind} and stays: units hang on it"):
        erase(filled, engine, 7, reason=REASON, signer=registry, needed={kind: "units hang on it"})
    assert filled.entry(7).body is not None


def allow_erasing(engine: Engine, index: int, erased_by: int) -> None:
    with begin_write(engine) as connection:
        connection.execute(
            text("INSERT INTO ledger_erasures VALUES (:index, :erased_by)"), {"index": index, "erased_by": erased_by}
        )


def put_in_place(engine: Engine, index: int, content: bytes) -> None:
    with begin_write(engine) as connection:
        connection.execute(
            text('UPDATE ledger_entries SET salt = NULL, body = :content WHERE "index" = :index'),
            {"content": content, "index": index},
        )


def test_a_record_of_an_erasure_names_an_entry_that_is_there(filled: Log, engine: Engine) -> None:
    with pytest.raises(DBAPIError, match=r"(?i)foreign key"):
        allow_erasing(engine, 7, 999_999)


@pytest.mark.parametrize("change", ["forged", "another's", "surplus"])
def test_the_tags_that_stay_are_those_of_the_entry(filled: Log, engine: Engine, change: str) -> None:
    allow_erasing(engine, 7, 9)
    leaf = filled.entry(7).leaf
    tags = {
        "forged": b"\xff" * 16,
        "another's": filled.entry(8).leaf.tags[0],
        "surplus": leaf.tags[0] * 2,
    }
    with pytest.raises(DBAPIError, match="UPDATE refused"):
        put_in_place(engine, 7, leaf.commitment + tags[change])
    put_in_place(engine, 7, leaf.commitment + leaf.tags[0])
    assert filled.entry(7).body is None


def test_the_database_lets_nobody_erase_what_the_ledger_says_of_itself(
    filled: Log, engine: Engine, registry: StatementSigner
) -> None:
    own = filled.append(registry.entry(OwnKind.KEY, {}, at_ms=1_700_000_000_000)).index
    after = filled.append(new_entry(1_000)).index
    allow_erasing(engine, own, after)
    leaf = filled.entry(own).leaf
    with pytest.raises(DBAPIError, match="UPDATE refused"):
        put_in_place(engine, own, leaf.commitment + leaf.tags[0])


@pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True)
def test_a_temporary_table_does_not_take_the_place_of_the_record(filled: Log, engine: Engine) -> None:
    leaf = filled.entry(7).leaf
    with engine.connect() as connection:
        connection.execute(text('CREATE TEMP TABLE ledger_erasures AS SELECT 7::bigint AS "index"'))
        erasing = text('UPDATE ledger_entries SET salt = NULL, body = :content WHERE "index" = 7')
        with pytest.raises(DBAPIError, match="UPDATE refused"):
            connection.execute(erasing, {"content": leaf.commitment + leaf.tags[0]})


@pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True)
def test_a_temporary_table_does_not_take_the_place_of_the_freeze(filled: Log, engine: Engine) -> None:
    with begin_write(engine) as connection:
        connection.execute(text("INSERT INTO ledger_freezes VALUES (299, 1)"))
    with engine.connect() as connection:
        connection.execute(text("CREATE TEMP TABLE ledger_freezes (entry bigint)"))
        with pytest.raises(DBAPIError, match="the log is frozen"):
            connection.execute(text("INSERT INTO ledger_heads VALUES (301, 300, :root, 1)"), {"root": bytes(32)})


def test_while_somebody_reads_the_old_state_the_erasure_says_that_it_is_not_swept(
    filled: Log, engine: Engine, registry: StatementSigner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweeping, "SWEEP_SECONDS", 0.1)
    with engine.connect() as plain:
        reading = plain.execution_options(
            **({} if engine.dialect.name == "sqlite" else {"isolation_level": "REPEATABLE READ"})
        )
        reading.execute(text("SELECT count(*) FROM ledger_entries")).scalar()
        assert erase(filled, engine, 7, reason=REASON, signer=registry).kept is not None
        assert sweep_erased(engine) is not None
    assert sweep_erased(engine) is None
    assert erase(filled, engine, 8, reason=REASON, signer=registry).kept is None


def test_a_row_that_is_not_the_one_in_the_tree_is_kept_as_evidence(
    filled: Log, engine: Engine, registry: StatementSigner
) -> None:
    with begin_write(engine) as connection, without_guards(connection):
        connection.execute(
            text('UPDATE ledger_entries SET salt = :salt WHERE "index" IN (3, 298)'), {"salt": bytes(32)}
        )
    for index in (3, 298):
        with pytest.raises(StorageError, match="is not the one that the tree holds"):
            erase(filled, engine, index, reason=REASON, signer=registry)
        assert filled.entry(index).body is not None
