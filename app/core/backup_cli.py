"""The commands `marchamo backup` and `marchamo restore`."""

import json
from pathlib import Path

import click

from app.core import backup as backups
from app.core.config import Settings
from ledger.backup import Manifest, check_backup
from ledger.backup.manifest import read_manifest
from ledger.checkpoint import Checkpoint, open_checkpoint
from ledger.cli.context import failures
from ledger.cli.progress import slow_progress
from ledger.errors import NoteError, UnknownKey
from ledger.mark.high_water import MarkState
from ledger.note import NoteVerifier

MAX_NOTE_FILE = 1_000_000

_NOT_IN_IT = (
    "NOT in this backup: the key-encryption key. Without it no private key in the backup ever opens again: nothing can "
    "be signed or printed. Keep a copy of it elsewhere, apart from this backup. The ledger's high-water mark is not in "
    "it either, on purpose."
)
_file = click.Path(exists=True, dir_okay=False, path_type=Path)
_key = click.option(
    "--key",
    "keys",
    multiple=True,
    help="A verifier key of the log, or a file that holds it: checks signatures too. Once for each key it had.",
)
_known = click.option(
    "--known", type=_file, multiple=True, help="A checkpoint that somebody outside kept; needs --key."
)
_json = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")


@click.command()
@click.argument("directory", type=click.Path(file_okay=False, path_type=Path))
@click.option("--verify", is_flag=True, help="Make none: check the backup in DIRECTORY, without any database.")
@_key
@_known
@_json
def backup(directory: Path, *, verify: bool, keys: tuple[str, ...], known: tuple[Path, ...], as_json: bool) -> None:
    """Copy the registry into the new folder DIRECTORY while it is in use, and check the copy.

    The check reads every byte and computes the ledger's root from its entries.
    """
    if not verify and (keys or known):
        raise click.UsageError("--key and --known go with --verify")
    with failures(), slow_progress(quiet=as_json) as progress:
        if verify:
            manifest = check_backup(directory, known=_checkpoints(keys, known, directory), progress=progress)
        else:
            manifest = backups.back_up(Settings.from_environment(), directory, progress)
    if as_json:
        click.echo(json.dumps({**_members(manifest), "ok": True}))
        return
    size = sum(file.bytes for file in manifest.files) / 1_000_000
    click.echo(f"{manifest.origin}, {manifest.size} entries, {size:.1f} MB, made {manifest.made_at}.")
    click.echo("Every file is whole, and the entries give the root of the ledger.")
    if not verify:
        click.echo(_NOT_IN_IT, err=True)


@click.command()
@click.argument("directory", type=click.Path(exists=True, file_okay=False, path_type=Path))
@_key
@_known
@_json
def restore(directory: Path, *, keys: tuple[str, ...], known: tuple[Path, ...], as_json: bool) -> None:
    """Put the backup in DIRECTORY into the empty database that the settings name.

    It is checked first. Afterwards the ledger's high-water mark decides whether the ledger may be written: not when
    more was acknowledged since the backup, nor when there is no mark.
    """
    with failures(), slow_progress(quiet=as_json) as progress:
        checkpoints = _checkpoints(keys, known, directory)
        done = backups.restore(Settings.from_environment(), directory, known=checkpoints, progress=progress)
    writable = done.finding.state is MarkState.OK
    if as_json:
        members = {"high_water": done.finding.state.value, "writable": writable}
        click.echo(json.dumps({**_members(done.manifest), **members}))
        return
    click.echo(f"Restored: {done.manifest.origin}, {done.manifest.size} entries, as of {done.manifest.made_at}.")
    click.echo(f"High-water mark: {done.finding.message}.")
    if writable:
        click.echo("The ledger takes entries. Run `marchamo ledger audit --full` before you serve.")
    else:
        click.echo(
            "The ledger answers and proves, but takes no entries. If a newer backup exists, restore that one into an "
            "empty database. Else `marchamo ledger adopt` shows what is known and asks what shall count."
        )


def _checkpoints(keys: tuple[str, ...], files: tuple[Path, ...], directory: Path) -> list[Checkpoint]:
    """Read and verify the known checkpoints; with a key also the one in the manifest."""
    if not keys:
        if files:
            raise click.UsageError("--known needs --key: an unsigned word counts for nothing")
        return []
    verifiers = [NoteVerifier.from_text((_read(Path(key)) if Path(key).is_file() else key).strip()) for key in keys]
    notes = {str(path): _read(path) for path in files}
    own = read_manifest(directory).checkpoint
    if own:
        notes["the checkpoint in the backup's manifest"] = own
    return [_open(name, note, verifiers) for name, note in notes.items()]


def _open(name: str, note: str, verifiers: list[NoteVerifier]) -> Checkpoint:
    """Verify a checkpoint with the first key that signed it; says which one none of them signed."""
    for verifier in verifiers:
        try:
            return open_checkpoint(note, verifier).checkpoint
        except UnknownKey:
            continue
        except NoteError as error:
            raise NoteError(f"{name}: {error.message}") from None
    raise UnknownKey(
        f"{name}: none of the given keys signed it",
        fix="Give every key that the log had: --key may be given several times. `marchamo ledger keys` shows them.",
    )


def _read(path: Path) -> str:
    with path.open("rb") as file:
        data = file.read(MAX_NOTE_FILE + 1)
    if len(data) > MAX_NOTE_FILE:
        raise click.UsageError(f"{path} is larger than any key or checkpoint")
    return data.decode("utf-8")


def _members(manifest: Manifest) -> dict[str, object]:
    return {
        "origin": manifest.origin,
        "database": manifest.database,
        "schema": manifest.schema,
        "size": manifest.size,
        "root": manifest.root.hex(),
        "made_at": manifest.made_at,
        "files": len(manifest.files),
        "bytes": sum(file.bytes for file in manifest.files),
    }
