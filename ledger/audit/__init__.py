"""The audit: recompute everything the log claims, and name what is wrong."""

from ledger.audit.auditing import KNOWN_CHECKPOINT, ExtraCheck, audit
from ledger.audit.report import AuditReport, AuditScope, Fault, FaultCode

__all__ = ["KNOWN_CHECKPOINT", "AuditReport", "AuditScope", "ExtraCheck", "Fault", "FaultCode", "audit"]
