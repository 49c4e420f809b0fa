"""What `make run` prints: where to look, how to sign in, and one label to scan from the screen."""

from logging import WARNING

from rich.console import Console
from rich.table import Table
from sqlalchemy.orm import Session

from app.core import logging
from app.core.bootstrap import open_services
from app.core.config import Settings
from app.demo.parties import Parties, ensure_parties
from app.registry import service as registry
from scanners.codes import symbol


def welcome(settings: Settings, *, relaxed: bool) -> None:
    """Seed the demo parties at first start and print the welcome.

    relaxed: a password alone opens every role here.
    """
    logging.configure(WARNING)
    services = open_services(settings)
    try:
        parties = ensure_parties(services)
        with Session(services.engine) as session:
            batch = registry.find_batch(session, parties.batch)
            code = next(
                registry.codes_of_batch(session, services.sealer, batch, stem=settings.code_stem, start=0, count=1)
            )
    finally:
        services.engine.dispose()
    _print(settings, parties, code.text, relaxed=relaxed)


def _print(settings: Settings, parties: Parties, code: str, *, relaxed: bool) -> None:
    console = Console(highlight=False, soft_wrap=True)
    console.print(f"\n[bold]Marchamo[/bold] is at {settings.public_url}   (API: {settings.public_url}/v1/docs)\n")
    table = Table("sign in as", "e-mail", "password", box=None, pad_edge=False)
    for party in (parties.firm, parties.shop, parties.customs, parties.administrator):
        table.add_row(party.name, party.email, party.password)
    console.print(table)
    if relaxed:
        console.print("\nA password is enough here; a real registry asks administrators and inspectors for more.")
    console.print(f"\nOne unit of the demo firm's batch {parties.batch}; its label:\n")
    # Written as it is: rich must not wrap or colour the symbol.
    console.file.write(symbol.terminal(code))
    console.print(f"\n{code}\n\nCtrl-C stops the server.\n")
