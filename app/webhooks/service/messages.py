"""Messages: made of notices, tried by hand, listed, sent again."""

import secrets

import orjson
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.core.clock import now_ms, to_iso
from app.core.database import write_session
from app.core.errors import NotFound, TooMany
from app.core.notices import NoticeRow
from app.core.services import Services
from app.webhooks.models import DeliveryRow, WebhookRow
from app.webhooks.service.subscribing import own_row
from app.webhooks.values import TEST_KIND, Delivery, DeliveryState

LISTED = 100
"""Messages that are shown of a webhook."""
NOTICES_AT_ONCE = 200
TESTS_WAITING = 3
"""Test messages that may wait at once: a button is pressed again and again when nothing seems to happen."""


def lay_out(services: Services) -> int:
    """Make the messages of new notices, in one transaction with the mark that it was done; gives how many notices."""
    with Session(services.engine) as session:
        waiting = session.scalar(select(NoticeRow.id).where(NoticeRow.handed_on_at.is_(None)).limit(1))
    if waiting is None:
        return 0  # no write lock for nothing
    now = now_ms()
    with write_session(services.engine) as session:
        notices = session.scalars(
            select(NoticeRow)
            .where(NoticeRow.handed_on_at.is_(None))
            .order_by(NoticeRow.id)
            .limit(NOTICES_AT_ONCE)
            .with_for_update(skip_locked=True)  # another worker, for instance during a change of version, has the rest
        ).all()
        concerned = {notice.organisation_id for notice in notices}
        webhooks = session.scalars(
            select(WebhookRow).where(WebhookRow.organisation_id.in_(concerned), WebhookRow.removed_at.is_(None))
        ).all()
        for notice in notices:
            notice.handed_on_at = now
            for webhook in webhooks:
                told = webhook.organisation_id == notice.organisation_id
                if told and (not webhook.kinds or notice.kind in webhook.kinds.split()):
                    body = _body(notice.kind, notice.created_at, orjson.loads(notice.data))
                    session.add(_delivery(webhook.id, notice.id, notice.kind, body, now))
    return len(notices)


def send_test(services: Services, *, organisation_id: int, reference: str) -> Delivery:
    """Lay out a test message; raises NotFound, TooMany when several wait already."""
    now = now_ms()
    with write_session(services.engine) as session:
        webhook = own_row(session, organisation_id, reference)
        waiting = session.scalars(
            select(DeliveryRow.id)
            .where(
                DeliveryRow.webhook_id == webhook.id,
                DeliveryRow.kind == TEST_KIND,
                DeliveryRow.state == DeliveryState.WAITING.value,
            )
            .limit(TESTS_WAITING)
        ).all()
        if len(waiting) == TESTS_WAITING:
            raise TooMany("Test messages wait already; see what becomes of them.", code="tests_wait", retry_after=60)
        row = _delivery(webhook.id, None, TEST_KIND, _body(TEST_KIND, now, {"webhook": reference}), now)
        session.add(row)
        session.flush()
        return _value(row)


def send_again(services: Services, *, organisation_id: int, reference: str, message_id: str) -> Delivery:
    """Send a message again, under its own number, so that a receiver who has it can tell. Raises NotFound."""
    with write_session(services.engine) as session:
        webhook = own_row(session, organisation_id, reference)
        row = session.scalar(
            select(DeliveryRow).where(DeliveryRow.message_id == message_id, DeliveryRow.webhook_id == webhook.id)
        )
        if row is None:
            raise NotFound
        row.state, row.attempts, row.next_attempt_at, row.finished_at = DeliveryState.WAITING.value, 0, now_ms(), None
        session.flush()
        return _value(row)


def list_deliveries(session: Session, *, organisation_id: int, reference: str) -> list[Delivery]:
    """The newest messages of a webhook, newest first; raises NotFound."""
    webhook = own_row(session, organisation_id, reference)
    rows = session.scalars(
        select(DeliveryRow).where(DeliveryRow.webhook_id == webhook.id).order_by(DeliveryRow.id.desc()).limit(LISTED)
    )
    return [_value(row) for row in rows]


def _body(kind: str, at: int, data: object) -> str:
    """The message as Standard Webhooks lays it out."""
    return orjson.dumps({"type": kind, "timestamp": to_iso(at), "data": data}).decode()


def _delivery(webhook_id: int, notice_id: int | None, kind: str, body: str, now: int) -> DeliveryRow:
    return DeliveryRow(
        message_id=f"msg_{secrets.token_hex(16)}",
        webhook_id=webhook_id,
        notice_id=notice_id,
        kind=kind,
        body=body,
        state=DeliveryState.WAITING.value,
        attempts=0,
        created_at=now,
        next_attempt_at=now,
    )


def _value(row: DeliveryRow) -> Delivery:
    return Delivery(
        message_id=row.message_id,
        kind=row.kind,
        state=DeliveryState(row.state),
        attempts=row.attempts,
        created_at=row.created_at,
        next_attempt_at=row.next_attempt_at,
        finished_at=row.finished_at,
        status=row.last_status,
        problem=row.last_problem,
    )
