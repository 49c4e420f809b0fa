"""The commands about the ledger: what they print and how they exit."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import Engine, text

from ledger.alarms import AlarmKind, raise_alarm
from ledger.audit.records import last_audits
from ledger.checkpoint import Checkpoint, sign_checkpoint
from ledger.cli import LedgerContext, ledger, reading
from ledger.keys.log_keys import LogKeys
from ledger.keys.trust_root import keys_to_members
from ledger.log import Log
from ledger.note import NoteSigner
from ledger.own import StatementSigner
from ledger.storage.engine import begin_write, create_database_engine
from ledger.strict import encode_base64
from tests.guards import without_guards
from tests.log_builders import ORIGIN, new_entry
from tests.small_log import signer as small_log_signer
from tests.small_log import unit_content, unit_proof


@pytest.fixture
def context(log: Log, engine: Engine, signer: NoteSigner) -> LedgerContext:
    log.append_many([new_entry(number) for number in range(10)])
    log.checkpoint(at_least=10)
    return LedgerContext(engine, ORIGIN, signer, StatementSigner("registry", signer.private_key))


def run(context: LedgerContext | None, *arguments: object) -> Result:
    return CliRunner().invoke(ledger, [str(argument) for argument in arguments], obj=lambda: context)


def break_a_head(engine: Engine) -> None:
    with begin_write(engine) as connection, without_guards(connection):
        connection.execute(text("UPDATE ledger_heads SET root = :root"), {"root": bytes(32)})


def test_an_audit_without_fault_exits_with_0(context: LedgerContext) -> None:
    result = run(context, "audit", "--full")
    assert result.exit_code == 0
    assert "checked 10 entries" in result.output
    assert "No fault found." in result.output


def test_an_audit_that_finds_a_fault_exits_with_1_and_names_it(context: LedgerContext) -> None:
    break_a_head(context.engine)
    result = run(context, "audit", "--json")
    assert result.exit_code == 1
    report = json.loads(result.output)
    assert report["ok"] is False
    assert report["faults"][0]["code"] == "head.root"
    assert "FAULT head.root at ledger_heads 10" in run(context, "audit").output


def test_an_audit_knows_a_checkpoint_from_outside(context: LedgerContext, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.write_text(run(context, "checkpoint").output, encoding="utf-8")
    assert run(context, "audit", "--sample", 3, "--known", kept).exit_code == 0
    kept.write_text(kept.read_text(encoding="utf-8").replace("\n10\n", "\n11\n"), encoding="utf-8")
    assert run(context, "audit", "--since", 3, "--known", kept).exit_code == 3
    other = sign_checkpoint(Checkpoint(ORIGIN, 10, bytes(32)), context.signer).note_text
    kept.write_text(other, encoding="utf-8")
    contradicted = run(context, "audit", "--since", 3, "--known", kept)
    assert contradicted.exit_code == 1
    assert f"known checkpoint {kept}" in contradicted.output


def test_what_is_no_checkpoint_is_named_and_no_fault_of_the_log(context: LedgerContext, tmp_path: Path) -> None:
    junk = tmp_path / "junk"
    junk.write_text("junk\n", encoding="utf-8")
    refused = run(context, "audit", "--known", junk)
    assert refused.exit_code == 3
    assert f"{junk} is no checkpoint" in refused.output


def test_an_audit_of_the_newest_part_says_which_entries_it_checked(context: LedgerContext) -> None:
    assert "checked entries 0 to 9 (whole tiles)" in run(context, "audit", "--since", 5).output
    beyond = run(context, "audit", "--since", 999)
    assert beyond.exit_code == 2
    assert "the log has 10 entries, 0 to 9" in beyond.output


def test_an_entry_that_is_not_there_cannot_be_had(context: LedgerContext) -> None:
    assert run(context, "prove", 500).exit_code == 3


def test_an_alarm_is_shown_by_size_and_root_and_not_by_its_signatures(context: LedgerContext) -> None:
    note = sign_checkpoint(Checkpoint(ORIGIN, 7, bytes(32)), context.signer).note_text
    raise_alarm(context.engine, AlarmKind.FORK, detail="Two histories.", evidence=note)
    shown = run(context, "alarms").output
    assert f"{ORIGIN}: checkpoint of size 7, root {'A' * 43}=" in shown
    assert "\u2014 " not in shown
    [alarm] = json.loads(run(context, "alarms", "--json").output)
    assert alarm["evidence"] == note


def test_a_leaf_may_be_given_as_a_file_and_a_missing_key_file_is_called_so(
    context: LedgerContext, tmp_path: Path
) -> None:
    proof, leaf = tmp_path / "proof", tmp_path / "p4.leaf"
    proof.write_text(run(context, "prove", 4).output, encoding="utf-8")
    leaf.write_text(run(context, "prove", 4, "--leaf").output, encoding="utf-8")
    key = context.signer.verifier.to_text()
    assert run(None, "verify-proof", proof, "--key", key, "--leaf", leaf).exit_code == 0
    missing = run(None, "verify-proof", proof, "--key", "nosuch.key", "--leaf", leaf)
    assert missing.exit_code == 3
    assert "there is no such file" in missing.output


def test_a_place_without_a_log_is_called_so(tmp_path: Path) -> None:
    trust = tmp_path / "trust.json"
    keys = {"registry": encode_base64(small_log_signer().private_key.public_key().public_bytes_raw())}
    log_keys = LogKeys.of(small_log_signer().verifier)
    members = {"statement_keys": keys, "log_keys": keys_to_members(log_keys)}
    trust.write_text(json.dumps(members), encoding="utf-8")
    nowhere = run(None, "monitor", tmp_path / "nowhere", "--trust", trust)
    assert nowhere.exit_code == 3
    assert "no ledger at" in nowhere.output
    assert "[Errno" not in nowhere.output
    refused = run(None, "monitor", "http://127.0.0.1:9", "--trust", trust)
    assert "did you mean http://127.0.0.1:9/log?" in refused.output
    assert "urlopen" not in refused.output


def test_an_audit_is_recorded_with_the_command_that_ran_it(context: LedgerContext) -> None:
    assert run(context, "audit").exit_code == run(context, "audit", "--sample", 3).exit_code == 0
    assert run(context, "audit", "--no-record").exit_code == 0
    recorded = [(record.by, record.ok) for record in last_audits(context.engine)]
    assert recorded == [("marchamo ledger audit --sample", True), ("marchamo ledger audit --full", True)]
    assert run(context, "alarms").output == "No alarm.\n"


def test_a_fault_is_an_alarm_until_the_end_of_time(context: LedgerContext) -> None:
    break_a_head(context.engine)
    assert run(context, "audit").exit_code == 1
    shown = run(context, "alarms")
    assert shown.exit_code == 1
    assert shown.output.startswith("ALARM 1 (audit)")
    [alarm] = json.loads(run(context, "alarms", "--json").output)
    assert json.loads(alarm["evidence"]) == ["head.root", "ledger_heads 10"]


def test_a_checkpoint_of_another_log_is_no_fault_of_this_one(context: LedgerContext, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.write_text(run(context, "checkpoint").output.replace("\n10\n", "\n11\n"), encoding="utf-8")
    audited = run(context, "audit", "--known", kept)
    assert audited.exit_code == 3
    assert "not recorded" in audited.stderr
    assert last_audits(context.engine) == []
    assert run(context, "alarms").exit_code == 0


def test_an_export_names_its_files_and_shows_no_bar_where_nobody_watches(
    context: LedgerContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "BAR_AFTER_SECONDS", 0.0)
    done = run(context, "export", tmp_path / "export")
    assert done.exit_code == 0
    assert done.stderr == ""
    assert done.output.startswith("10 entries: 3 files written")


def test_audit_modes_exclude_each_other(context: LedgerContext) -> None:
    assert run(context, "audit", "--full", "--since", 3).exit_code == 2


def test_a_database_that_cannot_be_reached_exits_with_3(tmp_path: Path, signer: NoteSigner) -> None:
    engine = create_database_engine(f"sqlite:///{tmp_path / 'no' / 'such.db'}")
    result = run(LedgerContext(engine, ORIGIN, signer, StatementSigner("registry", signer.private_key)), "checkpoint")
    assert result.exit_code == 3
    assert "cannot be read" in result.output


def test_a_log_that_contradicts_itself_is_not_served(context: LedgerContext) -> None:
    break_a_head(context.engine)
    result = run(context, "prove", 1)
    assert result.exit_code == 1
    assert "audit --full" in result.output


def test_an_export_says_what_it_wrote(context: LedgerContext, tmp_path: Path) -> None:
    result = run(context, "export", tmp_path / "out")
    assert result.output == "10 entries: 3 files written, 0 were there\n"
    assert (tmp_path / "out/checkpoint").exists()


def test_a_printed_proof_is_verified_without_the_database(context: LedgerContext, tmp_path: Path) -> None:
    proof = tmp_path / "proof"
    proof.write_text(run(context, "prove", 4).output, encoding="utf-8")
    leaf = run(context, "prove", 4, "--leaf").output.strip()
    key = context.signer.verifier.to_text()
    result = run(None, "verify-proof", proof, "--key", key, "--leaf", leaf)
    assert (result.exit_code, result.output) == (0, f"{proof}: entry 4 is in the log {ORIGIN} of 10 entries\n")
    other = run(context, "prove", 5, "--leaf").output.strip()
    refused = run(None, "verify-proof", proof, "--key", key, "--leaf", other)
    assert refused.exit_code == 1
    assert "REFUSED (ledger.proof)" in refused.output


def test_verifying_says_what_is_missing_or_malformed(context: LedgerContext, tmp_path: Path) -> None:
    proof = tmp_path / "proof"
    proof.write_text(run(context, "prove", 4).output, encoding="utf-8")
    key = tmp_path / "key"
    key.write_text(context.signer.verifier.to_text() + "\n", encoding="utf-8")
    assert run(None, "verify-proof", proof, "--key", key).exit_code == 2
    assert run(None, "verify-proof", proof, "--key", key, "--leaf", "00").exit_code == 2
    assert run(None, "verify-proof", proof, "--key", "not-a-key", "--leaf", "00" * 65).exit_code == 3


def test_a_unit_s_proof_takes_the_signed_bytes_in_hexadecimal(tmp_path: Path) -> None:
    proof = tmp_path / "unit.json"
    proof.write_text(unit_proof(position=17, before=5).to_json(), encoding="utf-8")
    key = small_log_signer().verifier.to_text()
    result = run(None, "verify-proof", proof, "--key", key, "--content", unit_content(17).hex())
    assert (result.exit_code, "unit 17 of the batch in entry 5" in result.output) == (0, True)
    assert run(None, "verify-proof", proof, "--key", key, "--content", unit_content(18).hex()).exit_code == 1
    assert run(None, "verify-proof", proof, "--key", key, "--content", "signed bytes").exit_code == 2
    assert run(None, "verify-proof", proof, "--key", key).exit_code == 2
