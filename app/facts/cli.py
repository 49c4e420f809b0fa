"""Commands about facts."""

import click
from rich.progress import Progress

from app.core.bootstrap import open_services
from app.core.config import Settings
from app.facts.service import rebuild_projections


@click.group()
def facts() -> None:
    """Rebuild what is derived from events."""


@facts.command()
def rebuild() -> None:
    """Make the states of units and batches again from the events; nothing else can be recorded meanwhile."""
    services = open_services(Settings.from_environment())
    with Progress(transient=True) as bar:
        task = bar.add_task("events")
        rebuild_projections(services.engine, lambda done, total: bar.update(task, completed=done, total=total))
    click.echo("The states were made again from the events.")
