"""Tables of the access feature; other features go through `service`."""

from sqlalchemy import ForeignKey, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from app.core.database import Base, BigId, Bytes, Milliseconds


class SignInSessionRow(Base):
    """A browser that is signed in; only the hash of its token is kept, so that the table opens no door."""

    __tablename__ = "sign_in_sessions"

    token_hash: Mapped[bytes] = mapped_column(Bytes, primary_key=True)
    person_id: Mapped[int] = mapped_column(ForeignKey("people.id"))
    organisation_id: Mapped[int] = mapped_column(ForeignKey("organisations.id"))
    created_at: Mapped[int] = mapped_column(Milliseconds)
    expires_at: Mapped[int] = mapped_column(Milliseconds)


class ApiKeyRow(Base):
    """A machine's key: SHA-256 of 32 random bytes, so that a fast look-up is safe."""

    __tablename__ = "api_keys"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    key_hash: Mapped[bytes] = mapped_column(Bytes, unique=True)
    prefix: Mapped[str] = mapped_column(String(12), unique=True)
    organisation_id: Mapped[int] = mapped_column(ForeignKey("organisations.id"), index=True)
    name: Mapped[str] = mapped_column(String(100))
    role: Mapped[str] = mapped_column(String(32))
    scopes: Mapped[str | None] = mapped_column(Text)
    created_by: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[int] = mapped_column(Milliseconds)
    expires_at: Mapped[int] = mapped_column(Milliseconds)
    revoked_at: Mapped[int | None] = mapped_column(Milliseconds)
