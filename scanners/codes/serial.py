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

_MINIMUM_GUESSPROOF_LENGTH = 12
_MINIMUM_BITS = 60.0


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
    """Judge whether serials of one batch look as if nobody could guess the next one (a heuristic, and strict).

    False unless all of this holds: each has at least 12 characters; they are distinct; the characters that vary
    carry at least 60 bits in all, measured position by position over the batch (a fixed prefix, a year or a counter's
    leading zeros count nothing); and no two neighbours in sorted order share all but their last four varying
    characters (counters and dense blocks do). The measure can not see a secret pattern: it is a necessary test. Small
    batches can not show their entropy position by position, so each is measured by the classes of its characters.
    """
    if not serials or any(len(serial) < _MINIMUM_GUESSPROOF_LENGTH for serial in serials):
        return False
    if len(set(serials)) != len(serials):
        return False
    return _entropy_bits(serials) >= _MINIMUM_BITS and not _has_dense_neighbours(serials)


def _entropy_bits(serials: Sequence[str]) -> float:
    shortest = min(map(len, serials))
    bits = 0.0
    for position in range(shortest):
        counts = Counter(serial[position] for serial in serials)
        total = len(serials)
        bits += -sum(n / total * math.log2(n / total) for n in counts.values())
    return bits


def _has_dense_neighbours(serials: Sequence[str]) -> bool:
    return any(a[:-4] == b[:-4] for a, b in itertools.pairwise(sorted(serials)))


def _chunks(count: int) -> Iterator[int]:
    for start in range(0, count, _CHUNK):
        yield min(_CHUNK, count - start)
