"""Commission units: ask for it, and what the worker runs.

One job makes one or more batches, in order, each published by itself (see `publish`). A job that is run again after
its worker died goes on after the batches that it had published.
"""

from collections import Counter
from collections.abc import Sequence
from functools import partial
from hashlib import sha256
from typing import Any

import orjson
from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from app.access import service as access
from app.accounts import service as accounts
from app.core.authorisation import Principal
from app.core.clock import now_ms
from app.core.database import write_session
from app.core.errors import Invalid, NotSignedIn
from app.core.jobs import Handler, Job, JobRow, JobState, Progress, enqueue
from app.core.services import Services
from app.registry.models import BatchRow, SerialFileRow
from app.registry.rules import MAX_PARTS
from app.registry.service.batches import published_parts
from app.registry.service.plans import QuotaTally, check_commission, find_goods, size_of
from app.registry.service.publish import commission, sweep_job
from app.registry.service.releases import OPEN_MS, announce_waiting, needs_second_person
from app.registry.service.serial_files import forget_serials, keep_serials, read_serials
from app.registry.unit_store import sweep_batch
from app.registry.values import CommissionRequest
from app.registry.vocabulary import JobKind, Profile


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
    with Session(services.engine) as session:
        key = idempotency_key
        if key is None or state_of_request(session, organisation_id=organisation_id, key=key) is None:
            quotas = QuotaTally()
            for request in requests:
                check_commission(session, organisation_id=organisation_id, request=request, quotas=quotas)
    return queue_commission(services, principal=principal, requests=requests, idempotency_key=key)


def state_of_request(session: Session, *, organisation_id: int, key: str) -> JobState | None:
    """Where the commissioning with this key stands, None when there is none.

    Once accepted, its own serials exist: that is no fault of the same request sent again.
    """
    known = select(JobRow.state).where(
        JobRow.organisation_id == organisation_id, JobRow.kind == JobKind.COMMISSION, JobRow.idempotency_key == key
    )
    state = session.scalar(known)
    return None if state is None else JobState(state)


def queue_commission(
    services: Services,
    *,
    principal: Principal,
    requests: Sequence[CommissionRequest],
    idempotency_key: str | None,
) -> Job:
    """Queue a job for requests that were checked; the same key with the same content returns the first job."""
    organisation_id = principal.organisation_id
    if organisation_id is None:
        raise NotSignedIn
    payload = {"parts": [_part_payload(request) for request in requests]}
    digest = _digest(payload, requests)
    with write_session(services.engine) as session:
        accounts.hold_approved(session, organisation_id=organisation_id)
        key, waits_until = idempotency_key, None
        is_new = key is None or state_of_request(session, organisation_id=organisation_id, key=key) is None
        if is_new:
            wanted = _count_products(session, organisation_id, payload["parts"], requests)
            if needs_second_person(services, session, organisation_id=organisation_id, wanted=wanted):
                waits_until = now_ms() + OPEN_MS
        job = enqueue(
            session,
            kind=JobKind.COMMISSION,
            organisation_id=organisation_id,
            created_by=principal.actor,
            idempotency_key=key,
            payload=payload,
            digest=digest,
            total=sum(map(size_of, requests)),
            asked_by_person=access.person_behind(session, principal),
            waits_until=waits_until,
        )
        if is_new and job.state is JobState.WAITING:
            announce_waiting(services, session, job, by=principal)
        if job.state in (JobState.QUEUED, JobState.WAITING):
            for part, request in enumerate(requests):
                if request.serials is not None:
                    keep_serials(session, job_id=job.id, part=part, serials=request.serials)
    return job


def _count_products(
    session: Session, organisation_id: int, parts: Sequence[dict[str, Any]], requests: Sequence[CommissionRequest]
) -> Counter[int]:
    """Units asked for by product; each part is told its product, so that it can be counted while it waits."""
    known: dict[tuple[str | None, str | None], int] = {}
    wanted: Counter[int] = Counter()
    for part, request in zip(parts, requests, strict=True):
        named = (request.product, request.case_prefix)
        if named not in known:
            known[named] = find_goods(session, organisation_id=organisation_id, request=request).product_id
        part["product_id"] = known[named]
        wanted[known[named]] += size_of(request)
    return wanted


def commission_handler(services: Services) -> Handler:
    """What the worker runs for a commission job."""
    return partial(_run, services)


def sweep_leftovers(services: Services) -> int:
    """Remove unpublished batches, and serial files, of jobs that no longer run; returns how many batches.

    For the worker's start, and after a job was given up.
    """
    now = now_ms()
    with write_session(services.engine) as session:
        # A job that was not run yet needs its serials; a running one whose lease has ended will be run again.
        waiting = select(JobRow.id).where(JobRow.state.in_((JobState.WAITING, JobState.QUEUED, JobState.RUNNING)))
        session.execute(delete(SerialFileRow).where(SerialFileRow.job_id.not_in(waiting)))
        alive = select(JobRow.id).where(JobRow.state == JobState.RUNNING, JobRow.lease_until >= now)
        dead = session.scalars(
            select(BatchRow.id).where(BatchRow.log_index.is_(None), BatchRow.job_id.not_in(alive))
        ).all()
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
                _forget(services, job)
                raise
        done += int(members["size"])
        progress(done, job.total)
    _forget(services, job)
    return {
        "batches": [
            {"handle": batch.handle, "quantity": batch.quantity, "log_index": batch.log_index}
            for _, batch in sorted(published.items())
        ]
    }


def _forget(services: Services, job: Job) -> None:
    with write_session(services.engine) as session:
        forget_serials(session, job_id=job.id)


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
