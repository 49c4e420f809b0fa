"""Jobs: claimed once, repeated after a death, refused with a reason, seen by their owner only."""

from typing import Any

import pytest
from sqlalchemy import update
from sqlalchemy.orm import Session

from app.core import jobs
from app.core.clock import now_ms
from app.core.database import write_session
from app.core.errors import Conflict, FieldFault, Invalid, NotFound
from app.core.jobs import Job, JobRow, JobState, Progress
from app.core.services import Services


def enqueue(services: Services, *, key: str | None = None, digest: str = "d", organisation_id: int = 1) -> Job:
    with write_session(services.engine) as session:
        return jobs.enqueue(
            session,
            kind="count",
            organisation_id=organisation_id,
            created_by="person:1",
            idempotency_key=key,
            payload={"upto": 3},
            digest=digest,
            total=3,
        )


def find(services: Services, job: Job) -> Job:
    with Session(services.engine) as session:
        return jobs.find_job(session, job.id, organisation_id=job.organisation_id)


def count(job: Job, progress: Progress) -> dict[str, Any]:
    for number in range(job.payload["upto"]):
        progress(number + 1, job.payload["upto"])
    return {"counted": job.payload["upto"]}


def test_a_job_runs_once_to_its_result(services: Services) -> None:
    job = enqueue(services)
    assert find(services, job).state is JobState.QUEUED
    assert jobs.run_next(services.engine, {"count": count})
    done = find(services, job)
    assert (done.state, done.result, done.done, done.total) == (JobState.DONE, {"counted": 3}, 3, 3)
    assert done.finished_at is not None
    assert not jobs.run_next(services.engine, {"count": count})


def test_jobs_run_in_the_order_of_their_arrival(services: Services) -> None:
    made = [enqueue(services) for _ in range(3)]
    with write_session(services.engine) as session:
        for position, job in enumerate(made):
            session.execute(update(JobRow).where(JobRow.id == job.id).values(created_at=1000 + position))
    seen: list[str] = []

    def note(job: Job, progress: Progress) -> dict[str, Any]:
        seen.append(job.id)
        return {}

    while jobs.run_next(services.engine, {"count": note}):
        pass
    assert seen == [job.id for job in made]


def test_the_same_key_gives_the_same_job_and_other_content_is_refused(services: Services) -> None:
    first = enqueue(services, key="k-1")
    assert enqueue(services, key="k-1").id == first.id
    assert enqueue(services, key="k-1", organisation_id=2).id != first.id
    with pytest.raises(Conflict) as refused:
        enqueue(services, key="k-1", digest="other")
    assert refused.value.code == "idempotency_key_reused"


def test_a_refusal_is_kept_for_the_owner_with_its_faults(services: Services) -> None:
    def refuse(job: Job, progress: Progress) -> dict[str, Any]:
        raise Invalid("Two rows are wrong.", faults=(FieldFault("row 7", "Twice the same serial."),))

    job = enqueue(services)
    assert jobs.run_next(services.engine, {"count": refuse})
    failed = find(services, job)
    assert failed.state is JobState.FAILED
    assert failed.problem is not None
    assert failed.problem["errors"] == [{"where": "row 7", "code": "invalid", "message": "Twice the same serial."}]


def test_a_crash_inside_a_job_tells_its_owner_nothing_of_the_inside(services: Services) -> None:
    def crash(job: Job, progress: Progress) -> dict[str, Any]:
        raise RuntimeError("secret of the inside")

    job = enqueue(services)
    assert jobs.run_next(services.engine, {"count": crash})
    failed = find(services, job)
    assert failed.problem is not None
    assert failed.problem["code"] == "internal_error"
    assert "secret" not in str(failed.problem)


def test_a_job_whose_worker_died_is_run_again_but_not_for_ever(services: Services) -> None:
    job = enqueue(services)

    def die(job: Job, progress: Progress) -> dict[str, Any]:
        raise KeyboardInterrupt  # not an Exception: nothing is written, as after a kill

    for _ in range(jobs.MAX_ATTEMPTS):
        with pytest.raises(KeyboardInterrupt):
            jobs.run_next(services.engine, {"count": die})
        assert find(services, job).state is JobState.RUNNING
        assert not jobs.run_next(services.engine, {"count": die})  # its lease still holds
        with write_session(services.engine) as session:
            session.execute(update(JobRow).values(lease_until=now_ms() - 1))
    assert not jobs.run_next(services.engine, {"count": count})
    failed = find(services, job)
    assert failed.state is JobState.FAILED
    assert failed.problem is not None
    assert failed.problem["code"] == "attempts_exhausted"


def test_progress_renews_the_lease_and_is_not_written_for_every_unit(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[dict[str, Any]] = []
    update_row = jobs._update

    def record(engine: Any, job: Job, **values: Any) -> bool:
        written.append(values)
        return update_row(engine, job, **values)

    def work(job: Job, progress: Progress) -> dict[str, Any]:
        for number in range(1000):
            progress(number + 1, 1000)
        return {}

    monkeypatch.setattr(jobs, "_update", record)
    job = enqueue(services)
    assert jobs.run_next(services.engine, {"count": work})
    reports = [values for values in written if "done" in values]
    assert 1 <= len(reports) <= 20
    assert reports[-1]["done"] == 1000
    assert all(values["lease_until"] > now_ms() for values in reports)
    assert find(services, job).done == 1000


def test_a_worker_that_was_away_too_long_can_neither_report_nor_finish(services: Services) -> None:
    job = enqueue(services)
    tidied: list[str] = []

    def sleepy(mine: Job, progress: Progress) -> dict[str, Any]:
        with write_session(services.engine) as session:
            session.execute(update(JobRow).values(lease_until=now_ms() - 1))
        assert jobs.run_next(services.engine, {"count": count})  # another worker takes it over and finishes it
        try:
            progress(3, 3)
        except Exception:
            tidied.append("what the other worker wrote")
            raise
        return {"counted": "by the one that was away"}

    assert jobs.run_next(services.engine, {"count": sleepy})
    assert not tidied
    assert find(services, job).result == {"counted": 3}


def test_a_late_result_does_not_replace_the_one_that_stands(services: Services) -> None:
    job = enqueue(services)

    def sleepy(mine: Job, progress: Progress) -> dict[str, Any]:
        with write_session(services.engine) as session:
            session.execute(update(JobRow).values(lease_until=now_ms() - 1))
        assert jobs.run_next(services.engine, {"count": count})
        return {"counted": "late"}

    assert jobs.run_next(services.engine, {"count": sleepy})
    assert find(services, job).result == {"counted": 3}


def test_nobody_sees_the_jobs_of_another(services: Services) -> None:
    job = enqueue(services)
    with Session(services.engine) as session:
        with pytest.raises(NotFound):
            jobs.find_job(session, job.id, organisation_id=2)
        assert jobs.list_jobs(session, organisation_id=2) == []
        assert [found.id for found in jobs.list_jobs(session, organisation_id=1, kind="count")] == [job.id]
        assert jobs.list_jobs(session, organisation_id=1, kind="other") == []
