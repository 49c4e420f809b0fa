"""`ledger keys`, `rotate-key` and `retire-key`: what they print and how they exit."""

from __future__ import annotations

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import Engine

from ledger.cli import LedgerContext, ledger
from ledger.keys.log_keys import fingerprint
from ledger.log import Log
from ledger.note import NoteSigner
from tests.key_keepers import make_keeper, statement_signer
from tests.log_builders import ORIGIN, new_entry


@pytest.fixture
def context(engine: Engine, signer: NoteSigner) -> LedgerContext:
    keeper = make_keeper(engine, signer)
    found = LedgerContext(engine, ORIGIN, signer, statement_signer(), keeper=keeper)
    found.open_log().append(new_entry(1))
    return found


def run(context: LedgerContext, *arguments: str) -> Result:
    return CliRunner().invoke(ledger, list(arguments), obj=lambda: context)


def test_the_keys_are_shown_with_what_they_sign_and_their_fingerprints(context: LedgerContext) -> None:
    first = context.signer.verifier
    assert run(context, "keys").output == (
        f"{first.to_text()}\n  signs checkpoints of size 0 on\n  fingerprint {fingerprint(first)}\n"
    )


def test_a_change_of_keys_from_one_to_two_to_one(context: LedgerContext) -> None:
    rotated = run(context, "rotate-key")
    assert rotated.exit_code == 0
    assert "Entry 1 of the log names its new key" in rotated.output
    old, new = context.open_log().keys().verifiers
    assert rotated.output.index(fingerprint(old)) < rotated.output.index(fingerprint(new))
    early = run(context, "retire-key")
    assert early.exit_code == 1
    assert "ledger.overlap: both keys have signed since" in early.output
    retired = run(context, "retire-key", "--min-overlap", "0")
    assert retired.exit_code == 0
    assert "What this breaks" not in retired.output
    assert "signed checkpoints of size 0 to 2" in run(context, "keys").output
    assert run(context, "audit").exit_code == 0


def test_who_insists_is_told_what_breaks(context: LedgerContext) -> None:
    run(context, "rotate-key")
    insisted = run(context, "retire-key", "--now")
    assert insisted.exit_code == 0
    assert "Witnesses started with --log of the old key only" in insisted.output
    assert "What this breaks: whoever has fetched no trust list since 20" in insisted.output


def test_what_is_out_of_order_is_refused_with_what_to_do(context: LedgerContext) -> None:
    lonely = run(context, "retire-key", "--now")
    assert lonely.exit_code == 1
    assert "marchamo ledger rotate-key" in lonely.output
    run(context, "rotate-key")
    again = run(context, "rotate-key")
    assert again.exit_code == 1
    assert "marchamo ledger retire-key" in again.output


def test_a_log_whose_keys_are_kept_elsewhere_is_left_alone(log: Log, engine: Engine, signer: NoteSigner) -> None:
    context = LedgerContext(engine, ORIGIN, signer, statement_signer())
    assert run(context, "rotate-key").exit_code == 3
    assert log.head()[0] == 0
