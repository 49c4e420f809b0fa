"""Webhooks of an organisation: made, given another secret, resumed, removed; making and removing is on the ledger."""

import hashlib
import secrets
from collections.abc import Sequence

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from app.accounts import service as accounts
from app.core.authorisation import Principal
from app.core.clock import now_ms
from app.core.database import write_session
from app.core.errors import Conflict, Forbidden, NotFound
from app.core.notices import NoticeKind
from app.core.outbound import check_url
from app.core.services import Services
from app.webhooks.models import DeliveryRow, WebhookRow
from app.webhooks.signing import new_secret
from app.webhooks.values import DeliveryState, Webhook

MAX_WEBHOOKS = 10
"""How many an organisation may have."""
OLD_SECRET_MS = 24 * 3_600_000
"""How long messages are signed with the former secret too, after it was replaced."""


def create_webhook(
    services: Services, *, principal: Principal, url: str, kinds: Sequence[NoticeKind] = ()
) -> tuple[Webhook, str]:
    """The new webhook and its secret, which nobody can read again.

    kinds: what to be told; empty for everything. Raises Invalid for an address that is not written to, Conflict.
    """
    organisation_id = principal.organisation_id
    if organisation_id is None:
        raise Forbidden
    check_url(url, allow_private=services.settings.webhook_private)
    reference, secret = f"wh_{secrets.token_hex(8)}", new_secret()
    words = " ".join(sorted({kind.value for kind in kinds}))
    sealed = services.sealer.seal(secret.encode(), secret_context(reference))

    def apply(session: Session) -> Webhook:
        own = select(func.count()).where(WebhookRow.organisation_id == organisation_id, WebhookRow.removed_at.is_(None))
        if (session.scalar(own) or 0) >= MAX_WEBHOOKS:
            raise Conflict("The organisation has %(limit)s webhooks already.", code="webhooks", limit=MAX_WEBHOOKS)
        row = WebhookRow(
            reference=reference,
            organisation_id=organisation_id,
            url=url,
            kinds=words,
            sealed_secret=sealed,
            created_by=principal.actor,
            created_at=now_ms(),
        )
        session.add(row)
        session.flush()
        return value(row)

    made = accounts.perform(
        services,
        accounts.Act.WEBHOOK_CREATED,
        organisation_id=organisation_id,
        by=principal,
        details={"webhook": reference, "for": organisation_id, "url_sha256": url_digest(url), "kinds": words},
        apply=apply,
    )
    return made, secret


def list_webhooks(session: Session, *, organisation_id: int) -> list[Webhook]:
    """The organisation's webhooks, newest first."""
    rows = session.scalars(
        select(WebhookRow)
        .where(WebhookRow.organisation_id == organisation_id, WebhookRow.removed_at.is_(None))
        .order_by(WebhookRow.id.desc())
    )
    return [value(row) for row in rows]


def find_webhook(session: Session, *, organisation_id: int, reference: str) -> Webhook:
    """A webhook of the organisation; raises NotFound."""
    return value(own_row(session, organisation_id, reference))


def remove_webhook(services: Services, *, principal: Principal, reference: str) -> None:
    """End a webhook; what waits for it is given up. Raises NotFound."""
    organisation_id = principal.organisation_id or 0
    with Session(services.engine) as session:
        own_row(session, organisation_id, reference)

    def apply(session: Session) -> None:
        row, now = own_row(session, organisation_id, reference), now_ms()
        row.removed_at, row.sealed_old_secret = now, None
        session.execute(
            update(DeliveryRow)
            .where(DeliveryRow.webhook_id == row.id, DeliveryRow.state == DeliveryState.WAITING.value)
            .values(state=DeliveryState.GIVEN_UP.value, finished_at=now)
        )

    accounts.perform(
        services,
        accounts.Act.WEBHOOK_REMOVED,
        organisation_id=organisation_id,
        by=principal,
        details={"webhook": reference},
        apply=apply,
    )


def replace_secret(services: Services, *, organisation_id: int, reference: str) -> str:
    """A new secret; for a day messages carry a signature by the former one too. Raises NotFound."""
    secret = new_secret()
    with write_session(services.engine) as session:
        row = own_row(session, organisation_id, reference)
        row.sealed_old_secret, row.old_secret_until = row.sealed_secret, now_ms() + OLD_SECRET_MS
        row.sealed_secret = services.sealer.seal(secret.encode(), secret_context(reference))
    return secret


def resume(services: Services, *, organisation_id: int, reference: str) -> Webhook:
    """Send again to a webhook that was paused, and what waits for it at once. Raises NotFound."""
    with write_session(services.engine) as session:
        row = own_row(session, organisation_id, reference)
        row.paused_at = row.failing_since = None
        waiting = (DeliveryRow.webhook_id == row.id) & (DeliveryRow.state == DeliveryState.WAITING.value)
        session.execute(update(DeliveryRow).where(waiting).values(next_attempt_at=now_ms(), attempts=0))
        return value(row)


def own_row(session: Session, organisation_id: int, reference: str) -> WebhookRow:
    """The row of a webhook of the organisation; raises NotFound, also for one that was removed."""
    row = session.scalar(
        select(WebhookRow).where(
            WebhookRow.reference == reference,
            WebhookRow.organisation_id == organisation_id,
            WebhookRow.removed_at.is_(None),
        )
    )
    if row is None:
        raise NotFound
    return row


def secret_context(reference: str) -> str:
    """What a webhook's secret is sealed for."""
    return f"webhook {reference}"


def url_digest(url: str) -> str:
    """The address as the ledger names it: an address may hold a token, which must not stand there for ever."""
    return hashlib.sha256(url.encode()).hexdigest()


def value(row: WebhookRow) -> Webhook:
    """The value of a row, without its secrets."""
    return Webhook(
        reference=row.reference,
        url=row.url,
        kinds=tuple(NoticeKind(word) for word in row.kinds.split()),
        created_by=row.created_by,
        created_at=row.created_at,
        failing_since=row.failing_since,
        paused_at=row.paused_at,
    )
