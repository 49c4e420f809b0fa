"""Back the whole registry up and put it back: the database, on SQLite the files of scans beside it, nothing else.

Two things stay out on purpose. The key-encryption key: with it a backup would hold every private key in clear. And the
ledger's high-water mark: one that goes back together with the database could not tell that it went back.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from alembic import command
from alembic.script import ScriptDirectory

from app.core.bootstrap import MIGRATIONS, OriginChanged, SchemaOutdated, alembic_config, migrate, open_ledger
from app.core.config import Settings
from app.core.database import create_database_engine
from app.core.sealing import SealError, key_file
from ledger.backup import Manifest, check_backup, make_backup, read_for_restore, restore_backup
from ledger.backup.manifest import Progress
from ledger.checkpoint import Checkpoint
from ledger.cli import LedgerContext
from ledger.errors import FormatError, LedgerError
from ledger.mark.high_water import Finding, HighWaterMark

PREFILLED = {"products": 1}
"""Rows that the first migration itself makes: the product that stands for cases."""


@dataclass(frozen=True, slots=True)
class Restored:
    """A restored registry: its backup's manifest, and what the high-water mark says about going on."""

    manifest: Manifest
    finding: Finding


def back_up(settings: Settings, directory: Path, progress: Progress) -> Manifest:
    """Write a backup into a new folder and check it as a stranger would. The registry may go on meanwhile.

    Raises what `make_backup` and `check_backup` raise; a backup that fails its check stays where it is.
    """
    context = open_ledger(settings)
    try:
        _publish(context)
        make_backup(
            context.engine,
            directory,
            origin=context.origin,
            schema=_current_schema(),
            further_files=_scan_files(settings) if context.engine.dialect.name == "sqlite" else {},
            progress=progress,
        )
    finally:
        context.engine.dispose()
    return check_backup(directory, progress=progress)


def restore(settings: Settings, directory: Path, *, known: Sequence[Checkpoint], progress: Progress) -> Restored:
    """Put a backup into the empty database that the settings name, and bring it to this program's schema.

    known: checkpoints of this log kept outside, their signatures verified. One that contradicts the backup stops the
    restore; one that is larger goes into the high-water mark, before anything is put back: a restore that is cut off
    anywhere leaves a log that can not be written. Raises
    BackupError, ForkDetected, OriginChanged, SchemaOutdated; SealError, when all is restored but the key-encryption key
    is not the one that sealed these keys.
    """
    _require_key_encryption_key(settings)
    settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    engine = create_database_engine(settings.effective_database_url)
    try:
        manifest = read_for_restore(engine, directory, prefilled=PREFILLED, known=known, progress=progress)
        if manifest.origin != settings.effective_log_origin:
            raise OriginChanged(
                f"the ledger in this backup is called {manifest.origin}, these settings call it "
                f"{settings.effective_log_origin}: set MARCHAMO_LOG_ORIGIN={manifest.origin}"
            )
        _require_known_schema(manifest.schema)
        _remember(settings, manifest, known)
        restore_backup(
            engine,
            directory,
            manifest,
            prepare=lambda: command.upgrade(alembic_config(engine), manifest.schema),
            further_files=lambda name: _scan_target(settings, name),
            progress=progress,
        )
    finally:
        engine.dispose()
    migrate(settings)
    return Restored(manifest, _finding(settings))


def _publish(context: LedgerContext) -> None:
    """Publish a checkpoint that covers every entry, so that the backup holds one."""
    # A log that is read-only or damaged needs its backup all the more; the check afterwards says what is wrong.
    with suppress(LedgerError):
        log = context.open_log()
        log.checkpoint(at_least=log.head()[0])


def _remember(settings: Settings, manifest: Manifest, known: Sequence[Checkpoint]) -> None:
    """Put the largest known checkpoint into the mark, unless the mark knows as much."""
    largest = max(known, key=lambda checkpoint: checkpoint.size, default=None)
    if largest is None or largest.size <= manifest.size:
        return
    mark = HighWaterMark(settings.effective_high_water_file, origin=settings.effective_log_origin)
    present = None
    with suppress(FormatError):  # a mark that can not be read says nothing; it is replaced by what is known
        present = mark.read()
    if present is None or present.size < largest.size:
        mark.adopt(largest.size, largest.root)


def _finding(settings: Settings) -> Finding:
    context = open_ledger(settings)
    try:
        finding = context.open_log().finding()
    finally:
        context.engine.dispose()
    if finding is None:
        raise RuntimeError("the registry's ledger always has a high-water mark")
    return finding


def _scan_files(settings: Settings) -> dict[str, Path]:
    return {f"scans-{path.stem}.db": path for path in sorted(settings.scans_dir.glob("[0-9][0-9].db"))}


def _scan_target(settings: Settings, name: str) -> Path | None:
    number = name.removeprefix("scans-").removesuffix(".db")
    return settings.scans_dir / f"{number}.db" if name == f"scans-{number}.db" and number.isdigit() else None


def _require_key_encryption_key(settings: Settings) -> None:
    if not settings.key_encryption_key and not key_file(settings).exists():
        raise SealError(
            f"the key-encryption key is not here: put it into the file {key_file(settings)}, or set "
            "MARCHAMO_KEY_ENCRYPTION_KEY; it is in no backup, and a new one opens none of the keys"
        )


def _current_schema() -> str:
    return str(ScriptDirectory(str(MIGRATIONS)).get_current_head())


def _require_known_schema(schema: str) -> None:
    if schema not in {script.revision for script in ScriptDirectory(str(MIGRATIONS)).walk_revisions()}:
        raise SchemaOutdated(f"this backup is of schema {schema}, which this program does not know: use a newer one")
