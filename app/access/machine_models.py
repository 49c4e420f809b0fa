"""Tables of machines beside their API keys; other features go through `service`."""

from sqlalchemy import ForeignKey, Integer, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from app.core.database import Base, BigId, Bytes, Milliseconds


class OAuthClientRow(Base):
    """A client of the token endpoint: with a secret, of which the hash is kept, or with a public key."""

    __tablename__ = "oauth_clients"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    client_id: Mapped[str] = mapped_column(String(64), unique=True)
    organisation_id: Mapped[int] = mapped_column(ForeignKey("organisations.id"), index=True)
    name: Mapped[str] = mapped_column(String(100))
    role: Mapped[str] = mapped_column(String(32))
    scopes: Mapped[str | None] = mapped_column(Text)
    secret_hash: Mapped[bytes | None] = mapped_column(Bytes)
    public_jwk: Mapped[str | None] = mapped_column(Text)
    created_by: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[int] = mapped_column(Milliseconds)
    expires_at: Mapped[int] = mapped_column(Milliseconds)
    revoked_at: Mapped[int | None] = mapped_column(Milliseconds)


class AccessTokenRow(Base):
    """An access token, as SHA-256 of its 32 random bytes. What it may do is asked of its client each time."""

    __tablename__ = "access_tokens"

    token_hash: Mapped[bytes] = mapped_column(Bytes, primary_key=True)
    client_id: Mapped[str] = mapped_column(String(64), index=True)
    scopes: Mapped[str] = mapped_column(Text)
    created_at: Mapped[int] = mapped_column(Milliseconds)
    expires_at: Mapped[int] = mapped_column(Milliseconds, index=True)


class ClientCertificateRow(Base):
    """A TLS client certificate that acts for an organisation, known by its SHA-256 thumbprint (RFC 8705)."""

    __tablename__ = "client_certificates"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    thumbprint: Mapped[bytes] = mapped_column(Bytes, unique=True)
    organisation_id: Mapped[int] = mapped_column(ForeignKey("organisations.id"), index=True)
    name: Mapped[str] = mapped_column(String(100))
    role: Mapped[str] = mapped_column(String(32))
    scopes: Mapped[str | None] = mapped_column(Text)
    created_by: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[int] = mapped_column(Milliseconds)
    expires_at: Mapped[int] = mapped_column(Milliseconds)
    revoked_at: Mapped[int | None] = mapped_column(Milliseconds)


class MachineUseRow(Base):
    """The last day on which a machine called, in days since 1970: enough to find those that nobody needs."""

    __tablename__ = "machine_uses"

    machine: Mapped[str] = mapped_column(String(64), primary_key=True)
    day: Mapped[int] = mapped_column(Integer)
