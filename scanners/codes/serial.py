"""Serials: Crockford base 32, a batch handle followed by random characters, and the check of serials of others.

The handle lets an offline reader answer a recall of the batch; the 12 random characters (60 bits from the operating
system's cryptographic source) are what nobody can guess.
"""

from __future__ import annotations

import itertools
import math
import operator
import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence

from scanners.codes.check_digits import CHARACTER_VALUES
from scanners.codes.errors import CodeError
from scanners.codes.identity import SERIAL_PATTERN

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
HANDLE_LENGTH = 5
RANDOM_LENGTH = 12
SERIAL_LENGTH = HANDLE_LENGTH + RANDOM_LENGTH

_HANDLE = re.compile(rf"[{ALPHABET}]{{{HANDLE_LENGTH}}}")
_OURS = re.compile(rf"[{ALPHABET}]{{{SERIAL_LENGTH},20}}")
# Byte b becomes ALPHABET[b & 31]: 256 is a multiple of 32, so each character is equally likely.
_TO_ALPHABET = bytes(ord(ALPHABET[byte & 31]) for byte in range(256))
_CHUNK = 65_536

_MINIMUM_LENGTH = 12
# 60 bits, less what a sample of them may hide: noise in a large batch, two equal characters by chance in a small one.
_MINIMUM_BITS_LARGE = 57.0
_MINIMUM_BITS_SMALL = 50.0
_LARGE_BATCH = 64
_SAMPLE = 50_000
_TAIL = 4
_TOLERATED_SHARE = 0.01
_CLASSES = (
    (10, frozenset("0123456789")),
    (16, frozenset("0123456789ABCDEF")),
    (16, frozenset("0123456789abcdef")),
    (32, frozenset(ALPHABET)),
    (36, frozenset("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ")),
    (36, frozenset("0123456789abcdefghijklmnopqrstuvwxyz")),
    (82, frozenset(CHARACTER_VALUES)),
)


def generate_handle() -> str:
    """Return a random batch handle (25 bits); the registry keeps it unique."""
    return os.urandom(HANDLE_LENGTH).translate(_TO_ALPHABET).decode("ascii")


def generate_serials(handle: str, count: int) -> list[str]:
    """Return `count` distinct serials in ascending order, each `handle` and 12 random characters.

    Raises CodeError ("handle", "count").
    """
    if not _HANDLE.fullmatch(handle):
        raise CodeError("handle", f"A batch handle has {HANDLE_LENGTH} characters of Crockford base 32, upper case.")
    if count < 0:
        raise CodeError("count", "The number of serials can not be negative.")
    serials: list[str] = []
    while len(serials) < count:
        for wanted in _chunks(count - len(serials)):
            text = os.urandom(wanted * RANDOM_LENGTH).translate(_TO_ALPHABET).decode("ascii")
            serials += [handle + text[start : start + RANDOM_LENGTH] for start in range(0, len(text), RANDOM_LENGTH)]
        serials.sort()
        if any(map(operator.eq, serials, itertools.islice(serials, 1, None))):
            serials = sorted(set(serials))
    return serials


def handle_of(serial: str) -> str | None:
    """Return the batch handle of a serial of our own form, None for any other serial."""
    return serial[:HANDLE_LENGTH] if _OURS.fullmatch(serial) else None


def check_supplied_serial(text: str) -> str:
    """Return a serial that a firm brings, unchanged, or raise CodeError ("serial") if AI 21 does not allow it."""
    if not SERIAL_PATTERN.fullmatch(text) or text in {".", ".."}:
        raise CodeError("serial", "A serial has 1 to 20 characters of the GS1 set of 82 (AI 21).")
    return text


def serials_are_unguessable(serials: Sequence[str]) -> bool:
    """Judge whether the serials of one batch look as if nobody could guess another one (a heuristic, and strict).

    False unless all of this holds: each has at least 12 characters; they are distinct; what varies over the batch
    carries about 60 bits, position by position (a fixed prefix, a year, a counter's leading zeros count nothing);
    no more than one neighbour in a hundred, in sorted order, shares all but the last four characters (counters and
    dense blocks do); and the steps from one to the next are not mostly the same. The measure can not see a secret
    pattern: it is a necessary test, not a proof.
    """
    if not serials or not all(
        len(serial) >= _MINIMUM_LENGTH and SERIAL_PATTERN.fullmatch(serial) for serial in serials
    ):
        return False
    if len(set(serials)) != len(serials):
        return False
    ordered = sorted(serials)
    evenly_spread = ordered[:: len(ordered) // _SAMPLE + 1]
    return _varies_enough(evenly_spread) and not _is_dense(ordered) and not _is_regular(ordered[:_SAMPLE])


def _varies_enough(serials: Sequence[str]) -> bool:
    """Add up the bits that each position carries.

    From 64 serials on the entropy is measured. A smaller batch can not show it: there each position after the common
    beginning is credited with the class of the characters seen, and with twice as many as were seen at most.
    """
    if len(serials) >= _LARGE_BATCH:
        return sum(_entropy(column) for column in zip(*serials, strict=False)) >= _MINIMUM_BITS_LARGE
    first, last = serials[0], serials[-1]
    # In sorted order the first and the last share what all share.
    shared = len(first) if len(serials) > 1 else 0
    start = next((place for place, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), shared)
    tails = [serial[start:] for serial in serials]
    seen = set().union(*tails)
    class_size = next(size for size, characters in _CLASSES if seen <= characters)
    return min(map(len, tails)) * math.log2(min(class_size, 2 * len(seen))) >= _MINIMUM_BITS_SMALL


def _entropy(column: Sequence[str]) -> float:
    counts = Counter(column)
    total = len(column)
    measured = -sum(count / total * math.log2(count / total) for count in counts.values())
    # Miller and Madow's correction: a sample shows less entropy than its source has.
    return measured + (len(counts) - 1) / (2 * total * math.log(2))


def _is_dense(ordered: Sequence[str]) -> bool:
    close = sum(a[:-_TAIL] == b[:-_TAIL] for a, b in itertools.pairwise(ordered))
    return close > _TOLERATED_SHARE * (len(ordered) - 1)


def _is_regular(ordered: Sequence[str]) -> bool:
    if len(ordered) < 3 or not all(serial.isalnum() for serial in ordered):
        return False
    seen = {character.upper() for serial in ordered for character in serial}
    base = next(base for base in (10, 16, 36) if seen <= set("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"[:base]))
    numbers = sorted(int(serial, base) for serial in ordered)
    steps = Counter(b - a for a, b in itertools.pairwise(numbers))
    return steps.most_common(1)[0][1] > max(1, len(ordered) // 10)


def _chunks(count: int) -> Iterator[int]:
    for start in range(0, count, _CHUNK):
        yield min(_CHUNK, count - start)
