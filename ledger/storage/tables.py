"""The ledger's tables: insert-only, and guarded as such by the database itself.

What is *not* stored says as much as what is. An entry's commitment is `SHA-256(salt || body)`, and its leaf chains to
the one before, so neither is stored twice: full tiles hold the leaf hashes of everything but the last 255 entries, and
those are hashed again from their bodies. What must be found are a statement seen before, by a short key (a prefix that
may collide: whoever looks up compares the whole statement), and the entries about a subject, by their tags.
"""

from __future__ import annotations

import re

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Connection,
    ForeignKey,
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
    Column("salt", LargeBinary, comment="32 random bytes; NULL when the body was erased"),
    Column("body", LargeBinary, nullable=False, comment="JSON of ledger.leaf.Body; erased: commitment || tags"),
    CheckConstraint('"index" >= 0', name="ledger_entries_index"),
    CheckConstraint("length(salt) = 32", name="ledger_entries_salt"),
    sqlite_strict=True,
)
Index("ledger_entries_statement", ledger_entries.c.statement_key)

ledger_tags = Table(
    "ledger_tags",
    metadata,
    Column("tag", LargeBinary, primary_key=True, comment="16 bytes, ledger.leaf.subject_tag"),
    Column("index", _Number, nullable=False, comment="the entry that bears it"),
    CheckConstraint("length(tag) = 16", name="ledger_tags_tag"),
    sqlite_with_rowid=False,  # the tags are the table: no second copy of them in an index
    sqlite_strict=True,
)

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

ledger_cosignatures = Table(
    "ledger_cosignatures",
    metadata,
    Column("size", _Number, primary_key=True, autoincrement=False, comment="of the published checkpoint"),
    Column("key_id", _Number, primary_key=True, autoincrement=False, comment="of the witness's key"),
    Column("line", Text, nullable=False, comment="signature line of the note, verified before it was stored"),
    Column("time", _Number, nullable=False, comment="milliseconds since 1970"),
    sqlite_strict=True,
)

ledger_erasures = Table(
    "ledger_erasures",
    metadata,
    Column("index", _Number, primary_key=True, autoincrement=False, comment="the entry whose body was erased"),
    Column(
        "erased_by",
        _Number,
        # Deferred: the record comes first, so that the guard lets the body go, and then the entry that says so.
        ForeignKey("ledger_entries.index", name="ledger_erasures_said", deferrable=True, initially="DEFERRED"),
        nullable=False,
        comment="the entry that says so",
    ),
    CheckConstraint('erased_by > "index"', name="ledger_erasures_order"),
    sqlite_strict=True,
)

ledger_map_heads = Table(
    "ledger_map_heads",
    metadata,
    Column("size", _Number, primary_key=True, autoincrement=False, comment="entries whose tags the map holds"),
    Column("root", LargeBinary, nullable=False),
    Column("entry", _Number, nullable=False, unique=True, comment="the entry that states this head"),
    Column("time", _Number, nullable=False, comment="milliseconds since 1970"),
    CheckConstraint("length(root) = 32", name="ledger_map_heads_root"),
    CheckConstraint("entry >= size", name="ledger_map_heads_entry"),
    sqlite_strict=True,
)

ledger_freezes = Table(
    "ledger_freezes",
    metadata,
    Column("entry", _Number, primary_key=True, autoincrement=False, comment="the last entry of the log"),
    Column("time", _Number, nullable=False, comment="milliseconds since 1970"),
    sqlite_strict=True,
)

ledger_alarms = Table(
    "ledger_alarms",
    metadata,
    Column("number", _Number, primary_key=True, autoincrement=False, comment="counted from 1"),
    Column("time", _Number, nullable=False, comment="milliseconds since 1970"),
    Column("kind", Text, nullable=False),
    Column("detail", Text, nullable=False, comment="a sentence for people"),
    Column("evidence", Text, nullable=False, comment="such as the signed note that contradicts this log"),
    sqlite_strict=True,
)

ledger_audits = Table(
    "ledger_audits",
    metadata,
    Column("number", _Number, primary_key=True, autoincrement=False, comment="counted from 1"),
    Column("time", _Number, nullable=False, comment="milliseconds since 1970"),
    Column("mode", Text, nullable=False),
    Column("size", _Number, nullable=False, comment="entries of the log when it was audited"),
    Column("ok", _SmallNumber, nullable=False, comment="1 when no fault was found"),
    Column("report", Text, nullable=False, comment="JSON of ledger.audit.report.AuditReport"),
    sqlite_strict=True,
)

APPEND_ONLY_TABLES = tuple(table.name for table in metadata.sorted_tables)
"""What the guards protect. `ledger_map_tiles`, below, is none of them: it can be made again from the tags."""

ledger_map_tiles = Table(
    "ledger_map_tiles",
    metadata,
    Column("level", _SmallNumber, primary_key=True, autoincrement=False),
    Column("index", _Number, primary_key=True, autoincrement=False),
    Column("data", LargeBinary, nullable=False, comment="16 hashes of 32 bytes"),
    CheckConstraint("length(data) = 512", name="ledger_map_tiles_data"),
    sqlite_strict=True,
)


def append_only_ddl(dialect_name: str) -> list[str]:
    """Return the statements that make the database refuse to change or remove a row of these tables.

    One change is allowed, once: a body whose erasure is recorded gives way to what the leaf needs of it. And once the
    log is frozen no head follows. Run the statements after the tables exist, once. They stop a programming error and a
    runtime role without more rights; an owner of the database can drop them, which the audit and anybody who kept a
    checkpoint will notice.
    """
    return _sqlite_guards() if dialect_name == "sqlite" else _postgresql_guards()


_TRIGGER = re.compile(r"CREATE TRIGGER (\w+) BEFORE .*? ON (\w+)")
_FUNCTION = re.compile(r"CREATE OR REPLACE FUNCTION (\w+)\(\) .* AS \$\$(.*)\$\$", re.DOTALL)


def guard_triggers(dialect_name: str) -> dict[tuple[str, str], str]:
    """Give the statement that makes each guard, by its table and its own name."""
    found = {}
    for statement in append_only_ddl(dialect_name):
        if match := _TRIGGER.match(statement):
            found[match[2], match[1]] = statement
    return found


def guard_functions() -> dict[str, str]:
    """Give the source of each function by which PostgreSQL's guards decide, by its name."""
    return {match[1]: match[2] for statement in _postgresql_guards() if (match := _FUNCTION.match(statement))}


def pin_search_path(function: str) -> str:
    """Give the statement that fixes where a guard's function of PostgreSQL finds its tables: in the schema it is in.

    Without it whoever may make temporary tables puts one of the same name in the way, which is found first.
    """
    return (
        f"DO $do$ BEGIN EXECUTE format('ALTER FUNCTION %I.{function}() SET search_path = pg_catalog, %I, pg_temp', "
        "current_schema(), current_schema()); END $do$"
    )


def _sqlite_guards() -> list[str]:
    def refuse(table: str, name: str, when: str, why: str) -> str:
        return f"CREATE TRIGGER {table}_{name} BEFORE {when} BEGIN SELECT RAISE(ABORT, '{why}'); END"

    return [
        *(
            refuse(
                table,
                f"no_{operation.lower()}",
                f"{operation} ON {table}",
                f"{table} is append-only: {operation} refused",
            )
            for table in APPEND_ONLY_TABLES
            for operation in ("UPDATE", "DELETE")
            if (table, operation) != ("ledger_entries", "UPDATE")
        ),
        refuse(
            "ledger_entries",
            "no_update",
            f"UPDATE ON ledger_entries WHEN ({_ERASES} AND {_SQLITE_REMAINS}) IS NOT TRUE",
            "ledger_entries is append-only: UPDATE refused",
        ),
        # INSERT OR REPLACE removes the row in its way without firing its DELETE trigger.
        *(
            refuse(
                table,
                "no_replace",
                f"INSERT ON {table} WHEN {_exists_already(table)}",
                f"{table} is append-only: this row exists already",
            )
            for table in APPEND_ONLY_TABLES
        ),
        refuse(
            "ledger_heads",
            "frozen",
            "INSERT ON ledger_heads WHEN EXISTS (SELECT 1 FROM ledger_freezes WHERE entry < NEW.prev_size)",
            "the log is frozen",
        ),
    ]


def _postgresql_guards() -> list[str]:
    refuse = (
        "CREATE OR REPLACE FUNCTION ledger_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "RAISE EXCEPTION '% is append-only: % refused', TG_TABLE_NAME, TG_OP USING ERRCODE = 'restrict_violation'; "
        "END $$"
    )
    frozen = (
        "CREATE OR REPLACE FUNCTION ledger_refuse_head() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "IF EXISTS (SELECT 1 FROM ledger_freezes WHERE entry < NEW.prev_size) THEN "
        "RAISE EXCEPTION 'the log is frozen' USING ERRCODE = 'restrict_violation'; END IF; RETURN NEW; END $$"
    )
    # A WHEN clause may not look into another table, a function may.
    erasure = (
        "CREATE OR REPLACE FUNCTION ledger_only_erase() RETURNS trigger LANGUAGE plpgsql AS $$ "
        "DECLARE said json; BEGIN "
        f"IF ({_ERASES}) IS TRUE THEN said := convert_from(OLD.body, 'UTF8')::json; "
        f"IF ({_POSTGRESQL_REMAINS}) IS TRUE THEN RETURN NEW; END IF; END IF; "
        "RAISE EXCEPTION 'ledger_entries is append-only: UPDATE refused' USING ERRCODE = 'restrict_violation'; END $$"
    )
    # Tile hashes look random: trying to compress 8 KiB of them is work for nothing.
    storage = "ALTER TABLE ledger_tiles ALTER COLUMN data SET STORAGE EXTERNAL"
    refused = dict.fromkeys(APPEND_ONLY_TABLES, "UPDATE OR DELETE OR TRUNCATE")
    refused["ledger_entries"] = "DELETE OR TRUNCATE"
    triggers = [
        f"CREATE TRIGGER {table}_append_only BEFORE {operations} ON {table} "
        "FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuse_change()"
        for table, operations in refused.items()
    ]
    for name, when, function in (
        ("ledger_entries_only_erase", "UPDATE ON ledger_entries", "ledger_only_erase"),
        ("ledger_heads_frozen", "INSERT ON ledger_heads", "ledger_refuse_head"),
    ):
        triggers.append(f"CREATE TRIGGER {name} BEFORE {when} FOR EACH ROW EXECUTE FUNCTION {function}()")
    pinned = [pin_search_path(name) for name in ("ledger_refuse_change", "ledger_refuse_head", "ledger_only_erase")]
    return [refuse, frozen, erasure, *pinned, storage, *triggers]


_ERASES = (
    'NEW.salt IS NULL AND OLD.salt IS NOT NULL AND NEW."index" = OLD."index" AND NEW.statement_key = OLD.statement_key '
    "AND length(NEW.body) >= 48 AND (length(NEW.body) - 32) % 16 = 0 "
    'AND EXISTS (SELECT 1 FROM ledger_erasures WHERE "index" = OLD."index")'
)
"""The one change of an entry that the guards let pass, as far as both databases say it alike."""

_SQLITE_REMAINS = (
    "typeof(NEW.body) = 'blob' AND CASE WHEN json_valid(:said) THEN "
    "substr(json_extract(:said, '$.kind'), 1, 7) <> 'ledger.' "
    "AND length(NEW.body) = 32 + 16 * json_array_length(:said, '$.subjects') "
    "AND (SELECT count(DISTINCT filed.tag) FROM json_each(:said, '$.subjects') AS pair JOIN ledger_tags AS filed "
    'ON filed.tag = substr(NEW.body, 33 + 16 * pair.key, 16) AND filed."index" = OLD."index") '
    "= json_array_length(:said, '$.subjects') ELSE 0 END"
).replace(":said", "CAST(OLD.body AS TEXT)")
"""What is left is a commitment and as many tags as the body has subjects, all filed under the entry. SQLite can hash
nothing: that the commitment is the right one only the audit sees."""

_POSTGRESQL_REMAINS = (
    "left(said ->> 'kind', 7) <> 'ledger.' AND NEW.body = sha256(OLD.salt || OLD.body) || ("
    "SELECT string_agg(substr(sha256(convert_to('marchamo subject tag v1' || chr(10), 'UTF8') "
    "|| decode(pair ->> 0, 'base64') || int8send((pair ->> 1)::int8)), 1, 16), ''::bytea ORDER BY place) "
    "FROM json_array_elements(said -> 'subjects') WITH ORDINALITY AS subjects (pair, place)) "
    "AND NOT EXISTS (SELECT 1 FROM json_array_elements(said -> 'subjects') WITH ORDINALITY AS subjects (pair, place) "
    "WHERE NOT EXISTS (SELECT 1 FROM ledger_tags WHERE tag = substr(NEW.body, (17 + 16 * place)::integer, 16) "
    'AND "index" = OLD."index"))'
)
"""What is left is the commitment to the body and its tags (`ledger.leaf.subject_tag`), in order and filed."""


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
