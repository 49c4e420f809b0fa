"""`marchamo product` and `marchamo batch`: the registry's use cases on the database that the settings name.

Whoever may run these commands on this machine acts for any organisation; records say ``person:0``.
"""

import sys
import time
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from sqlalchemy.orm import Session

from app.accounts import service as accounts
from app.core import jobs, logging
from app.core.authorisation import Principal, Role, permissions_of
from app.core.bootstrap import open_services
from app.core.clock import to_iso
from app.core.config import Settings
from app.core.errors import AppError, Conflict, FieldFault, Invalid
from app.core.jobs import Handler, Job, JobState
from app.core.services import Services
from app.core.terminal import print_table
from app.registry import service
from app.registry.jobs import job_handlers
from app.registry.labels.layouts import LAYOUTS
from app.registry.labels.sheets import render_terminal
from app.registry.service.labels import DEFAULT_LAYOUT
from app.registry.vocabulary import LabelFormat, Profile, Sector

POLL_SECONDS = 0.2


def _with_services(command: Callable[..., None]) -> Callable[..., None]:
    """Open the database for the command and close it afterwards."""

    @wraps(command)
    def run(**options: Any) -> None:
        logging.configure()
        services = open_services(Settings.from_environment())
        try:
            command(services, **options)
        finally:
            services.engine.dispose()

    return run


_ORGANISATION = click.option("--organisation", "issuer", required=True, help="Issuer name of the organisation.")


@click.group()
def product() -> None:
    """Register and list products."""


@product.command("add")
@_ORGANISATION
@click.option("--gtin", help="GTIN-8, -12, -13 or -14.")
@click.option("--item", help="Reference of goods without GTIN.")
@click.option("--name", required=True)
@click.option("--brand", default="")
@click.option("--description", default="")
@click.option("--sector", type=click.Choice([sector.value for sector in Sector]), default=Sector.OTHER.value)
@_with_services
def add_product(services: Services, *, issuer: str, sector: str, **given: Any) -> None:
    """Register a product; it goes on the ledger."""
    organisation_id = _principal(services, issuer).organisation_id or 0
    made = service.register_product(services, organisation_id=organisation_id, sector=Sector(sector), **given)
    click.echo(f"{made.reference} is registered: ledger entry {made.log_index}.")


@product.command("list")
@_ORGANISATION
@_with_services
def list_products(services: Services, *, issuer: str) -> None:
    """List an organisation's products."""
    organisation_id = _principal(services, issuer).organisation_id or 0
    table = Table("reference", "name", "brand", "sector", "registered")
    cursor = None
    with Session(services.engine) as session:
        while True:
            page = service.list_products(session, organisation_id=organisation_id, cursor=cursor, limit=200)
            for one in page.items:
                table.add_row(one.reference, one.name, one.brand, one.sector.value, to_iso(one.created_at))
            cursor = page.next_cursor
            if cursor is None:
                break
    print_table(table)


@click.group()
def batch() -> None:
    """Commission batches, import files, print labels."""


@batch.command()
@_ORGANISATION
@click.option("--product", "reference", help="GTIN, or ISSUER/ITEM.")
@click.option("--case-prefix", help="Make cases (SSCC) under this GS1 company prefix instead.")
@click.option("--quantity", type=int)
@click.option("--serials", type=click.Path(path_type=Path, exists=True), help="File with one serial a line.")
@click.option("--compact", is_flag=True, help="Small codes without a signature.")
@click.option("--lot")
@click.option("--expiry", help="YYMMDD.")
@click.option("--note", default="")
@_with_services
def commission(
    services: Services,
    *,
    issuer: str,
    reference: str | None,
    serials: Path | None,
    compact: bool,
    **given: Any,
) -> None:
    """Commission units of a product, or cases."""
    profile = Profile.COMPACT if compact else Profile.SIGNED
    if given["case_prefix"] is not None:
        profile = Profile.CASE
    lines = None
    if serials is not None:
        lines = [(number, line.strip()) for number, line in enumerate(serials.read_text("utf-8").splitlines(), 1)]
        lines = [(number, line) for number, line in lines if line]
    request = service.CommissionRequest(
        product=reference,
        profile=profile,
        serials=tuple(line for _, line in lines) if lines is not None else None,
        serial_places=tuple(f"line {number}" for number, _ in lines) if lines is not None else None,
        **given,
    )
    job = service.request_commission(services, principal=_principal(services, issuer), requests=[request])
    _show_batches(_finished(services, job))


@batch.command("import")
@_ORGANISATION
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--product", "reference", help="Product of a file that lists serials only.")
@click.option("--compact", is_flag=True, help="Small codes without a signature.")
@click.option("--dry-run", is_flag=True, help="Only check the file and show what it asks for.")
@_with_services
def import_file(
    services: Services, *, issuer: str, file: Path, reference: str | None, compact: bool, dry_run: bool
) -> None:
    """Commission what a CSV or XLSX file lists. The same file is never commissioned twice."""
    principal = _principal(services, issuer)
    profile = Profile.COMPACT if compact else Profile.SIGNED
    data = file.read_bytes()
    if not dry_run:
        job = service.request_import(services, principal=principal, data=data, product=reference, profile=profile)
        _show_batches(_finished(services, job))
        return
    with Session(services.engine) as session:
        preview = service.preview_import(
            session,
            organisation_id=principal.organisation_id or 0,
            data=data,
            product=reference,
            profile=profile,
        )
    click.echo(f"{preview.rows} rows, {len(preview.requests)} batches, {preview.units} units")
    for fault in preview.faults:
        click.echo(f"{fault.where}: {fault.message}", err=True)
    if preview.fault_count:
        sys.exit(1)


@batch.command()
@_ORGANISATION
@click.argument("handle")
@click.option("--layout", type=click.Choice(list(LAYOUTS)), default=DEFAULT_LAYOUT, show_default=True)
@click.option("--format", "kind", type=click.Choice([kind.value for kind in LabelFormat]), default="pdf")
@click.option("--dpi", type=click.Choice(["203", "300", "600"]), default="203", help="Resolution of a ZPL printer.")
@click.option("--start", type=int, default=0, help="Position of the first unit.")
@click.option("--count", type=int, help="How many labels.")
@click.option("--skip", type=int, default=0, help="Places of the first sheet left free.")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="Where the file goes.")
@_with_services
def labels(
    services: Services, *, issuer: str, handle: str, kind: str, dpi: str, out: Path | None, **given: Any
) -> None:
    """Draw labels of a batch; every one is read back from the finished file before it is released."""
    request = service.LabelRequest(handle=handle, format=LabelFormat(kind), dpi=int(dpi), **given)
    job = _finished(services, service.request_labels(services, principal=_principal(services, issuer), request=request))
    finished = service.finished_file(services, job)
    target = out or Path(finished.download_name)
    target.write_bytes(finished.path.read_bytes())
    result = job.result or {}
    click.echo(f"{target}: {result.get('labels')} labels, every one read back.")


@batch.command()
@_ORGANISATION
@click.argument("handle")
@click.option("--position", type=int, default=0)
@_with_services
def show(services: Services, *, issuer: str, handle: str, position: int) -> None:
    """Show the label of one unit in the terminal."""
    organisation_id = _principal(services, issuer).organisation_id
    with Session(services.engine) as session:
        found = service.find_batch(session, handle, organisation_id=organisation_id)
        click.echo(render_terminal(service.label_at(services, session, found, position)))


@batch.command("list")
@_ORGANISATION
@_with_services
def list_batches(services: Services, *, issuer: str) -> None:
    """List an organisation's latest batches."""
    organisation_id = _principal(services, issuer).organisation_id or 0
    table = Table("handle", "product", "profile", "lot", "units", "published", "ledger entry")
    with Session(services.engine) as session:
        for one in service.list_batches(session, organisation_id=organisation_id).items:
            table.add_row(
                one.handle,
                one.reference,
                one.profile.value,
                one.lot or "",
                str(one.quantity),
                to_iso(one.published_at),
                str(one.log_index),
            )
    print_table(table)


def _principal(services: Services, issuer: str) -> Principal:
    with Session(services.engine) as session:
        organisation = accounts.organisation_by_issuer(session, issuer)
    return Principal(
        organisation_id=organisation.id,
        role=Role.OPERATOR,
        person_id=0,
        permissions=permissions_of(Role.OPERATOR),
        name="command line",
    )


def _finished(services: Services, job: Job) -> Job:
    """Work until the job has ended, here or in a worker that runs already; raises its refusal."""
    with Progress(console=Console(stderr=True), transient=True) as shown:
        task = shown.add_task(job.kind, total=job.total or None)
        handlers = {
            kind: _watched(handler, job.id, lambda done: shown.update(task, completed=done))
            for kind, handler in job_handlers(services).items()
        }
        while (found := _find(services, job)).state in (JobState.QUEUED, JobState.RUNNING):
            shown.update(task, completed=found.done)
            if not jobs.run_next(services.engine, handlers):
                time.sleep(POLL_SECONDS)
    if found.state is JobState.WAITING:
        raise Conflict(
            "These are more units than one person alone may have made within 24 hours: job %(job)s waits for a second "
            "person.",
            code="waits_for_second_person",
            fix="Another member of the organisation releases or refuses it on its page.",
            job=found.id,
        )
    if found.state is JobState.FAILED:
        raise _refusal(found.problem or {})
    return found


def _find(services: Services, job: Job) -> Job:
    with Session(services.engine) as session:
        return jobs.find_job(session, job.id, organisation_id=job.organisation_id)


def _watched(handler: Handler, job_id: str, show: Callable[[int], None]) -> Handler:
    """The handler, which also shows the progress of one job here."""

    def run(job: Job, progress: jobs.Progress) -> dict[str, Any]:
        def report(done: int, total: int) -> None:
            progress(done, total)
            if job.id == job_id:
                show(done)

        return handler(job, report)

    return run


def _refusal(problem: dict[str, Any]) -> AppError:
    """The error that a job's problem object tells of."""
    faults = tuple(FieldFault(fault["where"], fault["message"], fault["code"]) for fault in problem.get("errors", ()))
    detail = str(problem.get("detail", "The job failed."))
    return Invalid(detail, code=problem.get("code"), fix=problem.get("fix"), faults=faults)


def _show_batches(job: Job) -> None:
    for made in (job.result or {}).get("batches", ()):
        click.echo(f"{made['handle']}: {made['quantity']} units, ledger entry {made['log_index']}.")
