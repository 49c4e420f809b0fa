"""`marchamo account`: what accounts offers there, and the keys of machines."""

import click
from sqlalchemy.orm import Session

from app.access import service
from app.access.visitors import Visitor
from app.accounts import service as accounts
from app.accounts.cli import account, with_services
from app.core.authorisation import Principal, Role, permissions_of
from app.core.clock import to_iso
from app.core.services import Services

__all__ = ["account"]


@account.command("api-key")
@click.argument("issuer")
@click.option("--name", required=True, help="What the machine is called.")
@click.option("--role", type=click.Choice([role.value for role in Role]), required=True)
@click.option("--days", type=click.IntRange(1, 366), default=90, show_default=True)
@with_services
def api_key(services: Services, *, issuer: str, name: str, role: str, days: int) -> None:
    """Make an API key for an organisation; the secret is printed once, alone on standard output."""
    with Session(services.engine) as session:
        organisation = accounts.organisation_by_issuer(session, issuer)
    caller = Principal(organisation_id=organisation.id, role=Role.OWNER, person_id=0)
    key, secret = service.create_api_key(services, principal=caller, name=name, role=Role(role), scopes=None, days=days)
    click.echo(f"{key.role.value} of {organisation.name}, until {to_iso(key.expires_at)}:", err=True)
    click.echo(secret)


@account.command("reset-factors")
@click.argument("email")
@click.option("--reason", required=True, help="How you made sure who asks; kept in the registry.")
@with_services
def reset_factors(services: Services, *, email: str, reason: str) -> None:
    """Announce that a person's second factors are removed in 24 hours: for the registry's own last administrator."""
    role = Role.PLATFORM_ADMINISTRATOR
    caller = Principal(role=role, machine="command-line", permissions=permissions_of(role))
    reset = service.request_factor_reset(
        services, by=caller, email=email, reason=reason, visitor=Visitor("command line")
    )
    click.echo(f"The person is told by mail and can refuse until {to_iso(reset.effective_at)}.")
