"""Reel and box labels of electronic parts: ANSI MH10.8.2 data identifiers in an ISO/IEC 15434 envelope."""

from __future__ import annotations

from dataclasses import dataclass

RS, GS, EOT = "\x1e", "\x1d", "\x04"
ENVELOPE = "[)>"


@dataclass(frozen=True, slots=True)
class ReelLabel:
    """The fields of a label in order: (data identifier, value)."""

    fields: tuple[tuple[str, str], ...]
