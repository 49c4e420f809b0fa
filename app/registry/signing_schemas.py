"""Shapes of the API by which a firm signs its codes itself."""

from marshmallow import fields, validate

from app.core.api import StrictSchema
from app.registry.service.signing import MAX_PAGE
from app.registry.unit_id import MAX_BATCH_SIZE
from app.registry.vocabulary import Profile
from scanners.codes.identity import CodeKind


def _after() -> fields.String:
    description = "the serial before position `from`, where it is known: only makes the answer faster"
    return fields.String(load_default=None, validate=validate.Length(1, 20), metadata={"description": description})


class SigningQuery(StrictSchema):
    """Which units: `limit` of them from position `from` on."""

    start = fields.Integer(data_key="from", load_default=0, validate=validate.Range(0, MAX_BATCH_SIZE))
    limit = fields.Integer(load_default=MAX_PAGE, validate=validate.Range(1, MAX_PAGE))
    after = _after()


class SignaturesQuery(StrictSchema):
    """The position of the first unit whose signature is handed in: a multiple of 512."""

    start = fields.Integer(data_key="from", load_default=0, validate=validate.Range(0, MAX_BATCH_SIZE))
    after = _after()


class SealSchema(StrictSchema):
    """The firm's signature of the batch's root and number of units, by which nobody can add a unit later."""

    seal = fields.String(
        required=True, validate=validate.Length(equal=88), metadata={"description": "64 bytes as base64"}
    )


class SigningStateSchema(StrictSchema):
    """How far the codes of a batch are signed."""

    handle = fields.String()
    key_id = fields.Integer()
    quantity = fields.Integer()
    signed = fields.Integer(metadata={"description": "units whose signatures are there"})
    first_unsigned = fields.Integer(
        allow_none=True, metadata={"description": "position of the first unit without a signature"}
    )
    log_index = fields.Integer(
        allow_none=True, metadata={"description": "ledger position of the entry that closes the batch; null before"}
    )


class SigningPageSchema(SigningStateSchema):
    """What a firm is to sign, so complete that it computes the signed bytes itself."""

    issuer = fields.String()
    public_key = fields.String(metadata={"description": "32 bytes as base64"})
    kind = fields.String(validate=validate.OneOf([kind.value for kind in CodeKind]))
    reference = fields.String(metadata={"description": "GTIN-14, or ISSUER/ITEM; empty for cases"})
    profile = fields.String(validate=validate.OneOf([profile.value for profile in Profile]))
    elements = fields.List(
        fields.List(fields.String()),
        metadata={"description": "pairs of application identifier and value that every code carries too"},
    )
    root = fields.String(metadata={"description": "root of the batch tree as on the ledger, base64"})
    batch_log_index = fields.Integer(metadata={"description": "ledger position of the batch"})
    salt_secret = fields.String(
        metadata={"description": "32 bytes as base64: the tree can be grown again with it, and compared with the root"}
    )
    start = fields.Integer(metadata={"description": "position of the first of `serials`"})
    serials = fields.List(fields.String(), metadata={"description": "in order of position"})
    next_from = fields.Integer(allow_none=True, metadata={"description": "position of the next page; null on the last"})


class RevocationQuery(StrictSchema):
    """The ledger position from which on the key would not count; now when there is none."""

    from_index = fields.Integer(load_default=None, validate=validate.Range(0, 2**63 - 1))


class RevocationPreviewSchema(StrictSchema):
    """What revoking a key would do: what stays good, and what would be answered with KEY_REVOKED."""

    key_id = fields.Integer()
    registered_index = fields.Integer()
    from_index = fields.Integer(allow_none=True)
    batches_before = fields.Integer(metadata={"description": "batches that stay good"})
    units_before = fields.Integer()
    batches_after = fields.Integer(metadata={"description": "batches whose codes would be answered with KEY_REVOKED"})
    units_after = fields.Integer()
    sentence = fields.String()
