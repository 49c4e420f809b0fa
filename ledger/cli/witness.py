"""Commands of a witness. They need a folder of their own, and neither the product's database nor its settings."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from ledger.cli.context import FAULT_FOUND, cannot_read
from ledger.errors import LedgerError
from ledger.witness.keeping import open_folder, read_keys
from ledger.witness.serving import check_address, serve
from ledger.witness.state import utc_text
from ledger.witnessing.policy import read_log_verifier

_FOLDER = click.Path(file_okay=False, path_type=Path)


class _Address(click.ParamType[tuple[str, int]]):
    name = "host:port"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, int]:
        host, colon, port = str(value).rpartition(":")
        if not (colon and host and port.isascii() and port.isdigit() and 1 <= int(port) <= 65_535):
            self.fail("an address is host:port, such as 127.0.0.1:8100", param, ctx)
        return host.removeprefix("[").removesuffix("]"), int(port)


@click.command()
@click.option("--state", required=True, type=_FOLDER, help="The witness's folder: its keys and what it has cosigned.")
@click.option("--name", help="The witness's name, such as witness.example.org/w1; needed at the first start.")
@click.option("--log", "logs", multiple=True, required=True, help="Verifier key of a log; may be given several times.")
@click.option("--listen", default="127.0.0.1:8100", show_default=True, type=_Address(), help="Where to listen.")
@click.option("--prefix", default="", help="Path in front of /add-checkpoint, such as /w1.")
def witness(state: Path, name: str | None, logs: tuple[str, ...], listen: tuple[str, int], prefix: str) -> None:
    """Run a witness (C2SP tlog-witness): cosign the checkpoints of logs that only ever grow. Ctrl-C stops it."""
    host, port = listen
    try:
        for log in logs:
            read_log_verifier(log)
        opened = open_folder(state, name)
        check_address(host, port)
    except LedgerError as error:
        cannot_read(error.diagnostics())
    except OSError as error:
        cannot_read(str(error))
    click.echo(f"Witness {opened.name} listens on {host}:{port}. Ctrl-C stops it. Its verifier key:")
    click.echo(opened.signers[0].verifier.to_text())
    click.echo(f"`marchamo ledger witness-key --state {state}` prints all of its keys.")
    sys.stdout.flush()
    serve(state, logs, host=host, port=port, prefix=prefix)


@click.command("witness-key")
@click.option("--state", required=True, type=_FOLDER, help="The witness's folder.")
def witness_key(state: Path) -> None:
    """Print the verifier keys of a witness, one a line: Ed25519 (type 4), then ML-DSA-44 (type 6)."""
    try:
        signers = read_keys(state)
    except LedgerError as error:
        cannot_read(error.diagnostics())
    for signer in signers:
        click.echo(signer.verifier.to_text())


@click.command("witness-evidence")
@click.option("--state", required=True, type=_FOLDER, help="The witness's folder.")
def witness_evidence(state: Path) -> None:
    """Print the checkpoints that a witness refused because they contradict what it had cosigned; exit code 1 for any.

    Each comes with the one cosigned before, both signed by the log: whoever holds the log's key can see the fork.
    """
    try:
        found = open_folder(state).state.evidence()
    except LedgerError as error:
        cannot_read(error.diagnostics())
    for evidence in found:
        click.echo(f"{evidence.origin}, {utc_text(evidence.time)}: {evidence.reason}\n\nCosigned:\n{evidence.cosigned}")
        click.echo(f"Refused:\n{evidence.refused}")
    if found:
        sys.exit(FAULT_FOUND)
    click.echo("No checkpoint contradicted what was cosigned.")
