"""Serials of a large batch in ascending order, a chunk at a time: a million of them never lie in memory together.

A batch's units are written in the order of their serials, so generating and sorting them first would cost 90 bytes of
memory a unit. Instead the random choice is made in two steps: first how many serials begin with each of 1,024
two-character prefixes (the same random draw, counted), then the rest of each, prefix by prefix.
"""

import os
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import islice

from scanners.codes.serial import ALPHABET, RANDOM_LENGTH, generate_serials

_PREFIX_LENGTH = 2
_SUFFIX_LENGTH = RANDOM_LENGTH - _PREFIX_LENGTH
_PREFIXES = [first + second for first in ALPHABET for second in ALPHABET]
_TO_ALPHABET = bytes(ord(ALPHABET[byte & 31]) for byte in range(256))
_AT_ONCE = 65_536
"""Up to so many the plain way is as good."""


def ascending_serials(handle: str, count: int) -> Iterator[str]:
    """`count` distinct serials in ascending order: `handle` and 12 characters, 60 bits of the system's randomness."""
    if count <= _AT_ONCE:
        yield from generate_serials(handle, count)
        return
    counts = _prefix_counts(count)
    for prefix in _PREFIXES:
        yield from sorted(handle + prefix + suffix for suffix in _suffixes(counts[prefix]))


def in_chunks(serials: Iterable[str], size: int) -> Iterator[list[str]]:
    """The serials in lists of `size`, the last one shorter."""
    remaining = iter(serials)
    while chunk := list(islice(remaining, size)):
        yield chunk


def _prefix_counts(count: int) -> Counter[str]:
    """How many of `count` uniformly random serials begin with each prefix."""
    counts: Counter[str] = Counter()
    for start in range(0, count, _AT_ONCE):
        drawn = min(_AT_ONCE, count - start)
        text = os.urandom(drawn * _PREFIX_LENGTH).translate(_TO_ALPHABET).decode("ascii")
        counts.update(text[at : at + _PREFIX_LENGTH] for at in range(0, len(text), _PREFIX_LENGTH))
    return counts


def _suffixes(count: int) -> set[str]:
    """`count` distinct suffixes; a repeated one is drawn again, until there are enough."""
    suffixes: set[str] = set()
    while len(suffixes) < count:
        missing = count - len(suffixes)
        text = os.urandom(missing * _SUFFIX_LENGTH).translate(_TO_ALPHABET).decode("ascii")
        suffixes.update(text[at : at + _SUFFIX_LENGTH] for at in range(0, len(text), _SUFFIX_LENGTH))
    return suffixes
