"""Shapes of the ledger's API, in and out."""

from marshmallow import fields, validate

from app.core.api import StrictSchema
from ledger.strict import MAX_INTEGER

_SIZE = [validate.Range(0, MAX_INTEGER)]


class SizesQuery(StrictSchema):
    """Two sizes of the ledger."""

    old_size = fields.Integer(data_key="from", required=True, strict=False, validate=_SIZE)
    new_size = fields.Integer(data_key="to", required=True, strict=False, validate=_SIZE)


class ConsistencySchema(StrictSchema):
    """The proof that the ledger of size `to` begins with the ledger of size `from` (RFC 9162 section 2.1.4)."""

    old_size = fields.Integer(data_key="from", required=True)
    new_size = fields.Integer(data_key="to", required=True)
    path = fields.List(fields.String(), required=True, metadata={"description": "Hashes in base64."})


class ContinuationSchema(StrictSchema):
    """What a device that sent its last checkpoint gets back."""

    checkpoint = fields.String(metadata={"description": "The newest checkpoint: keep it and send it next time."})
    old_size = fields.Integer(data_key="from", metadata={"description": "Size of the checkpoint that was sent."})
    consistency = fields.List(
        fields.String(), allow_none=True, metadata={"description": "Proof that the new extends the old; else null."}
    )
    alarm = fields.Integer(allow_none=True, metadata={"description": "Number of the alarm that the old one raised."})


class AlarmSchema(StrictSchema):
    """An alarm about the ledger."""

    number = fields.Integer()
    time = fields.String()
    kind = fields.String()
    detail = fields.String()


class AuditSchema(StrictSchema):
    """One audit of the ledger."""

    time = fields.String()
    mode = fields.String()
    size = fields.Integer()
    ok = fields.Boolean()
    by = fields.String()
    seconds = fields.Float()


class WitnessSchema(StrictSchema):
    """One witness, and how far it has come."""

    name = fields.String()
    size = fields.Integer(allow_none=True)
    time = fields.String(allow_none=True)
    entries_behind = fields.Integer()
    last_result = fields.String(
        allow_none=True,
        metadata={"description": "cosigned, unreachable, refused or contradicted; null while it was not asked."},
    )
    last_result_since = fields.String(allow_none=True)
    last_result_reason = fields.String(metadata={"description": "A sentence, unless it cosigned."})


class WitnessedSchema(StrictSchema):
    """How many of the registry's witnesses have cosigned this state; quorum: enough of them, by its policy."""

    k = fields.Integer()
    n = fields.Integer()
    quorum = fields.Boolean()


class LedgerSchema(StrictSchema):
    """The ledger as a whole: how to check it, and how it is."""

    origin = fields.String()
    keys = fields.List(
        fields.String(), metadata={"description": "Verifier keys (C2SP signed-note) that sign now, the older first."}
    )
    successions = fields.List(
        fields.String(), metadata={"description": "Signed notes by which each key named its successor, oldest first."}
    )
    checkpoint = fields.String(metadata={"description": "The latest published checkpoint, a signed note."})
    published_at = fields.String(allow_none=True)
    size = fields.Integer()
    state = fields.String(metadata={"description": "writable, read_only or frozen"})
    entries_last_hour = fields.Integer()
    entries_last_day = fields.Integer()
    witnessed = fields.Nested(WitnessedSchema)
    witnesses = fields.List(fields.Nested(WitnessSchema))
    audits = fields.List(fields.Nested(AuditSchema))
    alarms = fields.List(fields.Nested(AlarmSchema))
    alarm_count = fields.Integer()
