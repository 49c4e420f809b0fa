"""Use cases of webhooks: what routes, pages and the worker call."""

from app.webhooks.service.auditing import webhook_check
from app.webhooks.service.delivering import deliver_due, webhooks_being_delivered
from app.webhooks.service.messages import list_deliveries, send_again, send_test
from app.webhooks.service.subscribing import (
    create_webhook,
    find_webhook,
    list_webhooks,
    remove_webhook,
    replace_secret,
    resume,
)
from app.webhooks.values import Delivery, DeliveryState, Webhook, WebhookState

__all__ = [
    "Delivery",
    "DeliveryState",
    "Webhook",
    "WebhookState",
    "create_webhook",
    "deliver_due",
    "find_webhook",
    "list_deliveries",
    "list_webhooks",
    "remove_webhook",
    "replace_secret",
    "resume",
    "send_again",
    "send_test",
    "webhook_check",
    "webhooks_being_delivered",
]
