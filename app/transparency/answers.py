"""The ledger's health on the wire."""

from typing import Any

from app.core.clock import to_iso
from app.transparency.service import Health


def health_members(found: Health) -> dict[str, Any]:
    """Give the JSON object of `LedgerSchema`."""
    return {
        "origin": found.origin,
        "keys": [key.verifier.to_text() for key in found.keys.current],
        "successions": [key.succession for key in found.keys.keys if key.succession is not None],
        "checkpoint": "" if found.checkpoint is None else found.checkpoint.note_text,
        "published_at": None if found.published_at is None else to_iso(found.published_at),
        "size": 0 if found.checkpoint is None else found.checkpoint.checkpoint.size,
        "state": found.state.value,
        "entries_last_hour": found.growth.last_hour,
        "entries_last_day": found.growth.last_day,
        "witnessed": {"k": found.witnessed.k, "n": found.witnessed.n, "quorum": found.witnessed.by_quorum},
        "witnesses": [
            {
                "name": witness.name,
                "size": witness.size,
                "time": None if witness.time is None else to_iso(witness.time),
                "entries_behind": witness.entries_behind,
                "last_result": None if witness.last is None else witness.last.result.value,
                "last_result_since": None if witness.last is None else to_iso(witness.last.since),
                "last_result_reason": "" if witness.last is None else witness.last.detail,
            }
            for witness in found.witnesses
        ],
        "audits": [
            {
                "time": to_iso(audit.time),
                "mode": audit.mode,
                "size": audit.size,
                "ok": audit.ok,
                "by": audit.by,
                "seconds": audit.report.get("seconds"),
            }
            for audit in found.audits
        ],
        "alarms": [
            {"number": alarm.number, "time": to_iso(alarm.time), "kind": alarm.kind, "detail": alarm.detail}
            for alarm in found.alarms
        ],
        "alarm_count": found.alarm_count,
    }
