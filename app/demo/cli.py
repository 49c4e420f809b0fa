"""`marchamo demo` and `marchamo demo-firm`."""

import json
from dataclasses import asdict
from logging import WARNING
from pathlib import Path

import click

from app.access import service as access
from app.core import logging
from app.core.authorisation import Role
from app.core.bootstrap import migrate, open_services
from app.core.config import Settings
from app.demo.parties import ensure_parties, principal_of

KEY_DAYS = 30


@click.command()
def demo_firm() -> None:
    """Make sure that the demo firm exists; print its parties and a fresh API key for each role, as JSON."""
    logging.configure(WARNING)
    settings = Settings.from_environment()
    migrate(settings)
    services = open_services(settings)
    parties = ensure_parties(services)
    keys = {}
    for role, party in (
        (Role.OWNER, parties.firm),
        (Role.RETAILER, parties.shop),
        (Role.INSPECTOR, parties.customs),
        (Role.CUSTOMS_CLIENT, parties.customs),
    ):
        _key, keys[role.value] = access.create_api_key(
            services,
            principal=principal_of(services, party),
            name=f"demonstration {role}",
            role=role,
            scopes=None,
            days=KEY_DAYS,
        )
    click.echo(json.dumps(asdict(parties) | {"api_keys": keys}, ensure_ascii=False, indent=1))


@click.command()
@click.option("--json", "as_json", is_flag=True, help="The steps as JSON instead of prose.")
@click.option("--keep", type=click.Path(path_type=Path, file_okay=False), help="Keep the files in this folder.")
def demo(as_json: bool, keep: Path | None) -> None:
    """Tell the whole story on a fresh database: register, print, scan, verify, catch a copy, refuse a forgery."""
    from app.demo.story import tell  # noqa: PLC0415

    logging.configure(WARNING)  # the story is told in sentences, not in log lines
    raise SystemExit(tell(as_json=as_json, keep=keep))
