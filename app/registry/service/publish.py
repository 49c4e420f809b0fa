"""One batch, from its request to its leaf: reserve, fill, publish; and sweep what a dead attempt left.

Life of a batch
1. A row in `batches` without `log_index` reserves the handle. Nobody sees it.
2. Units and tree tiles are written, at most 500 units a transaction.
3. One `Log.append`: its transaction adds the leaf that commits to the root of the tree, sets `log_index`, uses up the
   quota and inserts the COMMISSIONED event. From that commit on the batch exists, whole.

A crash at 1 or 2 leaves an invisible batch: the next attempt of the job, or the worker's start, sweeps it away. A crash
after 3 leaves a published batch: the next attempt finds it by job and part.
"""

import secrets
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import structlog
from sqlalchemy import Connection, Engine, func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from app.accounts import service as accounts
from app.core.clock import now_ms
from app.core.database import session_on, write_session
from app.core.errors import Conflict
from app.core.jobs import Job
from app.core.notices import NoticeKind, notify
from app.core.services import Services
from app.facts import service as facts
from app.registry import sscc
from app.registry.contents import UnitContents, batch_elements
from app.registry.models import CASE_PRODUCT_ID, BatchRow, units
from app.registry.serials import ascending_serials, in_chunks
from app.registry.service.batches import find_batch_by_id
from app.registry.service.goods import class_uri
from app.registry.service.plans import Goods, find_goods, refuse_taken, size_of, take_quotas
from app.registry.service.proofs import secret_context
from app.registry.service.statements import organisation_entry
from app.registry.unit_store import (
    ROWS_A_TRANSACTION,
    AttemptSupersededError,
    Chunk,
    SerialTakenError,
    sweep_batch,
    write_chunk,
)
from app.registry.values import Batch, CommissionRequest
from ledger.leaf import SECRET_SIZE, SaltedLeaves
from ledger.strict import encode_base64
from ledger.tiles import BATCH_HEIGHT, TileBuilder
from scanners.codes.identity import CodeKind
from scanners.codes.serial import generate_handle

logger = structlog.get_logger(__name__)

Progress = Callable[[int], None]
"""Called with the units written so far."""


@dataclass(frozen=True, slots=True)
class _Order:
    """What is to be commissioned, settled: one part of a job."""

    job: Job
    part: int
    request: CommissionRequest
    goods: Goods
    key_id: int


@dataclass(frozen=True, slots=True)
class _Draft:
    """The unpublished batch of an order."""

    id: int
    handle: str
    attempt: str
    secret: bytes


@dataclass(frozen=True, slots=True)
class _Content:
    """What was written for a draft: the root of its tree (32 bytes), its size, and its bounds."""

    root: bytes
    size: int
    first_serial: str
    last_serial: str


def commission(services: Services, *, job: Job, part: int, request: CommissionRequest, progress: Progress) -> Batch:
    """Commission one batch for a job; raises NotFound, Forbidden or Conflict, and leaves the sweep to the caller."""
    with Session(services.engine) as session:
        goods = find_goods(session, organisation_id=job.organisation_id, request=request)
        key = accounts.code_key_in_use(session, organisation_id=job.organisation_id)
        known = _known_serials(session, request)
    order = _Order(job, part, request, goods, key.key_id)
    draft = _reserve(services, order, known)
    serials = known if known is not None else ascending_serials(draft.handle, size_of(request))
    try:
        content = _fill(services.engine, order, draft, serials, progress)
    except SerialTakenError:
        # Somebody commissioned one of these serials since the request was checked: name them.
        with Session(services.engine) as session:
            refuse_taken(session, goods, request, besides_batch=draft.id)
        raise Conflict(
            "Some of these numbers were taken meanwhile; nothing was kept.", code="serial_exists", fix="Try again."
        ) from None
    index = _publish(services, order, draft, content)
    logger.info("batch published", handle=draft.handle, quantity=content.size, log_index=index)
    with Session(services.engine) as session:
        return find_batch_by_id(session, draft.id)


def sweep_job(engine: Engine, job_id: str) -> None:
    """Remove every unpublished batch of the job with all that was written for it."""
    with engine.connect() as connection:
        found = select(BatchRow.id).where(BatchRow.job_id == job_id, BatchRow.log_index.is_(None))
        leftovers = connection.scalars(found).all()
    for batch_id in leftovers:
        sweep_batch(engine, batch_id)


def _known_serials(session: Session, request: CommissionRequest) -> list[str] | None:
    """The serials in ascending order where they are known before the batch has its handle."""
    if request.serials is not None:
        return sorted(request.serials)
    if request.case_prefix is not None:
        return sscc.following(request.case_prefix, _highest_sscc(session, request.case_prefix), size_of(request))
    return None


def _highest_sscc(session: Session, prefix: str) -> str | None:
    """The highest SSCC in use under the prefix: at most one probe of the primary key an extension digit."""
    for extension in reversed(range(10)):
        within = units.c.serial.between(*sscc.bounds(prefix, extension))
        highest: str | None = session.scalar(
            select(func.max(units.c.serial)).where(units.c.product_id == CASE_PRODUCT_ID, within)
        )
        if highest is not None:
            return highest
    return None


def _reserve(services: Services, order: _Order, known: Sequence[str] | None) -> _Draft:
    """Insert the unpublished batch. A crash right after it leaves an empty one, which the sweep removes."""
    request = order.request
    attempt = secrets.token_hex(8)
    while True:
        handle = generate_handle()
        secret = secrets.token_bytes(SECRET_SIZE)
        row = BatchRow(
            handle=handle,
            product_id=order.goods.product_id,
            organisation_id=order.job.organisation_id,
            job_id=order.job.id,
            part=order.part,
            attempt=attempt,
            profile=request.profile.value,
            lot=request.lot,
            expiry=request.expiry,
            note=request.note,
            quantity=size_of(request),
            generated=request.serials is None,
            key_id=order.key_id,
            sealed_secret=services.sealer.seal(secret, secret_context(handle)),
            # Serials that are still to be generated lie between these bounds; `_publish` sets the real ones.
            first_serial=known[0] if known else handle,
            last_serial=known[-1] if known else handle + "Z" * 15,
            created_at=now_ms(),
        )
        try:
            with write_session(services.engine) as session:
                session.add(row)
                session.flush()
                return _Draft(row.id, handle, attempt, secret)
        except IntegrityError:
            with Session(services.engine) as session:
                if session.scalar(select(BatchRow.id).where(BatchRow.handle == handle)) is None:
                    raise  # not the handle: another attempt of this job is at work


def _fill(engine: Engine, order: _Order, draft: _Draft, serials: Iterable[str], progress: Progress) -> _Content:
    """Write units and tiles chunk by chunk, in the ascending order of `serials`."""
    request, goods = order.request, order.goods
    elements = batch_elements(goods.kind, request.profile, request.lot, request.expiry)
    contents = UnitContents(goods.kind, goods.identifier, elements, order.key_id)
    leaves = SaltedLeaves(draft.secret)
    tree = TileBuilder(BATCH_HEIGHT)
    size, first, last = size_of(request), "", ""
    for chunk in in_chunks(serials, ROWS_A_TRANSACTION):
        start = tree.size
        # Hashing happens outside the transaction: the write lock is held for the inserts alone.
        tree.extend([leaves.hash(at, contents.of(serial)) for at, serial in enumerate(chunk, start)])
        tiles = tree.take_full()
        if tree.size == size:
            tiles += tree.finish()
        write_chunk(engine, Chunk(draft.id, goods.product_id, start, chunk, tiles), attempt=draft.attempt)
        first, last = first or chunk[0], chunk[-1]
        progress(tree.size)
    return _Content(tree.root(), tree.size, first, last)


def _publish(services: Services, order: _Order, draft: _Draft, content: _Content) -> int:
    """The leaf, the batch, its quota and its event in one transaction: here the batch begins to exist."""
    job, request, goods = order.job, order.request, order.goods
    with Session(services.engine) as session:
        organisation = accounts.organisation_by_id(session, job.organisation_id)
        signer = accounts.statement_signer(session, services.sealer, organisation_id=job.organisation_id)
    published_at = now_ms()
    commissioned = facts.CommissionedBatch(
        batch_id=draft.id,
        organisation_id=job.organisation_id,
        actor=job.created_by,
        class_uri=class_uri(goods.kind, goods.identifier, request.lot, draft.handle),
        quantity=content.size,
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
        # Whoever holds a unit can ask for the state of its issuer: approved, suspended, keys revoked.
        issuer_subject=encode_base64(accounts.organisation_subject(services.sealer, organisation.issuer)),
        handle=draft.handle,
        root=encode_base64(content.root),
        size=content.size,
        profile=request.profile.value,
        key_id=order.key_id,
        product=goods.identifier if goods.kind is not CodeKind.CASE else None,
        lot=request.lot,
        expiry=request.expiry,
        event=event,
    )

    def apply(connection: Connection, index: int) -> None:
        accounts.refuse_unusable_key(connection, organisation_id=job.organisation_id, key_id=order.key_id)
        accounts.refuse_revoked_signer(connection, signer)
        take_quotas(connection, organisation_id=job.organisation_id, goods=goods, lot=request.lot, size=content.size)
        published = connection.execute(
            update(BatchRow)
            .where(BatchRow.id == draft.id, BatchRow.log_index.is_(None), BatchRow.attempt == draft.attempt)
            .values(
                log_index=index,
                root=content.root,
                published_at=published_at,
                first_serial=content.first_serial,
                last_serial=content.last_serial,
            )
        )
        if published.rowcount != 1:
            raise AttemptSupersededError(f"batch {draft.id} was taken over")
        facts.insert_event(connection, commissioned, event, index)
        with session_on(connection) as session:
            notify(
                session,
                organisation_id=job.organisation_id,
                kind=NoticeKind.BATCH_PUBLISHED,
                data={"batch": draft.handle, "units": content.size, "job": job.id, "log_index": index},
            )

    return services.log.append(entry, apply).index
