"""Serials of large batches: distinct, ascending, of the right form, evenly spread."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest

from app.registry.serials import ascending_serials, in_chunks
from scanners.codes.serial import ALPHABET, SERIAL_LENGTH, handle_of, serials_are_unguessable


@pytest.mark.parametrize("count", [0, 1, 65_536, 65_537, 200_000])
def test_a_batch_has_so_many_distinct_serials_in_ascending_order(count: int) -> None:
    serials = list(ascending_serials("ABCDE", count))
    assert len(serials) == count
    assert all(a < b for a, b in pairwise(serials))
    assert all(len(serial) == SERIAL_LENGTH and handle_of(serial) == "ABCDE" for serial in serials)


def test_every_character_of_a_large_batch_is_equally_likely() -> None:
    serials = list(ascending_serials("ABCDE", 100_000))
    for position in range(5, SERIAL_LENGTH):
        counts = Counter(serial[position] for serial in serials)
        assert set(counts) == set(ALPHABET)
        # 3,125 expected; the standard deviation is 55: seven of them are never seen.
        assert all(abs(count - 3_125) < 400 for count in counts.values())
    assert serials_are_unguessable(serials[::50])


def test_chunks_keep_order_and_lose_nothing() -> None:
    assert list(in_chunks("ABCDEFG", 3)) == [["A", "B", "C"], ["D", "E", "F"], ["G"]]
    assert list(in_chunks([], 3)) == []
