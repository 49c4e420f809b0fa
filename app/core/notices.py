"""What an organisation is told about: written with the change it is about, delivered by `app.webhooks`.

A notice says that something happened and where to look; what it is about is read over the API by whoever may.
"""

from collections.abc import Mapping
from enum import StrEnum

import orjson
from sqlalchemy import BigInteger, String, Text
from sqlalchemy.orm import Mapped, Session, mapped_column

from app.core.clock import now_ms
from app.core.database import Base, BigId, Milliseconds


class NoticeKind(StrEnum):
    """What can be told; the words are those of a webhook's `type`."""

    KEY_REGISTERED = "key.registered"
    KEY_REVOKED = "key.revoked"
    DEVICE_REVOKED = "device.revoked"
    DEVICE_CONFLICT = "device.conflict"
    MEMBER_JOINED = "member.joined"
    ACCOUNT_RECOVERED = "account.recovered"
    BATCH_PUBLISHED = "batch.published"
    BATCH_WAITS_FOR_RELEASE = "batch.waits_for_release"
    LIMIT_ASKED = "limit.asked"
    OWNER_ACTED = "goods.owner_acted"
    RIGHT_DECIDED = "right.decided"
    GUESSING = "alarm.guessing"


class NoticeRow(Base):
    """One notice; `data` is a JSON object of words and numbers, never a secret, a name or an address of a person."""

    __tablename__ = "notices"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    organisation_id: Mapped[int] = mapped_column(BigInteger, index=True)
    kind: Mapped[str] = mapped_column(String(40))
    data: Mapped[str] = mapped_column(Text)
    created_at: Mapped[int] = mapped_column(Milliseconds, index=True)
    handed_on_at: Mapped[int | None] = mapped_column(Milliseconds, index=True)
    """When it was laid out for its organisation's webhooks; None while it waits for that."""


def notify(
    session: Session, *, organisation_id: int, kind: NoticeKind, data: Mapping[str, str | int | bool | None]
) -> None:
    """Add a notice in the session's transaction."""
    text = orjson.dumps(dict(data), option=orjson.OPT_SORT_KEYS).decode()
    session.add(NoticeRow(organisation_id=organisation_id, kind=kind.value, data=text, created_at=now_ms()))
