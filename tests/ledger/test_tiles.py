from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger import merkle, tiles
from ledger.errors import FormatError, ProofError
from tests.small_log import TileStore


def leaves(size: int) -> list[bytes]:
    return [merkle.leaf_hash(index.to_bytes(4, "big")) for index in range(size)]


HEIGHTS = st.sampled_from([1, 2, 4, 8])


@settings(deadline=None)
@given(HEIGHTS, st.integers(0, 700), st.data())
def test_a_path_read_from_tiles_is_the_reference_path(height: int, size: int, data: st.DataObject) -> None:
    hashes = leaves(size)
    store = TileStore(height, hashes)
    old = data.draw(st.integers(0, size))
    assert store.root == merkle.root(hashes)
    assert tiles.tree_root(store.read, height, old) == merkle.root(hashes[:old])
    assert tiles.consistency_path(store.read, height, old, size) == merkle.consistency_path(hashes, old)
    if old:
        index = data.draw(st.integers(0, old - 1))
        assert store.inclusion_path(index, old) == merkle.inclusion_path(hashes[:old], index)


@settings(deadline=None)
@given(HEIGHTS, st.lists(st.integers(0, 300), max_size=6))
def test_it_does_not_matter_how_the_leaves_arrive(height: int, portions: list[int]) -> None:
    hashes = leaves(sum(portions))
    at_once, in_portions = tiles.TileBuilder(height), tiles.TileBuilder(height)
    at_once.extend(hashes)
    at, full = 0, []
    for number, portion in enumerate(portions):
        part = hashes[at : at + portion]
        if number % 2:
            in_portions.extend(iter(part))
        else:
            for digest in part:
                in_portions.add(digest)
        full += in_portions.take_full()
        at += portion
    assert full == at_once.take_full()
    assert in_portions.finish() == at_once.finish()
    assert in_portions.root() == at_once.root()


@settings(deadline=None)
@given(HEIGHTS, st.integers(0, 600), st.integers(0, 300))
def test_a_builder_resumed_from_its_tiles_goes_on_as_if_never_stopped(height: int, size: int, more: int) -> None:
    hashes = leaves(size + more)
    store = TileStore(height, hashes[:size])
    resumed = tiles.TileBuilder.resume(height, size, store.read)
    assert (resumed.size, resumed.root()) == (size, store.root)
    resumed.extend(hashes[size:])
    assert resumed.root() == merkle.root(hashes)
    whole = TileStore(height, hashes)
    for tile in resumed.take_full() + resumed.finish():
        assert whole.tiles[tile.level, tile.index] == tile.data


def test_a_copy_grows_alone() -> None:
    builder = tiles.TileBuilder(4)
    builder.extend(leaves(37))
    root, edge = builder.root(), builder.finish()
    trial = builder.copy()
    trial.extend(leaves(50))
    assert (builder.size, builder.root(), builder.finish()) == (37, root, edge)
    assert trial.size == 87
    trial.take_full()
    assert [(tile.level, tile.index) for tile in builder.take_full()] == [(0, 0), (0, 1)]


def test_a_tree_of_70000_has_the_tiles_the_specification_counts() -> None:
    builder = tiles.TileBuilder(8)
    builder.extend(merkle.leaf_hash(b"") for _ in range(70_000))
    full = builder.take_full()
    assert [sum(tile.level == level for tile in full) for level in range(3)] == [273, 1, 0]
    assert [(tile.level, tile.index, tile.width) for tile in builder.finish()] == [(0, 273, 112), (1, 1, 17), (2, 0, 1)]
    for level, index, width in ((0, 272, 256), (0, 273, 112), (0, 274, 0), (1, 1, 17), (2, 0, 1), (3, 0, 0)):
        assert tiles.tile_width(8, level, index, 70_000) == width


def test_a_tree_of_256_has_a_full_tile_and_one_hash_above_it() -> None:
    builder = tiles.TileBuilder(8)
    builder.extend(leaves(256))
    assert [(tile.level, tile.width) for tile in builder.take_full()] == [(0, 256)]
    assert [(tile.level, tile.width) for tile in builder.finish()] == [(1, 1)]


def test_the_builder_keeps_no_more_than_its_right_edge() -> None:
    builder = tiles.TileBuilder(4)
    builder.extend(leaves(5000))
    builder.take_full()
    assert sum(tile.width for tile in builder.finish()) < 4 * 16
    assert builder.take_full() == []


@pytest.mark.parametrize(
    ("level", "index", "width", "path"),
    [
        (0, 0, None, "tile/0/000"),
        (0, 1234067, None, "tile/0/x001/x234/067"),
        (1, 999, 17, "tile/1/999.p/17"),
        ("entries", 1000, 255, "tile/entries/x001/000.p/255"),
        (63, 5, None, "tile/63/005"),
    ],
)
def test_tile_paths_are_those_of_the_specification(level: int | str, index: int, width: int | None, path: str) -> None:
    assert tiles.tile_path(level, index, width) == path
    assert tiles.parse_tile_path(path) == (level, index, width)


@pytest.mark.parametrize(
    "path",
    [
        "",
        "tile/0",
        "tile/0/",
        "tile/0/0",
        "tile/00/000",
        "tile/64/000",
        "tile/-1/000",
        "tile/0/-01",
        "tile/0/1234",
        "tile/0/x000/001",
        "tile/0/001/002",
        "tile/0/x001/x002",
        "tile/0/000.p/0",
        "tile/0/000.p/256",
        "tile/0/000.p/01",
        "tile/0/000.p/",
        "tile/0/000.p/1.p/2",
        "tile/data/000",
        "tile/0/٠٠٠",
        "tile/0/../000",
        "tile/0/x999/x999/x999/x999/x999/x999/999",
        "tile/0/" + "x001/" * 40 + "000",
    ],
)
def test_any_other_spelling_of_a_tile_path_is_refused(path: str) -> None:
    with pytest.raises(FormatError):
        tiles.parse_tile_path(path)


@given(st.text(max_size=40) | st.from_regex(r"tile/[0-9]{1,2}/[x0-9/]{1,12}(\.p/[0-9]{1,3})?", fullmatch=True))
def test_a_path_that_is_read_is_written_back_the_same(path: str) -> None:
    try:
        parsed = tiles.parse_tile_path(path)
    except FormatError:
        return
    assert tiles.tile_path(*parsed) == path


def test_a_tile_of_the_wrong_length_is_named() -> None:
    store = TileStore(8, leaves(300))
    with pytest.raises(ProofError, match="tile 0/0 should hold 256 hashes, it has 8191 bytes"):
        tiles.inclusion_path(lambda *at: store.read(*at)[: -1 if at[1] == 0 else None], 8, 3, 300)


def test_leaves_and_sizes_out_of_range_are_refused() -> None:
    store = TileStore(8, leaves(3))
    with pytest.raises(ProofError):
        store.inclusion_path(3)
    with pytest.raises(ProofError):
        tiles.consistency_path(store.read, 8, 4, 3)
    with pytest.raises(FormatError):
        tiles.TileBuilder(8).add(b"short")
    with pytest.raises(FormatError):
        tiles.TileBuilder(1).extend([b"short", b"longer than thirty-two bytes, and the sum is right: 64 by."])
    with pytest.raises(FormatError):
        tiles.TileBuilder(0)


@given(st.lists(st.binary(max_size=300), max_size=8))
def test_a_bundle_is_read_back_entry_by_entry(entries: list[bytes]) -> None:
    data = tiles.format_entry_bundle(entries)
    assert tiles.parse_entry_bundle(data, len(entries)) == entries
    for other in {len(entries) - 1, len(entries) + 1} - {-1}:
        with pytest.raises(FormatError):
            tiles.parse_entry_bundle(data, other)


def test_a_bundle_is_laid_out_as_the_specification_says_and_no_byte_more_or_less_is_taken() -> None:
    data = tiles.format_entry_bundle([b"ab", b"", b"c" * 258])
    assert data == b"\x00\x02ab\x00\x00\x01\x02" + b"c" * 258
    for length in range(len(data)):
        with pytest.raises(FormatError):
            tiles.parse_entry_bundle(data[:length], 3)
    with pytest.raises(FormatError):
        tiles.parse_entry_bundle(data + b"\x00", 3)


@given(HEIGHTS, st.integers(1, 600))
def test_the_peaks_are_the_perfect_subtrees_from_left_to_right(height: int, size: int) -> None:
    hashes = leaves(size)
    peaks = tiles.peaks(TileStore(height, hashes).read, height, size)
    assert len(peaks) == size.bit_count()
    merkle.verify_append(
        old_size=size, old_root=merkle.root(hashes), peaks=peaks, leaves=[], new_root=merkle.root(hashes)
    )
