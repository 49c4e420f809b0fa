"""Tables of the devices feature; other features go through `service`."""

from sqlalchemy import BigInteger, Boolean, ForeignKey, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from app.core.database import Base, BigId, Bytes, Milliseconds

ID_LENGTH = 12
DIGEST_LENGTH = 43
"""Characters of a SHA-256 in base64url."""


class DeviceRow(Base):
    """A device that makes scans for a person; it keeps its private key, we know the public one.

    revoked_from: the time from which its owner says that it was in other hands; at most revoked_at.
    """

    __tablename__ = "devices"

    id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    organisation_id: Mapped[int] = mapped_column(BigId, ForeignKey("organisations.id"), index=True)
    person_id: Mapped[int] = mapped_column(BigId, ForeignKey("people.id"), index=True)
    name: Mapped[str] = mapped_column(String(100))
    role: Mapped[str] = mapped_column(String(32))
    public_key: Mapped[bytes] = mapped_column(Bytes, unique=True)
    enrolled_at: Mapped[int] = mapped_column(Milliseconds)
    lease_until: Mapped[int] = mapped_column(Milliseconds)
    last_contact_at: Mapped[int] = mapped_column(Milliseconds)
    revoked_at: Mapped[int | None] = mapped_column(Milliseconds)
    revoked_from: Mapped[int | None] = mapped_column(Milliseconds)
    revoked_by: Mapped[str | None] = mapped_column(String(64))
    revocation_reason: Mapped[str | None] = mapped_column(Text)


class DeviceCodeRow(Base):
    """A code with which one device can be enrolled, once; only its hash is kept."""

    __tablename__ = "device_codes"

    code_hash: Mapped[bytes] = mapped_column(Bytes, primary_key=True)
    organisation_id: Mapped[int] = mapped_column(BigId, ForeignKey("organisations.id"))
    person_id: Mapped[int] = mapped_column(BigId, ForeignKey("people.id"))
    expires_at: Mapped[int] = mapped_column(Milliseconds, index=True)


class DeviceStatementRow(Base):
    """What a device signed about one scan, under its running number; `statement` is emptied when its time is over."""

    __tablename__ = "device_statements"

    device_id: Mapped[str] = mapped_column(String(ID_LENGTH), ForeignKey("devices.id"), primary_key=True)
    seq: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    digest: Mapped[str] = mapped_column(String(DIGEST_LENGTH), unique=True)
    standing: Mapped[str] = mapped_column(String(16))
    scanned_at: Mapped[int] = mapped_column(Milliseconds)
    received_at: Mapped[int] = mapped_column(Milliseconds, index=True)
    statement: Mapped[str | None] = mapped_column(Text)


class DeviceConflictRow(Base):
    """A second statement under a number that the device had used for another: its key is in two places."""

    __tablename__ = "device_conflicts"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    device_id: Mapped[str] = mapped_column(String(ID_LENGTH), ForeignKey("devices.id"), index=True)
    seq: Mapped[int] = mapped_column(BigInteger)
    digest: Mapped[str] = mapped_column(String(DIGEST_LENGTH), unique=True)
    received_at: Mapped[int] = mapped_column(Milliseconds)
    statement: Mapped[str | None] = mapped_column(Text)


class DeviceRuleRow(Base):
    """Whether the inspectors of an organisation have to sign their scans with a device; no row: they need not."""

    __tablename__ = "device_rules"

    organisation_id: Mapped[int] = mapped_column(BigId, ForeignKey("organisations.id"), primary_key=True)
    required: Mapped[bool] = mapped_column(Boolean)
    changed_at: Mapped[int] = mapped_column(Milliseconds)
