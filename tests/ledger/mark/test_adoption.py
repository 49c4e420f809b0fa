"""Who goes on with a log after its mark was lost hears everybody first, and a loss is stated in the log itself."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import Engine

from ledger.alarms import list_alarms
from ledger.audit import audit
from ledger.checkpoint import Checkpoint, sign_checkpoint
from ledger.cosignature import CosignatureSigner
from ledger.errors import AcknowledgedLost, LogFrozen, NoteError, TransportError
from ledger.freezing import freeze
from ledger.log import Log
from ledger.map.keeper import SubjectMap
from ledger.mark.adoption import Silent, Word, adopt, ask_witnesses, assess, describe, read_word
from ledger.mark.high_water import HighWaterMark, MarkState
from ledger.note import NoteSigner
from ledger.own import OwnKind, StatementSigner
from ledger.statement import STATEMENT_TYPE, verify_statement
from ledger.storage.engine import create_database_engine
from ledger.storage.sql import SqlLogStorage
from ledger.witnessing.client import Result, Witnessing
from ledger.witnessing.policy import Policy
from ledger.witnessing.transport import Answer, HttpTransport
from tests.log_builders import ORIGIN, Clock, new_entry, prepare_log_database
from tests.witness_builders import cosigner_key, make_cosigner, policy_of, served_witness

REASON = "The disk failed; the newest backup is of yesterday."


@pytest.fixture
def mark(tmp_path: Path) -> HighWaterMark:
    return HighWaterMark(tmp_path / "mark", origin=ORIGIN)


@pytest.fixture
def statements() -> StatementSigner:
    return StatementSigner("registry-1", Ed25519PrivateKey.generate())


@pytest.fixture
def marked(engine: Engine, signer: NoteSigner, mark: HighWaterMark, clock: Clock) -> Log:
    """A log of five entries with its mark."""
    log = Log.open(engine, origin=ORIGIN, signer=signer, high_water=mark, clock=clock)
    log.append_many([new_entry(number) for number in range(5)])
    return log


def finding(log: Log) -> Any:
    found = log.finding()
    assert found is not None
    return found


def test_a_lost_mark_is_adopted_when_nobody_knows_more(
    marked: Log, log: Log, mark: HighWaterMark, engine: Engine, statements: StatementSigner
) -> None:
    checkpoint = marked.checkpoint(at_least=5)
    mark.path.unlink()
    assessment = assess(log, finding(marked), [read_word("a friend", checkpoint.note_text, log.keys(), ORIGIN)])
    assert assessment.is_safe
    assert assessment.finding.state is MarkState.MISSING
    done = adopt(assessment, log=log, mark=mark, engine=engine, signer=statements, reason="A new machine.")
    assert done is not None
    assert done.index == 5
    assert finding(marked).state is MarkState.OK
    assert marked.append(new_entry(5)).index == 6
    assert list_alarms(engine) == []


@pytest.mark.parametrize("accept_loss", [False, True])
def test_a_frozen_log_gets_its_mark_back_without_an_entry(
    marked: Log, mark: HighWaterMark, engine: Engine, statements: StatementSigner, *, log: Log, accept_loss: bool
) -> None:
    end = freeze(marked, SubjectMap(marked, engine, statements), reason="The end.", signer=statements)
    mark.path.unlink()
    words = [Word("a friend", 99, bytes(32))] if accept_loss else []
    assessment = assess(log, finding(marked), words)
    assert (
        adopt(assessment, log=log, mark=mark, engine=engine, signer=statements, reason=REASON, accept_loss=accept_loss)
        is None
    )
    assert finding(marked).state is MarkState.OK
    assert log.head()[0] == end.entry + 1
    assert log.checkpoint() == end.checkpoint
    assert [("frozen" in alarm.detail, REASON in alarm.detail) for alarm in list_alarms(engine)] == (
        [(True, True)] if accept_loss else []
    )
    with pytest.raises(LogFrozen):
        marked.append(new_entry(9))


@pytest.mark.parametrize(
    ("known", "lost", "what"),
    [
        (lambda log: Word("a friend", 9, bytes(32)), 4, r"4 acknowledged entries, 5 to 8, are not in the database"),
        (lambda log: Word("a friend", 5, bytes(32)), 0, r"another history .*a friend at size 5"),
        (lambda log: Word("a friend", 3, log.root_at(4)), 0, r"another history .*a friend at size 3"),
    ],
)
def test_what_somebody_else_knows_stands_in_the_way_and_then_in_the_log(
    marked: Log,
    mark: HighWaterMark,
    engine: Engine,
    statements: StatementSigner,
    *,
    log: Log,
    known: Callable[[Log], Word],
    lost: int,
    what: str,
) -> None:
    assessment = assess(log, finding(marked), [known(log)])
    assert assessment.lost == lost
    with pytest.raises(AcknowledgedLost, match=what):
        adopt(assessment, log=log, mark=mark, engine=engine, signer=statements, reason=REASON)
    assert log.head()[0] == 5
    done = adopt(assessment, log=log, mark=mark, engine=engine, signer=statements, reason=REASON, accept_loss=True)
    assert done is not None
    body = log.entry(done.index).body
    assert body is not None
    assert body.kind == OwnKind.ADOPTED
    stated = verify_statement(
        body.statement, public_key=statements.private_key.public_key(), typ=STATEMENT_TYPE
    ).payload
    assert (stated["lost"], stated["reason"], stated["size"]) == (lost, REASON, 5)
    assert [word["source"] for word in stated["against"]] == ["a friend"]
    [alarm] = list_alarms(engine)
    assert REASON in alarm.detail
    assert "a friend" in alarm.evidence
    assert finding(marked).state is MarkState.OK
    assert audit(engine, log.verifier).ok


def test_a_mark_ahead_of_the_log_counts_as_a_word(
    marked: Log, log: Log, mark: HighWaterMark, engine: Engine, statements: StatementSigner
) -> None:
    mark.advance(8, bytes(32), log.root_at)
    assessment = assess(log, finding(marked), [])
    assert assessment.lost == 3
    assert "high-water mark" in describe(assessment)
    with pytest.raises(AcknowledgedLost):
        adopt(assessment, log=log, mark=mark, engine=engine, signer=statements, reason=REASON)


def test_a_damaged_mark_is_no_word_but_can_be_adopted(
    marked: Log, log: Log, mark: HighWaterMark, engine: Engine, statements: StatementSigner
) -> None:
    mark.path.write_bytes(b"\xff" * 100)
    assessment = assess(log, finding(marked), [])
    assert assessment.finding.state is MarkState.DAMAGED
    assert assessment.words == ()
    adopt(assessment, log=log, mark=mark, engine=engine, signer=statements, reason=REASON)
    assert finding(marked).state is MarkState.OK


def test_a_crash_after_the_entry_leaves_the_log_closed(
    marked: Log,
    log: Log,
    mark: HighWaterMark,
    engine: Engine,
    statements: StatementSigner,
    *,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    mark.path.unlink()
    assessment = assess(log, finding(marked), [])

    def die(*_arguments: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(mark, "adopt", die)
        with pytest.raises(KeyboardInterrupt):
            adopt(assessment, log=log, mark=mark, engine=engine, signer=statements, reason=REASON)
    assert finding(marked).state is MarkState.MISSING
    assert log.head()[0] == 6, "the entry is there already"
    again = assess(log, finding(marked), [])
    adopt(again, log=log, mark=mark, engine=engine, signer=statements, reason=REASON)
    assert finding(marked).state is MarkState.OK


def test_a_reason_is_short_and_never_missing(
    marked: Log, log: Log, mark: HighWaterMark, engine: Engine, statements: StatementSigner
) -> None:
    assessment = assess(log, finding(marked), [])
    for reason in ("", "x" * 501):
        with pytest.raises(ValueError, match="reason"):
            adopt(assessment, log=log, mark=mark, engine=engine, signer=statements, reason=reason)


def test_a_word_that_the_log_did_not_sign_is_none(log: Log) -> None:
    stranger = NoteSigner.generate(ORIGIN)
    other = NoteSigner.generate("log.test/other")
    for signer in (stranger, other):
        note = sign_checkpoint(Checkpoint(signer.name, 9, bytes(32)), signer).note_text
        with pytest.raises(NoteError):
            read_word("somebody", note, log.keys(), ORIGIN)


class Answers:
    """A transport whose answers the test has written."""

    def __init__(self, answers: dict[str, Answer | TransportError]) -> None:
        self.answers = answers

    def get(self, url: str) -> Answer:
        answer = self.answers[url]
        if isinstance(answer, TransportError):
            raise answer
        return answer

    def post(self, url: str, body: bytes) -> Answer:
        raise AssertionError("asking must change nothing")


def test_witnesses_are_asked_for_what_they_cosigned(marked: Log) -> None:
    names = ["sees", "silent", "strange", "gone", "private"]
    keys = [CosignatureSigner.generate(f"witness.test/{name}").verifier.to_text() for name in names]
    lines = [
        f"witness {name} {key}" + ("" if name == "private" else f" https://{name}.test")
        for name, key in zip(names, keys, strict=True)
    ]
    policy = Policy.from_bytes(("\n".join([*lines, "quorum none"]) + "\n").encode())
    log_hash = sha256(ORIGIN.encode()).hexdigest()
    checkpoint = marked.checkpoint(at_least=5)
    transport = Answers(
        {
            f"https://sees.test/{log_hash}/checkpoint": Answer(200, "text/plain", checkpoint.note_text.encode()),
            f"https://silent.test/{log_hash}/checkpoint": Answer(404, "text/plain", b""),
            f"https://strange.test/{log_hash}/checkpoint": Answer(200, "text/plain", b"a page for people"),
            f"https://gone.test/{log_hash}/checkpoint": TransportError("no route"),
        }
    )
    found = ask_witnesses(policy, marked.keys(), ORIGIN, transport)
    assert found[0] == Word(f"witness {policy.witnesses[0].name}", 5, checkpoint.checkpoint.root, checkpoint.note_text)
    reasons = [answer.why for answer in found[1:] if isinstance(answer, Silent)]
    assert [
        word in reason for word, reason in zip(("no checkpoint", "used", "reached", "address"), reasons, strict=True)
    ]


def test_a_real_witness_tells_that_entries_are_gone(marked: Log, engine: Engine, clock: Clock, tmp_path: Path) -> None:
    """What it cosigned is what it shows, and what a log that has less is measured by."""
    key = cosigner_key("a.example/w")
    cosigner = make_cosigner(tmp_path, keys=[key], logs=[marked.verifier], clock=clock)
    with served_witness(cosigner) as address, closing(HttpTransport()) as transport:
        policy = policy_of([key], 1, [address])
        marked.append_many([new_entry(number) for number in range(5, 9)])
        marked.checkpoint(at_least=9)
        client = Witnessing(
            marked, SqlLogStorage(engine), policy, transport=transport, alarm=_no_alarm, clock=clock, patience=10
        )
        [report] = client.run_once()
        client.close()
        assert report.result is Result.COSIGNED
        [word] = ask_witnesses(policy, marked.keys(), ORIGIN, transport)
    assert isinstance(word, Word)
    assert (word.size, word.root) == marked.head()
    assert word.note.count("\n— ") == 2, "the log's own signature and the witness's"
    assert assess(marked, finding(marked), [word]).is_safe
    other = Word(word.source, word.size + 1, word.root, word.note)
    assert assess(marked, finding(marked), [other]).lost == 1


def _no_alarm(*, proven: bool, detail: str, evidence: str) -> None:
    raise AssertionError(f"{detail} {proven} {evidence}")


def test_a_database_rolled_back_under_its_mark_is_told_with_numbers(
    signer: NoteSigner, tmp_path: Path, mark: HighWaterMark
) -> None:
    url = f"sqlite:///{tmp_path / 'log.db'}"
    prepare_log_database(url)
    for copy, numbers in (("yesterday", range(3)), ("today", range(3, 7))):
        engine = create_database_engine(url)
        Log.open(engine, origin=ORIGIN, signer=signer, high_water=mark).append_many([new_entry(at) for at in numbers])
        engine.dispose()
        shutil.copy(tmp_path / "log.db", tmp_path / copy)
    shutil.copy(tmp_path / "yesterday", tmp_path / "log.db")
    engine = create_database_engine(url)
    log = Log.open(engine, origin=ORIGIN, signer=signer, high_water=mark)
    assert describe(assess(log, finding(log), [])) == (
        "4 acknowledged entries, 3 to 6, are not in the database (known by: high-water mark)."
    )
    engine.dispose()
