"""The log as files: exactly what the published checkpoint covers, from memory where it can be."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import Engine, event

from ledger.errors import EntryNotFound, FormatError
from ledger.log import Log
from ledger.log_files import ENTRIES, LogFiles, TileName
from ledger.note import NoteSigner
from ledger.tiles import LOG_HEIGHT, tile_width
from tests.log_builders import ORIGIN, Clock, new_entry


def grown(log: Log, start: int, stop: int) -> None:
    log.append_many([new_entry(number) for number in range(start, stop)])


@contextmanager
def counted_statements(engine: Engine) -> Iterator[list[str]]:
    """Every statement that reaches the database in the block."""
    seen: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_more: object) -> None:
        seen.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    yield seen
    event.remove(engine, "before_cursor_execute", note)


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("tile/0/000", TileName(0, 0, 256)),
        ("tile/1/x001/234.p/17", TileName(1, 1234, 17)),
        ("tile/entries/002.p/255", TileName(ENTRIES, 2, 255)),
    ],
)
def test_a_name_is_read_and_written(path: str, name: TileName) -> None:
    assert TileName.from_path(path) == name
    assert name.path() == path


@pytest.mark.parametrize("path", ["tile/0/0", "tile/0/000.p/256", "tile/0/000.p/0", "tile/64/000", "tile/0/000.p/01"])
def test_another_spelling_is_no_name(path: str) -> None:
    with pytest.raises(FormatError):
        TileName.from_path(path)


@pytest.mark.parametrize("size", [0, 1, 255, 256, 257, 700, 65_536, 65_537, 70_000, 2**24 + 300])
def test_the_names_of_a_size_are_those_of_the_specification_and_their_count(size: int) -> None:
    names = [name for name in LogFiles.names(size) if name.level != ENTRIES]
    expected = sum(-(-(size >> (LOG_HEIGHT * level)) // 256) for level in range(8))
    assert len(names) == expected
    assert LogFiles.count(size) == expected + -(-size // 256)
    assert all(tile_width(LOG_HEIGHT, int(name.level), name.index, size) == name.width for name in names)


def test_the_least_size_that_has_a_tile_is_where_it_begins_to_exist() -> None:
    for name in (TileName(0, 3, 17), TileName(1, 2, 256), TileName(2, 0, 1), TileName(ENTRIES, 5, 200)):
        level = 0 if name.level == ENTRIES else int(name.level)
        size = name.needed_size()
        assert tile_width(LOG_HEIGHT, level, name.index, size) >= name.width
        assert tile_width(LOG_HEIGHT, level, name.index, size - 1) < name.width


def test_what_no_published_checkpoint_covers_is_not_there(log: Log, clock: Clock) -> None:
    files = LogFiles(log)
    grown(log, 0, 300)
    assert files.checkpoint().checkpoint.size == 300
    clock.now += 0.1
    grown(log, 300, 310)  # within the second: the checkpoint stays where it is
    for path in ("tile/0/001.p/45", "tile/entries/001.p/45"):
        with pytest.raises(EntryNotFound):
            files.read(TileName.from_path(path))
    clock.now += 2
    assert files.checkpoint().checkpoint.size == 310
    assert len(files.read(TileName.from_path("tile/0/001.p/45"))) == 45 * 32


def test_narrower_than_the_last_tile_is_given_as_it_was(log: Log) -> None:
    files = LogFiles(log)
    grown(log, 0, 20)
    files.checkpoint()
    before = files.read(TileName(0, 0, 20)), files.read(TileName(ENTRIES, 0, 20))
    grown(log, 20, 300)
    log.checkpoint(at_least=300)
    assert (files.read(TileName(0, 0, 20)), files.read(TileName(ENTRIES, 0, 20))) == before


def test_a_checkpoint_that_another_process_published_is_not_undercut(
    log: Log, engine: Engine, signer: NoteSigner, clock: Clock
) -> None:
    other = Log.open(engine, origin=ORIGIN, signer=signer, clock=clock)
    grown(log, 0, 5)
    mine, theirs = LogFiles(log), LogFiles(other)
    assert mine.checkpoint().checkpoint.size == theirs.checkpoint().checkpoint.size == 5
    grown(other, 5, 9)
    other.checkpoint(at_least=9)
    # Within the second this process would still give its own copy of the older one.
    assert mine.checkpoint().checkpoint.size == 9
    assert len(mine.read(TileName(0, 0, 9))) == 9 * 32


def test_what_is_in_memory_needs_no_database(log: Log, engine: Engine) -> None:
    files = LogFiles(log)
    grown(log, 0, 600)
    files.checkpoint()
    names = [TileName(0, 0, 256), TileName(0, 2, 88), TileName(1, 0, 2), TileName(ENTRIES, 0, 256)]
    first = [files.read(name) for name in names]
    with counted_statements(engine) as statements:
        assert [files.read(name) for name in names] == first
    assert statements == []


def test_bundles_in_memory_are_bounded(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    files = LogFiles(log)
    grown(log, 0, 600)
    files.checkpoint()
    monkeypatch.setattr("ledger.log_files.CACHED_BUNDLE_BYTES", 50_000)
    for _ in range(2):
        for index in range(2):
            for width in (256, 255, 254):
                files.read(TileName(ENTRIES, index, width))
    assert files.cached_bytes <= 50_000
