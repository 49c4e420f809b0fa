"""Commands about the log's own keys: what they are, and how one follows another."""

from __future__ import annotations

import click

from ledger.cli.context import LedgerContext, OpenContext, cannot_read, failures
from ledger.keys.log_keys import LogKey, fingerprint
from ledger.keys.rotation import MIN_OVERLAP_DAYS, KeyChange, KeyKeeper, moment_text, rotated_at
from ledger.keys.rotation import retire_key as run_retire
from ledger.keys.rotation import rotate_key as run_rotate


@click.command()
@click.pass_obj
def keys(open_context: OpenContext) -> None:
    """Print every key of the log, what it signs, and its fingerprint to compare."""
    with failures():
        found = open_context().open_log().keys()
    for key in found.keys:
        click.echo(_describe(key))


@click.command("rotate-key")
@click.pass_obj
def rotate_key(open_context: OpenContext) -> None:
    """Give the log a new key; the old one signs beside it until `retire-key`."""
    with failures():
        context = open_context()
        change = run_rotate(context.open_log(), _keeper(context), context.statement_signer)
    click.echo(f"Entry {change.index} of the log names its new key. From now on both sign, the old one first:")
    _print_current(change)
    click.echo(
        "If the witness policy has log lines, add one with the new key; let the witnesses start with both (--log). "
        f"Publish the new fingerprint, let readers renew their trust lists, and in {MIN_OVERLAP_DAYS} days run: "
        "marchamo ledger retire-key"
    )


@click.command("retire-key")
@click.option("--now", "at_once", is_flag=True, help="Do not wait for the end of the overlap; says what that breaks.")
@click.option(
    "--min-overlap",
    type=click.IntRange(min=0),
    default=MIN_OVERLAP_DAYS,
    show_default=True,
    help="Days in which both keys must have signed.",
)
@click.pass_obj
def retire_key(open_context: OpenContext, *, at_once: bool, min_overlap: int) -> None:
    """End the overlap: the old key signs nothing any more, and its private half is forgotten."""
    with failures():
        context = open_context()
        log = context.open_log()
        change = run_retire(
            log, _keeper(context), context.statement_signer, at_once=at_once, min_overlap_days=min_overlap
        )
        since = moment_text(rotated_at(log))
    click.echo(f"Entry {change.index} of the log retires the old key. From now on only the new one signs:")
    _print_current(change)
    if change.kept is not None:
        click.echo(f"Its private half is not yet swept from the database's files: {change.kept}.", err=True)
        click.echo("Later run: marchamo ledger sweep", err=True)
    if at_once:
        click.echo(
            f"What this breaks: whoever has fetched no trust list since {since} is told that the log's key is unknown, "
            "for everything that the log signs from now on, until he renews his list with: "
            "marchamo trust SERVER --previous FILE. Witnesses started with --log of the old key only refuse the log's "
            "checkpoints until they are started with the new one. What was signed before stays verifiable."
        )


def _keeper(context: LedgerContext) -> KeyKeeper:
    if context.keeper is None:
        cannot_read("the keys of this log are kept elsewhere: they can not be changed here")
    return context.keeper


def _print_current(change: KeyChange) -> None:
    for key in change.keys.current:
        click.echo(_describe(key))


def _describe(key: LogKey) -> str:
    verb, until = ("signs", "on") if key.last_size is None else ("signed", f"to {key.last_size}")
    return (
        f"{key.verifier.to_text()}\n  {verb} checkpoints of size {key.first_size} {until}\n"
        f"  fingerprint {fingerprint(key.verifier)}"
    )
