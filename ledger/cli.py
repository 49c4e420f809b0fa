"""Commands about the ledger. Exit codes: 0 all is well, 1 a fault was found, 2 wrong usage, 3 cannot read.

`audit`, `export`, `checkpoint` and `prove` read the log's database; `verify-proof` needs nothing but a proof, the leaf
and the log's public key, and can be run by anybody.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import click
from rich.console import Console
from rich.progress import Progress
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from ledger.audit import ExtraCheck
from ledger.audit import audit as run_audit
from ledger.audit_report import AuditReport
from ledger.errors import FormatError, LedgerError, NoteError, ProofError
from ledger.export import export as run_export
from ledger.leaf import Leaf
from ledger.log import Log
from ledger.note import NoteSigner, NoteVerifier
from ledger.proof import UnitProof, parse_proof, verify_leaf_proof, verify_unit_proof

FAULT_FOUND = 1
CANNOT_READ = 3

MAX_PROOF_FILE = 4_000_000


@dataclass(frozen=True, slots=True)
class LedgerContext:
    """The log that the commands work on. The product's command line passes a function that gives it, as `ctx.obj`."""

    engine: Engine
    origin: str
    signer: NoteSigner
    extra_checks: tuple[ExtraCheck, ...] = ()

    def open_log(self) -> Log:
        """Open the log with its checks at the door."""
        return Log.open(self.engine, origin=self.origin, signer=self.signer)


OpenContext = Callable[[], LedgerContext]


@click.group()
def ledger() -> None:
    """Audit, export and prove the ledger."""


@ledger.command()
@click.option("--full", is_flag=True, help="Check everything (the default).")
@click.option("--since", type=click.IntRange(min=0), help="Check the entries from this index on.")
@click.option("--sample", type=click.IntRange(min=1), help="Check so many entries chosen at random.")
@click.option(
    "--known",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    multiple=True,
    help="A checkpoint kept outside of the database; may be given several times.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
@click.pass_obj
def audit(
    open_context: OpenContext,
    *,
    full: bool,
    since: int | None,
    sample: int | None,
    known: tuple[Path, ...],
    as_json: bool,
) -> None:
    """Recompute the log from its database and name what is wrong."""
    if sum([full, since is not None, sample is not None]) > 1:
        raise click.UsageError("--full, --since and --sample exclude each other")
    with _failures():
        context = open_context()
        notes = [path.read_text(encoding="utf-8") for path in known]
        with Progress(console=Console(stderr=True), disable=as_json or not sys.stderr.isatty()) as bar:
            task = bar.add_task("entries", total=None)
            report = run_audit(
                context.engine,
                context.signer.verifier,
                origin=context.origin,
                since=since,
                sample=sample,
                known_checkpoints=notes,
                extra_checks=context.extra_checks,
                progress=lambda done, total: bar.update(task, completed=done, total=total),
            )
    click.echo(json.dumps(report.to_members()) if as_json else _describe(report))
    if not report.ok:
        sys.exit(FAULT_FOUND)


@ledger.command()
@click.argument("directory", type=click.Path(file_okay=False, path_type=Path))
@click.pass_obj
def export(open_context: OpenContext, directory: Path) -> None:
    """Write the log as files that any web server can serve and any tool can check."""
    with _failures():
        done = run_export(open_context().open_log(), directory)
    click.echo(f"{done.checkpoint.checkpoint.size} entries: {done.written} files written, {done.kept} were there")


@ledger.command()
@click.pass_obj
def checkpoint(open_context: OpenContext) -> None:
    """Print the latest published checkpoint."""
    with _failures():
        click.echo(open_context().open_log().checkpoint().note_text, nl=False)


@ledger.command()
@click.argument("index", type=click.IntRange(min=0))
@click.option("--leaf", "with_leaf", is_flag=True, help="Print the leaf (hexadecimal) instead of the proof.")
@click.pass_obj
def prove(open_context: OpenContext, *, index: int, with_leaf: bool) -> None:
    """Print the proof that entry INDEX is in the log (C2SP tlog-proof)."""
    with _failures():
        log = open_context().open_log()
        text = log.entry(index).leaf.to_bytes().hex() + "\n" if with_leaf else log.prove(index)
    click.echo(text, nl=False)


@ledger.command("verify-proof")
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--key", required=True, help="The log's verifier key, or a file that holds it.")
@click.option("--leaf", help="For a leaf's proof: the leaf in hexadecimal, as `prove --leaf` prints it.")
@click.option("--content", help="For a unit's proof: the signed bytes of its code, in hexadecimal.")
def verify_proof(files: tuple[Path, ...], key: str, leaf: str | None, content: str | None) -> None:
    """Check proofs offline: a leaf's (tlog-proof) with --leaf, a unit's (JSON) with --content.

    The issuer's own signature inside a unit's proof is not checked here, only that the log holds its statement.
    """
    with _failures():
        verifier = NoteVerifier.from_text((_read(Path(key)) if Path(key).is_file() else key).strip())
        leaf_hash = None if leaf is None else _leaf_hash(leaf)
    failed = False
    for path in files:
        try:
            finding = _verify(_read(path), verifier, leaf_hash, content)
        except LedgerError as error:
            failed = True
            finding = f"REFUSED ({error.code}): {error.message}"
        except (OSError, UnicodeDecodeError) as error:
            _cannot_read(str(error))
        click.echo(f"{path}: {finding}")
    if failed:
        sys.exit(FAULT_FOUND)


def _verify(text: str, verifier: NoteVerifier, leaf_hash: bytes | None, content: str | None) -> str:
    if text.lstrip().startswith("{"):
        if content is None:
            raise click.UsageError("a unit's proof needs --content")
        # No issuer key is at hand: whoever has one uses the library.
        unit = verify_unit_proof(
            UnitProof.from_json(text), content=_bytes(content), log_verifier=verifier, statement_key=None
        )
        return (
            f"unit {unit.position} of the batch in entry {unit.index} is in the log of {unit.checkpoint.size} entries"
        )
    if leaf_hash is None:
        raise click.UsageError("a leaf's proof needs --leaf")
    head = verify_leaf_proof(text, leaf_hash, verifier)
    return f"entry {parse_proof(text).index} is in the log {head.origin} of {head.size} entries"


def _leaf_hash(text: str) -> bytes:
    try:
        return Leaf.from_bytes(bytes.fromhex(text)).hash()
    except (ValueError, FormatError):
        raise click.UsageError("--leaf takes the 65 bytes of a leaf in hexadecimal") from None


def _bytes(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise click.UsageError("--content takes the signed bytes of a code in hexadecimal") from None


def _read(path: Path) -> str:
    with path.open("rb") as file:
        data = file.read(MAX_PROOF_FILE + 1)
    if len(data) > MAX_PROOF_FILE:
        raise ProofError(f"{path} is larger than any proof")
    return data.decode("utf-8")


def _describe(report: AuditReport) -> str:
    counts = (
        f"{report.mode} audit of {report.size} entries: checked {report.entries} entries, {report.tiles} tiles, "
        f"{report.heads} heads, {report.checkpoints} checkpoints in {report.seconds:.1f} s"
    )
    if report.ok:
        return f"{counts}\nNo fault found."
    lines = [f"FAULT {fault.code} at {fault.where}: {fault.message}" for fault in report.faults]
    return "\n".join([counts, *lines])


@contextmanager
def _failures() -> Iterator[None]:
    """Turn what keeps a command from its work into a sentence and exit code 3; a contradiction in the log into 1."""
    try:
        yield
    except NoteError as error:
        _cannot_read(error.diagnostics())
    except LedgerError as error:
        click.echo(f"{error.code}: {error.diagnostics()}", err=True)
        sys.exit(FAULT_FOUND)
    except SQLAlchemyError as error:
        _cannot_read(f"the database cannot be read: {getattr(error, 'orig', None) or type(error).__name__}")
    except (OSError, UnicodeDecodeError) as error:
        _cannot_read(str(error))


def _cannot_read(message: str) -> NoReturn:
    click.echo(message, err=True)
    sys.exit(CANNOT_READ)
