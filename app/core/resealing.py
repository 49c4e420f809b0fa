"""Another key-encryption key: every sealed value sealed anew in one transaction, and the sealer that opens them.

Which columns hold sealed values, and for which context, is written down here alone; a test looks for columns that are
missing, and a value that does not open stops the whole change.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, MetaData, RowMapping, Table, insert, select, update
from sqlalchemy.orm import Mapped, mapped_column

from app.core.config import Settings
from app.core.database import Base, Bytes
from app.core.sealing import Sealer, load_key_encryption_key
from ledger.storage.sweeping import overwrite_freed_rows

_ROOT_CONTEXT = "derivation root"


class DerivationRootRow(Base):
    """What keys are derived from (sealed), once the key-encryption key was changed; before that there is no row."""

    __tablename__ = "derivation_roots"

    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    sealed_root: Mapped[bytes] = mapped_column(Bytes)


@dataclass(frozen=True, slots=True)
class SealedColumn:
    """A column of sealed values. context: what each is sealed for, with columns of its row in braces.

    beside: a table whose row the context names too, with the column here that holds its id.
    """

    table: str
    column: str
    context: str
    beside: tuple[str, str] | None = None


SEALED = (
    SealedColumn("service_keys", "sealed_private_key", "service key {key_id}"),
    SealedColumn("organisation_keys", "sealed_private_key", "organisation key {key_id}"),
    SealedColumn("batches", "sealed_secret", "batch secret {handle}"),
    SealedColumn("scan_secrets", "sealed_secret", "{context}"),
    SealedColumn("evidence_documents", "sealed", "evidence {reference}", ("issuing_rights", "right_id")),
    SealedColumn("applications", "sealed", "application"),
    SealedColumn("code_apps", "sealed_secret", "code app of person {person_id}"),
    SealedColumn("webhooks", "sealed_secret", "webhook {reference}"),
    SealedColumn("webhooks", "sealed_old_secret", "webhook {reference}"),
    SealedColumn("daily_salts", "sealed_salt", "salt of day {day}"),
    SealedColumn("outgoing_mail", "sealed", "outgoing mail"),
    SealedColumn("derivation_roots", "sealed_root", _ROOT_CONTEXT),
)
"""Every column with sealed values, in the order in which they are sealed anew."""


def open_sealer(engine: Engine, settings: Settings) -> Sealer:
    """The sealer of this database under the key that the settings lead to; raises SealError."""
    key = load_key_encryption_key(settings)
    with engine.connect() as connection:
        return sealer_of(connection, key)


def sealer_of(connection: Connection, key: bytes) -> Sealer:
    """The sealer of this database under this key; raises SealError where it is not the one."""
    sealed = connection.scalar(select(DerivationRootRow.sealed_root))
    plain = Sealer(key)
    return plain if sealed is None else Sealer(key, plain.open(bytes(sealed), _ROOT_CONTEXT))


def reseal(connection: Connection, old: Sealer, new_key: bytes, progress: Callable[[int], None]) -> int:
    """Seal everything under another key in the connection's transaction; returns how many values.

    progress: called with the number done so far. Raises SealError for a value that does not open: nothing is kept then.
    """
    overwrite_freed_rows(connection)
    new = Sealer(new_key, old.derivation_root)
    if connection.scalar(select(DerivationRootRow.number)) is None:
        sealed = old.seal(old.derivation_root, _ROOT_CONTEXT)
        connection.execute(insert(DerivationRootRow).values(number=1, sealed_root=sealed))
    done = 0
    for one in SEALED:
        # Read from the database: the features whose tables these are lie above this one.
        table = Table(one.table, MetaData(), autoload_with=connection)
        for key in connection.execute(select(*table.primary_key).where(table.c[one.column].is_not(None))).all():
            same = [column == value for column, value in zip(table.primary_key, key, strict=True)]
            row = connection.execute(select(table).where(*same)).mappings().one()
            if row[one.column]:
                context = one.context.format_map(_words(connection, one, row))
                fresh = new.seal(old.open(bytes(row[one.column]), context), context)
                connection.execute(update(table).where(*same).values({one.column: fresh}))
                done += 1
                progress(done)
    return done


def _words(connection: Connection, one: SealedColumn, row: RowMapping) -> dict[str, Any]:
    words: dict[str, Any] = dict(row)
    if one.beside is not None:
        name, column = one.beside
        other = Table(name, MetaData(), autoload_with=connection)
        words = dict(connection.execute(select(other).where(other.c.id == row[column])).mappings().one()) | words
    return words
