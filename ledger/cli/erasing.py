"""The command that erases the body of an entry."""

from __future__ import annotations

import click

from ledger.cli.context import OpenContext, failures
from ledger.erasure import MAX_REASON, erase


@click.command("erase")
@click.argument("index", type=click.IntRange(min=0))
@click.option("--reason", required=True, help=f"Why, for everybody to read; at most {MAX_REASON} characters.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def erase_body(open_context: OpenContext, *, index: int, reason: str, yes: bool) -> None:
    """Erase the body of entry INDEX for ever. Its leaf stays, every proof goes on to hold, and the log says so."""
    if not 1 <= len(reason) <= MAX_REASON:
        raise click.BadParameter(f"has 1 to {MAX_REASON} characters", param_hint="--reason")
    with failures():
        context = open_context()
        log = context.open_log()
        entry = log.entry(index)
        if entry.body is not None and not yes:
            click.confirm(f"Entry {index} is of kind {entry.body.kind}. Erase its body for ever?", abort=True)
        done = erase(
            log,
            context.engine,
            index,
            reason=reason,
            signer=context.statement_signer,
            copies=context.copies,
            needed=context.needed,
        )
    click.echo(f"The body of entry {index} is erased; entry {done.index} says so.")
    click.echo("Backups made before hold it still: erase or replace them too.")
