"""The keys of the log's checkpoints, as this service keeps them: `ledger.keys.rotation.KeyKeeper`.

The rows say which sizes each key signs. They are read in the transaction that writes a head, so a running process
signs with a new key from the very entry that names it, without a restart.
"""

from collections.abc import Sequence

from sqlalchemy import Connection, Engine, bindparam, func, insert, or_, select, update

from app.core.sealing import Sealer
from app.core.service_keys import KeyPurpose, ServiceKeyRow, new_key_row, open_private_key
from ledger.errors import RoleRefused, StorageError
from ledger.note import NoteSigner, NoteVerifier
from ledger.storage.sweeping import overwrite_freed_rows, sweep

_keys = ServiceKeyRow.__table__.c
_of_checkpoints = _keys.purpose == KeyPurpose.CHECKPOINT.value
_found = select(_keys.key_id, _keys.sealed_private_key).where(_of_checkpoints).order_by(_keys.number)
_signing = _found.where(
    _keys.signs_from <= bindparam("size"), or_(_keys.signs_until.is_(None), _keys.signs_until >= bindparam("size"))
)
_not_retired = _found.where(_keys.signs_until.is_(None))


class CheckpointKeys:
    """The log's private keys in the database of the log, opened once a process."""

    def __init__(self, engine: Engine, sealer: Sealer, origin: str) -> None:
        self._engine = engine
        self._sealer = sealer
        self._origin = origin
        self._opened: dict[str, NoteSigner] = {}

    def signers(self, connection: Connection, size: int) -> Sequence[NoteSigner]:
        """The keys that sign a checkpoint of this size, the older first; about 50 microseconds. Raises StorageError."""
        signers = [self._open(*row) for row in connection.execute(_signing, {"size": size})]
        if not signers:
            raise StorageError(f"the database has no key for checkpoints of size {size}")
        return signers

    def current(self) -> Sequence[NoteSigner]:
        """The keys that nothing has retired: one, or two side by side, the older first."""
        with self._engine.connect() as connection:
            return [self._open(*row) for row in connection.execute(_not_retired)]

    def add(self, connection: Connection, signer: NoteSigner, first_size: int) -> None:
        """Keep a new key, which signs from this size on."""
        newest = connection.execute(select(func.max(_keys.number)).where(_of_checkpoints)).scalar_one()
        row = new_key_row(
            self._sealer, KeyPurpose.CHECKPOINT, signer.private_key, number=newest + 1, signs_from=first_size
        )
        values = {column.name: getattr(row, column.name) for column in _keys}
        connection.execute(insert(ServiceKeyRow).values(values))

    def retire(self, connection: Connection, verifier: NoteVerifier, last_size: int) -> None:
        """Let a key sign no size above this one, and forget its private half: nobody can sign with it any more."""
        overwrite_freed_rows(connection)
        connection.execute(
            update(ServiceKeyRow)
            .where(_of_checkpoints, _keys.public_key == verifier.public_key.public_bytes_raw())
            .values(signs_until=last_size, sealed_private_key=None)
        )

    def sweep(self) -> str | None:
        """Overwrite what the database keeps of private halves forgotten; returns what stood in the way, or None."""
        try:
            return sweep(self._engine, [ServiceKeyRow.__tablename__])
        except RoleRefused:
            return "this role does not own the table of keys"

    def _open(self, key_id: str, sealed: bytes | None) -> NoteSigner:
        if (signer := self._opened.get(key_id)) is None:
            signer = NoteSigner(self._origin, open_private_key(self._sealer, key_id, sealed))
            self._opened[key_id] = signer
        return signer
