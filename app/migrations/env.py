"""Alembic's environment: every table of the service and of the ledger, on the engine that the caller opened."""

from typing import Any

from alembic import context

from app.migrations.tables import metadata
from ledger.storage.tables import metadata as ledger_metadata


def include(_object: Any, name: str | None, kind: str, _reflected: bool, _compare_to: Any) -> bool:
    """Leave out tables that belong to nobody here."""
    return not (kind == "table" and name is not None and name.startswith("alembic"))


with context.config.attributes["engine"].connect() as connection:
    context.configure(
        connection=connection,
        target_metadata=[metadata, ledger_metadata],
        include_object=include,
        render_as_batch=connection.dialect.name == "sqlite",
        transaction_per_migration=True,
    )
    with context.begin_transaction():
        context.run_migrations()
    connection.commit()
