"""The commands that erase the body of an entry, and sweep away what the database keeps of it."""

from __future__ import annotations

import sys

import click

from ledger.cli.context import FAULT_FOUND, LedgerContext, OpenContext, ask_or_end, failures
from ledger.erasure import MAX_REASON, erase, sweep_erased
from ledger.errors import LedgerError
from ledger.leaf import Body
from ledger.statement import read_unverified


@click.command("erase")
@click.argument("index", type=click.IntRange(min=0))
@click.option("--reason", required=True, help=f"Why, for everybody to read; at most {MAX_REASON} characters.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def erase_body(open_context: OpenContext, *, index: int, reason: str, yes: bool) -> None:
    """Erase the body of entry INDEX for ever. Its leaf stays, every proof goes on to hold, and the log says so.

    On PostgreSQL run it as the role that owns the tables.
    """
    if not 1 <= len(reason) <= MAX_REASON:
        raise click.BadParameter(f"has 1 to {MAX_REASON} characters", param_hint="--reason")
    with failures():
        context = open_context()
        log = context.open_log()
        entry = log.entry(index)
        if entry.body is not None and not yes:
            if said := _what_it_says(context, entry.body):
                click.echo(_WARNING.format(kind=said), err=True)
            ask_or_end(f"Entry {index} is of kind {entry.body.kind}. Erase its body for ever?")
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
    if done.kept is not None:
        _say_kept(done.kept)


_WARNING = (
    "WARNING: this entry is an event of the kind '{kind}'. When its body is gone nobody can show from the ledger who "
    "stated it, when, and about which goods."
)


def _what_it_says(context: LedgerContext, body: Body) -> str:
    """Say in the product's words what a body states that somebody will want to prove later; empty for others."""
    try:
        return context.grave(read_unverified(body.statement).payload)
    except LedgerError:
        return ""


@click.command("sweep")
@click.pass_obj
def sweep_rows(open_context: OpenContext) -> None:
    """Overwrite what the database still keeps of erased bodies and retired keys, when `erase` could not."""
    with failures():
        context = open_context()
        kept = sweep_erased(context.engine, copies=context.copies)
        if kept is None and context.keeper is not None:
            kept = context.keeper.sweep()
    if kept is not None:
        _say_kept(kept)
        sys.exit(FAULT_FOUND)
    click.echo("Nothing of what was erased is left in the database's files.")


def _say_kept(kept: str) -> None:
    click.echo(f"Not yet swept from the database's files: {kept}. Later run: marchamo ledger sweep", err=True)
