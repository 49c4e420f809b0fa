"""Commands that read the log's database: audit, export, checkpoint, prove."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import click
from rich.console import Console
from rich.progress import Progress
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from ledger.audit import KNOWN_CHECKPOINT
from ledger.audit import audit as run_audit
from ledger.audit.records import record_audit
from ledger.audit.report import AuditReport, FaultCode
from ledger.checkpoint import read_unverified_checkpoint
from ledger.cli.context import CANNOT_READ, FAULT_FOUND, OpenContext, cannot_read, failures
from ledger.errors import LedgerError
from ledger.export import export as run_export
from ledger.map.files import MapFiles
from ledger.storage.sql import SqlLogStorage

BAR_AFTER_SECONDS = 2.0


@click.command()
@click.option("--full", is_flag=True, help="Check everything (the default).")
@click.option(
    "--since", type=click.IntRange(min=0), help="Check the entries from this index on, from the start of its tile."
)
@click.option("--sample", type=click.IntRange(min=1), help="Check so many entries chosen at random.")
@click.option(
    "--known",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    multiple=True,
    help="A checkpoint kept outside of the database; may be given several times.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
@click.option("--no-record", is_flag=True, help="Do not write the result into the record of audits.")
@click.pass_obj
def audit(
    open_context: OpenContext,
    *,
    full: bool,
    since: int | None,
    sample: int | None,
    known: tuple[Path, ...],
    as_json: bool,
    no_record: bool,
) -> None:
    """Recompute the log from its database and name what is wrong."""
    if sum([full, since is not None, sample is not None]) > 1:
        raise click.UsageError("--full, --since and --sample exclude each other")
    with failures():
        context = open_context()
        notes = [_read_known(path) for path in known]
        size = _size(context.engine)
        if since is not None and since > size:
            raise click.UsageError(f"--since {since}: the log has {size} entries, 0 to {size - 1}")
        with _bar("entries") as show:
            report = run_audit(
                context.engine,
                context.signer.verifier,
                origin=context.origin,
                since=since,
                sample=sample,
                known_checkpoints=notes,
                extra_checks=context.extra_checks,
                progress=show,
            )
    foreign = _foreign(report)
    if not no_record and not foreign:
        _record(context.engine, report)
    _name_files(report, known)
    click.echo(json.dumps(report.to_members()) if as_json else _describe(report))
    if foreign:
        click.echo("The result is not recorded: a --known checkpoint is none of this log.", err=True)
        if foreign == len(report.faults):
            sys.exit(CANNOT_READ)
    if not report.ok:
        sys.exit(FAULT_FOUND)


@click.command()
@click.argument("directory", type=click.Path(file_okay=False, path_type=Path))
@click.pass_obj
def export(open_context: OpenContext, directory: Path) -> None:
    """Write the log as files that any web server can serve and any tool can check."""
    with failures(), _bar("files") as show:
        context = open_context()
        log = context.open_log()
        maps = MapFiles(log, context.engine)
        done = run_export(log, directory, cosigned=context.cosigned(log), maps=maps, progress=show)
    click.echo(f"{done.checkpoint.checkpoint.size} entries: {done.written} files written, {done.kept} were there")


@click.command()
@click.pass_obj
def checkpoint(open_context: OpenContext) -> None:
    """Print the latest published checkpoint."""
    with failures():
        click.echo(open_context().open_log().checkpoint().note_text, nl=False)


@click.command()
@click.argument("index", type=click.IntRange(min=0))
@click.option("--leaf", "with_leaf", is_flag=True, help="Print the leaf (hexadecimal) instead of the proof.")
@click.pass_obj
def prove(open_context: OpenContext, *, index: int, with_leaf: bool) -> None:
    """Print the proof that entry INDEX is in the log (C2SP tlog-proof)."""
    with failures():
        log = open_context().open_log()
        text = log.entry(index).leaf.to_bytes().hex() + "\n" if with_leaf else log.prove(index)
    click.echo(text, nl=False)


@contextmanager
def _bar(name: str) -> Iterator[Callable[[int, int], None]]:
    """Give a function that shows progress on a terminal, once the work has taken two seconds."""
    began = time.monotonic()
    bar = Progress(console=Console(stderr=True), disable=not sys.stderr.isatty(), transient=True)
    task = bar.add_task(name, total=None)

    def show(done: int, total: int) -> None:
        if time.monotonic() - began >= BAR_AFTER_SECONDS:
            bar.start()
        bar.update(task, completed=done, total=total)

    try:
        yield show
    finally:
        bar.stop()


def _size(engine: Engine) -> int:
    """Give the size in the database as it stands: the audit itself has to say what is wrong with it."""
    with SqlLogStorage(engine).reading() as reader:
        head = reader.head()
    return 0 if head is None else head.size


def _read_known(path: Path) -> str:
    """Read a checkpoint's file; one that is no checkpoint at all ends the command."""
    try:
        note = path.read_text(encoding="utf-8")
        read_unverified_checkpoint(note)
    except (LedgerError, UnicodeDecodeError) as error:
        cannot_read(
            f"{path} is no checkpoint: {error.message if isinstance(error, LedgerError) else 'it is not UTF-8'}"
        )
    return note


def _foreign(report: AuditReport) -> int:
    """Count the caller's own checkpoints that are none of this log: that is no fault of the log."""
    strange = (FaultCode.CHECKPOINT_SIGNATURE, KNOWN_CHECKPOINT)
    return sum((fault.code, fault.where.rpartition(" ")[0]) == strange for fault in report.faults)


def _name_files(report: AuditReport, files: Sequence[Path]) -> None:
    """Put the file's name where the audit knows a checkpoint by its number only."""
    for at, fault in enumerate(report.faults):
        where, _, number = fault.where.rpartition(" ")
        if where == KNOWN_CHECKPOINT:
            report.faults[at] = replace(fault, where=f"{where} {files[int(number) - 1]}")


def _record(engine: Engine, report: AuditReport) -> None:
    """Keep what was found."""
    try:
        record_audit(engine, report, by=f"marchamo ledger audit --{report.mode}")
    except SQLAlchemyError as error:
        # Such as a database that may only be read. What was found is found all the same.
        click.echo(f"The result could not be recorded: {getattr(error, 'orig', None) or error}", err=True)


def _describe(report: AuditReport) -> str:
    checked = f"{report.entries} entries"
    if report.mode == "since" and report.entries:
        start = report.size - report.entries
        checked = f"entries {start} to {report.size - 1} (whole tiles)"
    counts = (
        f"{report.mode} audit of {report.size} entries: checked {checked}, {report.tiles} tiles, "
        f"{report.heads} heads, {report.checkpoints} checkpoints in {report.seconds:.1f} s"
    )
    if report.ok:
        return f"{counts}\nNo fault found."
    lines = [f"FAULT {fault.code} at {fault.where}: {fault.message}" for fault in report.faults]
    return "\n".join([counts, *lines])
