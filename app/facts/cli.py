"""Commands about facts."""

import json

import click
from rich.progress import Progress

from app.core.bootstrap import open_services
from app.core.config import Settings
from app.facts.scans.open import open_scan_store
from app.facts.scans.proving import scan_proof
from app.facts.service import rebuild_projections
from ledger.strict import encode_base64

SCAN_PROOF_FORMAT = "marchamo scan proof v1"


@click.group()
def facts() -> None:
    """Rebuild what is derived from events; prove a scan."""


@facts.command()
def rebuild() -> None:
    """Make the states of units and batches again from the events; nothing else can be recorded meanwhile."""
    services = open_services(Settings.from_environment())
    with Progress(transient=True) as bar:
        task = bar.add_task("events")
        rebuild_projections(services.engine, lambda done, total: bar.update(task, completed=done, total=total))
    click.echo("The states were made again from the events.")


@facts.command("prove-scan")
@click.option("--unit", "unit_id", type=int, required=True, help="Number of the unit in this registry.")
@click.option("--device", required=True, help="The device's name as it was recorded.")
@click.option("--key", required=True, help="The scan's key as it was recorded.")
def prove_scan(unit_id: int, device: str, key: str) -> None:
    """Print the proof that the ledger committed to a scan, as JSON. What it shows may name places: it is not public."""
    services = open_services(Settings.from_environment())
    store = open_scan_store(services.settings, services.engine)
    try:
        found = scan_proof(services, store, unit_id=unit_id, device=device, key=key)
    finally:
        store.close()
    members = {
        "format": SCAN_PROOF_FORMAT,
        "content": encode_base64(found.content),
        "scan_proof": found.proof.to_members(),
        "log": services.log.verifier.to_text(),
    }
    click.echo(json.dumps(members, indent=1))
