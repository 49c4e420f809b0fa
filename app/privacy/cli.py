"""`marchamo privacy`: for whoever runs the registry."""

from dataclasses import replace

import click
from sqlalchemy.orm import Session

from app.accounts import service as accounts
from app.accounts.cli import COMMAND_LINE, with_services
from app.accounts.vocabulary import OrganisationKind
from app.core.clock import now_ms
from app.core.errors import NotFound
from app.core.services import Services
from app.privacy import service
from app.privacy.register_document import register_document


@click.group()
def privacy() -> None:
    """What is kept about whom; erase a person; remove what is old."""


@privacy.command("erase-person")
@click.argument("email")
@click.option("--registry", "issuer", required=True, help="Issuer code of the registry's own organisation.")
@click.option("--reason", type=click.Choice([reason.value for reason in service.ErasureReason]), required=True)
@click.confirmation_option(prompt="Name, e-mail, password and devices of this person go for ever. Go on?")
@with_services
def erase_person(services: Services, *, email: str, issuer: str, reason: str) -> None:
    """Erase the account of a person who asks for it. The ledger says that it happened, and names a number.

    What was said about a person inside an event is another matter: see `marchamo ledger erase --help`.
    """
    with Session(services.engine) as session:
        person = accounts.find_person(session, email=email)
        organisation = accounts.organisation_by_issuer(session, issuer)
    if organisation.kind is not OrganisationKind.REGISTRY:
        raise click.BadParameter("this is not the registry's own organisation", param_hint="--registry")
    if person is None:
        raise NotFound("Nobody here has this e-mail address.")
    by = replace(COMMAND_LINE, organisation_id=organisation.id)
    erased = service.erase_for_person(services, person_id=person.id, by=by, why=service.ErasureReason(reason))
    click.echo(f"{erased.person} is erased: {erased.memberships} memberships and {erased.devices} devices ended.")
    click.echo("Backups made before hold what was erased, until they are destroyed.")


@privacy.command("sweep")
@with_services
def sweep(services: Services) -> None:
    """Remove now what has been kept long enough. The worker does it once a day by itself."""
    done = service.run_due_tasks(services, now=now_ms())
    for task, removed in done.items():
        click.echo(f"{task}: {removed}")
    if not done:
        click.echo("Nothing is due: the worker has done today's work.")


@privacy.command("register")
def register() -> None:
    """Print what is kept about whom, as Markdown."""
    click.echo(register_document(), nl=False)
