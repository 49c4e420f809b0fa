"""Work that outlives a request: one table, one worker process, progress that anybody entitled can watch.

A job is claimed by one worker (SKIP LOCKED on PostgreSQL, the write lock on SQLite), renews its lease with each
progress report, and is run again from the start when its worker died: handlers sweep what an earlier attempt left.
A worker that was away longer than its lease (a suspended machine) finds its attempt's number taken by a later one: it
stops, and can neither report nor finish a job that is no longer its own.

A job that waits for a second person is not claimed before `decide` lets it go, and fails when nobody does in time.
"""

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

import orjson
import structlog
from sqlalchemy import BigInteger, Engine, String, Text, UniqueConstraint, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Mapped, Session, mapped_column

from app.core.clock import now_ms
from app.core.database import Base, Milliseconds, write_session
from app.core.errors import AppError, Conflict, NotFound

LEASE_MS = 20_000
MAX_ATTEMPTS = 3

logger = structlog.get_logger(__name__)


class JobState(StrEnum):
    """Where a job stands."""

    WAITING = "waiting"  # for a second person
    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


class JobRow(Base):
    """One piece of work."""

    __tablename__ = "jobs"
    __table_args__ = (UniqueConstraint("organisation_id", "kind", "idempotency_key"),)

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    kind: Mapped[str] = mapped_column(String(32))
    organisation_id: Mapped[int] = mapped_column(BigInteger)
    created_by: Mapped[str] = mapped_column(String(64))
    idempotency_key: Mapped[str] = mapped_column(String(128))
    payload: Mapped[str] = mapped_column(Text)
    payload_digest: Mapped[str] = mapped_column(String(64))
    state: Mapped[str] = mapped_column(String(16), index=True)
    done: Mapped[int] = mapped_column(BigInteger, default=0)
    total: Mapped[int] = mapped_column(BigInteger, default=0)
    result: Mapped[str | None] = mapped_column(Text)
    problem: Mapped[str | None] = mapped_column(Text)
    attempts: Mapped[int] = mapped_column(default=0)
    lease_until: Mapped[int] = mapped_column(Milliseconds, default=0)
    created_at: Mapped[int] = mapped_column(Milliseconds)
    finished_at: Mapped[int | None] = mapped_column(Milliseconds)
    asked_by_person: Mapped[int | None] = mapped_column(BigInteger)
    waits_until: Mapped[int | None] = mapped_column(Milliseconds)
    decided_by: Mapped[str | None] = mapped_column(String(64))
    decided_at: Mapped[int | None] = mapped_column(Milliseconds)
    decision_reason: Mapped[str | None] = mapped_column(Text)


@dataclass(frozen=True, slots=True)
class Job:
    """A job as others see it.

    asked_by_person: the person who asked, or who made the machine that did; None where nobody knows. waits_until: when
    a job that waits for a second person is given up (ms). decided_by: the second person, with time and reason.
    """

    id: str
    kind: str
    organisation_id: int
    created_by: str
    state: JobState
    done: int
    total: int
    payload: dict[str, Any]
    result: dict[str, Any] | None
    problem: dict[str, Any] | None
    created_at: int
    finished_at: int | None
    attempt: int
    asked_by_person: int | None = None
    waits_until: int | None = None
    decided_by: str | None = None
    decided_at: int | None = None
    decision_reason: str | None = None


class LeaseLost(BaseException):
    """Another worker has taken the job over; this one must stop at once.

    No Exception, so that a handler's `except Exception` does not tidy away what the other worker is writing.
    """


Progress = Callable[[int, int], None]
"""Called with (done, total); at most a few times a second reaches the database."""


class Handler(Protocol):
    """Runs one job to its result; raises AppError for a refusal that its owner shall read."""

    def __call__(self, job: Job, progress: Progress, /) -> dict[str, Any]:
        """Do the work."""


def enqueue(
    session: Session,
    *,
    kind: str,
    organisation_id: int,
    created_by: str,
    idempotency_key: str | None,
    payload: Mapping[str, Any],
    digest: str,
    total: int = 0,
    asked_by_person: int | None = None,
    waits_until: int | None = None,
) -> Job:
    """Add a job in the session's transaction; the same key with the same digest returns the first job.

    waits_until: the job waits for a second person, at the latest until then (ms). Raises Conflict when the key was used
    for other content.
    """
    key = idempotency_key or secrets.token_hex(16)
    same = select(JobRow).where(
        JobRow.organisation_id == organisation_id, JobRow.kind == kind, JobRow.idempotency_key == key
    )
    row = session.scalar(same)
    if row is None:
        row = JobRow(
            id=secrets.token_hex(10),
            kind=kind,
            organisation_id=organisation_id,
            created_by=created_by,
            idempotency_key=key,
            payload=orjson.dumps(payload).decode(),
            payload_digest=digest,
            state=JobState.QUEUED if waits_until is None else JobState.WAITING,
            done=0,
            total=total,
            attempts=0,
            lease_until=0,
            created_at=now_ms(),
            asked_by_person=asked_by_person,
            waits_until=waits_until,
        )
        try:
            with session.begin_nested():
                session.add(row)
        except IntegrityError:
            row = session.scalars(same).one()
    if row.payload_digest != digest:
        raise Conflict(
            "This idempotency key was used before with other content.",
            code="idempotency_key_reused",
            fix="Use a new key for new content, or send the same content again.",
        )
    return _job(row)


def find_job(session: Session, job_id: str, *, organisation_id: int) -> Job:
    """A job of the organisation; raises NotFound."""
    row = session.get(JobRow, job_id, populate_existing=True)
    if row is None or row.organisation_id != organisation_id:
        raise NotFound
    return _job(row)


def list_jobs(session: Session, *, organisation_id: int, kind: str | None = None, limit: int = 50) -> list[Job]:
    """The organisation's jobs, newest first."""
    query = select(JobRow).where(JobRow.organisation_id == organisation_id)
    if kind:
        query = query.where(JobRow.kind == kind)
    return [_job(row) for row in session.scalars(query.order_by(JobRow.created_at.desc()).limit(limit))]


def decide(session: Session, job: Job, *, by: str, release: bool, reason: str) -> Job:
    """Let a waiting job go, or end it, in the session's transaction. by: the actor's name for records.

    Who may is for the caller to know. Raises Conflict when it does not wait any more.
    """
    row = session.get_one(JobRow, job.id, populate_existing=True, with_for_update=True)
    now = now_ms()
    if row.state != JobState.WAITING or (row.waits_until is not None and row.waits_until <= now):
        raise Conflict("This work does not wait for a decision any more.", code="not_waiting")
    row.decided_by, row.decided_at, row.decision_reason = by, now, reason
    if release:
        row.state = JobState.QUEUED
    else:
        row.state, row.finished_at = JobState.FAILED, now
        refusal = Conflict("A second person of your organisation refused this.", code="release_refused", fix=reason)
        row.problem = orjson.dumps(refusal.problem()).decode()
    session.flush()
    return _job(row)


def run_next(engine: Engine, handlers: Mapping[str, Handler]) -> bool:
    """Claim and run one job; False when there was none."""
    job = _claim(engine)
    if job is None:
        return False
    log = logger.bind(job=job.id, kind=job.kind)
    log.info("job started")
    reported_at = 0

    def progress(done: int, total: int) -> None:
        nonlocal reported_at
        now = now_ms()
        if now - reported_at < 300 and done < total:
            return
        reported_at = now
        if not _update(engine, job, done=done, total=total, lease_until=now + LEASE_MS):
            raise LeaseLost

    try:
        result = handlers[job.kind](job, progress)
    except LeaseLost:
        log.warning("job taken over by another worker")
    except AppError as refusal:
        log.info("job refused", code=refusal.code)
        _finish(engine, job, JobState.FAILED, problem=refusal.problem())
    except Exception:
        # The worker must survive any one job; the cause goes to the log, not to the caller.
        log.exception("job failed")
        problem = AppError("The work failed inside the registry; nothing was kept.", code="internal_error").problem()
        _finish(engine, job, JobState.FAILED, problem=problem)
    else:
        log.info("job done")
        _finish(engine, job, JobState.DONE, result=result)
    return True


def _claim(engine: Engine) -> Job | None:
    now = now_ms()
    with write_session(engine) as session:
        ready = or_(
            JobRow.state == JobState.QUEUED,
            (JobRow.state == JobState.RUNNING) & (JobRow.lease_until < now),
            (JobRow.state == JobState.WAITING) & (JobRow.waits_until <= now),
        )
        query = select(JobRow).where(ready).order_by(JobRow.created_at).limit(1).with_for_update(skip_locked=True)
        row = session.scalar(query)
        if row is None:
            return None
        if row.state == JobState.WAITING:
            row.state = JobState.FAILED
            row.finished_at = now
            row.problem = orjson.dumps(
                Conflict(
                    "No second person released this in time.", code="release_expired", fix="Ask for it again."
                ).problem()
            ).decode()
            return None
        row.attempts += 1
        if row.attempts > MAX_ATTEMPTS:
            row.state = JobState.FAILED
            row.finished_at = now
            row.problem = orjson.dumps(
                AppError("The work was tried several times and never finished.", code="attempts_exhausted").problem()
            ).decode()
            return None
        row.state = JobState.RUNNING
        row.lease_until = now + LEASE_MS
        return _job(row)


def _update(engine: Engine, job: Job, **values: Any) -> bool:
    """Change the job's row while this attempt still owns it; False when a later attempt does."""
    own = (JobRow.id == job.id) & (JobRow.attempts == job.attempt) & (JobRow.state == JobState.RUNNING)
    with write_session(engine) as session:
        changed = session.execute(update(JobRow).where(own).values(**values).returning(JobRow.id))
        return changed.first() is not None


def _finish(
    engine: Engine,
    job: Job,
    state: JobState,
    *,
    result: dict[str, Any] | None = None,
    problem: dict[str, Any] | None = None,
) -> None:
    values: dict[str, Any] = {"state": state, "finished_at": now_ms(), "lease_until": 0}
    if result is not None:
        values["result"] = orjson.dumps(result).decode()
    if problem is not None:
        values["problem"] = orjson.dumps(problem).decode()
    if not _update(engine, job, **values):
        logger.warning("job ended after another worker took it over", job=job.id)


def _job(row: JobRow) -> Job:
    return Job(
        id=row.id,
        kind=row.kind,
        organisation_id=row.organisation_id,
        created_by=row.created_by,
        state=JobState(row.state),
        done=row.done,
        total=row.total,
        payload=orjson.loads(row.payload),
        result=orjson.loads(row.result) if row.result else None,
        problem=orjson.loads(row.problem) if row.problem else None,
        created_at=row.created_at,
        finished_at=row.finished_at,
        attempt=row.attempts,
        asked_by_person=row.asked_by_person,
        waits_until=row.waits_until,
        decided_by=row.decided_by,
        decided_at=row.decided_at,
        decision_reason=row.decision_reason,
    )
