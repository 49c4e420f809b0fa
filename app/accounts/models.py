"""Tables of the accounts feature; other features go through `service`."""

from sqlalchemy import BigInteger, ForeignKey, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from app.core.database import Base, BigId, Bytes, Milliseconds


class OrganisationRow(Base):
    """A firm, authority or other body; `issuer` is its registry-assigned namespace for items without GTIN.

    jurisdiction: ISO 3166-1 codes of the countries in which an authority may act, in order, a blank between them.
    """

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
    jurisdiction: Mapped[str | None] = mapped_column(Text)


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
    lot_quota: Mapped[int | None] = mapped_column(BigInteger)
    used: Mapped[int] = mapped_column(BigInteger, default=0)
    valid_from: Mapped[int] = mapped_column(Milliseconds)
    valid_until: Mapped[int | None] = mapped_column(Milliseconds)
    evidence: Mapped[str] = mapped_column(Text)
    evidence_sha256: Mapped[str | None] = mapped_column(String(64))
    status: Mapped[str] = mapped_column(String(16))
    requested_at: Mapped[int] = mapped_column(Milliseconds)
    decided_at: Mapped[int | None] = mapped_column(Milliseconds)
    decided_by: Mapped[str | None] = mapped_column(String(64))
    decision_reason: Mapped[str | None] = mapped_column(Text)
    log_index: Mapped[int | None] = mapped_column(BigInteger)


class EvidenceDocumentRow(Base):
    """The document that proves a right, sealed; its SHA-256 stands with the right and in the right's statement."""

    __tablename__ = "evidence_documents"

    right_id: Mapped[int] = mapped_column(ForeignKey("issuing_rights.id"), primary_key=True, autoincrement=False)
    media_type: Mapped[str] = mapped_column(String(40))
    size: Mapped[int] = mapped_column()
    sealed: Mapped[bytes] = mapped_column(Bytes)
    handed_in_by: Mapped[str] = mapped_column(String(64))
    handed_in_at: Mapped[int] = mapped_column(Milliseconds)


class OrganisationKeyRow(Base):
    """An Ed25519 key of an organisation; `key_id` (4 bytes) is registry-assigned, stands in codes, is never reused."""

    __tablename__ = "organisation_keys"
    __table_args__ = (UniqueConstraint("public_key"),)

    key_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    organisation_id: Mapped[int] = mapped_column(ForeignKey("organisations.id"), index=True)
    purpose: Mapped[str] = mapped_column(String(16))
    holder: Mapped[str] = mapped_column(String(16))
    public_key: Mapped[bytes] = mapped_column(Bytes)
    sealed_private_key: Mapped[bytes | None] = mapped_column(Bytes)
    """None for a key that the firm holds."""
    created_at: Mapped[int] = mapped_column(Milliseconds)
    valid_until: Mapped[int] = mapped_column(Milliseconds)
    registered_index: Mapped[int] = mapped_column(BigInteger)
    revoked_at: Mapped[int | None] = mapped_column(Milliseconds)
    revoked_index: Mapped[int | None] = mapped_column(BigInteger)
    """Where the revocation stands on the ledger."""
    revoked_from: Mapped[int | None] = mapped_column(BigInteger)
    """The first position at which a batch of this key does not count any more."""
    revocation_reason: Mapped[str | None] = mapped_column(Text)


class KeyRegistrationRow(Base):
    """A key number set aside for a key that a firm is about to register; removed when it is, or when it is too old."""

    __tablename__ = "key_registrations"

    key_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    organisation_id: Mapped[int] = mapped_column(ForeignKey("organisations.id"), index=True)
    purpose: Mapped[str] = mapped_column(String(16))
    created_at: Mapped[int] = mapped_column(Milliseconds)


class AdministrativeActRow(Base):
    """Who gave or took which power, with its ledger position; `details` is a JSON object that names nobody."""

    __tablename__ = "administrative_acts"

    log_index: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    organisation_id: Mapped[int] = mapped_column(ForeignKey("organisations.id"), index=True)
    act: Mapped[str] = mapped_column(String(32))
    actor: Mapped[str] = mapped_column(String(64))
    details: Mapped[str] = mapped_column(Text)
    at: Mapped[int] = mapped_column(Milliseconds)
