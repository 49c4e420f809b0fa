"""Shapes of the webhooks API, in and out."""

from marshmallow import fields, validate

from app.accounts.schemas import text, word
from app.core.api import StrictSchema
from app.core.notices import NoticeKind
from app.core.outbound import MAX_URL
from app.webhooks.values import DeliveryState, WebhookState

_TIME = {"format": "date-time"}


class WebhookSchema(StrictSchema):
    """A webhook, without its secret."""

    reference = fields.String()
    url = fields.String()
    kinds = fields.List(word(NoticeKind), metadata={"description": "what it is told; empty for everything"})
    state = word(WebhookState)
    created_by = fields.String()
    created_at = fields.String(metadata=_TIME)
    failing_since = fields.String(allow_none=True, metadata=_TIME)
    paused_at = fields.String(allow_none=True, metadata=_TIME)


class WebhookListSchema(StrictSchema):
    """Webhooks."""

    items = fields.List(fields.Nested(WebhookSchema))


class WebhookRequestSchema(StrictSchema):
    """A new webhook."""

    url = text(MAX_URL, required=True)
    kinds = fields.List(word(NoticeKind), load_default=[], validate=validate.Length(0, len(NoticeKind)))


class NewWebhookSchema(WebhookSchema):
    """The new webhook with its secret, shown this once."""

    secret = fields.String()


class SecretSchema(StrictSchema):
    """A new secret, shown this once."""

    secret = fields.String()


class DeliverySchema(StrictSchema):
    """A message to a webhook; `message_id` is its webhook-id header."""

    message_id = fields.String()
    kind = fields.String()
    state = word(DeliveryState)
    attempts = fields.Integer()
    created_at = fields.String(metadata=_TIME)
    next_attempt_at = fields.String(metadata=_TIME)
    finished_at = fields.String(allow_none=True, metadata=_TIME)
    last_status = fields.Integer(allow_none=True, metadata={"description": "HTTP status of the last answer"})
    last_problem = fields.String(allow_none=True, metadata={"description": "why there was no answer"})


class DeliveryListSchema(StrictSchema):
    """Messages, newest first."""

    items = fields.List(fields.Nested(DeliverySchema))
