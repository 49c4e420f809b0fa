"""Use cases of devices: enrol, renew, revoke, and take in the scans that they sign."""

from app.devices.service.auditing import check_devices
from app.devices.service.claiming import take_scans
from app.devices.service.ending import renew_by_device, renew_for_device, revoke_device
from app.devices.service.enrolling import enrol, request_code
from app.devices.service.evidence import KeptStatement, forget_statements, kept_statements
from app.devices.service.powers import client_of_device
from app.devices.service.records import find_device_for, list_devices
from app.devices.service.requiring import devices_required, refuse_unsigned, require_devices
from app.devices.values import Device, EnrolmentCode, ListedDevice, SignedCounts, SignedScan, Standing

__all__ = [
    "Device",
    "EnrolmentCode",
    "KeptStatement",
    "ListedDevice",
    "SignedCounts",
    "SignedScan",
    "Standing",
    "check_devices",
    "client_of_device",
    "devices_required",
    "enrol",
    "find_device_for",
    "forget_statements",
    "kept_statements",
    "list_devices",
    "refuse_unsigned",
    "renew_by_device",
    "renew_for_device",
    "request_code",
    "require_devices",
    "revoke_device",
    "take_scans",
]
