"""The ledger's tables: insert-only, and guarded as such by the database itself.

What is *not* stored says as much as what is. An entry's commitment is `SHA-256(salt || body)`, and its leaf chains to
the one before, so neither is stored twice: full tiles hold the leaf hashes of everything but the last 255 entries, and
those are hashed again from their bodies. Two short keys index what must be found: a statement seen before, and the
entries about a subject. They are prefixes and may collide; whoever looks up compares the whole value.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Connection,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    text,
)

metadata = MetaData()

_Number = BigInteger().with_variant(Integer(), "sqlite")  # INTEGER PRIMARY KEY is SQLite's own row number: no index
_SmallNumber = SmallInteger().with_variant(Integer(), "sqlite")

ledger_entries = Table(
    "ledger_entries",
    metadata,
    Column("index", _Number, primary_key=True, autoincrement=False, comment="position in the log, from 0"),
    Column("statement_key", _Number, nullable=False, comment="first 8 bytes of SHA-256(statement), signed big endian"),
    Column("subject_key", _Number, nullable=False, comment="first 8 bytes of the subject, signed big endian"),
    # Salt and body may be empty for one reason only: the body was erased. Today the guards below refuse every UPDATE;
    # an erasure will be the one they allow, together with the commitment kept aside and an entry that says so.
    Column("salt", LargeBinary, comment="32 random bytes"),
    Column("body", LargeBinary, comment="the canonical JSON of ledger.leaf.Body"),
    CheckConstraint('"index" >= 0', name="ledger_entries_index"),
    CheckConstraint("length(salt) = 32", name="ledger_entries_salt"),
    sqlite_strict=True,
)
Index("ledger_entries_statement", ledger_entries.c.statement_key)
Index("ledger_entries_subject", ledger_entries.c.subject_key, ledger_entries.c.index)

ledger_tiles = Table(
    "ledger_tiles",
    metadata,
    Column("level", _SmallNumber, primary_key=True, autoincrement=False),
    Column("index", _Number, primary_key=True, autoincrement=False),
    Column("data", LargeBinary, nullable=False, comment="256 hashes of 32 bytes; only full tiles are stored"),
    CheckConstraint("length(data) = 8192", name="ledger_tiles_data"),
    sqlite_strict=True,
)

ledger_heads = Table(
    "ledger_heads",
    metadata,
    Column("size", _Number, primary_key=True, autoincrement=False),
    # UNIQUE makes the insertion of a head a compare-and-swap: two writers who both start from the same head cannot
    # both succeed, even if every lock failed.
    Column("prev_size", _Number, nullable=False, unique=True),
    Column("root", LargeBinary, nullable=False),
    Column("time", _Number, nullable=False, comment="milliseconds since 1970"),
    CheckConstraint("size > prev_size AND prev_size >= 0", name="ledger_heads_order"),
    CheckConstraint("length(root) = 32", name="ledger_heads_root"),
    sqlite_strict=True,
)

ledger_checkpoints = Table(
    "ledger_checkpoints",
    metadata,
    Column("size", _Number, primary_key=True, autoincrement=False),
    Column("note", Text, nullable=False, comment="the signed note, as published"),
    Column("time", _Number, nullable=False, comment="milliseconds since 1970"),
    sqlite_strict=True,
)

APPEND_ONLY_TABLES = tuple(table.name for table in metadata.sorted_tables)


def append_only_ddl(dialect_name: str) -> list[str]:
    """Return the statements that make the database refuse to change or remove a row of these tables.

    Run them after the tables exist, once. They stop a programming error and a runtime role without more rights; an
    owner of the database can drop them, which the audit and anybody who kept a checkpoint will notice.
    """
    if dialect_name == "sqlite":
        return [
            *(
                f"CREATE TRIGGER {table}_no_{operation.lower()} BEFORE {operation} ON {table} "
                f"BEGIN SELECT RAISE(ABORT, '{table} is append-only: {operation} refused'); END"
                for table in APPEND_ONLY_TABLES
                for operation in ("UPDATE", "DELETE")
            ),
            # INSERT OR REPLACE removes the row in its way without firing its DELETE trigger.
            *(
                f"CREATE TRIGGER {table}_no_replace BEFORE INSERT ON {table} "
                f"WHEN {_exists_already(table)} "
                f"BEGIN SELECT RAISE(ABORT, '{table} is append-only: this row exists already'); END"
                for table in APPEND_ONLY_TABLES
            ),
        ]
    refuse = (
        "CREATE OR REPLACE FUNCTION ledger_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "RAISE EXCEPTION '% is append-only: % refused', TG_TABLE_NAME, TG_OP USING ERRCODE = 'restrict_violation'; "
        "END $$"
    )
    # Tile hashes look random: trying to compress 8 KiB of them is work for nothing.
    storage = "ALTER TABLE ledger_tiles ALTER COLUMN data SET STORAGE EXTERNAL"
    triggers = [
        f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
        "FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuse_change()"
        for table in APPEND_ONLY_TABLES
    ]
    return [refuse, storage, *triggers]


def _exists_already(table_name: str) -> str:
    """Give the condition that a row shares a key, primary or unique, with the new one."""
    table = metadata.tables[table_name]
    keys = [[column.name for column in table.primary_key], *([c.name] for c in table.columns if c.unique)]
    same = " OR ".join(" AND ".join(f'"{name}" = NEW."{name}"' for name in key) for key in keys)
    return f"EXISTS (SELECT 1 FROM {table_name} WHERE {same})"  # noqa: S608 -- only names of this module


def create_schema(connection: Connection) -> None:
    """Create the ledger's tables and their guards in an empty database (the service uses its migrations instead)."""
    metadata.create_all(connection)
    for statement in append_only_ddl(connection.dialect.name):
        connection.execute(text(statement))
