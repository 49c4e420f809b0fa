"""Tables of webhooks; other features go through `service`."""

from sqlalchemy import ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from app.core.database import Base, BigId, Bytes, Milliseconds


class WebhookRow(Base):
    """Where an organisation wants to be told what; its secrets are sealed.

    kinds: words of `NoticeKind`, with spaces between; empty for every kind, also those to come.
    """

    __tablename__ = "webhooks"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    reference: Mapped[str] = mapped_column(String(24), unique=True)
    organisation_id: Mapped[int] = mapped_column(ForeignKey("organisations.id"), index=True)
    url: Mapped[str] = mapped_column(String(500))
    kinds: Mapped[str] = mapped_column(Text)
    sealed_secret: Mapped[bytes] = mapped_column(Bytes)
    sealed_old_secret: Mapped[bytes | None] = mapped_column(Bytes)
    old_secret_until: Mapped[int | None] = mapped_column(Milliseconds)
    created_by: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[int] = mapped_column(Milliseconds)
    failing_since: Mapped[int | None] = mapped_column(Milliseconds)
    paused_at: Mapped[int | None] = mapped_column(Milliseconds)
    removed_at: Mapped[int | None] = mapped_column(Milliseconds)


class DeliveryRow(Base):
    """One message to one webhook. notice_id: None for a test message. body: exactly the bytes that are signed."""

    __tablename__ = "webhook_deliveries"
    __table_args__ = (Index(None, "state", "next_attempt_at"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    message_id: Mapped[str] = mapped_column(String(40), unique=True)
    webhook_id: Mapped[int] = mapped_column(ForeignKey("webhooks.id"), index=True)
    notice_id: Mapped[int | None] = mapped_column(Milliseconds)
    kind: Mapped[str] = mapped_column(String(40))
    body: Mapped[str] = mapped_column(Text)
    state: Mapped[str] = mapped_column(String(16))
    attempts: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[int] = mapped_column(Milliseconds)
    next_attempt_at: Mapped[int] = mapped_column(Milliseconds)
    finished_at: Mapped[int | None] = mapped_column(Milliseconds)
    last_status: Mapped[int | None]
    last_problem: Mapped[str | None] = mapped_column(String(32))
