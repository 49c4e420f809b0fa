"""Routes of devices under /v1: parse, call one use case, answer."""

from typing import Any

from flask import request

from app.access.oauth.server import token_endpoint
from app.accounts import service as accounts
from app.core.api import Blueprint
from app.core.authorisation import Permission, current_organisation_id, current_principal, public, requires
from app.core.database import request_session
from app.core.networks import network_of
from app.core.services import services
from app.devices import schemas, service
from app.devices.answers import device_answer, enrolled_answer

blueprint = Blueprint("devices", __name__, url_prefix="/v1/devices", description="Devices that sign their scans")

Answer = dict[str, Any]


@blueprint.route("", methods=["GET"])
@requires(Permission.DEVICE_ENROL)
@blueprint.response(200, schemas.DeviceListSchema)
def list_devices() -> Answer:
    """Devices of the caller; of the whole organisation for who manages them."""
    return {"items": [device_answer(one) for one in service.list_devices(request_session(), current_principal())]}


@blueprint.route("/enrolments", methods=["POST"])
@public
@blueprint.arguments(schemas.EnrolmentSchema)
@blueprint.response(201, schemas.EnrolledSchema)
def enrol(entry: Answer) -> Answer:
    """Enrol the device that shows a code and a key of its own."""
    return _enrolled(service.enrol(services(), remote_address=network_of(request.remote_addr), **entry))


@blueprint.route("/rule", methods=["GET"])
@requires(Permission.DEVICE_ENROL)
@blueprint.response(200, schemas.RuleSchema)
def rule() -> Answer:
    """Whether inspectors of the organisation have to sign their scans with a device."""
    return {"required": service.devices_required(request_session(), organisation_id=current_organisation_id())}


@blueprint.route("/rule", methods=["PUT"])
@requires(Permission.DEVICE_MANAGE)
@blueprint.arguments(schemas.RuleSchema)
@blueprint.response(200, schemas.RuleSchema)
def set_rule(entry: Answer) -> Answer:
    """Let inspectors sign their scans, or no longer; other server processes follow within five seconds."""
    required = service.require_devices(services(), principal=current_principal(), required=entry["required"])
    return {"required": required}


@blueprint.route("/<device_id>", methods=["GET"])
@requires(Permission.DEVICE_ENROL)
@blueprint.response(200, schemas.DeviceSchema)
def device(device_id: str) -> Answer:
    """One device."""
    return _one(device_id)


@blueprint.route("/<device_id>/lease", methods=["POST"])
@public
@blueprint.arguments(schemas.LeaseSchema)
@blueprint.response(200, schemas.EnrolledSchema)
def renew_by_device(entry: Answer, device_id: str) -> Answer:
    """Let the lease of a device go on that asks for it itself, signed a moment ago."""
    return _enrolled(service.renew_by_device(services(), device_id=device_id, statement=entry["statement"]))


@blueprint.route("/<device_id>/renewal", methods=["POST"])
@requires(Permission.DEVICE_MANAGE)
@blueprint.response(200, schemas.DeviceSchema)
def renew_for_device(device_id: str) -> Answer:
    """Let the lease of a device go on that was not heard of for long."""
    service.renew_for_device(services(), principal=current_principal(), device_id=device_id)
    return _one(device_id)


@blueprint.route("/<device_id>/revocation", methods=["POST"])
@requires(Permission.DEVICE_ENROL)
@blueprint.arguments(schemas.RevocationSchema)
@blueprint.response(200, schemas.DeviceSchema)
def revoke_device(entry: Answer, device_id: str) -> Answer:
    """End a device for ever; its access token works for five seconds more at most."""
    service.revoke_device(services(), principal=current_principal(), device_id=device_id, **entry)
    return _one(device_id)


def _one(device_id: str) -> Answer:
    return device_answer(service.find_device_for(request_session(), current_principal(), device_id))


def _enrolled(found: service.Device) -> Answer:
    organisation = accounts.organisation_by_id(request_session(), found.organisation_id)
    return enrolled_answer(found, organisation, token_endpoint=token_endpoint(services()))
