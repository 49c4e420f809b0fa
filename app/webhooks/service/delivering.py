"""Delivery by the worker: each message until it is taken, for three days; a webhook that only fails is paused."""

import random
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass

import structlog
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from app.accounts import service as accounts
from app.core import outbound
from app.core.authorisation import Role
from app.core.clock import now_ms
from app.core.database import write_session
from app.core.errors import Invalid
from app.core.mail import queue_mail
from app.core.outbound import OutboundFailed
from app.core.rounds import regularly
from app.core.services import Services
from app.webhooks.letters import paused_letter
from app.webhooks.models import DeliveryRow, WebhookRow
from app.webhooks.service.messages import lay_out
from app.webhooks.service.subscribing import secret_context
from app.webhooks.signing import headers
from app.webhooks.values import DeliveryState

ROUND_SECONDS = 1.0
PAUSES_S = (5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 72_000)
"""Seconds to wait after each failed attempt, about three days in all; then the message is given up."""
PAUSED_AFTER_MS = 72 * 3_600_000
"""A webhook that took nothing for so long is paused, and its owners get a mail."""
AT_ONCE = 8
"""Webhooks that are written to at the same time."""
IN_A_ROW = 20
"""Messages to one webhook in one round."""
IN_A_ROW_SECONDS = 10.0
"""When no further message goes to one webhook in this round: a slow receiver must not keep the others waiting."""
LEASE_MS = 60_000
"""A message under way is not taken up again before; longer than `outbound.DEADLINE_SECONDS`."""
GONE = 410
LONGEST_WISH_S = 3_600
"""How far ahead a receiver may put the next attempt by Retry-After."""

logger = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Message:
    delivery: int
    webhook: int
    reference: str
    message_id: str
    url: str
    body: bytes
    attempts: int
    secrets: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Outcome:
    status: int | None
    problem: str | None
    retry_after: int | None = None

    @property
    def taken(self) -> bool:
        return self.status is not None and 200 <= self.status < 300


def deliver_due(services: Services) -> int:
    """Lay new notices out and send what is due; gives how many messages were taken."""
    lay_out(services)
    with Session(services.engine) as session:
        due = session.scalars(
            select(DeliveryRow.webhook_id)
            .join(WebhookRow)
            .where(
                DeliveryRow.state == DeliveryState.WAITING.value,
                DeliveryRow.next_attempt_at <= now_ms(),
                WebhookRow.paused_at.is_(None),
                WebhookRow.removed_at.is_(None),
            )
            .distinct()
        ).all()
    if not due:
        return 0
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="webhooks") as pool:
        return sum(pool.map(lambda number: _deliver_to(services, number), due))


def webhooks_being_delivered(services: Services) -> AbstractContextManager[None]:
    """Deliver on a thread of its own while the context lasts."""
    return regularly("webhooks", lambda _stopping: deliver_due(services), seconds=ROUND_SECONDS, stop_seconds=None)


def _deliver_to(services: Services, webhook_id: int) -> int:
    taken, ends_at = 0, time.monotonic() + IN_A_ROW_SECONDS
    for _ in range(IN_A_ROW):
        message = _take_up(services, webhook_id)
        if message is None:
            break
        outcome = _send(services, message)
        _note(services, message, outcome)
        if not outcome.taken:
            break  # the rest would fare no better now, and waits its turn
        taken += 1
        if time.monotonic() >= ends_at:
            break
    return taken


def _take_up(services: Services, webhook_id: int) -> _Message | None:
    """Count the attempt before it is made: a kill from here on costs one attempt, and the message comes again."""
    now = now_ms()
    with write_session(services.engine) as session:
        webhook = session.get(WebhookRow, webhook_id)
        row = session.scalar(
            select(DeliveryRow)
            .where(
                DeliveryRow.webhook_id == webhook_id,
                DeliveryRow.state == DeliveryState.WAITING.value,
                DeliveryRow.next_attempt_at <= now,
            )
            .order_by(DeliveryRow.id)
            .limit(1)
            .with_for_update(skip_locked=True)
        )
        if row is None or webhook is None or webhook.paused_at is not None or webhook.removed_at is not None:
            return None
        row.attempts += 1
        row.next_attempt_at = now + LEASE_MS
        sealed = [webhook.sealed_secret]
        if webhook.sealed_old_secret is not None and (webhook.old_secret_until or 0) > now:
            sealed.append(webhook.sealed_old_secret)
        context = secret_context(webhook.reference)
        return _Message(
            delivery=row.id,
            webhook=webhook.id,
            reference=webhook.reference,
            message_id=row.message_id,
            url=webhook.url,
            body=row.body.encode(),
            attempts=row.attempts,
            secrets=tuple(services.sealer.open(secret, context).decode() for secret in sealed),
        )


def _send(services: Services, message: _Message) -> _Outcome:
    signed = headers(
        message_id=message.message_id,
        timestamp=now_ms() // 1000,
        body=message.body,
        secrets_in_use=message.secrets,
    )
    try:
        answer = outbound.post(
            message.url,
            message.body,
            {"Content-Type": "application/json", "User-Agent": "Marchamo-Webhooks", **signed},
            allow_private=services.settings.webhook_private,
        )
    except OutboundFailed as error:
        return _Outcome(None, error.code)
    except Invalid as error:  # the rules for addresses became stricter since it was made
        return _Outcome(None, error.code)
    return _Outcome(answer.status, None, answer.retry_after)


def _note(services: Services, message: _Message, outcome: _Outcome) -> None:
    now = now_ms()
    log = logger.bind(webhook=message.reference, message=message.message_id, attempts=message.attempts)
    with write_session(services.engine) as session:
        webhook, row = session.get(WebhookRow, message.webhook), session.get(DeliveryRow, message.delivery)
        if webhook is None or row is None or row.state != DeliveryState.WAITING.value:
            return  # removed while it was under way
        row.last_status, row.last_problem = outcome.status, outcome.problem
        if outcome.taken:
            row.state, row.finished_at, webhook.failing_since = DeliveryState.DELIVERED.value, now, None
            log.info("webhook message delivered")
            return
        log.warning("webhook message not taken", status=outcome.status, problem=outcome.problem)
        webhook.failing_since = webhook.failing_since or now
        if message.attempts > len(PAUSES_S):
            row.state, row.finished_at = DeliveryState.GIVEN_UP.value, now
        else:
            row.next_attempt_at = now + _pause_ms(message.attempts, outcome.retry_after)
        if outcome.status == GONE or now - webhook.failing_since >= PAUSED_AFTER_MS:
            _pause(session, services, webhook, now)


def _pause_ms(attempts: int, wish: int | None) -> int:
    """How long to wait after this many attempts; a tenth of it by chance, so that not all come back at once."""
    pause = PAUSES_S[attempts - 1] * (1 + random.random() / 10)  # noqa: S311  spreads load, keeps no secret
    return int(1000 * max(pause, min(wish or 0, LONGEST_WISH_S)))


def _pause(session: Session, services: Services, webhook: WebhookRow, now: int) -> None:
    changed = session.execute(
        update(WebhookRow)
        .where(WebhookRow.id == webhook.id, WebhookRow.paused_at.is_(None))
        .values(paused_at=now)
        .returning(WebhookRow.id)
    )
    if changed.first() is None:
        return
    logger.warning("webhook paused", webhook=webhook.reference)
    for member in _owners(session, webhook.organisation_id):
        subject, text = paused_letter(services, member.locale, reference=webhook.reference)
        queue_mail(session, services, to=member.email, subject=subject, text=text)


def _owners(session: Session, organisation_id: int) -> Sequence[accounts.Person]:
    members = accounts.list_members(session, organisation_id=organisation_id)
    found = (accounts.find_person(session, email=member.email) for member in members if member.role is Role.OWNER)
    return [person for person in found if person is not None]
