"""The log's storage in SQLite and PostgreSQL, through SQLAlchemy Core.

Bulk inserts go to the driver directly: Core's parameter processing costs more than the rest of an append.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import BigInteger, Connection, Engine, bindparam, desc, exists, func, or_, select
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.exc import IntegrityError

from ledger.errors import ForkDetected
from ledger.leaf import subject_tag
from ledger.own import OwnKind, own_subject
from ledger.storage.engine import begin_write
from ledger.storage.interface import CheckpointRow, CosignatureRow, EntryRow, Head, TagRow
from ledger.storage.tables import (
    ledger_checkpoints,
    ledger_cosignatures,
    ledger_entries,
    ledger_freezes,
    ledger_heads,
    ledger_tags,
    ledger_tiles,
)
from ledger.tiles import Tile

POSTGRESQL_LOCK = 0x4D61726368616D6F
"""Key of the advisory lock that one writer of the log holds: "Marchamo" in ASCII. One log lives in one database."""

COPY_FROM = 16
"""From this many entries on, COPY beats INSERT on PostgreSQL."""

TAGS_A_LOOK_UP = 500
"""Tags that SQLite looks up in one statement; it takes 999 places at least, however it was built."""

FROZEN_TAG = subject_tag(own_subject(OwnKind.FROZEN), 0)
"""The tag of the entry that freezes a log."""

_ENTRY_COLUMNS = (
    ledger_entries.c.index,
    ledger_entries.c.statement_key,
    ledger_entries.c.salt,
    ledger_entries.c.body,
)
_HEAD_COLUMNS = (ledger_heads.c.size, ledger_heads.c.prev_size, ledger_heads.c.root, ledger_heads.c.time)
_CHECKPOINT_COLUMNS = (ledger_checkpoints.c.size, ledger_checkpoints.c.note, ledger_checkpoints.c.time)

_HEAD = select(*_HEAD_COLUMNS).order_by(desc(ledger_heads.c.size)).limit(1)
_ENTRIES = (
    select(*_ENTRY_COLUMNS)
    .where(ledger_entries.c.index >= bindparam("start"), ledger_entries.c.index < bindparam("stop"))
    .order_by(ledger_entries.c.index)
)
_TILE = select(ledger_tiles.c.data).where(
    ledger_tiles.c.level == bindparam("level"), ledger_tiles.c.index == bindparam("index")
)
_TILE_RUN = (
    select(ledger_tiles.c.data)
    .where(
        ledger_tiles.c.level == bindparam("level"),
        ledger_tiles.c.index >= bindparam("start"),
        ledger_tiles.c.index < bindparam("stop"),
    )
    .order_by(ledger_tiles.c.index)
)
_CHECKPOINT = select(*_CHECKPOINT_COLUMNS).order_by(desc(ledger_checkpoints.c.size)).limit(1)
_CHECKPOINTS = select(*_CHECKPOINT_COLUMNS).order_by(desc(ledger_checkpoints.c.size)).limit(bindparam("limit"))
_COSIGNATURES = (
    select(ledger_cosignatures.c.line)
    .where(ledger_cosignatures.c.size == bindparam("size"))
    .order_by(ledger_cosignatures.c.key_id)
)
_FROZEN = select(or_(exists().select_from(ledger_freezes), exists().where(ledger_tags.c.tag == bindparam("tag"))))
_CHECKPOINT_OF = select(*_CHECKPOINT_COLUMNS).where(ledger_checkpoints.c.size == bindparam("size"))


_FIND_TAGS = {
    places: f'SELECT tag, "index" FROM ledger_tags WHERE tag IN ({", ".join("?" * places)})'  # noqa: S608 -- no values
    for places in (1, 32, TAGS_A_LOOK_UP)
}


class SqlLogStorage:
    """A `LogStorage` over an engine from `create_database_engine`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._statements = _Statements(engine.dialect.name)

    @contextmanager
    def reading(self) -> Iterator[SqlReader]:
        """Open a read transaction (a snapshot on SQLite; on PostgreSQL too, by REPEATABLE READ)."""
        with self._engine.connect() as plain:
            snapshot = {} if self._engine.dialect.name == "sqlite" else {"isolation_level": "REPEATABLE READ"}
            yield SqlReader(plain.execution_options(**snapshot), self._statements)

    @contextmanager
    def writing(self) -> Iterator[SqlWriter]:
        """Open the exclusive write transaction: SQLite's one write lock, or an advisory lock of PostgreSQL."""
        with begin_write(self._engine) as connection:
            if connection.dialect.name == "postgresql":
                # Held until the transaction has ended for certain, also when its client has died in COMMIT.
                connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({POSTGRESQL_LOCK})")
            yield SqlWriter(connection, self._statements)


class SqlReader:
    """Reads on one connection; see `LogReader`."""

    def __init__(self, connection: Connection, statements: _Statements) -> None:
        self.connection = connection
        self._statements = statements

    def head(self) -> Head | None:
        """Give the greatest head."""
        row = self.connection.execute(_HEAD).first()
        return None if row is None else Head(*row)

    def entries(self, start: int, stop: int) -> list[EntryRow]:
        """Give the entries of a range in order."""
        return [EntryRow(*row) for row in self.connection.execute(_ENTRIES, {"start": start, "stop": stop})]

    def entries_at(self, indexes: Sequence[int]) -> list[EntryRow]:
        """Give the entries with these indexes."""
        if not indexes:
            return []
        rows = self.connection.execute(self._statements.entries_at, {"keys": self._statements.pack(indexes)})
        return [EntryRow(*row) for row in rows]

    def find_statements(self, keys: Iterable[int]) -> list[tuple[int, int]]:
        """Give (statement key, index) of every entry with one of these keys."""
        rows = self.connection.execute(self._statements.find_statements, {"keys": self._statements.pack(keys)})
        return [(key, index) for key, index in rows]

    def find_tags(self, tags: Sequence[bytes]) -> dict[bytes, int]:
        """Give the index of the entry of each tag that exists."""
        if self._dialect == "sqlite":
            found: dict[bytes, int] = {}
            find = self._driver_connection.execute
            for at in range(0, len(tags), TAGS_A_LOOK_UP):
                part = tags[at : at + TAGS_A_LOOK_UP]
                # Few different statements, so that each is prepared once: the last places repeat a tag.
                places = 1 if len(part) == 1 else 32 if len(part) <= 32 else TAGS_A_LOOK_UP
                found.update(find(_FIND_TAGS[places], [*part, *[part[0]] * (places - len(part))]))
            return found
        rows = self._driver_connection.execute(
            'SELECT tag, "index" FROM ledger_tags WHERE tag = ANY(%b)', (list(tags),), binary=True
        )
        return dict(rows.fetchall())

    def tile(self, level: int, index: int) -> bytes | None:
        """Give a full tile."""
        data: bytes | None = self.connection.execute(_TILE, {"level": level, "index": index}).scalar()
        return data

    def tile_run(self, level: int, start: int, stop: int) -> list[bytes]:
        """Give the full tiles of a range in order."""
        rows = self.connection.execute(_TILE_RUN, {"level": level, "start": start, "stop": stop})
        return list(rows.scalars())

    def checkpoint(self) -> CheckpointRow | None:
        """Give the latest published checkpoint."""
        row = self.connection.execute(_CHECKPOINT).first()
        return None if row is None else CheckpointRow(*row)

    def checkpoint_of(self, size: int) -> CheckpointRow | None:
        """Give the published checkpoint of exactly this size."""
        row = self.connection.execute(_CHECKPOINT_OF, {"size": size}).first()
        return None if row is None else CheckpointRow(*row)

    def checkpoints(self, limit: int) -> list[CheckpointRow]:
        """Give the latest published checkpoints, newest first."""
        rows = self.connection.execute(_CHECKPOINTS, {"limit": limit})
        return [CheckpointRow(*row) for row in rows]

    def cosignatures(self, size: int) -> list[str]:
        """Give the witnesses' signature lines on the checkpoint of this size."""
        return list(self.connection.execute(_COSIGNATURES, {"size": size}).scalars())

    def frozen(self) -> bool:
        """Say whether the log has been frozen: by the row that says so, or by the entry, which outlasts the row."""
        return bool(self.connection.execute(_FROZEN, {"tag": FROZEN_TAG}).scalar())

    @property
    def _dialect(self) -> str:
        return self.connection.dialect.name

    @property
    def _driver_connection(self) -> Any:
        return self.connection.connection.driver_connection


class SqlWriter(SqlReader):
    """Reads and adds on the connection that holds the lock; see `LogWriter`."""

    def __init__(self, connection: Connection, statements: _Statements) -> None:
        super().__init__(connection, statements)
        self._marked = False

    def keep(self) -> None:
        """Move the savepoint to here, in one round trip."""
        if self._marked:
            self._driver("RELEASE SAVEPOINT ledger_item")
        self._driver("SAVEPOINT ledger_item")
        self._marked = True

    def undo(self) -> None:
        """Go back to the savepoint, which remains."""
        self._driver("ROLLBACK TO SAVEPOINT ledger_item")

    def add_entries(self, rows: Sequence[EntryRow]) -> None:
        """Add entries."""
        self._insert_many(
            'ledger_entries ("index", statement_key, salt, body)', rows, ["int8", "int8", "bytea", "bytea"]
        )

    def add_tags(self, rows: Sequence[TagRow]) -> None:
        """Add tags, in order: neighbours share a page of the index."""
        self._insert_many('ledger_tags (tag, "index")', sorted(rows), ["bytea", "int8"])

    def add_cosignatures(self, rows: Sequence[CosignatureRow]) -> None:
        """Add signature lines of witnesses that are not there yet."""
        there = {size: set(self.cosignatures(size)) for size in {row.size for row in rows}}
        known = {(size, line) for size, lines in there.items() for line in lines}
        fresh = [row for row in rows if (row.size, row.line) not in known]
        self._insert("ledger_cosignatures (size, key_id, line, time)", fresh)

    def add_tiles(self, tiles: Sequence[Tile]) -> None:
        """Add full tiles."""
        self._insert('ledger_tiles (level, "index", data)', [(tile.level, tile.index, tile.data) for tile in tiles])

    def add_head(self, head: Head) -> None:
        """Add a head; the UNIQUE on prev_size makes it a compare-and-swap."""
        try:
            self._insert("ledger_heads (size, prev_size, root, time)", [head])
        except IntegrityError as error:
            raise ForkDetected(
                f"another writer already extended the log from size {head.prev_size}",
                fix="Look for a second service that writes to this database without the log's lock.",
            ) from error

    def add_checkpoint(self, row: CheckpointRow) -> None:
        """Add a published checkpoint."""
        self._insert("ledger_checkpoints (size, note, time)", [row])

    def _insert(self, into: str, rows: Sequence[tuple[Any, ...]]) -> None:
        if rows:
            places = ", ".join([self._statements.place] * len(rows[0]))
            insert = f"INSERT INTO {into} VALUES ({places})"  # noqa: S608 -- only this module's own names
            self.connection.exec_driver_sql(insert, [tuple(row) for row in rows])

    def _insert_many(self, into: str, rows: Sequence[tuple[Any, ...]], types: Sequence[str]) -> None:
        if len(rows) >= COPY_FROM and self._dialect == "postgresql":
            self._copy(into, rows, types)
        else:
            self._insert(into, rows)

    def _copy(self, into: str, rows: Sequence[tuple[Any, ...]], types: Sequence[str]) -> None:
        """Insert many rows by PostgreSQL's COPY, in about half the time."""
        with self._driver_connection.cursor() as cursor, cursor.copy(f"COPY {into} FROM STDIN (FORMAT BINARY)") as copy:
            copy.set_types(types)
            for row in rows:
                copy.write_row(row)

    def _driver(self, statement: str) -> None:
        """Run a statement that SQLAlchemy need not know of: an item of a group costs two of them."""
        self._driver_connection.execute(statement)


class _Statements:
    """The few statements that differ between the databases: a list of keys as one parameter."""

    def __init__(self, dialect_name: str) -> None:
        self._sqlite = dialect_name == "sqlite"
        self.place = "?" if self._sqlite else "%s"
        table = ledger_entries.c
        found = select(table.statement_key, table.index).order_by(table.index)
        if self._sqlite:
            key = func.json_each(bindparam("keys")).table_valued("value").c.value
            self.find_statements = found.join_from(key.table, ledger_entries, table.statement_key == key)
            at = select(*_ENTRY_COLUMNS).join_from(key.table, ledger_entries, table.index == key)
        else:
            keys = bindparam("keys", type_=ARRAY(BigInteger))
            key = func.unnest(keys).column_valued("key")
            # Not a join: a planner without statistics would read the whole table for it.
            self.find_statements = found.where(table.statement_key == func.any(keys))
            at = select(*_ENTRY_COLUMNS).where(table.index == func.any(keys))
        self.entries_at = at.order_by(table.index)

    def pack(self, keys: Iterable[int]) -> str | list[int]:
        """Give the keys as the one parameter."""
        return json.dumps(list(keys)) if self._sqlite else list(keys)
