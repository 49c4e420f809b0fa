"""PostgreSQL's binary COPY format is read by its manual, and nothing but the declared error comes out."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.backup.copy_format import integer, read_rows
from ledger.errors import BackupError

HEADER = b"PGCOPY\n\xff\r\n\x00" + bytes(8)
END = b"\xff\xff"


def row(*fields: bytes | None) -> bytes:
    parts = [b"\xff\xff\xff\xff" if field is None else struct.pack(">i", len(field)) + field for field in fields]
    return struct.pack(">h", len(fields)) + b"".join(parts)


def read(path: Path, data: bytes, width: int = 2) -> list[list[bytes | None]]:
    path.write_bytes(data)
    return list(read_rows(path, width))


@given(st.lists(st.tuples(st.none() | st.binary(max_size=40), st.none() | st.binary(max_size=40)), max_size=5))
def test_rows_read_back(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[bytes | None, bytes | None]]
) -> None:
    path = tmp_path_factory.mktemp("rows") / "t.copy"
    assert read(path, HEADER + b"".join(row(*fields) for fields in rows) + END) == [list(fields) for fields in rows]


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"", "middle"),
        (b"PGCOPY\n\xff\r\n\x00" + b"\x00\x01\x00\x00" + bytes(4) + END, "begin"),
        (HEADER, "middle"),
        (HEADER + row(b"1", b"2"), "middle"),
        (HEADER + row(b"1", b"2")[:-1], "middle"),
        (HEADER + row(b"1") + END, "fields"),
        (HEADER + row(b"1", b"2", b"3") + END, "fields"),
        (HEADER + END + b"x", "goes on"),
        (HEADER + struct.pack(">hi", 2, -2) + END, "length"),
        (HEADER + struct.pack(">hi", 2, 2**31 - 1) + END, "length"),
    ],
)
def test_a_file_of_another_shape_is_refused(tmp_path: Path, data: bytes, what: str) -> None:
    with pytest.raises(BackupError, match=what):
        read(tmp_path / "t.copy", data)


@given(st.binary(max_size=60))
def test_any_bytes_give_rows_or_the_declared_error(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.mktemp("any") / "t.copy"
    try:
        read(path, HEADER + data)
    except BackupError:
        return


def test_a_number_is_eight_bytes_and_never_nothing() -> None:
    assert integer(b"\xff" * 8) == -1
    for field in (None, b"", bytes(4)):
        with pytest.raises(BackupError):
            integer(field)
