"""The audit's view of devices: each stands on the ledger with its key, its person and its end; so do the rules."""

from collections.abc import Iterator
from typing import Any

from sqlalchemy import Connection, Row, select

from app.accounts import service as accounts
from app.devices.models import DeviceRow, DeviceRuleRow
from ledger.audit.report import AuditScope, Fault
from ledger.strict import encode_base64


def check_devices(connection: Connection, scope: AuditScope) -> Iterator[Fault]:
    """Compare devices and rules with the acts about them; the acts are compared with the ledger.

    Only in an audit of everything: an act is found by its device, not by its place.
    """
    if not scope.whole:
        return
    enrolled = _by_device(connection, accounts.Act.DEVICE_ENROLLED)
    revoked = _by_device(connection, accounts.Act.DEVICE_REVOKED)
    for row in connection.execute(select(DeviceRow.__table__).order_by(DeviceRow.id)):
        where = f"devices {row.id}"
        act = enrolled.pop(row.id, None)
        if act is None:
            yield Fault("device.enrolment", where, "no entry of the ledger enrols it")
        elif (different := _difference(row, act)) is not None:
            yield Fault("device.enrolment", where, f"its entry {act.log_index} says another {different}")
        yield from _check_end(row, where, revoked.pop(row.id, None))
    for device_id, act in enrolled.items():
        yield Fault("device.missing", f"ledger_entries {act.log_index}", f"there is no device {device_id!r}")
    yield from _check_rules(connection)


def _check_rules(connection: Connection) -> Iterator[Fault]:
    """Compare what inspectors have to do with what their organisation last decided."""
    decided = {
        act.organisation_id: act.details["devices_required"]
        for act in accounts.acts_everywhere(connection, accounts.Act.LIMITS_CHANGED)
        if "devices_required" in act.details
    }
    rules = {row.organisation_id: row.required for row in connection.execute(select(DeviceRuleRow.__table__))}
    for number in sorted(decided.keys() | rules.keys()):
        if decided.get(number, False) is not rules.get(number, False):
            yield Fault("device.rule", f"device_rules {number}", "the organisation decided otherwise on the ledger")


def _check_end(row: Row[Any], where: str, act: accounts.ActRecord | None) -> Iterator[Fault]:
    said = None if act is None else (act.details.get("revoked_from"), act.actor)
    there = None if row.revoked_at is None else (row.revoked_from, row.revoked_by)
    if said != there:
        entry = "no entry" if act is None else f"entry {act.log_index}"
        yield Fault("device.end", where, f"{entry} of the ledger revokes it as this row says")


def _difference(row: Row[Any], act: accounts.ActRecord) -> str | None:
    if act.organisation_id != row.organisation_id:
        return "organisation"
    words = {
        "person": f"person:{row.person_id}",
        "role": row.role,
        "public_key": encode_base64(row.public_key),
    }
    return next((name for name, value in words.items() if act.details.get(name) != value), None)


def _by_device(connection: Connection, act: accounts.Act) -> dict[str, accounts.ActRecord]:
    return {str(record.details.get("device")): record for record in accounts.acts_everywhere(connection, act)}
