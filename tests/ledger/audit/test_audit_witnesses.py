from __future__ import annotations

import pytest
from sqlalchemy import Engine, text

from ledger.audit import AuditReport, AuditScope, audit
from ledger.audit import witnesses as audit_witnesses
from ledger.audit.witnesses import cosignature_check
from ledger.log import Log
from ledger.note import NoteSigner, parse_note
from ledger.storage.interface import CosignatureRow
from ledger.storage.sql import SqlLogStorage
from ledger.witnessing.policy import Policy
from tests.log_builders import Clock, new_entry
from tests.witness_builders import cosigner_key, policy_of

A, B = cosigner_key("a.example/w"), cosigner_key("b.example/w")
POLICY = policy_of([A], 1)


def keep(engine: Engine, size: int, line: str, key_id: int = A.verifier.key_id) -> None:
    with SqlLogStorage(engine).writing() as writer:
        writer.add_cosignatures([CosignatureRow(size, key_id, line, 0)])


def grow(log: Log, clock: Clock) -> tuple[int, str]:
    """Append an entry and publish; gives the size and the text of the checkpoint."""
    size, _ = log.head()
    log.append(new_entry(size))
    clock.now += 1.5
    signed = log.checkpoint(at_least=size + 1)
    return signed.checkpoint.size, parse_note(signed.note_text).text


def run(engine: Engine, signer: NoteSigner, policy: Policy = POLICY) -> AuditReport:
    return audit(engine, signer.verifier, extra_checks=[cosignature_check(policy)])


def faults(report: AuditReport) -> list[tuple[str, str]]:
    return [(fault.code, fault.where) for fault in report.faults]


def test_sound_cosignatures_of_known_and_unknown_witnesses_pass(
    log: Log, engine: Engine, clock: Clock, signer: NoteSigner
) -> None:
    for _ in range(3):
        size, checkpoint = grow(log, clock)
        keep(engine, size, A.sign(checkpoint).line())
        keep(engine, size, B.sign("other\n" + checkpoint.partition("\n")[2]).line(), B.verifier.key_id)
    assert run(engine, signer).ok
    assert faults(run(engine, signer, policy_of([A, B], 1))) == [
        ("cosignature.signature", f"ledger_cosignatures {size} {B.verifier.key_id}") for size in (3, 2, 1)
    ]


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("— a.example/w no base64\n", "cosignature.line"),
        (B.sign("a\n1\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n").line(), "cosignature.line"),
        (A.sign("a\n1\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n").line(), "cosignature.signature"),
    ],
)
def test_a_changed_line_is_named(log: Log, engine: Engine, clock: Clock, line: str, code: str) -> None:
    size, _ = grow(log, clock)
    keep(engine, size, line)
    report = audit(engine, log.verifier, extra_checks=[cosignature_check(POLICY)])
    assert faults(report) == [(code, f"ledger_cosignatures {size} {A.verifier.key_id}")]


def test_a_line_without_its_checkpoint_is_named(log: Log, engine: Engine, clock: Clock, signer: NoteSigner) -> None:
    _, checkpoint = grow(log, clock)
    with engine.begin() as connection:
        # As somebody would do who may write to the database: the log itself keeps no such line.
        connection.execute(
            text("INSERT INTO ledger_cosignatures (size, key_id, line, time) VALUES (77, 5, :line, 0)"),
            {"line": A.sign(checkpoint).line()},
        )
    assert faults(run(engine, signer)) == [("cosignature.checkpoint", "ledger_cosignatures 77 5")]


def test_only_what_the_audit_looks_at_is_checked(
    log: Log, engine: Engine, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken, _ = grow(log, clock)
    keep(engine, broken, "— broken\n")
    size, checkpoint = grow(log, clock)
    keep(engine, size, A.sign(checkpoint).line())

    def found(scope: AuditScope) -> int:
        with engine.connect() as connection:
            return len(list(cosignature_check(POLICY)(connection, scope)))

    assert found(AuditScope(size, since=broken)) == 1
    assert found(AuditScope(size, since=size)) == 0
    # Of a sample the latest lines are looked at.
    assert found(AuditScope(size, chosen=(0,))) == 1
    monkeypatch.setattr(audit_witnesses, "SAMPLED", 1)
    assert found(AuditScope(size, chosen=(0,))) == 0
