"""The `marchamo` command: one group, whose parts live in the features and packages they belong to.

Exit codes: 0 done; 1 the answer is no (a fault, a refusal, a bad verdict); 2 the command was misused; 3 something that
was needed could not be read or reached.
"""

import importlib
import json
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import click
from rich.table import Table

from app.core.config import Settings, SettingsError, describe, relax_for_demonstration
from app.core.terminal import print_table

if TYPE_CHECKING:
    from ledger.cli import LedgerContext

PARTS = {
    # command: (module, attribute, short help); loaded when used, so that `marchamo scan` starts without a web framework
    "account": ("app.access.cli", "account", "Organisations, administrators, rights and API keys."),
    "backup": ("app.core.backup_cli", "backup", "Copy the registry while it is in use, or check a copy."),
    "restore": ("app.core.backup_cli", "restore", "Put a copy back into an empty database."),
    "batch": ("app.registry.cli", "batch", "Commission batches, import files, print labels."),
    "product": ("app.registry.cli", "product", "Register and list products."),
    "kek": ("app.core.kek_cli", "kek", "Where the key-encryption key lives; move it, change it."),
    "ledger": ("ledger.cli", "ledger", "Audit, export and prove the ledger."),
    "key": ("scanners.key_cli", "key", "Make, show and register a code key that your firm holds."),
    "sign": ("scanners.sign_cli", "sign", "Sign the codes of a batch with a key that your firm holds."),
    "scan": ("scanners.cli", "scan", "Read label images and PDFs and verify what they say."),
    "device": ("scanners.device_cli", "device", "This machine as a device that signs its scans."),
    "verify-proof": ("scanners.cli", "verify_proof", "Check a receipt or a proof bundle, without any database."),
    "trust": ("scanners.cli", "trust", "Fetch a registry's trust list, to judge without a connection."),
    "demo": ("app.demo.cli", "demo", "Tell the whole story on a fresh database, in less than a minute."),
    "demo-firm": ("app.demo.cli", "demo_firm", "Make sure that the demo firm exists and print how to act for it."),
    "privacy": ("app.privacy.cli", "privacy", "What is kept about whom; erase a person; remove what is old."),
    "facts": ("app.facts.cli", "facts", "Rebuild what is derived from events; prove a scan."),
}


class LazyGroup(click.Group):
    """A group that imports a part of the command only when it is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names of all commands, own and lazy."""
        return sorted({*super().list_commands(ctx), *PARTS})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command by name."""
        if cmd_name in PARTS:
            module, attribute, _help = PARTS[cmd_name]
            command: click.Command = getattr(importlib.import_module(module), attribute)
            return command
        return super().get_command(ctx, cmd_name)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list of commands, without importing any part."""
        own = {name: command for name, command in self.commands.items() if not command.hidden}
        rows = [
            (name, PARTS[name][2] if name in PARTS else own[name].get_short_help_str(limit=100))
            for name in self.list_commands(ctx)
            if name in PARTS or name in own
        ]
        with formatter.section("Commands"):
            formatter.write_dl(rows)


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="marchamo")
@click.pass_context
def cli(context: click.Context) -> None:
    """Marchamo: an open registry of signed codes that anybody can check.

    Exit codes: 0 done; 1 the answer is no (a fault, a refusal, a bad verdict); 2 wrong usage; 3 something that was
    needed could not be read or reached.
    """
    context.obj = _open_ledger  # what the `ledger` commands ask for, when they do


def _open_ledger() -> "LedgerContext":
    from app.core.bootstrap import open_ledger
    from app.transparency.service.product import with_product

    settings = Settings.from_environment()
    context = with_product(open_ledger(settings), settings)
    click.get_current_context().call_on_close(context.engine.dispose)
    return context


@cli.command()
@click.option("--json", "as_json", is_flag=True, help="As JSON instead of a table.")
def config(as_json: bool) -> None:
    """Show every setting, its value and its meaning."""
    rows = describe(Settings.from_environment())
    if as_json:
        click.echo(json.dumps({variable: value for variable, value, _ in rows}, indent=1))
        return
    table = Table("variable", "value", "meaning")
    for row in rows:
        table.add_row(*row)
    print_table(table)


@cli.command("migrate")
@click.option("--runtime-role", metavar="NAME", help="PostgreSQL: give this role what serving needs, and no more.")
def migrate_command(runtime_role: str | None) -> None:
    """Bring the database to this program's schema. Run it as the database's owner."""
    from app.core.bootstrap import grant_to_runtime, migrate

    settings = Settings.from_environment()
    migrate(settings)
    click.echo("The database is up to date.")
    if runtime_role is not None:
        grant_to_runtime(settings, runtime_role)
        click.echo(f"{runtime_role} may serve: it can add to the ledger, and change or remove nothing there.")


@cli.command()
@click.option("--prepare", is_flag=True, help="Bring the database to this program's schema first.")
@click.option("--demo-firm", "with_demo_firm", is_flag=True, help="Seed a demo firm and print one of its labels.")
def serve(prepare: bool, with_demo_firm: bool) -> None:
    """Serve pages and API, with the worker that runs jobs, until Ctrl-C."""
    from app import server
    from app.core.bootstrap import check_database, migrate

    relaxed = with_demo_firm and relax_for_demonstration()
    settings = Settings.from_environment()
    if prepare:
        migrate(settings)
    check_database(settings)
    if with_demo_firm:
        from app.demo.welcome import welcome

        welcome(settings, relaxed=relaxed)
    else:
        listening = f"{settings.host}:{settings.port}"
        click.echo(f"Marchamo is at {settings.public_url}, listening on {listening}. Ctrl-C stops it.")
    raise SystemExit(server.serve(settings))


@cli.command(hidden=True)
def http() -> None:
    """Serve HTTP (`serve` starts this by itself)."""
    from app import server

    server.run_http(Settings.from_environment())


@cli.command(hidden=True)
def worker() -> None:
    """Run jobs (`serve` starts one of these by itself)."""
    from app import server
    from app.core import logging
    from app.core.bootstrap import open_services
    from app.core.mail import mail_being_sent
    from app.facts.service import regular_commitments
    from app.privacy.service import regular_retention
    from app.registry.jobs import job_handlers, sweep
    from app.transparency.auditing import regular_audits
    from app.webhooks.service import webhooks_being_delivered

    logging.configure()
    services = open_services(Settings.from_environment())
    sweep(services)
    with (
        regular_audits(services),
        regular_commitments(services),
        mail_being_sent(services),
        webhooks_being_delivered(services),
        regular_retention(services),
    ):
        server.run_worker(services, job_handlers(services))


@dataclass
class _Refusal:
    exit_code: int
    line: str
    details: list[str] = field(default_factory=list)


def _explain(error: Exception) -> _Refusal | None:
    """Give what to tell a person; None for an error that only a programmer can understand."""
    # Here and not above: these bring the web framework and the database along, which most commands never need.
    from sqlalchemy.exc import DatabaseError, OperationalError

    from app.core.bootstrap import OriginChanged, SchemaOutdated
    from app.core.errors import AppError
    from app.core.sealing import SealError
    from app.server import CannotListen
    from ledger.errors import LedgerError

    if isinstance(error, AppError):
        details = [f"  {fault.where}: {fault.message}" for fault in error.faults[:50]]
        return _Refusal(1, f"{error}{f' {error.fix}' if error.fix else ''}", details)
    # DatabaseError itself, not what descends from it: SQLite says so of a file that is no database.
    if isinstance(error, OperationalError) or type(error) is DatabaseError:
        # Only the driver's own words: SQLAlchemy's hold the statement with its values.
        return _Refusal(3, f"the database cannot be used: {str(error.orig).strip().splitlines()[0]}")
    if isinstance(error, OSError):
        return _Refusal(3, f"{error.filename or 'the system'}: {error.strerror}")
    if isinstance(error, LedgerError):
        return _Refusal(3, f"{error.message}{f' {error.fix}' if error.fix else ''}")
    if isinstance(error, CannotListen | OriginChanged | SchemaOutdated | SealError | SettingsError):
        return _Refusal(3, str(error))
    return None


def main() -> None:
    """Entry point: a refusal is one line on standard error and an exit code, never a trace."""
    try:
        cli()
    except Exception as error:
        refusal = _explain(error)
        if refusal is None:
            raise
        click.echo(f"marchamo: {refusal.line}", err=True)
        for detail in refusal.details:
            click.echo(detail, err=True)
        sys.exit(refusal.exit_code)


if __name__ == "__main__":
    main()
