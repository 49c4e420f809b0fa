"""Shapes of the accounts API, in and out."""

from typing import Any

from marshmallow import fields, validate

from app.accounts.vocabulary import (
    KINDS_OPEN_TO_SIGN_UP,
    KeyHolder,
    OrganisationKeyPurpose,
    OrganisationKind,
    OrganisationStatus,
    RightKind,
    RightStatus,
)
from app.core.api import StrictSchema
from app.core.i18n import LANGUAGES

MAX_TEXT = 2000
_WITHOUT_NUL = validate.ContainsNoneOf("\x00", error="A text has no character NUL: databases can not keep it.")


def word(choices: Any, **keywords: Any) -> fields.String:
    """One of the words of a vocabulary."""
    return fields.String(validate=validate.OneOf([str(choice) for choice in choices]), **keywords)


def text(maximum: int, **keywords: Any) -> fields.String:
    """A text of 1 to `maximum` characters."""
    return fields.String(validate=[validate.Length(1, maximum), _WITHOUT_NUL], **keywords)


def country(**keywords: Any) -> fields.String:
    """A country's two-letter code (ISO 3166-1)."""
    return fields.String(validate=validate.Regexp(r"^[A-Z]{2}\Z"), metadata={"example": "MX"}, **keywords)


class SignUpSchema(StrictSchema):
    """An organisation that asks to join, and the person who becomes its owner."""

    name = text(200, required=True, metadata={"description": "name of the organisation"})
    country = country(required=True)
    kind = word(KINDS_OPEN_TO_SIGN_UP, required=True)
    person_name = text(200, required=True)
    email = text(254, required=True)
    password = fields.String(required=True, load_only=True, validate=validate.Length(12, 200))
    locale = word(LANGUAGES, load_default="en")


class SignUpAnswerSchema(StrictSchema):
    """The answer to every application, whether or not the address has an account."""

    status = fields.String(
        validate=validate.OneOf(["confirm_by_mail"]), metadata={"description": "open the link in the message"}
    )


class ApplicationSchema(StrictSchema):
    """Name and country of a refused organisation that asks again; null leaves them as they are."""

    name = text(200, allow_none=True, load_default=None)
    country = country(allow_none=True, load_default=None)


class OrganisationSchema(StrictSchema):
    """An organisation; `issuer` is its name in addresses and codes."""

    issuer = fields.String()
    name = fields.String()
    country = fields.String()
    kind = word(OrganisationKind)
    status = word(OrganisationStatus)
    created_at = fields.String(metadata={"format": "date-time"})
    jurisdiction = fields.List(
        fields.String(), metadata={"description": "countries in which an authority may act (ISO 3166-1)"}
    )
    decision_reason = fields.String(allow_none=True)
    log_index = fields.Integer(allow_none=True, metadata={"description": "ledger position of the decision"})


class OrganisationListQuery(StrictSchema):
    """Which organisations, and which page of them."""

    status = word(OrganisationStatus)
    text = text(200, metadata={"description": "part of the name, or the whole name on the wire"})
    cursor = fields.String(validate=validate.Length(1, 40))
    limit = fields.Integer(load_default=50, validate=validate.Range(1, 200))


class OrganisationListSchema(StrictSchema):
    """One page of organisations; `next_cursor` is null on the last."""

    items = fields.List(fields.Nested(OrganisationSchema))
    next_cursor = fields.String(allow_none=True)


class OrganisationDecisionSchema(StrictSchema):
    """The registry's decision on an organisation."""

    decision = fields.String(
        required=True,
        validate=validate.OneOf(["approve", "refuse", "suspend"]),
        metadata={"description": "approve also re-opens what was suspended"},
    )
    reason = text(MAX_TEXT, required=True)
    jurisdiction = fields.List(
        country(),
        allow_none=True,
        load_default=None,
        validate=validate.Length(1, 249),
        metadata={"description": "countries in which an authority may act; null leaves them as they are"},
    )


class RightSchema(StrictSchema):
    """A right to issue codes."""

    reference = fields.String()
    kind = word(RightKind)
    value = fields.String(metadata={"description": "company prefix or GTIN-14"})
    organisation = fields.String(metadata={"description": "issuer of the holder"})
    granted_by = fields.String(allow_none=True, metadata={"description": "issuer of the owner, for a delegation"})
    quota = fields.Integer(allow_none=True, metadata={"description": "units in all"})
    lot_quota = fields.Integer(allow_none=True, metadata={"description": "units of one lot, whoever makes them"})
    used = fields.Integer()
    valid_from = fields.String(metadata={"format": "date-time"})
    valid_until = fields.String(allow_none=True, metadata={"format": "date-time"})
    evidence = fields.String()
    evidence_sha256 = fields.String(
        allow_none=True, metadata={"description": "of the document handed in; it stands in the ledger's statement"}
    )
    status = word(RightStatus)
    decision_reason = fields.String(allow_none=True)
    log_index = fields.Integer(allow_none=True)


class RightListSchema(StrictSchema):
    """Rights."""

    items = fields.List(fields.Nested(RightSchema))


class RightRequestSchema(StrictSchema):
    """A company prefix or single GTIN that the registry is asked to enter."""

    kind = fields.String(required=True, validate=validate.OneOf([RightKind.PREFIX.value, RightKind.GTIN.value]))
    value = text(14, required=True)
    evidence = text(MAX_TEXT, required=True, metadata={"description": "what proves the right"})
    quota = fields.Integer(allow_none=True, load_default=None, strict=True, validate=validate.Range(1, 10**12))


class DocumentSchema(StrictSchema):
    """A document that proves a right: PDF, PNG or JPEG."""

    document = fields.Raw(required=True, metadata={"type": "string", "format": "binary"})


DOCUMENT = {"type": "string", "format": "binary"}
"""A document as it was handed in."""


class DelegationSchema(StrictSchema):
    """A maker's right to commission units of the caller's GTIN."""

    gtin = text(14, required=True)
    to = text(12, required=True, metadata={"description": "issuer of the maker"})
    quota = fields.Integer(required=True, strict=True, validate=validate.Range(1, 10**12))
    lot_quota = fields.Integer(allow_none=True, load_default=None, strict=True, validate=validate.Range(1, 10**12))
    valid_until = fields.AwareDateTime(required=True, format="iso")


class RightDecisionSchema(StrictSchema):
    """The registry's decision on a right."""

    decision = fields.String(required=True, validate=validate.OneOf(["approve", "refuse"]))
    reason = text(MAX_TEXT, required=True)
    quota = fields.Integer(allow_none=True, load_default=None, strict=True, validate=validate.Range(1, 10**12))
    lot_quota = fields.Integer(allow_none=True, load_default=None, strict=True, validate=validate.Range(1, 10**12))
    valid_until = fields.AwareDateTime(allow_none=True, load_default=None, format="iso")


class ReasonSchema(StrictSchema):
    """Why."""

    reason = text(MAX_TEXT, required=True)


class KeySchema(StrictSchema):
    """A public key of an organisation; it counts between the two ledger positions."""

    key_id = fields.Integer()
    purpose = word(OrganisationKeyPurpose)
    algorithm = fields.String(dump_default="Ed25519")
    public_key = fields.String(metadata={"description": "32 bytes as base64"})
    holder = fields.String(metadata={"description": "who holds the private key: service or firm"})
    created_at = fields.String(metadata={"format": "date-time"})
    valid_until = fields.String(metadata={"format": "date-time"})
    registered_index = fields.Integer(metadata={"description": "ledger position of the registration"})
    revoked_at = fields.String(allow_none=True, metadata={"format": "date-time"})
    revoked_index = fields.Integer(allow_none=True, metadata={"description": "ledger position of the revocation"})
    revoked_from = fields.Integer(
        allow_none=True,
        metadata={"description": "ledger position from which on batches of this key do not count"},
    )
    revocation_reason = fields.String(allow_none=True)


class KeyListSchema(StrictSchema):
    """Keys of one organisation."""

    items = fields.List(fields.Nested(KeySchema))


def _bytes(size: int, **keywords: Any) -> fields.String:
    """So many bytes as base64, with padding."""
    length = (size + 2) // 3 * 4
    description = f"{size} bytes as base64"
    return fields.String(validate=validate.Length(equal=length), metadata={"description": description}, **keywords)


class NewKeyRegistrationSchema(StrictSchema):
    """The public half of a code key that the firm holds itself."""

    purpose = fields.String(
        load_default=OrganisationKeyPurpose.CODE.value, validate=validate.OneOf([OrganisationKeyPurpose.CODE.value])
    )
    public_key = _bytes(32, required=True)


class KeyRegistrationSchema(StrictSchema):
    """A number set aside for a key, and what the key has to sign to be registered."""

    key_id = fields.Integer()
    purpose = word(OrganisationKeyPurpose)
    issuer = fields.String()
    possession_message = fields.String(metadata={"description": "what the key has to sign, base64"})
    expires_at = fields.String(metadata={"format": "date-time"})


class FirmKeySchema(StrictSchema):
    """A code key that the firm holds, with the proof that it does."""

    key_id = fields.Integer(required=True, strict=True, validate=validate.Range(1, 2**32 - 1))
    public_key = _bytes(32, required=True)
    possession = _bytes(64, required=True)
    valid_until = fields.AwareDateTime(allow_none=True, load_default=None, format="iso")


class KeyRotationSchema(StrictSchema):
    """Who is to hold the successor; a firm that holds its key itself says so to let the service sign again."""

    holder = fields.String(allow_none=True, load_default=None, validate=validate.OneOf([KeyHolder.SERVICE.value]))


class KeyRevocationSchema(StrictSchema):
    """Why, and from which ledger position on: that of the revocation itself when none is given."""

    reason = text(MAX_TEXT, required=True)
    from_index = fields.Integer(allow_none=True, load_default=None, strict=True, validate=validate.Range(0, 2**63 - 1))


class LedgerEntrySchema(StrictSchema):
    """A key event in clear: whoever follows the log can compute the leaf from salt and body."""

    index = fields.Integer()
    salt = fields.String(metadata={"description": "32 bytes as base64"})
    body = fields.String(metadata={"description": "what the leaf commits to, with the signed statement"})


class PublicKeysSchema(StrictSchema):
    """An issuer's public keys and the ledger entries that say so."""

    issuer = fields.String()
    name = fields.String()
    keys = fields.List(fields.Nested(KeySchema))
    entries = fields.List(fields.Nested(LedgerEntrySchema))
