"""A scan that its device signed: taken in, compared with the request, and made for whom the signature is worth it."""

from collections.abc import Sequence
from dataclasses import replace

from app.core.authorisation import ANONYMOUS, Principal, Role
from app.core.errors import AppError, Forbidden, Invalid
from app.core.services import Services
from app.devices import service as devices
from app.facts.epcis import NOWHERE, Place
from app.verification.actions import EVENT_OF
from app.verification.request import ScanRequest
from scanners.signed_scans import ScanStatement

Circumstances = tuple[Principal, ScanRequest]
"""For whom a scan is made, and how it was made."""


def take_signature(services: Services, *, text: str, principal: Principal, request: ScanRequest) -> Circumstances:
    """Take in what the device signed about a scan, if it did.

    A scan whose signature does not count is made for the public. Raises what `take_signatures` gives, and Forbidden
    for an inspector whose organisation requires a signature that is not there.
    """
    if request.statement is None:
        if principal.role is Role.INSPECTOR and request.signed is None:
            devices.refuse_unsigned(services, organisation_id=principal.organisation_id)
        return principal, request
    [taken] = take_signatures(services, [text], [request.statement], principal=principal, request=request)
    if isinstance(taken, AppError):
        raise taken
    return taken


def take_signatures(
    services: Services, texts: Sequence[str], statements: Sequence[str], *, principal: Principal, request: ScanRequest
) -> list[Circumstances | AppError]:
    """Take in one signed scan for each text; an error stands in the place of one that is refused.

    What the request says beside the statements must be what they say; what it leaves open they fill in.
    """
    taken = devices.take_scans(services, statements, caller=principal)
    return [_made(text, one, principal, request) for text, one in zip(texts, taken, strict=True)]


def _made(
    text: str, signed: devices.SignedScan | AppError, caller: Principal, request: ScanRequest
) -> Circumstances | AppError:
    if isinstance(signed, AppError):
        return signed
    device, statement = f"device:{signed.device_id}", signed.statement
    different = _difference(text, device, statement, request)
    if different is not None:
        return Invalid(
            "The request says another %(member)s than the device signed.", code="statement_differs", member=different
        )
    place = NOWHERE
    if statement.place is not None:
        given = statement.place
        place = Place(given.latitude, given.longitude, given.accuracy, given.source)
    scan = replace(
        request,
        device=device,
        device_time=statement.scanned_at,
        key=statement.key,
        offline=statement.offline,
        operator_saw=statement.operator_saw,
        place=place,
        statement=None,
        signed=signed,
    )
    if caller.is_anonymous:
        return caller, scan
    if signed.power is not None:
        return replace(signed.power, permissions=signed.power.permissions & caller.permissions), scan
    if request.action in EVENT_OF:
        return Forbidden(
            "This device may not act: it was revoked, its lease has ended, or its person has no role any more.",
            code="device_not_trusted",
            fix="The signed scan is kept as evidence. Enrol the device again.",
        )
    return ANONYMOUS, replace(scan, offline=False)


def _difference(text: str, device: str, statement: ScanStatement, request: ScanRequest) -> str | None:
    """Give the first member of which the request says something else than the statement."""
    place = statement.place
    there = NOWHERE if place is None else Place(place.latitude, place.longitude, place.accuracy, place.source)
    said: list[tuple[str, object, object, object]] = [
        ("code", None, text, statement.code),
        ("action", None, request.action.value, statement.action),
        ("device", None, request.device, device),
        ("device_time", None, request.device_time, statement.scanned_at),
        ("key", None, request.key, statement.key),
        ("offline", False, request.offline, statement.offline),
        ("operator_saw", None, request.operator_saw, statement.operator_saw),
        ("place", NOWHERE, request.place, there),
    ]
    return next((name for name, silent, given, stated in said if given not in (silent, stated)), None)
