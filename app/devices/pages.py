"""The pages of devices: a code for a new one, what is known of each, and its end."""

from datetime import UTC, datetime

from flask import Blueprint, request
from flask_babel import gettext
from werkzeug.wrappers import Response as AnyResponse

from app.accounts.forms import text
from app.accounts.showing import once, page, then
from app.core.authorisation import (
    Permission,
    current_organisation_id,
    current_principal,
    needs_confirmation,
    requires,
)
from app.core.clock import from_datetime, now_ms
from app.core.database import request_session
from app.core.errors import AppError, Invalid
from app.core.services import services
from app.devices import service
from app.devices.values import EnrolmentCode
from scanners.codes.symbol import QUIET_ZONE, fast_symbol, svg_path

blueprint = Blueprint("device_pages", __name__)

ENROL_SCHEME = "marchamo-enrol:"
"""Before the registry's address and the code in the picture that a device scans to be enrolled."""


@blueprint.get("/devices")
@requires(Permission.DEVICE_ENROL)
def devices() -> AnyResponse:
    """Devices of the caller, or of the organisation."""
    return _devices_page()


@blueprint.post("/devices")
@requires(Permission.DEVICE_ENROL)
@needs_confirmation
def request_code() -> AnyResponse:
    """Make a code for a device and show it, once: what it enrols works on when this browser is signed out."""
    try:
        code = service.request_code(services(), principal=current_principal())
    except AppError as error:
        return _devices_page(error)
    return once(_devices_page(code=code))


@blueprint.post("/devices/rule")
@requires(Permission.DEVICE_MANAGE)
def set_rule() -> AnyResponse:
    """Let inspectors sign their scans, or no longer."""
    required = request.form.get("required") == "1"
    done = (
        gettext("From now on inspectors scan with an enrolled device.")
        if required
        else gettext("Inspectors may scan without an enrolled device again.")
    )
    return then(
        _devices_page,
        "/devices",
        done,
        lambda: service.require_devices(services(), principal=current_principal(), required=required),
    )


@blueprint.get("/devices/<device_id>")
@requires(Permission.DEVICE_ENROL)
def device(device_id: str) -> AnyResponse:
    """One device, and the form that ends it."""
    return _device_page(device_id)


@blueprint.post("/devices/<device_id>/renewal")
@requires(Permission.DEVICE_MANAGE)
def renew_device(device_id: str) -> AnyResponse:
    """Let the lease of a device go on."""
    return then(
        lambda error: _device_page(device_id, error),
        f"/devices/{device_id}",
        gettext("The lease goes on."),
        lambda: service.renew_for_device(services(), principal=current_principal(), device_id=device_id),
    )


@blueprint.post("/devices/<device_id>/revocation")
@requires(Permission.DEVICE_ENROL)
def revoke_device(device_id: str) -> AnyResponse:
    """End a device for ever."""
    return then(
        lambda error: _device_page(device_id, error),
        f"/devices/{device_id}",
        gettext("The device was revoked. It can do nothing any more."),
        lambda: service.revoke_device(
            services(),
            principal=current_principal(),
            device_id=device_id,
            reason=text("reason"),
            since=_moment("since"),
        ),
    )


def _devices_page(error: AppError | None = None, *, code: EnrolmentCode | None = None) -> AnyResponse:
    database, principal = request_session(), current_principal()
    picture = None
    if code is not None:
        symbol = fast_symbol(f"{ENROL_SCHEME}{services().settings.public_url.rstrip('/')}#{code.code}")
        picture = {"path": svg_path(symbol, QUIET_ZONE, QUIET_ZONE), "size": symbol.size + 2 * QUIET_ZONE}
    return page(
        "devices/devices.html",
        error=error,
        devices=service.list_devices(database, principal),
        required=service.devices_required(database, organisation_id=current_organisation_id()),
        manages=principal.may(Permission.DEVICE_MANAGE),
        code=code,
        picture=picture,
        now=now_ms(),
    )


def _device_page(device_id: str, error: AppError | None = None) -> AnyResponse:
    principal = current_principal()
    return page(
        "devices/device.html",
        error=error,
        one=service.find_device_for(request_session(), principal, device_id),
        manages=principal.may(Permission.DEVICE_MANAGE),
        now=now_ms(),
        entry=request.form if error else {},
    )


def _moment(name: str) -> int | None:
    """The posted time in UTC, as browsers write it; None when the field is empty. Raises Invalid."""
    value = text(name).strip()
    if not value:
        return None
    try:
        return from_datetime(datetime.strptime(value, "%Y-%m-%dT%H:%M").replace(tzinfo=UTC))
    except (ValueError, OverflowError):
        raise Invalid("This must be a time such as 2027-12-31T09:30.", code="not_a_time") from None
