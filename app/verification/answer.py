"""The answer to one code, as values and on the wire.

The wire form is a superset of GS1 Lightweight Verification Messaging: `data.verified`, the failure reason and
`additionalInfo`, `corrUUID`, `verificationTimestamp` and `responderGLN` mean what that standard says.
"""

from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from app.core.clock import to_iso
from app.devices.values import Standing
from app.registry.expiry import shown_expiry
from app.verification.found_unit import FoundUnit
from app.verification.risk import RiskFinding
from app.verification.verdict import AskerRole, Authenticity, Risk, Status, Verdict
from ledger.checkpoint import Checkpoint
from ledger.strict import encode_base64
from ledger.witnessing.policy import Witnessed
from scanners.codes.reader import ReadCode
from scanners.codes.signature import encode_signature


@dataclass(frozen=True, slots=True)
class ActionOutcome:
    """What became of the act that came with the scan. `code` and `message` say why when it was not recorded."""

    action: str
    recorded: bool
    event_id: str | None = None
    log_index: int | None = None
    replayed: bool = False
    code: str | None = None
    message: str | None = None

    def to_wire(self) -> dict[str, Any]:
        """Give the JSON object."""
        return {
            "action": self.action,
            "recorded": self.recorded,
            "event_id": self.event_id,
            "log_index": self.log_index,
            "replayed": self.replayed,
            "code": self.code,
            "message": self.message,
        }


@dataclass(frozen=True, slots=True)
class VerdictAnswer:
    """One verdict with all that goes with it.

    code: None when the text could not be read. unit: what the asker may see of the registered unit. issuer_name: of
    the unit's organisation. scan_id: None when nothing was recorded (a look). replayed: the same scan was recorded
    before. as_of: ms, the time of the data, which is that of the answer. earlier_scans: count among the last 50, for
    professionals. witnessed: how many of the registry's witnesses cosigned `checkpoint`. receipt: compact JWS.
    signature: what the device's signature under the scan was worth, None without one.
    """

    code: ReadCode | None
    verdict: Verdict
    asker: AskerRole
    advice: str
    unit: FoundUnit | None
    issuer_name: str | None
    risk: RiskFinding | None
    scan_id: str | None
    replayed: bool
    earlier_scans: int | None
    device_clock_offset: int | None
    as_of: int
    checkpoint: Checkpoint
    witnessed: Witnessed
    receipt: str
    correlation: str
    action: ActionOutcome | None = None
    signature: Standing | None = None

    @property
    def proof_url(self) -> str | None:
        """Where the proof bundle of the unit is; None without a unit to prove."""
        if self.unit is None or self.code is None or self.code.identity is None:
            return None
        return f"/v1/proofs/{self.unit.handle}/{quote(self.code.identity.serial, safe='')}"

    @property
    def proof_link(self) -> str | None:
        """The same for the asker to follow: with the signature in his code, without which a stranger is refused."""
        if self.proof_url is None or self.code is None or self.code.signature is None:
            return self.proof_url
        return f"{self.proof_url}?S={encode_signature(self.code.signature.key_id, self.code.signature.signature)}"

    @property
    def expiry_date(self) -> str | None:
        """The lot's expiry as a person reads it, YYYY-MM-DD, or YYYY-MM when no day is stated."""
        if self.unit is None or self.unit.expiry is None:
            return None
        return shown_expiry(self.unit.expiry, now=self.as_of)

    def to_wire(self) -> dict[str, Any]:
        """Give the JSON object of the API."""
        verdict = self.verdict
        as_of = to_iso(self.as_of)
        body: dict[str, Any] = {
            "data": _lightweight(verdict, self.unit),
            "corrUUID": self.correlation,
            "verificationTimestamp": as_of,
            "responderGLN": None,
            "summary": verdict.summary.value,
            "advice": self.advice,
            "authenticity": verdict.authenticity.value,
            "status": sorted(verdict.status),
            "risk": verdict.risk,
            "labour": verdict.labour,
            "not_part_of_this_answer": [
                name for name, value in (("risk", verdict.risk), ("labour", verdict.labour)) if value is None
            ],
            "reasons": list(verdict.reasons),
            "as_of": as_of,
            "data_age_seconds": 0,
            "code": _code(self.code),
            "product": None,
            "batch": None,
            "scan": None
            if self.scan_id is None
            else {"id": self.scan_id, "replayed": self.replayed, "clock_offset_ms": self.device_clock_offset},
            "ledger": {
                "origin": self.checkpoint.origin,
                "size": self.checkpoint.size,
                "root": encode_base64(self.checkpoint.root),
                "witnessed": self.witnessed.to_members(),
            },
            "proof_url": self.proof_url,
            "receipt": self.receipt,
        }
        unit = self.unit
        if unit is not None:
            body["product"] = {"name": unit.product_name, "brand": unit.product_brand, "issuer": self.issuer_name}
            body["batch"] = {
                "handle": unit.handle,
                "lot": unit.lot,
                "expiry": unit.expiry,
                "log_index": unit.log_index,
            }
        if self.earlier_scans is not None:
            body["earlier_scans"] = self.earlier_scans
        if self.risk is not None and self.asker is not AskerRole.PUBLIC:
            body["risk_score"] = round(self.risk.score, 3)
            body["evidence"] = [{"reason": line.reason, "weight": line.weight} for line in self.risk.evidence]
        if self.signature is not None and self.scan_id is not None:
            body["scan"]["device_signature"] = self.signature.value
        if self.action is not None:
            body["action"] = self.action.to_wire()
        return body


_ADDITIONAL = (
    (Status.RECALLED, "Recalled"),
    (Status.STOLEN, "Suspect"),
    (Status.SEIZED, "Suspect"),
    (Status.EXPIRED, "Expired"),
)


def _lightweight(verdict: Verdict, unit: FoundUnit | None) -> dict[str, Any]:
    verified = verdict.authenticity is Authenticity.REGISTERED
    data: dict[str, Any] = {"verified": verified}
    if not verified:
        known = unit is not None or verdict.authenticity is not Authenticity.UNKNOWN_UNIT
        data["verificationFailureReason"] = "No_reason_provided" if known else "No_match_GTIN_Serial"
    for status, word in _ADDITIONAL:
        if status in verdict.status:
            data["additionalInfo"] = word
            return data
    if verdict.risk is Risk.SUSPECT:
        data["additionalInfo"] = "Suspect"
    return data


def _code(code: ReadCode | None) -> dict[str, Any] | None:
    if code is None:
        return None
    identity = code.identity
    return {
        "form": code.form.value,
        "canonical": code.canonical,
        "host": code.host,
        "kind": None if identity is None else identity.kind.value,
        "identifier": None if identity is None else identity.identifier,
        "serial": None if identity is None else identity.serial,
        "elements": dict(code.elements),
        "diagnoses": [diagnosis.value for diagnosis in code.diagnoses],
    }
