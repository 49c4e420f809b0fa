"""Two roles in PostgreSQL: the owner migrates, the runtime role serves and can not change what only grows.

The rights follow from the guards: a table whose rows a trigger protects gets SELECT and INSERT, every other table what
a service needs. So a new guarded table is covered without a word here. Erasing is the owner's: the runtime role changes
no entry and records no erasure. SQLite has no roles: there the triggers are all.
"""

from __future__ import annotations

import re

from sqlalchemy import Connection, text

from ledger.errors import RoleRefused

_ROLE = re.compile(r"[a-z_][a-z0-9_]{0,62}")
_READ_ONLY = frozenset({"alembic_version", "ledger_erasures"})
_GROWS = "SELECT, INSERT"
_CHANGES = "SELECT, INSERT, UPDATE, DELETE"
_TABLES = text(
    "SELECT c.relname, EXISTS (SELECT 1 FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid "
    "WHERE t.tgrelid = c.oid AND NOT t.tgisinternal AND p.proname = 'ledger_refuse_change') "
    "FROM pg_class c WHERE c.relkind = 'r' AND c.relnamespace = current_schema()::regnamespace ORDER BY c.relname"
)
_POWER = text(
    "SELECT r.rolsuper OR r.rolcreaterole OR r.rolbypassrls "
    "OR EXISTS (SELECT 1 FROM pg_class c WHERE c.relnamespace = current_schema()::regnamespace "
    "AND pg_has_role(r.oid, c.relowner, 'MEMBER')) "
    "OR EXISTS (SELECT 1 FROM pg_database d WHERE d.datname = current_database() "
    "AND pg_has_role(r.oid, d.datdba, 'MEMBER')) "
    "FROM pg_roles r WHERE r.rolname = :role"
)
_OWN_DATABASE = text(
    "SELECT quote_ident(datname) FROM pg_database "
    "WHERE datname = current_database() AND pg_has_role(current_user, datdba, 'USAGE')"
)


def grant_runtime(connection: Connection, role: str) -> list[str]:
    """Give `role` what a serving process needs and nothing more; returns the statements that were run, in order.

    Where the owner of the tables owns the database too, nobody else may make temporary tables: no service needs them.
    Run it as the owner after each migration; it may be repeated. Raises RoleRefused for another database than
    PostgreSQL, and for a role that does not exist or could take the guards away by its other rights.
    """
    if connection.dialect.name != "postgresql":
        raise RoleRefused(
            "SQLite has no roles: whoever can write the file can change it. Its triggers stop mistakes, not an owner.",
            fix="Use PostgreSQL where the machine that serves must not be able to change what was recorded.",
        )
    if not _ROLE.fullmatch(role):
        raise RoleRefused("the name of a role is lower-case letters, digits and underscores here")
    powerful = connection.execute(_POWER, {"role": role}).scalar()
    if powerful is None:
        raise RoleRefused(
            f"there is no role {role}", fix=f"As an administrator: CREATE ROLE {role} LOGIN PASSWORD '...'"
        )
    if powerful:
        raise RoleRefused(
            f"{role} owns the database or its tables, is a member of a role that does, or is a superuser",
            fix="Serve as a role of its own: an owner can take every guard away.",
        )
    tables = [(str(name), bool(guarded)) for name, guarded in connection.execute(_TABLES)]
    schema = str(connection.execute(text("SELECT quote_ident(current_schema())")).scalar_one())
    database = connection.execute(_OWN_DATABASE).scalar()
    statements = _statements(role, schema, tables)
    if database is not None:
        statements.append(f"REVOKE TEMPORARY ON DATABASE {database} FROM PUBLIC, {role}")
    for statement in statements:
        connection.execute(text(statement))
    return statements


def _statements(role: str, schema: str, tables: list[tuple[str, bool]]) -> list[str]:
    statements = [
        f"REVOKE CREATE ON SCHEMA {schema} FROM PUBLIC",
        f"REVOKE ALL ON SCHEMA {schema} FROM {role}",
        f"GRANT USAGE ON SCHEMA {schema} TO {role}",
        f"REVOKE ALL ON ALL TABLES IN SCHEMA {schema} FROM {role}",
        f"GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA {schema} TO {role}",
    ]
    for table, guarded in tables:
        rights = "SELECT" if table in _READ_ONLY else _GROWS if guarded else _CHANGES
        statements.append(f'GRANT {rights} ON "{table}" TO {role}')
    return statements
