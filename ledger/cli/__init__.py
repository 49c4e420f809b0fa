"""Commands about the ledger, one module a group.

Exit codes: 0 all is well, 1 a fault was found, 2 wrong usage or you said no, 3 cannot be read or had.

The product's command line passes a function that opens the log, as `ctx.obj`; nothing is opened before a command asks.
"""

from __future__ import annotations

import click

from ledger.cli.adopting import adopt
from ledger.cli.alarms import alarms
from ledger.cli.context import LedgerContext, OpenContext
from ledger.cli.erasing import erase_body, sweep_rows
from ledger.cli.freezing import freeze
from ledger.cli.keys import keys, retire_key, rotate_key
from ledger.cli.maps import map_group, monitor_log
from ledger.cli.proofs import verify_proof
from ledger.cli.reading import audit, checkpoint, export, prove
from ledger.cli.witness import witness, witness_evidence, witness_key

__all__ = ["LedgerContext", "OpenContext", "ledger"]


@click.group()
def ledger() -> None:
    """Audit, export and prove the ledger.

    Exit codes: 0 all is well; 1 a fault was found, or the log refuses; 2 wrong usage, or you answered no; 3 what was
    asked for cannot be read or had.
    """


for _command in (
    audit,
    alarms,
    export,
    checkpoint,
    prove,
    verify_proof,
    erase_body,
    sweep_rows,
    adopt,
    freeze,
    witness,
    witness_key,
    witness_evidence,
    keys,
    rotate_key,
    retire_key,
    map_group,
    monitor_log,
):
    ledger.add_command(_command)
