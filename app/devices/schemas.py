"""Shapes of the devices API, in and out."""

from typing import Any

from marshmallow import fields, post_load

from app.accounts.schemas import text, word
from app.core.api import StrictSchema, TrueOrFalse
from app.core.authorisation import Role
from app.core.clock import from_datetime
from app.devices.service.ending import MAX_REASON
from app.devices.service.enrolling import MAX_NAME
from scanners.signed_scans import MAX_TOKEN

_TIME = {"format": "date-time"}


class EnrolmentSchema(StrictSchema):
    """What a device shows to be enrolled."""

    code = text(20, required=True)
    public_key = text(44, required=True, metadata={"description": "Ed25519, 32 bytes in base64."})
    name = text(MAX_NAME, required=True)
    possession = text(MAX_TOKEN, required=True, metadata={"description": "JWS of the type marchamo-enrolment+jws."})


class EnrolledSchema(StrictSchema):
    """What a device needs to know of itself."""

    id = fields.String()
    client_id = fields.String(metadata={"description": "For access tokens, and the key id of what it signs."})
    token_endpoint = fields.String(metadata={"description": "Where to ask for access tokens; `aud` of what asks."})
    name = fields.String()
    organisation = fields.String()
    role = word(Role)
    lease_until = fields.String(metadata=_TIME)


class LeaseSchema(StrictSchema):
    """A device's own request for its lease to go on."""

    statement = text(MAX_TOKEN, required=True, metadata={"description": "JWS of the type marchamo-lease+jws."})


class DeviceSchema(StrictSchema):
    """A device as those who look after it see it."""

    id = fields.String()
    name = fields.String()
    person = fields.String()
    role = word(Role)
    enrolled_at = fields.String(metadata=_TIME)
    lease_until = fields.String(metadata=_TIME)
    last_contact_at = fields.String(metadata=_TIME)
    revoked_at = fields.String(allow_none=True, metadata=_TIME)
    revoked_from = fields.String(allow_none=True, metadata=_TIME)
    revocation_reason = fields.String(allow_none=True)
    scans = fields.Integer(metadata={"description": "Signed scans that came in."})
    missing = fields.Integer(metadata={"description": "Running numbers below the highest that did not come in."})
    conflicts = fields.Integer(metadata={"description": "Scans under a number that was used for another."})
    since_loss = fields.Integer(metadata={"description": "Scans that it signed after `revoked_from`."})


class DeviceListSchema(StrictSchema):
    """Devices, newest first, at most 500."""

    items = fields.List(fields.Nested(DeviceSchema))


class RevocationSchema(StrictSchema):
    """Why a device ends, and since when it was in other hands."""

    reason = text(MAX_REASON, required=True)
    since = fields.AwareDateTime(load_default=None, allow_none=True)

    @post_load
    def simplify(self, data: dict[str, Any], **_kwargs: Any) -> dict[str, Any]:
        """Give the time in milliseconds."""
        if data["since"] is not None:
            data["since"] = from_datetime(data["since"])
        return data


class RuleSchema(StrictSchema):
    """Whether inspectors have to sign their scans with a device."""

    required = TrueOrFalse(required=True)
