"""PostgreSQL's binary COPY format, read without PostgreSQL (its manual, COPY, "Binary Format").

A header of 11 bytes, 4 bytes of flags and the length of an extension; then for each row the number of its fields (16
bits) and for each field its length (32 bits, -1 for NULL) and its bytes; in the end -1 in place of a number of fields.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from ledger.errors import BackupError

_SIGNATURE = b"PGCOPY\n\xff\r\n\x00"
_NO_FLAGS = b"\x00\x00\x00\x00"
_NO_EXTENSION = b"\x00\x00\x00\x00"
_HEADER = _SIGNATURE + _NO_FLAGS + _NO_EXTENSION
MAX_FIELD = 256 * 1024 * 1024
READ_AHEAD = 1024 * 1024
_INT16 = struct.Struct(">h")
_INT32 = struct.Struct(">i")
_INT64 = struct.Struct(">q")


def read_rows(path: Path, width: int) -> Iterator[list[bytes | None]]:
    """Yield the rows of a file, each of `width` fields as the database wrote them. Raises BackupError, OSError."""
    with path.open("rb") as file:
        source = _Source(file, path)
        if source.take(len(_HEADER)) != _HEADER:
            raise BackupError(f"{path.name} does not begin like the rows of a table")
        while (fields := _INT16.unpack(source.take(2))[0]) != -1:
            if fields != width:
                raise BackupError(f"{path.name} has a row of {fields} fields, expected {width}")
            row: list[bytes | None] = []
            for _ in range(width):
                length = _INT32.unpack(source.take(4))[0]
                if not -1 <= length <= MAX_FIELD:
                    raise BackupError(f"{path.name} has a field of an impossible length")
                row.append(None if length == -1 else source.take(length))
            yield row
        if source.goes_on():
            raise BackupError(f"{path.name} goes on after its end")


class _Source:
    """Bytes of a file in pieces of any size; asking the file for each of them would take most of the time."""

    def __init__(self, file: BinaryIO, path: Path) -> None:
        self._file = file
        self._path = path
        self._data = b""
        self._at = 0

    def take(self, count: int) -> bytes:
        """Give exactly `count` bytes; BackupError at the end of the file."""
        end = self._at + count
        if end > len(self._data):
            self._data = self._data[self._at :] + self._file.read(max(READ_AHEAD, count))
            self._at, end = 0, count
            if end > len(self._data):
                raise BackupError(f"{self._path.name} ends in the middle of a row")
        piece = self._data[self._at : end]
        self._at = end
        return piece

    def goes_on(self) -> bool:
        """Say whether anything follows."""
        return self._at < len(self._data) or bool(self._file.read(1))


def integer(field: bytes | None) -> int:
    """Read a bigint that is not NULL; BackupError otherwise."""
    if field is None or len(field) != _INT64.size:
        raise BackupError("a number in the backup is missing or has another size")
    value: int = _INT64.unpack(field)[0]
    return value
