"""Shapes of the access API, in and out."""

from marshmallow import fields, validate

from app.access.certificates import MAX_PEM
from app.access.service.api_keys import MAX_OVERLAP_HOURS
from app.access.service.granting import MAX_DAYS
from app.accounts.schemas import text, word
from app.core.api import StrictSchema
from app.core.authorisation import Permission, Role


class MachineSchema(StrictSchema):
    """What every machine has that acts for an organisation."""

    machine = fields.String(metadata={"description": "its stable name in records, such as api-key:3"})
    name = fields.String()
    role = word(Role)
    scopes = fields.List(word(Permission), allow_none=True)
    created_by = fields.String()
    created_at = fields.String(metadata={"format": "date-time"})
    expires_at = fields.String(metadata={"format": "date-time"})
    revoked_at = fields.String(allow_none=True, metadata={"format": "date-time"})
    last_used_on = fields.String(allow_none=True, metadata={"format": "date", "description": "to the day, in UTC"})


class MachineRequestSchema(StrictSchema):
    """A new machine: its role, narrowed to scopes if there are any."""

    name = text(100, required=True)
    role = word(Role, required=True)
    scopes = fields.List(
        word(Permission), allow_none=True, load_default=None, validate=validate.Length(0, len(Permission))
    )
    days = fields.Integer(load_default=90, strict=True, validate=validate.Range(1, MAX_DAYS))


class ApiKeySchema(MachineSchema):
    """A machine's key, without its secret."""

    prefix = fields.String(metadata={"description": "first characters of the secret: the key's name here"})


class ApiKeyListSchema(StrictSchema):
    """API keys."""

    items = fields.List(fields.Nested(ApiKeySchema))


class ApiKeyRequestSchema(MachineRequestSchema):
    """A new API key."""


class ApiKeyRotationSchema(StrictSchema):
    """How long the key that is replaced works beside the new one."""

    overlap_hours = fields.Integer(load_default=24, strict=True, validate=validate.Range(0, MAX_OVERLAP_HOURS))


class NewApiKeySchema(ApiKeySchema):
    """The new key with its secret, shown this once."""

    secret = fields.String()


class JwkSchema(StrictSchema):
    """A public JSON Web Key (RFC 7517): OKP with Ed25519, or EC with P-256."""

    kty = fields.String(required=True, validate=validate.OneOf(["OKP", "EC"]))
    crv = fields.String(required=True, validate=validate.OneOf(["Ed25519", "P-256"]))
    x = text(100, required=True)
    y = text(100)
    kid = text(128)
    alg = fields.String(validate=validate.OneOf(["EdDSA", "ES256"]))
    use = fields.String(validate=validate.Equal("sig"))


class ClientSchema(MachineSchema):
    """A client of the token endpoint, without its secret."""

    client_id = fields.String()
    public_jwk = fields.Nested(JwkSchema, allow_none=True)


class ClientListSchema(StrictSchema):
    """Clients of the token endpoint."""

    items = fields.List(fields.Nested(ClientSchema))


class ClientRequestSchema(MachineRequestSchema):
    """A new client: with a secret, or with the public key that it will sign with."""

    public_jwk = fields.Nested(JwkSchema, allow_none=True, load_default=None)


class NewClientSchema(ClientSchema):
    """The new client; its secret is shown this once, and is null when it signs."""

    client_secret = fields.String(allow_none=True)


class CertificateSchema(MachineSchema):
    """A TLS client certificate that acts for the organisation."""

    thumbprint = fields.String(metadata={"description": "SHA-256 of the certificate's DER form, 64 hexadecimal digits"})


class CertificateListSchema(StrictSchema):
    """Client certificates."""

    items = fields.List(fields.Nested(CertificateSchema))


class CertificateRequestSchema(MachineRequestSchema):
    """A certificate to register."""

    certificate = text(MAX_PEM, required=True, metadata={"description": "PEM text, or the SHA-256 thumbprint"})
