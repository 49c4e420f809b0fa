"""What a fuzzer attacks: one reader that takes bytes from outside, and the law it must keep."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Target:
    """One reader: its valid examples, the errors it may raise, and how it reads and writes again.

    `read` gives back the bytes that writing the value again yields. A reader of signed things goes further: whatever it
    accepts must be one of the genuine things, however it was changed; `read` asserts it.
    """

    name: str
    seeds: tuple[bytes, ...]
    errors: tuple[type[Exception], ...]
    read: Callable[[bytes], bytes]

    def accepts(self, data: bytes) -> bool:
        """Whether the reader takes these bytes; fails when it breaks its law."""
        try:
            written = self.read(data)
        except self.errors:
            return False
        assert written == data, "what was read is not written back as it came"
        return True


def as_text(data: bytes) -> str:
    """Any bytes as a text for readers of texts, half characters included."""
    return data.decode("utf-8", "surrogateescape")


def as_bytes(text: str) -> bytes:
    """The bytes that `as_text` made the text of."""
    return text.encode("utf-8", "surrogateescape")
