"""The registry's own Ed25519 keys, one a purpose, sealed at rest; made at first start.

Separate keys for separate statements: the log's checkpoints, the registry's statements, and receipts can
never be taken for one another, and losing one does not lose the others. The key of the checkpoints can be changed
(`app.core.checkpoint_keys`): of that purpose there may be several, numbered from 1.
"""

from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from sqlalchemy import BigInteger, Integer, Select, String, UniqueConstraint, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Mapped, Session, mapped_column

from app.core.clock import now_ms
from app.core.database import Base, Bytes, Milliseconds
from app.core.sealing import Sealer, SealError


class KeyPurpose(StrEnum):
    """What one of the registry's keys signs."""

    CHECKPOINT = "checkpoint"
    STATEMENT = "statement"
    RECEIPT = "receipt"


class ServiceKeyRow(Base):
    """One key of the registry.

    signs_from, signs_until: the sizes of the checkpoints that a checkpoint key signs, both included; signs_until is
    NULL until the key is retired, and then its private half is gone. The keys of other purposes have 0 and NULL.
    """

    __tablename__ = "service_keys"
    # Two processes that start together both make number 1: one of them finds that the other was first.
    __table_args__ = (UniqueConstraint("purpose", "number"),)

    key_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    purpose: Mapped[str] = mapped_column(String(16))
    number: Mapped[int] = mapped_column(Integer)
    public_key: Mapped[bytes] = mapped_column(Bytes)
    sealed_private_key: Mapped[bytes | None] = mapped_column(Bytes)
    created_at: Mapped[int] = mapped_column(Milliseconds)
    signs_from: Mapped[int] = mapped_column(BigInteger)
    signs_until: Mapped[int | None] = mapped_column(BigInteger)


@dataclass(frozen=True)
class ServiceKey:
    """A key in use."""

    key_id: str
    private_key: Ed25519PrivateKey

    @cached_property
    def public_key(self) -> Ed25519PublicKey:
        """The public half."""
        return self.private_key.public_key()


def load_service_keys(session: Session, sealer: Sealer) -> dict[KeyPurpose, ServiceKey]:
    """Every key of the registry by purpose; missing ones are made and stored in the session's transaction.

    Of two checkpoint keys that sign side by side it is the older.
    """
    keys: dict[KeyPurpose, ServiceKey] = {}
    for purpose in KeyPurpose:
        row = session.scalar(_in_use(purpose)) or _make(session, sealer, purpose)
        keys[purpose] = ServiceKey(row.key_id, open_private_key(sealer, row.key_id, row.sealed_private_key))
    return keys


def _in_use(purpose: KeyPurpose) -> Select[ServiceKeyRow]:
    return (
        select(ServiceKeyRow)
        .where(ServiceKeyRow.purpose == purpose, ServiceKeyRow.signs_until.is_(None))
        .order_by(ServiceKeyRow.number)
        .limit(1)
    )


def new_key_row(
    sealer: Sealer, purpose: KeyPurpose, private_key: Ed25519PrivateKey, *, number: int = 1, signs_from: int = 0
) -> ServiceKeyRow:
    """A row for a new key, its private half sealed."""
    public = private_key.public_key().public_bytes_raw()
    key_id = f"{purpose}-{public[:6].hex()}"
    return ServiceKeyRow(
        key_id=key_id,
        purpose=purpose.value,
        number=number,
        public_key=public,
        sealed_private_key=sealer.seal(private_key.private_bytes_raw(), _context(key_id)),
        created_at=now_ms(),
        signs_from=signs_from,
        signs_until=None,
    )


def open_private_key(sealer: Sealer, key_id: str, sealed: bytes | None) -> Ed25519PrivateKey:
    """The private half of a key; raises SealError, also for one that was retired and is gone."""
    if sealed is None:
        raise SealError(f"the private half of {key_id} is gone")
    return Ed25519PrivateKey.from_private_bytes(sealer.open(sealed, _context(key_id)))


def _context(key_id: str) -> str:
    return f"service key {key_id}"


def _make(session: Session, sealer: Sealer, purpose: KeyPurpose) -> ServiceKeyRow:
    row = new_key_row(sealer, purpose, Ed25519PrivateKey.generate())
    try:
        with session.begin_nested():
            session.add(row)
    except IntegrityError:
        # Another process that started at the same moment made it first: use that one.
        row = session.scalars(_in_use(purpose)).one()
    return row
