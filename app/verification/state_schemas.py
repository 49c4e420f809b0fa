"""Shapes of state bundles, which `marchamo verify-proof` reads; docs/formats.md says what each member proves."""

from marshmallow import fields

from app.core.api import StrictSchema

_HASHES = {"description": "Hashes in base64, from the sibling up."}


class ShownEntrySchema(StrictSchema):
    """One entry of the ledger: salt and body, or commitment and tags where the body was erased."""

    index = fields.Integer()
    prev = fields.String()
    path = fields.List(fields.String(), metadata=_HASHES)
    salt = fields.String()
    body = fields.String()
    commitment = fields.String()
    tags = fields.List(fields.String())


class StateProofSchema(StrictSchema):
    """Every entry about one subject, and that there is no further one."""

    format = fields.String()
    subject = fields.String()
    entries = fields.List(fields.Nested(ShownEntrySchema))
    map = fields.Nested(ShownEntrySchema, metadata={"description": "The entry that states the subject map."})
    bucket = fields.String()
    bucket_path = fields.List(fields.String(), metadata=_HASHES)
    checkpoint = fields.String()


class StateBundleSchema(StrictSchema):
    """The state of a unit (with its proof bundle), a batch or an organisation."""

    format = fields.String()
    about = fields.String()
    name = fields.String()
    unit = fields.Dict(allow_none=True)
    states = fields.Dict(keys=fields.String(), values=fields.Nested(StateProofSchema))
