"""Tables of the accounts feature; other features go through `service`."""

from sqlalchemy import BigInteger, ForeignKey, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from app.core.database import Base, BigId, Bytes, Milliseconds


class OrganisationRow(Base):
    """A firm, authority or other body; `issuer` is its registry-assigned namespace for items without GTIN."""

    __tablename__ = "organisations"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    issuer: Mapped[str] = mapped_column(String(12), unique=True)
    name: Mapped[str] = mapped_column(String(200))
    country: Mapped[str] = mapped_column(String(2))
    kind: Mapped[str] = mapped_column(String(16))
    status: Mapped[str] = mapped_column(String(16), index=True)
    created_at: Mapped[int] = mapped_column(Milliseconds)
    decided_at: Mapped[int | None] = mapped_column(Milliseconds)
    decided_by: Mapped[str | None] = mapped_column(String(64))
    decision_reason: Mapped[str | None] = mapped_column(Text)
    log_index: Mapped[int | None] = mapped_column(BigInteger)


class PersonRow(Base):
    """A person who can sign in."""

    __tablename__ = "people"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    email: Mapped[str] = mapped_column(String(254), unique=True)
    name: Mapped[str] = mapped_column(String(200))
    password_hash: Mapped[str] = mapped_column(String(200))
    locale: Mapped[str] = mapped_column(String(2))
    created_at: Mapped[int] = mapped_column(Milliseconds)


class MembershipRow(Base):
    """A person's role in an organisation."""

    __tablename__ = "memberships"

    person_id: Mapped[int] = mapped_column(ForeignKey("people.id"), primary_key=True)
    organisation_id: Mapped[int] = mapped_column(ForeignKey("organisations.id"), primary_key=True)
    role: Mapped[str] = mapped_column(String(32))


class SignInSessionRow(Base):
    """A browser that is signed in; only the hash of its token is kept, so that the table opens no door."""

    __tablename__ = "sign_in_sessions"

    token_hash: Mapped[bytes] = mapped_column(Bytes, primary_key=True)
    person_id: Mapped[int] = mapped_column(ForeignKey("people.id"))
    organisation_id: Mapped[int] = mapped_column(ForeignKey("organisations.id"))
    created_at: Mapped[int] = mapped_column(Milliseconds)
    expires_at: Mapped[int] = mapped_column(Milliseconds)


class AttemptRow(Base):
    """Attempts of one subject (keyed hash) in its current window: the brake on guessing, shared by all processes."""

    __tablename__ = "attempts"

    subject: Mapped[bytes] = mapped_column(Bytes, primary_key=True)
    attempts: Mapped[int] = mapped_column()
    window_ends_at: Mapped[int] = mapped_column(Milliseconds)


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


class IssuingRightRow(Base):
    """A right to issue codes: a GS1 company prefix, one GTIN, or one GTIN delegated by its owner."""

    __tablename__ = "issuing_rights"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    reference: Mapped[str] = mapped_column(String(10), unique=True)
    organisation_id: Mapped[int] = mapped_column(ForeignKey("organisations.id"), index=True)
    kind: Mapped[str] = mapped_column(String(16))
    value: Mapped[str] = mapped_column(String(14), index=True)
    granted_by: Mapped[int | None] = mapped_column(ForeignKey("organisations.id"))
    quota: Mapped[int | None] = mapped_column(BigInteger)
    used: Mapped[int] = mapped_column(BigInteger, default=0)
    valid_from: Mapped[int] = mapped_column(Milliseconds)
    valid_until: Mapped[int | None] = mapped_column(Milliseconds)
    evidence: Mapped[str] = mapped_column(Text)
    status: Mapped[str] = mapped_column(String(16))
    requested_at: Mapped[int] = mapped_column(Milliseconds)
    decided_at: Mapped[int | None] = mapped_column(Milliseconds)
    decided_by: Mapped[str | None] = mapped_column(String(64))
    decision_reason: Mapped[str | None] = mapped_column(Text)
    log_index: Mapped[int | None] = mapped_column(BigInteger)


class OrganisationKeyRow(Base):
    """An Ed25519 key of an organisation; `key_id` (4 bytes) is registry-assigned, stands in codes, is never reused."""

    __tablename__ = "organisation_keys"
    __table_args__ = (UniqueConstraint("public_key"),)

    key_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    organisation_id: Mapped[int] = mapped_column(ForeignKey("organisations.id"), index=True)
    purpose: Mapped[str] = mapped_column(String(16))
    public_key: Mapped[bytes] = mapped_column(Bytes)
    sealed_private_key: Mapped[bytes] = mapped_column(Bytes)
    created_at: Mapped[int] = mapped_column(Milliseconds)
    valid_until: Mapped[int] = mapped_column(Milliseconds)
    registered_index: Mapped[int] = mapped_column(BigInteger)
    revoked_at: Mapped[int | None] = mapped_column(Milliseconds)
    revoked_index: Mapped[int | None] = mapped_column(BigInteger)
    revocation_reason: Mapped[str | None] = mapped_column(Text)
