"""Tables of the access feature; other features go through `service`."""

from sqlalchemy import ForeignKey, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from app.core.database import Base, BigId, Bytes, Milliseconds


class SignInSessionRow(Base):
    """A browser that is signed in; only the hash of its token is kept, so that the table opens no door.

    `reference` names it on the account page. `strong`: a second factor or a passkey was shown. `confirmed_at`: when the
    person last showed a password or passkey. `browser` and `place` are coarse: a family, and a network, not an address.
    """

    __tablename__ = "sign_in_sessions"

    token_hash: Mapped[bytes] = mapped_column(Bytes, primary_key=True)
    reference: Mapped[str] = mapped_column(String(16), unique=True)
    person_id: Mapped[int] = mapped_column(ForeignKey("people.id"), index=True)
    organisation_id: Mapped[int] = mapped_column(ForeignKey("organisations.id"))
    strong: Mapped[bool] = mapped_column()
    browser: Mapped[str] = mapped_column(String(40))
    place: Mapped[str] = mapped_column(String(50))
    created_at: Mapped[int] = mapped_column(Milliseconds)
    confirmed_at: Mapped[int] = mapped_column(Milliseconds)
    seen_at: Mapped[int] = mapped_column(Milliseconds)
    expires_at: Mapped[int] = mapped_column(Milliseconds, index=True)


class SignInStepRow(Base):
    """A browser whose person gave the right password and still owes the second factor: no session yet."""

    __tablename__ = "sign_in_steps"

    token_hash: Mapped[bytes] = mapped_column(Bytes, primary_key=True)
    person_id: Mapped[int] = mapped_column(ForeignKey("people.id"))
    expires_at: Mapped[int] = mapped_column(Milliseconds, index=True)


class PasskeyChallengeRow(Base):
    """A challenge (WebAuthn, 13.4.3) that one browser may answer once; the browser holds the token of `token_hash`."""

    __tablename__ = "passkey_challenges"

    token_hash: Mapped[bytes] = mapped_column(Bytes, primary_key=True)
    challenge: Mapped[bytes] = mapped_column(Bytes)
    purpose: Mapped[str] = mapped_column(String(16))
    person_id: Mapped[int | None] = mapped_column(ForeignKey("people.id"))
    expires_at: Mapped[int] = mapped_column(Milliseconds, index=True)


class PasskeyRow(Base):
    """A passkey: the public key (COSE) of a WebAuthn credential, with the last signature counter it has shown."""

    __tablename__ = "passkeys"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    person_id: Mapped[int] = mapped_column(ForeignKey("people.id"), index=True)
    credential_id: Mapped[bytes] = mapped_column(Bytes, unique=True)
    public_key: Mapped[bytes] = mapped_column(Bytes)
    sign_count: Mapped[int] = mapped_column(BigId)
    name: Mapped[str] = mapped_column(String(100))
    created_at: Mapped[int] = mapped_column(Milliseconds)
    last_used_at: Mapped[int | None] = mapped_column(Milliseconds)


class CodeAppRow(Base):
    """The secret (sealed) that a person's app makes codes from; it counts once `confirmed_at` is set.

    `last_step` is the latest time step whose code was accepted: none is accepted twice (RFC 6238, 5.2).
    """

    __tablename__ = "code_apps"

    person_id: Mapped[int] = mapped_column(ForeignKey("people.id"), primary_key=True, autoincrement=False)
    sealed_secret: Mapped[bytes] = mapped_column(Bytes)
    last_step: Mapped[int] = mapped_column(BigId)
    created_at: Mapped[int] = mapped_column(Milliseconds)
    confirmed_at: Mapped[int | None] = mapped_column(Milliseconds)


class RecoveryCodeRow(Base):
    """A recovery code (keyed hash) that stands in for a second factor once; a used one is deleted."""

    __tablename__ = "recovery_codes"

    code_hash: Mapped[bytes] = mapped_column(Bytes, primary_key=True)
    person_id: Mapped[int] = mapped_column(ForeignKey("people.id"), index=True)


class RecoveryLinkRow(Base):
    """A mailed link that sets a new password once; `person_id` is empty for an address that nobody has."""

    __tablename__ = "recovery_links"

    token_hash: Mapped[bytes] = mapped_column(Bytes, primary_key=True)
    person_id: Mapped[int | None] = mapped_column(ForeignKey("people.id"), index=True)
    expires_at: Mapped[int] = mapped_column(Milliseconds, index=True)


class FactorResetRow(Base):
    """The announced removal of a person's second factors, which the person can refuse until `effective_at`."""

    __tablename__ = "factor_resets"

    person_id: Mapped[int] = mapped_column(ForeignKey("people.id"), primary_key=True, autoincrement=False)
    organisation_id: Mapped[int] = mapped_column(ForeignKey("organisations.id"))
    token_hash: Mapped[bytes] = mapped_column(Bytes, unique=True)
    asked_by: Mapped[str] = mapped_column(String(64))
    reason: Mapped[str] = mapped_column(Text)
    created_at: Mapped[int] = mapped_column(Milliseconds)
    effective_at: Mapped[int] = mapped_column(Milliseconds)


class SecurityEventRow(Base):
    """What happened to a person's account; failures of one hour are one row with how many there were."""

    __tablename__ = "security_events"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    person_id: Mapped[int] = mapped_column(ForeignKey("people.id"), index=True)
    kind: Mapped[str] = mapped_column(String(32))
    times: Mapped[int] = mapped_column()
    browser: Mapped[str] = mapped_column(String(40))
    place: Mapped[str] = mapped_column(String(50))
    at: Mapped[int] = mapped_column(Milliseconds, index=True)


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
