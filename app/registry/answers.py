"""Values of the registry as the API says them: wire names, RFC 3339 times, no row numbers."""

from typing import Any

from app.core.clock import to_iso
from app.core.jobs import Job
from app.registry.service.plans import size_of
from app.registry.service.signing import Signing, SigningPage
from app.registry.unit_id import position_of
from app.registry.values import Batch, ImportPreview, Product, UnitCode
from ledger.strict import encode_base64

PREVIEWED_BATCHES = 100


def product_answer(product: Product) -> dict[str, Any]:
    """One product."""
    return {
        "reference": product.reference,
        "kind": product.kind.value,
        "name": product.name,
        "brand": product.brand,
        "description": product.description,
        "sector": product.sector.value,
        "created_at": to_iso(product.created_at),
        "log_index": product.log_index,
    }


def batch_answer(batch: Batch) -> dict[str, Any]:
    """One batch."""
    return {
        "handle": batch.handle,
        "product": batch.reference or None,
        "product_name": batch.product_name,
        "profile": batch.profile.value,
        "lot": batch.lot,
        "expiry": batch.expiry,
        "note": batch.note,
        "quantity": batch.quantity,
        "key_id": batch.key_id,
        "root": encode_base64(batch.root),
        "created_at": to_iso(batch.created_at),
        "published_at": to_iso(batch.published_at),
        "log_index": batch.log_index,
    }


def unit_answer(code: UnitCode) -> dict[str, Any]:
    """One unit of a batch."""
    return {"position": position_of(code.unit_id), "serial": code.serial, "code": code.text}


def job_answer(job: Job) -> dict[str, Any]:
    """One job."""
    return {
        "id": job.id,
        "kind": job.kind,
        "state": job.state.value,
        "done": job.done,
        "total": job.total,
        "result": job.result,
        "problem": job.problem,
        "created_at": to_iso(job.created_at),
        "finished_at": to_iso(job.finished_at) if job.finished_at is not None else None,
        "waits_until": to_iso(job.waits_until) if job.waits_until is not None else None,
        "decided_by": job.decided_by,
        "decision_reason": job.decision_reason,
    }


def preview_answer(preview: ImportPreview) -> dict[str, Any]:
    """What a file would commission."""
    return {
        "rows": preview.rows,
        "units": preview.units,
        "batches": [
            {
                "product": request.product,
                "profile": request.profile.value,
                "quantity": size_of(request),
                "lot": request.lot,
                "expiry": request.expiry,
            }
            for request in preview.requests[:PREVIEWED_BATCHES]
        ],
        "fault_count": preview.fault_count,
        "faults": [{"where": fault.where, "code": fault.code, "message": fault.message} for fault in preview.faults],
        "details": preview.details,
    }


def signing_answer(handle: str, signing: Signing) -> dict[str, Any]:
    """How far the codes of a batch are signed."""
    return {
        "handle": handle,
        "key_id": signing.key.key_id,
        "quantity": signing.quantity,
        "signed": signing.signed,
        "first_unsigned": signing.first_unsigned,
        "log_index": signing.log_index,
    }


def signing_page_answer(page: SigningPage) -> dict[str, Any]:
    """What a firm is to sign: everything that it needs to compute the signed bytes itself."""
    batch = page.batch
    return signing_answer(batch.handle, page.signing) | {
        "issuer": page.issuer,
        "public_key": encode_base64(page.signing.key.public_key),
        "kind": batch.kind.value,
        "reference": batch.reference,
        "profile": batch.profile.value,
        "elements": [list(pair) for pair in page.elements],
        "root": encode_base64(batch.root),
        "batch_log_index": batch.log_index,
        "salt_secret": encode_base64(page.salt_secret),
        "start": page.start,
        "serials": list(page.serials),
        "next_from": page.following,
    }
