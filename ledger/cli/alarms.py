"""The command that shows alarms."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from datetime import UTC, datetime

import click

from ledger.alarms import MAX_ALARMS, Alarm, AlarmKind, list_alarms
from ledger.checkpoint import read_unverified_checkpoint
from ledger.cli.context import FAULT_FOUND, OpenContext, failures
from ledger.errors import LedgerError
from ledger.strict import encode_base64

MAX_LINES = 12
_SIGNATURE = "\u2014 "
"""Begins the signature lines of a note."""


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print the alarms with their evidence as JSON.")
@click.pass_obj
def alarms(open_context: OpenContext, *, as_json: bool) -> None:
    """Show what contradicts the log; exits with 1 when there is anything. The whole evidence comes with --json."""
    with failures():
        found = list_alarms(open_context().engine, limit=MAX_ALARMS * len(AlarmKind))
    if as_json:
        click.echo(json.dumps([asdict(alarm) for alarm in found], indent=1))
    else:
        click.echo("\n\n".join(_describe(alarm) for alarm in found) or "No alarm.")
    if found:
        sys.exit(FAULT_FOUND)


def _describe(alarm: Alarm) -> str:
    when = datetime.fromtimestamp(alarm.time / 1000, UTC).isoformat(timespec="seconds")
    evidence = "\n".join(f"  {line}" for line in _shown(alarm.evidence))
    return f"ALARM {alarm.number} ({alarm.kind}) {when}: {alarm.detail}\n{evidence}"


def _shown(evidence: str) -> list[str]:
    """Give what a person can compare: of a checkpoint its size and root, of other texts what is no signature."""
    try:
        found = read_unverified_checkpoint(evidence)
    except LedgerError:
        lines = [line for line in evidence.splitlines() if line and not line.startswith(_SIGNATURE)]
        return lines[:MAX_LINES]
    return [f"{found.origin}: checkpoint of size {found.size}, root {encode_base64(found.root)}"]
