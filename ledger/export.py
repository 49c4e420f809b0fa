"""Write the log as files (C2SP tlog-tiles), so that any web server can serve it and any tool can check it.

    checkpoint                 the latest published checkpoint
    tile/<level>/<index>       hashes; the last of each level as .p/<width>
    tile/entries/<index>       the leaves

Full tiles never change: a second export into the same directory writes only what is new. The checkpoint comes last,
so that whoever copies the directory meanwhile finds every tile that the checkpoint needs.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ledger.checkpoint import SignedCheckpoint
from ledger.edge import TILE_WIDTH
from ledger.log import Log
from ledger.tiles import LOG_HEIGHT, tile_path, tile_width


@dataclass(frozen=True, slots=True)
class Exported:
    """What an export wrote: for which checkpoint, how many files, and how many were there already."""

    checkpoint: SignedCheckpoint
    written: int
    kept: int


def export(log: Log, directory: Path, *, progress: Callable[[int], None] | None = None) -> Exported:
    """Write the log up to its latest published checkpoint into `directory`; `progress` gets the files done so far."""
    checkpoint = log.checkpoint()
    size = checkpoint.checkpoint.size
    written = kept = 0
    for level, index, width in _tiles(size):
        partial = None if width == TILE_WIDTH else width
        path = directory / tile_path(level, index, partial)
        if path.exists():
            kept += 1
            continue
        data = log.entry_bundle(index, width) if level == "entries" else log.tile(int(level), index, width)
        _write(path, data)
        written += 1
        if progress is not None:
            progress(written + kept)
    _write(directory / "checkpoint", checkpoint.note_text.encode())
    return Exported(checkpoint, written + 1, kept)


def _tiles(size: int) -> Iterator[tuple[int | str, int, int]]:
    """Name every tile of a log of this size: level or "entries", index, width."""
    level = 0
    while size >> (LOG_HEIGHT * level):
        for index in range(-(-(size >> (LOG_HEIGHT * level)) // TILE_WIDTH)):
            width = tile_width(LOG_HEIGHT, level, index, size)
            yield level, index, width
            if level == 0:
                yield "entries", index, width
        level += 1


def _write(path: Path, data: bytes) -> None:
    """Write a file so that it is there whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    unfinished.write_bytes(data)
    unfinished.replace(path)
