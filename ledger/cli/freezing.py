"""The command that ends a log."""

from __future__ import annotations

import click

from ledger.checkpoint import SignedCheckpoint
from ledger.cli.context import LedgerContext, OpenContext, ask_or_end, failures
from ledger.freezing import MAX_REASON
from ledger.freezing import freeze as run_freeze
from ledger.map.keeper import SubjectMap


@click.command()
@click.option("--reason", required=True, help=f"Why, for everybody to read; at most {MAX_REASON} characters.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def freeze(open_context: OpenContext, *, reason: str, yes: bool) -> None:
    """End the log for good: a last entry, a last checkpoint, and no entry after it. It can not be undone."""
    if not 1 <= len(reason) <= MAX_REASON:
        raise click.BadParameter(f"has 1 to {MAX_REASON} characters", param_hint="--reason")
    with failures():
        context = open_context()
        log = context.open_log()
        size, _ = log.head()
        if not yes:
            ask_or_end(f"{context.origin} has {size} entries. Close it for ever?")
        subject_map = SubjectMap(log, context.engine, context.statement_signer)
        frozen = run_freeze(log, subject_map, reason=reason, signer=context.statement_signer)
    click.echo(f"Frozen: entry {frozen.entry} is the last. Reading, proving, auditing and exporting go on.")
    click.echo(_KEEP)
    click.echo(_key_lines(frozen.checkpoint, context), nl=False)


_KEEP = """Keep, in more than one place:
  1. an export for everybody:      marchamo ledger export DIR
  2. a backup with the bodies:     marchamo backup DIR, and the key-encryption key apart from it
  3. the trust list of scanners:   the answer of /v1/trust, as last published
  4. the last checkpoint, below:   let the witnesses cosign it, print it, hand it to others
The private key of the log signs nothing more and may be destroyed."""


def _key_lines(checkpoint: SignedCheckpoint, context: LedgerContext) -> str:
    return f"\nlog key: {context.signer.verifier.to_text()}\n\n{checkpoint.note_text}"
