"""Tables of what waits for a person's click: applications to join, and invitations."""

from sqlalchemy import ForeignKey, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from app.core.database import Base, BigId, Bytes, Milliseconds


class ApplicationRow(Base):
    """An application whose e-mail address is not confirmed yet; `sealed` is JSON with the password's hash."""

    __tablename__ = "applications"

    token_hash: Mapped[bytes] = mapped_column(Bytes, primary_key=True)
    sealed: Mapped[bytes] = mapped_column(Bytes)
    expires_at: Mapped[int] = mapped_column(Milliseconds, index=True)


class InvitationRow(Base):
    """An invitation that is open; accepted or withdrawn it is gone, and the ledger knows of it without the address."""

    __tablename__ = "invitations"
    __table_args__ = (UniqueConstraint("organisation_id", "email"),)

    reference: Mapped[str] = mapped_column(String(10), primary_key=True)
    organisation_id: Mapped[int] = mapped_column(BigId, ForeignKey("organisations.id"))
    token_hash: Mapped[bytes] = mapped_column(Bytes, unique=True)
    email: Mapped[str] = mapped_column(String(254))
    role: Mapped[str] = mapped_column(String(32))
    locale: Mapped[str] = mapped_column(String(2))
    invited_by: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[int] = mapped_column(Milliseconds)
    expires_at: Mapped[int] = mapped_column(Milliseconds, index=True)
