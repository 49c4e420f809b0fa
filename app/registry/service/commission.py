"""Commission units: ask for it, and what the worker runs.

One job makes one or more batches, in order, each published by itself (see `publish`). A job that is run again after
its worker died goes on after the batches that it had published.
"""

from collections.abc import Sequence
from functools import partial
from hashlib import sha256
from typing import Any

import orjson
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.core.authorisation import Principal
from app.core.clock import now_ms
from app.core.database import write_session
from app.core.errors import Invalid, NotSignedIn
from app.core.jobs import Handler, Job, JobRow, JobState, Progress, enqueue
from app.core.services import Services
from app.registry.models import BatchRow
from app.registry.service.batches import published_parts
from app.registry.service.plans import check_commission, size_of
from app.registry.service.publish import commission, sweep_job
from app.registry.service.serial_files import forget_serials, keep_serials, read_serials
from app.registry.unit_store import sweep_batch
from app.registry.values import CommissionRequest
from app.registry.vocabulary import JobKind, Profile

MAX_PARTS = 1_000
"""Batches that one job can make."""


def request_commission(
    services: Services,
    *,
    principal: Principal,
    requests: Sequence[CommissionRequest],
    idempotency_key: str | None = None,
) -> Job:
    """Check the requested batches and queue one job that commissions them, in order.

    The same idempotency key with the same content returns the first job. Raises Invalid, NotFound, Forbidden and
    Conflict as `check_commission` does; then nothing is queued.
    """
    organisation_id = principal.organisation_id
    if organisation_id is None:
        raise NotSignedIn
    if not 1 <= len(requests) <= MAX_PARTS:
        raise Invalid("One job makes 1 to %(limit)s batches.", code="too_many_batches", limit=MAX_PARTS)
    payload = {"parts": [_part_payload(request) for request in requests]}
    digest = _digest(payload, requests)
    if idempotency_key is None or not _is_repeated(services, organisation_id, idempotency_key, digest):
        with Session(services.engine) as session:
            for request in requests:
                check_commission(session, organisation_id=organisation_id, request=request)
    with write_session(services.engine) as session:
        job = enqueue(
            session,
            kind=JobKind.COMMISSION,
            organisation_id=organisation_id,
            created_by=principal.actor,
            idempotency_key=idempotency_key,
            payload=payload,
            digest=digest,
            total=sum(map(size_of, requests)),
        )
        if job.state is JobState.QUEUED:
            for part, request in enumerate(requests):
                if request.serials is not None:
                    keep_serials(session, job_id=job.id, part=part, serials=request.serials)
    return job


def commission_handler(services: Services) -> Handler:
    """What the worker runs for a commission job."""
    return partial(_run, services)


def sweep_leftovers(services: Services) -> int:
    """Remove unpublished batches whose job no longer runs; returns how many. For the worker's start."""
    with Session(services.engine) as session:
        leases = {
            job_id: lease_until if state == JobState.RUNNING else 0
            for job_id, state, lease_until in session.execute(
                select(JobRow.id, JobRow.state, JobRow.lease_until).where(
                    JobRow.id.in_(select(BatchRow.job_id).where(BatchRow.log_index.is_(None)))
                )
            )
        }
        unpublished = session.execute(select(BatchRow.id, BatchRow.job_id).where(BatchRow.log_index.is_(None))).all()
    dead = [batch_id for batch_id, job_id in unpublished if leases.get(job_id, 0) < now_ms()]
    return sum(sweep_batch(services.engine, batch_id) for batch_id in dead)


def _run(services: Services, job: Job, progress: Progress) -> dict[str, Any]:
    sweep_job(services.engine, job.id)  # what an earlier attempt of this job left
    with Session(services.engine) as session:
        published = published_parts(session, job.id)
    done = 0
    for part, members in enumerate(job.payload["parts"]):
        if part not in published:
            with Session(services.engine) as session:
                request = _request(session, job.id, part, members)

            def report(count: int, base: int = done) -> None:
                progress(base + count, job.total)

            try:
                published[part] = commission(services, job=job, part=part, request=request, progress=report)
            except Exception:
                # Refused or failed: nothing of this part may remain. (After a kill the next attempt does the same.)
                sweep_job(services.engine, job.id)
                raise
        done += int(members["size"])
        progress(done, job.total)
    with write_session(services.engine) as session:
        forget_serials(session, job_id=job.id)
    return {
        "batches": [
            {"handle": batch.handle, "quantity": batch.quantity, "log_index": batch.log_index}
            for _, batch in sorted(published.items())
        ]
    }


def _part_payload(request: CommissionRequest) -> dict[str, Any]:
    return {
        "product": request.product,
        "case_prefix": request.case_prefix,
        "profile": request.profile.value,
        "size": size_of(request),
        "supplied": request.serials is not None,
        "lot": request.lot,
        "expiry": request.expiry,
        "note": request.note,
    }


def _request(session: Session, job_id: str, part: int, members: dict[str, Any]) -> CommissionRequest:
    supplied = read_serials(session, job_id=job_id, part=part) if members["supplied"] else None
    return CommissionRequest(
        product=members["product"],
        case_prefix=members["case_prefix"],
        profile=Profile(members["profile"]),
        quantity=None if supplied is not None else members["size"],
        serials=tuple(supplied) if supplied is not None else None,
        lot=members["lot"],
        expiry=members["expiry"],
        note=members["note"],
    )


def _digest(payload: dict[str, Any], requests: Sequence[CommissionRequest]) -> str:
    state = sha256(orjson.dumps(payload, option=orjson.OPT_SORT_KEYS))
    for request in requests:
        for serial in request.serials or ():
            state.update(serial.encode() + b"\n")
    return state.hexdigest()


def _is_repeated(services: Services, organisation_id: int, key: str, digest: str) -> bool:
    """Whether this very request was accepted before: then its serials exist, and that is no fault."""
    with Session(services.engine) as session:
        known = session.scalar(
            select(JobRow.payload_digest).where(
                JobRow.organisation_id == organisation_id,
                JobRow.kind == JobKind.COMMISSION,
                JobRow.idempotency_key == key,
            )
        )
    return known == digest
