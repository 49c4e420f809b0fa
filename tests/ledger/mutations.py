"""Changed copies of valid bytes: what most often finds a hole in a strict reader. Random bytes rarely pass line one."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from hypothesis import strategies as st

TOKENS: tuple[bytes, ...] = (
    *(
        b"\n",
        b"\n\n",
        b"\r\n",
        b"\r",
        b" ",
        b"\t",
        b"\x00",
        b"\x0b",
        b"\x1f",
        b"\x7f",
        b"\xff",
        b"\xc3",
        b"\xef\xbb\xbf",
    ),
    *("\u2028".encode(), "\u00a0".encode(), "\u0665".encode(), "\x85".encode(), "— ".encode(), b"\xed\xa0\x80"),
    *(b"0", b"00", b"-1", b"+1", b"1_0", b"1e3", b"0x1", b"1.0", b"9223372036854775807", b"9223372036854775808"),
    *(b"null", b"true", b"NaN", b"Infinity", b"{}", b"[]", b'""', b'"\\ud800"', b'"\\u0041"', b"\\", b'"', b",", b":"),
    *(b"=", b"==", b"AA==", b"AB==", b"-", b"_", b"+", b"/", b".", b"..", b".p/", b"x", b"%00"),
    *(b"[" * 40, b'{"a":' * 40, b"9" * 5000),
)
"""What readers stumble over: line ends, spaces and digits of other alphabets, odd numbers, pieces of JSON, base64."""

_SCALAR = re.compile(rb'"[^"]*"|-?[0-9]+|true|false|null')

Draw = Callable[[st.SearchStrategy[int]], int]


@st.composite
def mutants(draw: st.DrawFn, seeds: Sequence[bytes]) -> bytes:
    """A valid example after one to four changes."""
    data = draw(st.sampled_from(seeds))
    for _ in range(draw(st.integers(1, 4))):
        data = _CHANGES[draw(st.integers(0, len(_CHANGES) - 1))](draw, data, seeds)
    return data


def _flip(draw: Draw, data: bytes, seeds: Sequence[bytes]) -> bytes:
    changed = bytearray(data or b"\x00")
    changed[draw(st.integers(0, len(changed) - 1))] ^= 1 << draw(st.integers(0, 7))
    return bytes(changed)


def _remove(draw: Draw, data: bytes, seeds: Sequence[bytes]) -> bytes:
    start, end = _span(draw, data)
    return data[:start] + data[end:]


def _repeat(draw: Draw, data: bytes, seeds: Sequence[bytes]) -> bytes:
    start, end = _span(draw, data)
    return data[:end] + data[start:end] + data[end:]


def _insert(draw: Draw, data: bytes, seeds: Sequence[bytes]) -> bytes:
    at = draw(st.integers(0, len(data)))
    return data[:at] + TOKENS[draw(st.integers(0, len(TOKENS) - 1))] + data[at:]


def _overwrite(draw: Draw, data: bytes, seeds: Sequence[bytes]) -> bytes:
    start, end = _span(draw, data)
    return data[:start] + TOKENS[draw(st.integers(0, len(TOKENS) - 1))] + data[end:]


def _splice(draw: Draw, data: bytes, seeds: Sequence[bytes]) -> bytes:
    """The start of this example and the end of another."""
    other = seeds[draw(st.integers(0, len(seeds) - 1))]
    return data[: draw(st.integers(0, len(data)))] + other[draw(st.integers(0, len(other))) :]


def _swap_lines(draw: Draw, data: bytes, seeds: Sequence[bytes]) -> bytes:
    lines = data.split(b"\n")
    one, two = draw(st.integers(0, len(lines) - 1)), draw(st.integers(0, len(lines) - 1))
    lines[one], lines[two] = lines[two], lines[one]
    return b"\n".join(lines)


def _exchange_scalar(draw: Draw, data: bytes, seeds: Sequence[bytes]) -> bytes:
    """A number, text or word of JSON becomes something else."""
    found = list(_SCALAR.finditer(data))
    if not found:
        return data
    one = found[draw(st.integers(0, len(found) - 1))]
    return data[: one.start()] + TOKENS[draw(st.integers(0, len(TOKENS) - 1))] + data[one.end() :]


def _span(draw: Draw, data: bytes) -> tuple[int, int]:
    start = draw(st.integers(0, len(data)))
    return start, min(len(data), start + draw(st.integers(1, 40)))


_CHANGES = (_flip, _remove, _repeat, _insert, _overwrite, _splice, _swap_lines, _exchange_scalar)
