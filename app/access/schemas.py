"""Shapes of the access API, in and out."""

from marshmallow import fields, validate

from app.access.service.api_keys import MAX_DAYS
from app.accounts.schemas import text, word
from app.core.api import StrictSchema
from app.core.authorisation import Permission, Role


class ApiKeySchema(StrictSchema):
    """A machine's key, without its secret."""

    prefix = fields.String(metadata={"description": "first characters of the secret: the key's name here"})
    name = fields.String()
    role = word(Role)
    scopes = fields.List(word(Permission), allow_none=True)
    created_by = fields.String()
    created_at = fields.String(metadata={"format": "date-time"})
    expires_at = fields.String(metadata={"format": "date-time"})
    revoked_at = fields.String(allow_none=True, metadata={"format": "date-time"})


class ApiKeyListSchema(StrictSchema):
    """API keys."""

    items = fields.List(fields.Nested(ApiKeySchema))


class ApiKeyRequestSchema(StrictSchema):
    """A new machine: its role, narrowed to scopes if there are any."""

    name = text(100, required=True)
    role = word(Role, required=True)
    scopes = fields.List(
        word(Permission), allow_none=True, load_default=None, validate=validate.Length(0, len(Permission))
    )
    days = fields.Integer(load_default=90, strict=True, validate=validate.Range(1, MAX_DAYS))


class NewApiKeySchema(ApiKeySchema):
    """The new key with its secret, shown this once."""

    secret = fields.String()
