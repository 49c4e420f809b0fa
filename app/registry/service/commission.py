"""Commission units: ask for it (a job), do it (the worker), sweep what a dead attempt left.

Life of a batch
1. A row in `batches` without `log_index` reserves the handle. Nobody sees it.
2. Units and tree tiles are written, at most 500 units a transaction.
3. One `Log.append`: its transaction adds the leaf that commits to the root of the tree, sets `log_index`, uses up the
   quota and inserts the COMMISSIONED event. From that commit on the batch exists, whole.

A crash at 1 or 2 leaves an invisible batch: the next attempt of the job, or the worker's start, sweeps it away. A crash
after 3 leaves a published batch: the next attempt finds it by job and part and goes on after it.
"""

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from typing import Any

import orjson
import structlog
from sqlalchemy import Connection, Engine, func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from app.accounts import service as accounts
from app.core.authorisation import Principal
from app.core.clock import now_ms
from app.core.database import write_session
from app.core.errors import Conflict, NotSignedIn
from app.core.jobs import Handler, Job, JobRow, JobState, Progress, enqueue
from app.core.services import Services
from app.facts import service as facts
from app.registry import sscc
from app.registry.contents import UnitContents, batch_elements
from app.registry.models import BatchRow, ProductRow, units
from app.registry.service.batches import batch_value, batches_of_job
from app.registry.service.goods import class_uri
from app.registry.service.plans import Goods, check_commission, find_goods, refuse_taken, size_of
from app.registry.service.proofs import secret_context
from app.registry.service.serial_files import forget_serials, keep_serials, read_serials
from app.registry.service.statements import organisation_entry
from app.registry.unit_store import AttemptSuperseded, SerialTaken, chunks, sweep_batch, write_chunk
from app.registry.values import Batch, CommissionRequest
from app.registry.vocabulary import JobKind, Profile
from ledger.leaf import SECRET_SIZE, SaltedLeaves
from ledger.strict import encode_base64
from ledger.tiles import BATCH_HEIGHT, TileBuilder
from scanners.codes.identity import CodeKind
from scanners.codes.serial import generate_handle, generate_serials

MAX_PARTS = 1_000
"""Batches that one job can make."""

logger = structlog.get_logger(__name__)


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
        raise Conflict("One job makes 1 to %(limit)s batches.", code="too_many_batches", limit=MAX_PARTS)
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


@dataclass(frozen=True, slots=True)
class _Draft:
    """A batch while it is filled."""

    id: int
    handle: str
    attempt: str
    secret: bytes
    created_at: int


def _run(services: Services, job: Job, progress: Progress) -> dict[str, Any]:
    _sweep_job(services.engine, job.id)  # what an earlier attempt of this job left
    with Session(services.engine) as session:
        published = {part: batch for part, batch in _published_parts(session, job.id)}
    done = 0
    for part, members in enumerate(job.payload["parts"]):
        size = int(members["size"])
        if part not in published:
            try:
                published[part] = _commission(
                    services, job, part, members, lambda count, base=done: progress(base + count, job.total)
                )
            except Exception:
                # Refused or failed: nothing of this part may remain. (After a kill the next attempt does the same.)
                _sweep_job(services.engine, job.id)
                raise
        done += size
        progress(done, job.total)
    with write_session(services.engine) as session:
        forget_serials(session, job_id=job.id)
    return {
        "batches": [
            {"handle": batch.handle, "quantity": batch.quantity, "log_index": batch.log_index}
            for _, batch in sorted(published.items())
        ]
    }


def _commission(
    services: Services, job: Job, part: int, members: dict[str, Any], progress: Callable[[int], None]
) -> Batch:
    organisation_id = job.organisation_id
    with Session(services.engine) as session:
        request = _request(session, job.id, part, members)
        goods = find_goods(session, organisation_id=organisation_id, request=request)
        key = accounts.code_key(session, services.sealer, organisation_id=organisation_id)
        highest = _highest_sscc(session, request.case_prefix) if request.case_prefix and request.quantity else None
    supplied = sorted(request.serials) if request.serials is not None else None
    if supplied is None and request.case_prefix is not None:
        supplied = sscc.following(request.case_prefix, highest, request.quantity or 0)
    draft = _reserve(services, job, part, request, goods, key.key_id, supplied)
    serials = supplied if supplied is not None else generate_serials(draft.handle, request.quantity or 0)
    try:
        root = _fill(services.engine, draft, request, goods, key.key_id, serials, progress)
    except SerialTaken:
        # Somebody commissioned one of these serials since the request was checked: name them.
        with Session(services.engine) as session:
            refuse_taken(session, goods, request, besides_batch=draft.id)
        raise Conflict(
            "Some of these numbers were taken meanwhile; nothing was kept.", code="serial_exists", fix="Try again."
        ) from None
    return _publish(services, job, draft, request, goods, key.key_id, serials, root)


def _reserve(
    services: Services,
    job: Job,
    part: int,
    request: CommissionRequest,
    goods: Goods,
    key_id: int,
    supplied: Sequence[str] | None,
) -> _Draft:
    """Insert the unpublished batch. A crash right after it leaves an empty one, which the sweep removes."""
    attempt = secrets.token_hex(8)
    created_at = now_ms()
    while True:
        handle = generate_handle()
        secret = secrets.token_bytes(SECRET_SIZE)
        row = BatchRow(
            handle=handle,
            product_id=goods.product_id,
            organisation_id=job.organisation_id,
            job_id=job.id,
            part=part,
            attempt=attempt,
            profile=request.profile.value,
            lot=request.lot,
            expiry=request.expiry,
            note=request.note,
            quantity=size_of(request),
            generated=request.serials is None,
            key_id=key_id,
            sealed_secret=services.sealer.seal(secret, secret_context(handle)),
            # Generated serials lie between these bounds; the real ones are set when the batch is published.
            first_serial=supplied[0] if supplied else handle,
            last_serial=supplied[-1] if supplied else handle + "Z" * 15,
            created_at=created_at,
        )
        try:
            with write_session(services.engine) as session:
                session.add(row)
                session.flush()
                return _Draft(row.id, handle, attempt, secret, created_at)
        except IntegrityError:
            with Session(services.engine) as session:
                if session.scalar(select(BatchRow.id).where(BatchRow.handle == handle)) is None:
                    raise  # not the handle: another attempt of this job is at work


def _fill(
    engine: Engine,
    draft: _Draft,
    request: CommissionRequest,
    goods: Goods,
    key_id: int,
    serials: Sequence[str],
    progress: Callable[[int], None],
) -> bytes:
    """Write units and tiles chunk by chunk; returns the root of the batch tree."""
    elements = batch_elements(goods.kind, request.profile, request.lot, request.expiry)
    contents = UnitContents(goods.kind, goods.identifier, elements, key_id)
    leaves = SaltedLeaves(draft.secret)
    tree = TileBuilder(BATCH_HEIGHT)
    write = partial(write_chunk, engine, batch_id=draft.id, attempt=draft.attempt, product_id=goods.product_id)
    for start, chunk in chunks(serials):
        # Hashing happens outside the transaction: the write lock is held for the inserts alone.
        tree.extend([leaves.hash(at, contents.of(serial)) for at, serial in enumerate(chunk, start)])
        tiles = tree.take_full()
        if start + len(chunk) == len(serials):
            tiles += tree.finish()
        write(first_position=start, serials=chunk, tiles=tiles)
        progress(start + len(chunk))
    return tree.root()


def _publish(
    services: Services,
    job: Job,
    draft: _Draft,
    request: CommissionRequest,
    goods: Goods,
    key_id: int,
    serials: Sequence[str],
    root: bytes,
) -> Batch:
    """The leaf, the batch, its quota and its event, in one transaction: here the batch begins to exist."""
    with Session(services.engine) as session:
        organisation = accounts.organisation_by_id(session, job.organisation_id)
        signer = accounts.statement_signer(session, services.sealer, organisation_id=job.organisation_id)
    published_at = now_ms()
    commissioned = facts.CommissionedBatch(
        batch_id=draft.id,
        organisation_id=job.organisation_id,
        actor=job.created_by,
        class_uri=class_uri(goods.kind, goods.identifier, request.lot, draft.handle),
        quantity=len(serials),
        published_at=published_at,
    )
    event = facts.commissioned_event(commissioned)
    entry = organisation_entry(
        services,
        signer,
        kind="batch",
        subject_kind="batch",
        subject=draft.handle,
        organisation=organisation.issuer,
        at_ms=published_at,
        handle=draft.handle,
        root=encode_base64(root),
        size=len(serials),
        profile=request.profile.value,
        key_id=key_id,
        product=goods.identifier if goods.kind is not CodeKind.CASE else None,
        lot=request.lot,
        expiry=request.expiry,
        event=event,
    )

    def apply(connection: Connection, index: int) -> None:
        accounts.refuse_unusable_key(connection, organisation_id=job.organisation_id, key_id=key_id)
        if goods.entitlement is not None:
            accounts.consume_quota(connection, goods.entitlement, len(serials))
        published = connection.execute(
            update(BatchRow)
            .where(BatchRow.id == draft.id, BatchRow.log_index.is_(None), BatchRow.attempt == draft.attempt)
            .values(
                log_index=index,
                root=root,
                published_at=published_at,
                first_serial=serials[0],
                last_serial=serials[-1],
            )
        )
        if published.rowcount != 1:
            raise AttemptSuperseded(f"batch {draft.id} was taken over")
        facts.insert_event(connection, commissioned, event, index)

    appended = services.log.append(entry, apply)
    logger.info("batch published", handle=draft.handle, quantity=len(serials), log_index=appended.index)
    with Session(services.engine) as session:
        return next(batch for batch in batches_of_job(session, job.id) if batch.id == draft.id)


def _sweep_job(engine: Engine, job_id: str) -> None:
    with engine.connect() as connection:
        found = select(BatchRow.id).where(BatchRow.job_id == job_id, BatchRow.log_index.is_(None))
        leftovers = connection.scalars(found).all()
    for batch_id in leftovers:
        sweep_batch(engine, batch_id)


def _published_parts(session: Session, job_id: str) -> list[tuple[int, Batch]]:
    rows = session.execute(
        select(BatchRow, ProductRow)
        .join(ProductRow, ProductRow.id == BatchRow.product_id)
        .where(BatchRow.job_id == job_id, BatchRow.log_index.is_not(None))
    )
    return [(row.part, batch_value(row, product)) for row, product in rows]


def _highest_sscc(session: Session, prefix: str) -> str | None:
    """The highest SSCC in use under the prefix; the primary key answers it, one probe an extension digit."""
    for extension in reversed(range(10)):
        first, last = sscc.bounds(prefix, extension)
        highest = session.scalar(
            select(func.max(units.c.serial)).where(units.c.product_id == 1, units.c.serial.between(first, last))
        )
        if highest is not None:
            return str(highest)
    return None


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
