"""Shapes of the verification API, in and out."""

from typing import Any

from marshmallow import fields, post_load, validate

from app.core.api import StrictSchema, TrueOrFalse
from app.core.clock import from_datetime
from app.devices.values import Standing
from app.facts.epcis import NOWHERE, Place
from app.facts.scans.scan import MAX_DEVICE, MAX_KEY, MAX_OPERATOR_SAW
from app.facts.service import MAX_NOTE
from app.transparency.schemas import ContinuationSchema, WitnessedSchema
from app.transparency.service.remembering import MAX_NOTE as MAX_NOTE_SEEN
from app.verification.actions import Action
from app.verification.service.verifying import MAX_CODES
from app.verification.verdict import Authenticity, Labour, Reason, Risk, Status, Summary
from scanners.signed_scans import MAX_TOKEN

MAX_TEXT = 2_048
MAX_NONCE = 128
COUNTRY = validate.Regexp(r"[A-Z]{2}\Z", error="A country is its two-letter ISO 3166-1 code, such as MX.")
_PLAIN = validate.Regexp(r"[!-~]*\Z", error="Only visible ASCII characters.")


def _short(longest: int) -> list[validate.Validator]:
    return [validate.Length(min=1, max=longest), _PLAIN]


class PlaceSchema(StrictSchema):
    """Where a code was scanned: degrees, metres, and how that is known."""

    latitude = fields.Float(required=True, validate=validate.Range(-90, 90))
    longitude = fields.Float(required=True, validate=validate.Range(-180, 180))
    accuracy = fields.Integer(strict=True, load_default=None, allow_none=True, validate=validate.Range(0, 20_000_000))
    source = fields.String(load_default="gps", validate=validate.OneOf(["gps", "ip", "site"]))

    @post_load
    def make(self, data: dict[str, Any], **_kwargs: Any) -> Place:
        """Give the value."""
        return Place(round(data["latitude"] * 1e6), round(data["longitude"] * 1e6), data["accuracy"], data["source"])


class CircumstancesSchema(StrictSchema):
    """How codes were scanned. The Idempotency-Key header may stand in place of `key`."""

    action = fields.Enum(Action, by_value=True, metadata={"description": "Needs a role that allows the act."})
    device = fields.String(validate=_short(MAX_DEVICE - 24), metadata={"description": "Your name for the device."})
    device_time = fields.AwareDateTime(metadata={"description": "The device's clock when it scanned."})
    key = fields.String(validate=_short(MAX_KEY), metadata={"description": "Makes a retry recognisable."})
    nonce = fields.String(validate=_short(MAX_NONCE), metadata={"description": "Comes back in the receipt."})
    offline = TrueOrFalse()
    operator_saw = fields.String(validate=_short(MAX_OPERATOR_SAW))
    on_offer = TrueOrFalse(metadata={"description": "The goods are offered for sale where they were scanned."})
    place = fields.Nested(PlaceSchema, load_default=NOWHERE)
    note = fields.String(validate=validate.Length(max=MAX_NOTE))
    country = fields.String(validate=COUNTRY, metadata={"description": "where an authority acts; ISO 3166-1 alpha-2"})
    correlation = fields.UUID(data_key="corrUUID")
    checkpoint = fields.String(
        validate=validate.Length(max=MAX_NOTE_SEEN),
        metadata={"description": "The last checkpoint of the ledger that the device saw; empty when it has none yet."},
    )

    @post_load
    def simplify(self, data: dict[str, Any], **_kwargs: Any) -> dict[str, Any]:
        """Give times in milliseconds and the correlation id as text."""
        if "device_time" in data:
            data["device_time"] = from_datetime(data["device_time"])
        if "correlation" in data:
            data["correlation"] = str(data["correlation"])
        return data


_STATEMENT = [validate.Length(min=1, max=MAX_TOKEN), _PLAIN]


class VerifySchema(CircumstancesSchema):
    """One code to verify."""

    code = fields.String(required=True, validate=validate.Length(min=1, max=MAX_TEXT))
    statement = fields.String(
        data_key="device_statement",
        validate=_STATEMENT,
        metadata={"description": "What an enrolled device signed about the scan; what else is said must agree."},
    )


_SIMPLE = {"device": MAX_DEVICE - 24, "key": MAX_KEY, "nonce": MAX_NONCE}


def simple_verify(body: Any) -> dict[str, Any] | None:
    """Load what tills and hand scanners send, code, device, key, nonce and checkpoint, as `VerifySchema` would.

    None for everything else, also for everything wrong: the schema decides. Measured, a tenth of a verification.
    """
    if type(body) is not dict or "code" not in body:
        return None
    loaded: dict[str, Any] = {"place": NOWHERE}
    for name, value in body.items():
        if type(value) is not str or not (value or name == "checkpoint"):
            return None
        if name == "code":
            if len(value) > MAX_TEXT:
                return None
        elif name == "checkpoint":
            if len(value) > MAX_NOTE_SEEN:
                return None
        elif len(value) > _SIMPLE.get(name, 0) or not value.isascii() or not value.isprintable() or " " in value:
            return None
        loaded[name] = value
    return loaded


class PublicScanSchema(StrictSchema):
    """What the public page reports."""

    code = fields.String(required=True, validate=validate.Length(min=1, max=MAX_TEXT))
    device = fields.String(validate=_short(MAX_DEVICE - 24))
    key = fields.String(validate=_short(MAX_KEY))
    place = fields.Nested(PlaceSchema, load_default=NOWHERE)


class CodesSchema(CircumstancesSchema):
    """Many codes that were scanned under the same circumstances."""

    codes = fields.List(
        fields.String(validate=validate.Length(min=1, max=MAX_TEXT)),
        required=True,
        validate=validate.Length(min=1, max=MAX_CODES),
    )
    statements = fields.List(
        fields.String(validate=_STATEMENT),
        data_key="device_statements",
        validate=validate.Length(min=1, max=MAX_CODES),
        metadata={"description": "What enrolled devices signed: one for each code, in their order."},
    )


class ActionsSchema(CodesSchema):
    """One act on many units."""

    action = fields.Enum(Action, by_value=True, required=True)


class BatchActionSchema(StrictSchema):
    """One act on a whole batch."""

    action = fields.Enum(Action, by_value=True, required=True)
    key = fields.String(validate=_short(MAX_KEY))
    note = fields.String(load_default="", validate=validate.Length(max=MAX_NOTE))
    country = fields.String(validate=COUNTRY, metadata={"description": "where an authority acts; ISO 3166-1 alpha-2"})


class UndoSchema(StrictSchema):
    """Why an event is taken back."""

    note = fields.String(load_default="", validate=validate.Length(max=MAX_NOTE))


class ProofQuery(StrictSchema):
    """The signature printed in the code, for callers who hold nothing else."""

    S = fields.String(validate=validate.Regexp(r"[0-9]{167}\Z"))


class LightweightSchema(StrictSchema):
    """GS1 Lightweight Verification Messaging."""

    verified = fields.Boolean(required=True)
    verificationFailureReason = fields.String()  # noqa: N815  the standard's spelling
    additionalInfo = fields.String()  # noqa: N815


class CodeSchema(StrictSchema):
    """The code as it was read."""

    form = fields.String()
    canonical = fields.String()
    host = fields.String(allow_none=True)
    kind = fields.String(allow_none=True)
    identifier = fields.String(allow_none=True)
    serial = fields.String(allow_none=True)
    elements = fields.Dict(keys=fields.String(), values=fields.String())
    diagnoses = fields.List(fields.String())


class ActionOutcomeSchema(StrictSchema):
    """What became of the act."""

    action = fields.String()
    recorded = fields.Boolean()
    event_id = fields.String(allow_none=True)
    log_index = fields.Integer(allow_none=True)
    replayed = fields.Boolean()
    code = fields.String(allow_none=True)
    message = fields.String(allow_none=True)


class ProductSeenSchema(StrictSchema):
    """The product that the unit is one of."""

    name = fields.String()
    brand = fields.String()
    issuer = fields.String(allow_none=True)


class BatchSeenSchema(StrictSchema):
    """The batch that the unit belongs to."""

    handle = fields.String()
    lot = fields.String(allow_none=True)
    expiry = fields.String(allow_none=True)
    log_index = fields.Integer()


class ScanSeenSchema(StrictSchema):
    """The scan as recorded."""

    id = fields.String()
    replayed = fields.Boolean()
    clock_offset_ms = fields.Integer(allow_none=True)
    device_signature = fields.Enum(
        Standing, by_value=True, metadata={"description": "What the device's signature was worth when it came in."}
    )


class LedgerStateSchema(StrictSchema):
    """The state of the ledger that the answer rests on."""

    origin = fields.String()
    size = fields.Integer()
    root = fields.String()
    witnessed = fields.Nested(WitnessedSchema)


class EvidenceSchema(StrictSchema):
    """One line of the risk's explanation."""

    reason = fields.Enum(Reason, by_value=True)
    weight = fields.Float()


class VerdictSchema(StrictSchema):
    """The verdict. Professionals see more members and more exact reasons than the public."""

    data = fields.Nested(LightweightSchema)
    corrUUID = fields.String()  # noqa: N815
    verificationTimestamp = fields.String()  # noqa: N815
    responderGLN = fields.String(allow_none=True)  # noqa: N815
    summary = fields.Enum(Summary, by_value=True)
    advice = fields.String()
    authenticity = fields.Enum(Authenticity, by_value=True)
    status = fields.List(fields.Enum(Status, by_value=True))
    risk = fields.Enum(Risk, by_value=True, allow_none=True)
    labour = fields.Enum(Labour, by_value=True, allow_none=True)
    not_part_of_this_answer = fields.List(fields.String())
    reasons = fields.List(fields.Enum(Reason, by_value=True))
    as_of = fields.String()
    data_age_seconds = fields.Integer()
    code = fields.Nested(CodeSchema, allow_none=True)
    product = fields.Nested(ProductSeenSchema, allow_none=True)
    batch = fields.Nested(BatchSeenSchema, allow_none=True)
    scan = fields.Nested(ScanSeenSchema, allow_none=True)
    ledger = fields.Nested(LedgerStateSchema)
    proof_url = fields.String(allow_none=True)
    receipt = fields.String()
    earlier_scans = fields.Integer()
    risk_score = fields.Float()
    evidence = fields.List(fields.Nested(EvidenceSchema))
    action = fields.Nested(ActionOutcomeSchema)
    log = fields.Nested(ContinuationSchema, metadata={"description": "For devices that sent `checkpoint`."})


class UnreadableSchema(StrictSchema):
    """Why a text of a batch could not be read."""

    code = fields.String()
    message = fields.String()
    fix = fields.String(allow_none=True)


class BatchAnswerItemSchema(StrictSchema):
    """One code of a batch: a verdict, or an error."""

    verdict = fields.Nested(VerdictSchema, allow_none=True)
    error = fields.Nested(UnreadableSchema, allow_none=True)


class BatchAnswerSchema(StrictSchema):
    """The answers to a batch, in the order of its codes."""

    items = fields.List(fields.Nested(BatchAnswerItemSchema))
    summary = fields.Dict(keys=fields.String(), values=fields.Integer())
    log = fields.Nested(ContinuationSchema, metadata={"description": "For devices that sent `checkpoint`."})


class RecordedEventSchema(StrictSchema):
    """An event on the ledger."""

    event_id = fields.String()
    log_index = fields.Integer()
    replayed = fields.Boolean()
