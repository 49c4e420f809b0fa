"""The registry's own Ed25519 keys, one a purpose, sealed at rest; made at first start.

Separate keys for separate statements: the log's checkpoints, the registry's statements, and receipts can
never be taken for one another, and losing one does not lose the others.
"""

from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from sqlalchemy import String, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Mapped, Session, mapped_column

from app.core.clock import now_ms
from app.core.database import Base, Bytes, Milliseconds
from app.core.sealing import Sealer


class KeyPurpose(StrEnum):
    """What one of the registry's keys signs."""

    CHECKPOINT = "checkpoint"
    STATEMENT = "statement"
    RECEIPT = "receipt"


class ServiceKeyRow(Base):
    """One key of the registry."""

    __tablename__ = "service_keys"

    key_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    purpose: Mapped[str] = mapped_column(String(16), unique=True)
    public_key: Mapped[bytes] = mapped_column(Bytes)
    sealed_private_key: Mapped[bytes] = mapped_column(Bytes)
    created_at: Mapped[int] = mapped_column(Milliseconds)


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
    """Every key of the registry by purpose; missing ones are made and stored in the session's transaction."""
    keys: dict[KeyPurpose, ServiceKey] = {}
    for purpose in KeyPurpose:
        row = session.scalar(select(ServiceKeyRow).where(ServiceKeyRow.purpose == purpose))
        row = row or _make(session, sealer, purpose)
        private = sealer.open(row.sealed_private_key, f"service key {row.key_id}")
        keys[purpose] = ServiceKey(row.key_id, Ed25519PrivateKey.from_private_bytes(private))
    return keys


def _make(session: Session, sealer: Sealer, purpose: KeyPurpose) -> ServiceKeyRow:
    private_key = Ed25519PrivateKey.generate()
    public = private_key.public_key().public_bytes_raw()
    key_id = f"{purpose}-{public[:6].hex()}"
    row = ServiceKeyRow(
        key_id=key_id,
        purpose=purpose.value,
        public_key=public,
        sealed_private_key=sealer.seal(private_key.private_bytes_raw(), f"service key {key_id}"),
        created_at=now_ms(),
    )
    try:
        with session.begin_nested():
            session.add(row)
    except IntegrityError:
        # Another process that started at the same moment made it first: use that one.
        row = session.scalars(select(ServiceKeyRow).where(ServiceKeyRow.purpose == purpose)).one()
    return row
