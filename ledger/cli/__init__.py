"""Commands about the ledger, one module a group.

Exit codes: 0 all is well, 1 a fault was found, 2 wrong usage, 3 cannot read.

The product's command line passes a function that opens the log, as `ctx.obj`; nothing is opened before a command asks.
"""

from __future__ import annotations

import click

from ledger.cli.context import LedgerContext, OpenContext
from ledger.cli.erasing import erase_body
from ledger.cli.proofs import verify_proof
from ledger.cli.reading import audit, checkpoint, export, prove

__all__ = ["LedgerContext", "OpenContext", "ledger"]


@click.group()
def ledger() -> None:
    """Audit, export and prove the ledger."""


for _command in (audit, export, checkpoint, prove, verify_proof, erase_body):
    ledger.add_command(_command)
