"""A keeper of the log's keys for tests of the ledger: seeds in a table of the log's own database, in clear."""

from __future__ import annotations

from collections.abc import Sequence

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import BigInteger, Column, Connection, Engine, LargeBinary, MetaData, Table, or_, select, update

from ledger.note import NoteSigner, NoteVerifier
from ledger.own import StatementSigner
from ledger.storage.engine import begin_write
from ledger.storage.sweeping import overwrite_freed_rows, sweep
from tests.log_builders import ORIGIN

kept_keys = Table(
    "kept_keys",
    MetaData(),
    Column("public", LargeBinary, primary_key=True),
    Column("seed", LargeBinary),
    Column("signs_from", BigInteger, nullable=False),
    Column("signs_until", BigInteger),
)


class TableKeeper:
    """As the service's, without sealing."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def signers(self, connection: Connection, size: int) -> Sequence[NoteSigner]:
        columns = kept_keys.c
        in_time = or_(columns.signs_until.is_(None), columns.signs_until >= size)
        return self._read(connection, (columns.signs_from <= size) & in_time)

    def current(self) -> Sequence[NoteSigner]:
        with self._engine.connect() as connection:
            return self._read(connection, kept_keys.c.signs_until.is_(None))

    def add(self, connection: Connection, signer: NoteSigner, first_size: int) -> None:
        public = signer.verifier.public_key.public_bytes_raw()
        row = {"public": public, "seed": signer.private_key.private_bytes_raw(), "signs_from": first_size}
        connection.execute(kept_keys.insert(), row)

    def retire(self, connection: Connection, verifier: NoteVerifier, last_size: int) -> None:
        overwrite_freed_rows(connection)
        key = kept_keys.c.public == verifier.public_key.public_bytes_raw()
        connection.execute(update(kept_keys).where(key).values(signs_until=last_size, seed=None))

    def sweep(self) -> str | None:
        return sweep(self._engine, ["kept_keys"])

    def _read(self, connection: Connection, condition: object) -> list[NoteSigner]:
        rows = connection.execute(select(kept_keys.c.seed).where(condition).order_by(kept_keys.c.signs_from))  # type: ignore[arg-type]
        return [NoteSigner(ORIGIN, Ed25519PrivateKey.from_private_bytes(seed)) for seed in rows.scalars()]


def make_keeper(engine: Engine, first: NoteSigner) -> TableKeeper:
    """Make the table, with the log's first key in it."""
    keeper = TableKeeper(engine)
    with begin_write(engine) as connection:
        kept_keys.create(connection)
        keeper.add(connection, first, 0)
    return keeper


def statement_signer() -> StatementSigner:
    """Who orders a change of keys."""
    return StatementSigner("registry-1", Ed25519PrivateKey.generate())
