"""Webhooks and their messages as JSON objects of the API."""

from typing import Any

from app.core.clock import to_iso
from app.webhooks.values import Delivery, Webhook


def webhook_answer(webhook: Webhook) -> dict[str, Any]:
    """A webhook without its secret."""
    return {
        "reference": webhook.reference,
        "url": webhook.url,
        "kinds": [kind.value for kind in webhook.kinds],
        "state": webhook.state.value,
        "created_by": webhook.created_by,
        "created_at": to_iso(webhook.created_at),
        "failing_since": _time(webhook.failing_since),
        "paused_at": _time(webhook.paused_at),
    }


def delivery_answer(delivery: Delivery) -> dict[str, Any]:
    """A message and what came of it."""
    return {
        "message_id": delivery.message_id,
        "kind": delivery.kind,
        "state": delivery.state.value,
        "attempts": delivery.attempts,
        "created_at": to_iso(delivery.created_at),
        "next_attempt_at": to_iso(delivery.next_attempt_at),
        "finished_at": _time(delivery.finished_at),
        "last_status": delivery.status,
        "last_problem": delivery.problem,
    }


def _time(milliseconds: int | None) -> str | None:
    return None if milliseconds is None else to_iso(milliseconds)
