"""The exported directory: what a stranger needs, byte for byte, and nothing torn."""

from __future__ import annotations

from pathlib import Path

import pytest

from ledger.checkpoint import open_checkpoint
from ledger.edge import chained_leaves
from ledger.export import export
from ledger.leaf import FIRST_PREV, Leaf
from ledger.log import Log
from ledger.merkle import root as root_of
from ledger.tiles import parse_tile_path
from tests.log_builders import Clock, new_entry


def leaves_of(directory: Path, size: int) -> list[Leaf]:
    """Read the entry bundles back as a stranger would."""
    leaves: list[Leaf] = []
    for index in range(-(-size // 256)):
        width = min(256, size - 256 * index)
        name = f"{index:03d}" if width == 256 else f"{index:03d}.p/{width}"
        data = (directory / "tile/entries" / name).read_bytes()
        while data:
            length = int.from_bytes(data[:2], "big")
            leaves.append(Leaf.from_bytes(data[2 : 2 + length]))
            data = data[2 + length :]
    return leaves


@pytest.mark.parametrize("size", [0, 1, 256, 700])
def test_the_exported_leaves_give_the_root_of_the_exported_checkpoint(log: Log, tmp_path: Path, size: int) -> None:
    log.append_many([new_entry(number) for number in range(size)])
    export(log, tmp_path / "export")
    note = (tmp_path / "export/checkpoint").read_text(encoding="utf-8")
    checkpoint = open_checkpoint(note, log.verifier).checkpoint
    leaves = leaves_of(tmp_path / "export", size)
    assert checkpoint.size == len(leaves) == size
    assert checkpoint.root == root_of([leaf.hash() for leaf in leaves])
    assert leaves == chained_leaves(FIRST_PREV, [leaf.commitment + b"".join(leaf.tags) for leaf in leaves])


def test_every_exported_file_has_a_name_of_the_specification_and_its_hashes(log: Log, tmp_path: Path) -> None:
    log.append_many([new_entry(number) for number in range(700)])
    export(log, tmp_path)
    files = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.glob("tile/**/*") if path.is_file())
    assert files == sorted(
        [
            "tile/0/000",
            "tile/0/001",
            "tile/0/002.p/188",
            "tile/1/000.p/2",
            "tile/entries/000",
            "tile/entries/001",
            "tile/entries/002.p/188",
        ]
    )
    for name in files:
        level, _, width = parse_tile_path(name)
        if level != "entries":
            assert len((tmp_path / name).read_bytes()) == 32 * (width or 256)


def test_a_second_export_writes_only_what_is_new(log: Log, tmp_path: Path, clock: Clock) -> None:
    log.append_many([new_entry(number) for number in range(300)])
    export(log, tmp_path)
    clock.now += 2
    log.append_many([new_entry(number) for number in range(300, 520)])
    done = export(log, tmp_path)
    assert (done.checkpoint.checkpoint.size, done.kept) == (520, 2)
    assert leaves_of(tmp_path, 520)[519] == log.entry(519).leaf


def test_an_export_leaves_no_unfinished_files(log: Log, tmp_path: Path) -> None:
    log.append(new_entry(1))
    export(log, tmp_path)
    assert not list(tmp_path.rglob("*.tmp"))


def test_progress_counts_every_file_and_ends_with_their_total(log: Log, tmp_path: Path) -> None:
    log.append_many([new_entry(number) for number in range(700)])
    told: list[tuple[int, int]] = []
    export(log, tmp_path, progress=lambda done, total: told.append((done, total)))
    assert told == [(number, 8) for number in range(1, 9)]
    again: list[tuple[int, int]] = []
    export(log, tmp_path, progress=lambda done, total: again.append((done, total)))
    assert again == told
