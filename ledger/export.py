"""Write the log as files (C2SP tlog-tiles), so that any web server can serve it and any tool can check it.

The files are those of `ledger.log_files`. Full tiles never change: a second export into the same directory writes only
what is new. The checkpoint comes last, so that whoever copies the directory meanwhile finds every tile that the
checkpoint needs.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ledger.checkpoint import SignedCheckpoint, open_checkpoint
from ledger.errors import ForkDetected
from ledger.log import Log
from ledger.log_files import LogFiles
from ledger.map.files import MapFiles
from ledger.witnessing.cosigned import CosignedCheckpoints

MAX_CHECKPOINT_FILE = 1_000_000

Progress = Callable[[int, int], None]
"""Called with the files done so far and their total."""


@dataclass(frozen=True, slots=True)
class Exported:
    """What an export wrote: for which checkpoint, how many files, and how many were there already."""

    checkpoint: SignedCheckpoint
    written: int
    kept: int


def export(
    log: Log,
    directory: Path,
    *,
    cosigned: CosignedCheckpoints | None = None,
    maps: MapFiles | None = None,
    progress: Progress | None = None,
) -> Exported:
    """Write the log up to its latest published checkpoint into `directory`; with `cosigned` up to the one it gives.

    With `maps` the statements of the subject map too, with which `ledger.map.monitor` checks it. Raises ForkDetected
    when the folder holds an earlier export of another history of this log, or of more entries than it has.
    """
    _refuse_other_history(log, directory)
    files = LogFiles(log, cosigned)
    checkpoint = files.checkpoint()
    size = checkpoint.checkpoint.size
    total = files.count(size) + 1
    written = kept = 0
    for name in files.names(size):
        path = directory / name.path()
        if path.exists():
            kept += 1
        else:
            _write(path, files.read(name))
            written += 1
        if progress is not None:
            progress(written + kept, total)
    for map_path, data in maps.files(checkpoint) if maps is not None else ():
        _write(directory / map_path, data)
        written += 1
    _write(directory / "checkpoint", checkpoint.note_text.encode())
    if progress is not None:
        progress(total, total)
    return Exported(checkpoint, written + 1, kept)


def _refuse_other_history(log: Log, directory: Path) -> None:
    """An earlier export is a checkpoint that others may have seen: a log that was put back must not hide it."""
    try:
        with (directory / "checkpoint").open("rb") as file:
            note = file.read(MAX_CHECKPOINT_FILE)
    except FileNotFoundError:
        return
    known = open_checkpoint(note, log.keys(), origin=log.origin).checkpoint
    size, _ = log.head()
    if known.size > size:
        raise ForkDetected(
            f"{directory} holds an export of {known.size} entries, the log has only {size}: its database was put back",
            fix="Keep this export: it shows what is missing. See `marchamo ledger adopt`.",
        )
    if log.root_at(known.size) != known.root:
        raise ForkDetected(
            f"{directory} holds an export of another history of this log, of {known.size} entries",
            fix="Keep this export: it is evidence. See `marchamo ledger adopt`; then export into a new folder.",
        )


def _write(path: Path, data: bytes) -> None:
    """Write a file so that it is there whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    unfinished.write_bytes(data)
    unfinished.replace(path)
