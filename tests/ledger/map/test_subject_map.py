"""The subject map: what its root fixes, and what one bucket and its path prove."""

from __future__ import annotations

from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.errors import ProofError, StorageError
from ledger.leaf import TAG_SIZE
from ledger.map.subject_map import (
    BUCKETS,
    MAX_BUCKET_SIZE,
    RECORD_SIZE,
    MapChange,
    Record,
    bucket_hash,
    bucket_hashes,
    bucket_of,
    bucket_path,
    bucket_range,
    build_map,
    change_map,
    decode_bucket,
    encode_bucket,
    find_record,
    verify_bucket,
)
from ledger.merkle import EMPTY_ROOT, inclusion_path, leaf_hash, root


def tag(number: int) -> bytes:
    return sha256(b"tag %d" % number).digest()[:TAG_SIZE]


def records_of(count: int, start: int = 0) -> list[Record]:
    return sorted((tag(number), number) for number in range(start, start + count))


def in_bucket(records: list[Record], bucket: int) -> list[Record]:
    return [record for record in records if bucket_of(record[0]) == bucket]


class KeptMap:
    """Tiles in memory, moved on by changes."""

    def __init__(self) -> None:
        self.tiles: dict[tuple[int, int], bytes] = {}
        self.root = b""

    def apply(self, change: MapChange) -> None:
        self.tiles.update({(tile.level, tile.index): tile.data for tile in change.tiles})
        self.root = change.root

    def read(self, level: int, index: int) -> bytes:
        return self.tiles[level, index]


def kept(records: list[Record]) -> KeptMap:
    own = KeptMap()
    own.apply(build_map(records))
    return own


# 40 tags in 3 buckets, so that buckets of every small size come up.
crowded_tags = st.builds(
    lambda bucket, rest: bucket.to_bytes(2, "big") + rest.to_bytes(14, "big"),
    st.sampled_from([0, 1, 513, BUCKETS - 1]),
    st.integers(0, 2**112 - 1),
)
crowded_records = st.dictionaries(crowded_tags, st.integers(0, 2**63 - 1), max_size=40).map(lambda d: sorted(d.items()))


# --- buckets -------------------------------------------------------------------------------------------------------


@given(crowded_records)
def test_the_hash_of_a_bucket_is_the_rfc_6962_root_of_its_records(records: list[Record]) -> None:
    leaves = [leaf_hash(tag + index.to_bytes(8, "big")) for tag, index in records]
    assert bucket_hash(records) == root(leaves)


def test_an_empty_bucket_has_the_root_of_the_empty_tree() -> None:
    assert bucket_hash([]) == EMPTY_ROOT == sha256(b"").digest()


@given(crowded_records, st.integers(0, 2**63 - 1))
def test_a_bucket_can_be_hashed_as_it_was_at_an_earlier_size(records: list[Record], size: int) -> None:
    earlier = [record for record in records if record[1] < size]
    assert bucket_hashes(records, size) == (bucket_hash(earlier), bucket_hash(records))


@given(crowded_tags)
def test_a_tag_lies_in_the_range_of_its_bucket(tag: bytes) -> None:
    lower, upper = bucket_range(bucket_of(tag))
    assert lower <= tag < upper


@given(crowded_records)
def test_records_come_back_out_of_their_bytes(records: list[Record]) -> None:
    for bucket in {bucket_of(tag) for tag, _ in records}:
        own = in_bucket(records, bucket)
        data = encode_bucket(own)
        assert len(data) == RECORD_SIZE * len(own)
        assert decode_bucket(data, bucket) == own


def test_bytes_that_are_no_bucket_are_refused() -> None:
    def record(tail: int, index: int = 7) -> bytes:
        return b"\x00\x05" + tail.to_bytes(14, "big") + index.to_bytes(8, "big")

    assert decode_bucket(record(1) + record(2), 5)
    for broken in (
        record(2) + record(1),  # out of order
        record(1) + record(1),  # twice
        record(1, 3) + record(1, 4),  # one tag for two entries
        record(1)[:-1],
        record(1) + b"\x00",
        record(1, 2**63),
    ):
        with pytest.raises(ProofError):
            decode_bucket(broken, 5)
    with pytest.raises(ProofError, match="not its own"):
        decode_bucket(record(1), 6)
    with pytest.raises(ProofError, match="at most"):
        decode_bucket(bytes(MAX_BUCKET_SIZE + RECORD_SIZE), 0)


@given(crowded_records, crowded_tags)
def test_a_search_finds_exactly_what_is_there(records: list[Record], other: bytes) -> None:
    known = dict(records)
    for tag, index in records:
        assert find_record(records, tag) == index
    assert find_record(records, other) == known.get(other)


# --- the whole map -------------------------------------------------------------------------------------------------


def test_the_root_of_the_map_is_the_tree_over_all_buckets() -> None:
    records = records_of(300)
    hashes = [bucket_hash([])] * BUCKETS
    for bucket in {bucket_of(tag) for tag, _ in records}:
        hashes[bucket] = bucket_hash(in_bucket(records, bucket))
    own = kept(records)
    assert own.root == root(hashes)
    assert bucket_path(own.read, 4711) == inclusion_path(hashes, 4711)
    assert len(own.tiles) == 4096 + 256 + 16 + 1


def test_one_bucket_and_sixteen_hashes_prove_presence_and_absence() -> None:
    records = records_of(1_000)
    own = kept(records)
    for tag, index in [*records[:3], *records[-3:]]:
        bucket = bucket_of(tag)
        path = bucket_path(own.read, bucket)
        assert len(path) == 16
        shown = in_bucket(records, bucket)
        verify_bucket(shown, bucket=bucket, path=path, root=own.root)
        assert find_record(shown, tag) == index


def test_a_bucket_with_a_record_taken_out_added_or_changed_is_refused() -> None:
    crowd = sorted((b"\x12\x34" + bytes([number]) * 14, number) for number in range(5))
    records = sorted([*records_of(200), *crowd])
    own = kept(records)
    path = bucket_path(own.read, 0x1234)
    shown = in_bucket(records, 0x1234)
    verify_bucket(shown, bucket=0x1234, path=path, root=own.root)
    lies = [shown[:at] + shown[at + 1 :] for at in range(len(shown))]
    lies += [[*shown[:at], (shown[at][0], 9_999), *shown[at + 1 :]] for at in range(len(shown))]
    lies += [[], [*shown, (b"\x12\x34" + b"\xff" * 14, 6)]]
    for lie in lies:
        with pytest.raises(ProofError):
            verify_bucket(lie, bucket=0x1234, path=path, root=own.root)
    with pytest.raises(ProofError):
        verify_bucket(shown, bucket=0x1235, path=path, root=own.root)
    for at in range(16):
        broken = [*path[:at], bytes(32), *path[at + 1 :]]
        with pytest.raises(ProofError):
            verify_bucket(shown, bucket=0x1234, path=broken, root=own.root)
    for wrong in (path[:-1], [*path, bytes(32)], path[1:], []):
        with pytest.raises(ProofError):
            verify_bucket(shown, bucket=0x1234, path=wrong, root=own.root)


def change_of(own: KeptMap, records: list[Record], size: int) -> MapChange:
    """Move the map from `size` on to all records, by the buckets of the new ones."""
    dirty = {bucket_of(tag) for tag, index in records if index >= size}
    hashes = {bucket: bucket_hashes(in_bucket(records, bucket), size) for bucket in dirty}
    return change_map(own.read, own.root, hashes)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(1, 60), min_size=1, max_size=5))
def test_moved_on_in_any_steps_the_map_is_the_one_built_at_once(steps: list[int]) -> None:
    own, size = kept([]), 0
    for step in steps:
        own.apply(change_of(own, records_of(size + step), size))
        size += step
    whole = kept(records_of(size))
    assert own.root == whole.root
    assert own.tiles == whole.tiles


def test_nothing_new_changes_nothing() -> None:
    own = kept(records_of(10))
    assert change_map(own.read, own.root, {}) == MapChange((), own.root)


def test_a_map_is_never_moved_on_over_a_changed_tile() -> None:
    records = records_of(50)
    for level in range(4):
        own, index = kept(records), bucket_of(tag(50)) >> 4 * (level + 1)
        changed = bytearray(own.tiles[level, index])
        for at in range(0, 512, 32):
            changed[at] ^= 1
            own.tiles[level, index] = bytes(changed)
            with pytest.raises(StorageError, match="subject map"):
                change_of(own, records_of(51), 50)
            changed[at] ^= 1


def test_a_map_is_never_moved_on_over_tags_that_were_taken_out() -> None:
    own = kept(records_of(50))
    same_bucket = (tag(3)[:2] + bytes(14), 50)
    grown = sorted([record for record in records_of(50) if record[1] != 3] + [same_bucket])
    with pytest.raises(StorageError, match="subject map"):
        change_of(own, grown, 50)


def test_a_map_built_again_must_give_the_root_it_was_stated_with() -> None:
    own = kept(records_of(50))
    change = build_map(records_of(60), size=50, root=own.root)
    assert change.root == kept(records_of(60)).root
    without = [record for record in records_of(60) if record[1] != 3]
    with pytest.raises(StorageError, match="do not give the root"):
        build_map(without, size=50, root=own.root)
