"""Values of accounts as the API says them: wire names, RFC 3339 times, no row numbers."""

from collections.abc import Sequence
from typing import Any

from flask import Response
from sqlalchemy.orm import Session

from app.accounts.service.evidence import EvidenceDocument
from app.accounts.service.records import issuers_of
from app.accounts.values import KeyRecord, Organisation, Right
from app.core.clock import to_iso
from ledger.strict import encode_base64


def organisation_answer(organisation: Organisation) -> dict[str, Any]:
    """One organisation."""
    return {
        "issuer": organisation.issuer,
        "name": organisation.name,
        "country": organisation.country,
        "kind": organisation.kind.value,
        "status": organisation.status.value,
        "created_at": to_iso(organisation.created_at),
        "jurisdiction": sorted(organisation.jurisdiction),
        "decision_reason": organisation.decision_reason,
        "log_index": organisation.log_index,
    }


def right_answers(session: Session, rights: Sequence[Right]) -> dict[str, Any]:
    """Rights, with the issuers of holders and owners."""
    ids = {right.organisation_id for right in rights} | {right.granted_by for right in rights if right.granted_by}
    issuers = issuers_of(session, ids)
    return {"items": [_right(right, issuers) for right in rights]}


def right_answer(session: Session, right: Right) -> dict[str, Any]:
    """One right."""
    ids = {right.organisation_id} | ({right.granted_by} if right.granted_by else set())
    return _right(right, issuers_of(session, ids))


def _right(right: Right, issuers: dict[int, str]) -> dict[str, Any]:
    return {
        "reference": right.reference,
        "kind": right.kind.value,
        "value": right.value,
        "organisation": issuers[right.organisation_id],
        "granted_by": None if right.granted_by is None else issuers[right.granted_by],
        "quota": right.quota,
        "lot_quota": right.lot_quota,
        "used": right.used,
        "valid_from": to_iso(right.valid_from),
        "valid_until": _time(right.valid_until),
        "evidence": right.evidence,
        "evidence_sha256": right.evidence_sha256,
        "status": right.status.value,
        "decision_reason": right.decision_reason,
        "log_index": right.log_index,
    }


def document_answer(document: EvidenceDocument) -> Response:
    """A document of an applicant as a download: no browser shows, sniffs or runs it here.

    Beside the policy of every answer stands one that keeps the document in an origin of its own, without scripts.
    """
    response = Response(document.data, content_type="application/octet-stream")
    response.headers["Content-Disposition"] = f'attachment; filename="{document.file_name}"'
    response.headers["Content-Security-Policy"] = "sandbox; default-src 'none'"
    response.headers["Cache-Control"] = "no-store"
    return response


def key_answer(key: KeyRecord) -> dict[str, Any]:
    """One public key."""
    return {
        "key_id": key.key_id,
        "purpose": key.purpose.value,
        "public_key": encode_base64(key.public_key),
        "holder": key.holder.value,
        "created_at": to_iso(key.created_at),
        "valid_until": to_iso(key.valid_until),
        "registered_index": key.registered_index,
        "revoked_at": _time(key.revoked_at),
        "revoked_index": key.revoked_index,
        "revoked_from": key.revoked_from,
        "revocation_reason": key.revocation_reason,
    }


def _time(milliseconds: int | None) -> str | None:
    return None if milliseconds is None else to_iso(milliseconds)
