"""The statements of the subject map as public files, so that anybody can recompute each map from the public leaves.

    map             the latest statement with its proof: JSON
    maps/<N>        the statements number 256 * N and following, up to 256, one a line: JSON

A line holds index, salt and body of the entry: with `prev` and the tags from the entry bundle its leaf can be checked.
Statements of the map say nothing about anybody's business; these are the only bodies that the log publishes.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from itertools import count

from sqlalchemy import Engine

from ledger.checkpoint import SignedCheckpoint
from ledger.errors import EntryNotFound, FormatError
from ledger.log import Log, StoredEntry
from ledger.map.state_proof import OpenContent, ShownEntry
from ledger.storage.map_sql import MapReader
from ledger.storage.sql import SqlLogStorage
from ledger.strict import MAX_INTEGER, decode_base64, decode_json_object, encode_base64, encode_json

MAP_FORMAT = "marchamo subject map v1"
STATEMENTS_A_FILE = 256
LATEST = "map"
_LINE_MEMBERS = {"index": int, "salt": str, "body": str}


def statements_path(number: int) -> str:
    """Give the path, below the log's address, of the file with the statements from number 256 * `number` on."""
    return f"maps/{number}"


class MapFiles:
    """Reads these files for one log, as far as a published checkpoint covers the statements."""

    def __init__(self, log: Log, engine: Engine) -> None:
        self._log = log
        self._storage = SqlLogStorage(engine)

    def latest(self, signed: SignedCheckpoint) -> bytes:
        """Give the latest statement that the checkpoint covers, with its proof. Raises EntryNotFound."""
        size = signed.checkpoint.size
        with self._storage.reading() as reader:
            index = MapReader(reader.connection).latest_stated(size)
        if index is None:
            raise EntryNotFound("no subject map was published yet")
        entry = self._log.entry(index)
        path = tuple(self._log.inclusion_path(index, size))
        shown = ShownEntry(index, entry.leaf.prev, _opened(entry), path)
        members = {"format": MAP_FORMAT, "entry": shown.to_members(), "checkpoint": signed.note_text}
        return encode_json(members) + b"\n"

    def statements(self, number: int, size: int) -> tuple[bytes, bool]:
        """Give file `number` of a log of this size, and whether it is full and so will never change.

        Raises EntryNotFound when there is no statement for it yet.
        """
        start = number * STATEMENTS_A_FILE
        with self._storage.reading() as reader:
            indexes = MapReader(reader.connection).stated_entries(start, start + STATEMENTS_A_FILE)
        lines = [_line(self._log.entry(index)) for index in indexes if index < size]
        if not lines:
            raise EntryNotFound(f"the published log has no statements of the map from number {start} on")
        return b"".join(lines), len(lines) == STATEMENTS_A_FILE

    def files(self, signed: SignedCheckpoint) -> Iterator[tuple[str, bytes]]:
        """Give path and bytes of every file that the checkpoint covers."""
        with suppress(EntryNotFound):
            for number in count():
                data, _ = self.statements(number, signed.checkpoint.size)
                yield statements_path(number), data
        with suppress(EntryNotFound):
            yield LATEST, self.latest(signed)


def read_line(line: bytes) -> tuple[int, OpenContent]:
    """Read one line of a file of statements: the entry's index, and salt and body. Raises FormatError."""
    members = decode_json_object(line)
    if members.keys() != _LINE_MEMBERS.keys() or any(
        type(members[name]) is not wanted for name, wanted in _LINE_MEMBERS.items()
    ):
        raise FormatError(f"a statement of the map has exactly the members {', '.join(_LINE_MEMBERS)}")
    if not 0 <= members["index"] <= MAX_INTEGER or not members["body"].isascii():
        raise FormatError("the index or the body of a statement of the map is malformed")
    return members["index"], OpenContent(decode_base64(members["salt"], size=32), members["body"].encode("ascii"))


def _line(entry: StoredEntry) -> bytes:
    content = _opened(entry)
    members = {"index": entry.index, "salt": encode_base64(content.salt), "body": content.body.decode("ascii")}
    return encode_json(members) + b"\n"


def _opened(entry: StoredEntry) -> OpenContent:
    if entry.body is None or entry.salt is None:
        raise EntryNotFound(f"the statement of the map in entry {entry.index} was erased")
    return OpenContent(entry.salt, entry.body.to_bytes())
