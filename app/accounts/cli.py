"""`marchamo account`: what the registry's people do from the machine itself, on the database that the settings name."""

from collections.abc import Callable
from functools import wraps
from typing import Any

import click
from rich.table import Table
from sqlalchemy.orm import Session

from app.accounts import service
from app.accounts.role_document import document
from app.accounts.vocabulary import OrganisationStatus
from app.core.authorisation import Principal, Role, permissions_of
from app.core.bootstrap import open_services
from app.core.clock import to_iso
from app.core.config import Settings
from app.core.services import Services
from app.core.terminal import print_table

COMMAND_LINE = Principal(
    role=Role.PLATFORM_ADMINISTRATOR,
    person_id=0,
    permissions=permissions_of(Role.PLATFORM_ADMINISTRATOR),
    name="command line",
)
"""Who decides when a command does: records say ``person:0``."""


def with_services(command: Callable[..., None]) -> Callable[..., None]:
    """Open the database for the command and close it afterwards."""

    @wraps(command)
    def run(**options: Any) -> None:
        services = open_services(Settings.from_environment())
        try:
            command(services, **options)
        finally:
            services.engine.dispose()

    return run


@click.group()
def account() -> None:
    """Organisations, administrators, rights and API keys."""


@account.command()
@click.option("--email", required=True)
@click.option("--name", required=True, help="Name of the person.")
@click.password_option(help="Asked for when it is not given; do not leave it in the shell's history.")
@with_services
def administrator(services: Services, *, email: str, name: str, password: str) -> None:
    """Add an administrator of the registry."""
    registry = service.create_platform_administrator(services, email=email, password=password, name=name)
    click.echo(f"{email} decides for {registry.name} ({registry.issuer}).")


@account.command("list")
@click.option("--status", type=click.Choice([status.value for status in OrganisationStatus]))
@with_services
def list_command(services: Services, *, status: str | None) -> None:
    """List organisations in order of arrival."""
    table = Table("issuer", "name", "country", "kind", "status", "since")
    cursor: str | None = None
    with Session(services.engine) as session:
        while True:
            page = service.list_organisations(
                session, status=OrganisationStatus(status) if status else None, cursor=cursor
            )
            for item in page.items:
                since = to_iso(item.created_at)
                table.add_row(item.issuer, item.name, item.country, item.kind.value, item.status.value, since)
            cursor = page.next_cursor
            if cursor is None:
                break
    print_table(table)


@account.command()
@click.argument("issuer")
@click.argument("decision", type=click.Choice(["approve", "refuse", "suspend"]))
@click.option("--reason", required=True)
@click.option("--jurisdiction", multiple=True, metavar="COUNTRY", help="Where an authority may act, such as MX.")
@with_services
def decide(services: Services, *, issuer: str, decision: str, reason: str, jurisdiction: tuple[str, ...]) -> None:
    """Decide on an organisation; approving also re-opens one that was suspended."""
    if decision == "approve":
        decided = service.approve_organisation(
            services, issuer=issuer, decided_by=COMMAND_LINE, reason=reason, jurisdiction=jurisdiction or None
        )
    else:
        use_case = service.refuse_organisation if decision == "refuse" else service.suspend_organisation
        decided = use_case(services, issuer=issuer, decided_by=COMMAND_LINE, reason=reason)
    click.echo(f"{decided.name} is {decided.status.value}; ledger entry {decided.log_index}.")


@account.command()
@with_services
def requests(services: Services) -> None:
    """List requests for issuing rights that wait for a decision."""
    table = Table("reference", "organisation", "kind", "number", "evidence")
    with Session(services.engine) as session:
        for right, organisation in service.list_right_requests(session):
            table.add_row(right.reference, organisation.name, right.kind.value, right.value, right.evidence)
    print_table(table)


@account.command("decide-right")
@click.argument("reference")
@click.argument("decision", type=click.Choice(["approve", "refuse"]))
@click.option("--reason", required=True)
@click.option("--quota", type=click.IntRange(min=1), help="Largest number of units.")
@with_services
def decide_right(services: Services, *, reference: str, decision: str, reason: str, quota: int | None) -> None:
    """Decide on an issuing right."""
    approve = decision == "approve"
    right = service.decide_right(
        services, reference=reference, approve=approve, reason=reason, decided_by=COMMAND_LINE, quota=quota
    )
    click.echo(f"{right.value} is {right.status.value}; ledger entry {right.log_index}.")


@account.command()
def roles() -> None:
    """Print the table of roles as docs/roles.md has it."""
    click.echo(document(), nl=False)
