"""A worker that dies while it commissions: afterwards the batch exists whole with its leaf, or not at all."""

from __future__ import annotations

import base64
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from app.accounts import service as accounts
from app.core import jobs
from app.core.bootstrap import migrate, open_services
from app.core.config import Settings
from app.core.database import write_session
from app.core.jobs import Job, JobRow, JobState
from app.core.services import Services
from app.registry import service as registry
from app.registry.jobs import job_handlers, sweep
from app.registry.models import units
from app.registry.service import CommissionRequest
from ledger.audit import audit
from ledger.mark.high_water import HighWaterMark
from ledger.proof import verify_unit_proof
from scanners.codes.identity import CodeIdentity, CodeKind
from tests.app.registry.registry_builders import NOTHING, ask, leftovers, make_firm
from tests.builders import gtin
from tests.databases import Databases

KEY = bytes(range(32))
QUANTITY = 5_200
SERIALS = tuple(f"SERIAL-{number:07}" for number in range(QUANTITY))

DYING_WORKER = """
import os, signal, sys
from app.core import jobs
from app.core.bootstrap import open_services
from app.core.config import Settings
from app.registry import unit_store
from app.registry.jobs import job_handlers
from app.registry.service import commission, publish

point, calls = sys.argv[1], int(sys.argv[2])

def die_at(module, name, *, before):
    original, left = getattr(module, name), [calls]
    def dying(*arguments, **keywords):
        left[0] -= 1
        if left[0] == 0 and before:
            os.kill(os.getpid(), signal.SIGKILL)
        result = original(*arguments, **keywords)
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return result
    setattr(module, name, dying)

if point == "reserved":
    die_at(publish, "_reserve", before=False)
elif point == "in a transaction":
    name = "_insert_sqlite" if sys.argv[3] == "sqlite" else "_copy_postgresql"
    die_at(unit_store, name, before=False)
elif point == "between transactions":
    die_at(publish, "write_chunk", before=False)
elif point == "in the publishing transaction":
    die_at(publish.facts, "insert_event", before=False)
elif point == "published":
    die_at(publish, "_publish", before=False)
elif point == "forgotten":
    die_at(commission, "_forget", before=False)
services = open_services(Settings.from_environment())
jobs.run_next(services.engine, job_handlers(services))
"""


def settings_for(url: str, folder: Path) -> Settings:
    return Settings(data_dir=folder, database_url=url, public_url="http://localhost", key_encryption_key=KEY)


@pytest.fixture
def services(database_kind: str, databases: Databases, tmp_path: Path) -> Iterator[Services]:
    """A registry with one firm that has a product."""

    def prepare(url: str) -> None:
        migrate(settings_for(url, tmp_path))
        prepared = open_services(settings_for(url, tmp_path))
        make_firm(prepared)
        prepared.engine.dispose()

    url = databases.copy_of("one firm", prepare, database_kind, tmp_path)
    opened = open_services(settings_for(url, tmp_path))
    mark = HighWaterMark(opened.settings.effective_high_water_file, origin=opened.log.origin)
    mark.adopt(*opened.log.head())  # the database is a copy: its own mark lies where it was made
    yield opened
    opened.engine.dispose()
    databases.discard(url)


def environment(services: Services) -> dict[str, str]:
    settings = services.settings
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("MARCHAMO_")},
        "MARCHAMO_DATA_DIR": str(settings.data_dir),
        "MARCHAMO_DATABASE_URL": settings.database_url,
        "MARCHAMO_PUBLIC_URL": settings.public_url,
        "MARCHAMO_KEY_ENCRYPTION_KEY": base64.b64encode(KEY).decode(),
    }


def run_dying_worker(services: Services, point: str, calls: int = 1) -> None:
    worker = subprocess.run(
        [sys.executable, "-c", DYING_WORKER, point, str(calls), services.engine.dialect.name],
        env=environment(services),
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert worker.returncode == -signal.SIGKILL, worker.stderr.decode()


def expire_leases(services: Services) -> None:
    """Let the time pass after which a silent worker counts as dead."""
    with write_session(services.engine) as session:
        session.execute(update(JobRow).values(lease_until=0))


def finish(services: Services, job: Job) -> Job:
    expire_leases(services)
    sweep(services)
    while jobs.run_next(services.engine, job_handlers(services)):
        pass
    with Session(services.engine) as session:
        return jobs.find_job(session, job.id, organisation_id=job.organisation_id)


def assert_whole(services: Services, job: Job) -> None:
    """One batch of the job, every unit found, proved and printed once; one leaf; nothing else left."""
    assert job.state is JobState.DONE, job.problem
    with Session(services.engine) as session:
        (batch,) = registry.batches_of_job(session, job.id)
        numbers = [number for number, _ in registry.unit_serials(session, batch)]
        assert session.scalar(select(func.count()).select_from(units)) == QUANTITY == len(numbers)
    assert numbers == list(range(numbers[0], numbers[0] + QUANTITY))
    for serial in (SERIALS[0], SERIALS[4_095], SERIALS[-1]):
        unit = look(services, serial)
        assert unit is not None
        verify_unit_proof(
            registry.unit_proof(services, unit),
            content=registry.unit_content(unit),
            log_verifier=services.log.verifier,
            statement_key=None,
        )
    assert leftovers(services) == NOTHING
    assert kinds_of_entries(services).count("batch") == 1
    assert audit(services.engine, services.log.verifier).ok


def look(services: Services, serial: str) -> registry.Unit | None:
    with Session(services.engine) as session:
        return registry.find_unit(session, CodeIdentity(CodeKind.GTIN, gtin(), serial))


def kinds_of_entries(services: Services) -> list[str]:
    size, _ = services.log.head()
    bodies = [services.log.entry(index).body for index in range(size)]
    return [body.kind for body in bodies if body is not None]


def ask_for_serials(services: Services) -> Job:
    with Session(services.engine) as session:
        firm = accounts.organisation_by_id(session, 1)
    return ask(services, firm, CommissionRequest(product=gtin(), serials=SERIALS))


@pytest.mark.parametrize(
    ("point", "calls"),
    [
        ("reserved", 1),
        ("in a transaction", 1),
        ("in a transaction", 7),
        ("between transactions", 6),
        ("in the publishing transaction", 1),
    ],
)
def test_killed_before_the_leaf_nothing_exists_until_the_next_attempt(
    services: Services, point: str, calls: int
) -> None:
    job = ask_for_serials(services)
    run_dying_worker(services, point, calls)
    assert "batch" not in kinds_of_entries(services)
    assert look(services, SERIALS[0]) is None
    assert look(services, SERIALS[1_700]) is None
    assert_whole(services, finish(services, job))


@pytest.mark.parametrize("point", ["published", "forgotten"])
def test_killed_after_the_leaf_the_next_attempt_makes_no_second_batch(services: Services, point: str) -> None:
    job = ask_for_serials(services)
    run_dying_worker(services, point)
    assert kinds_of_entries(services).count("batch") == 1
    assert look(services, SERIALS[-1]) is not None
    assert_whole(services, finish(services, job))


def test_a_worker_killed_at_any_moment_leaves_nothing_half_done(services: Services) -> None:
    job = ask_for_serials(services)
    for units_written in (1, 3_000):
        expire_leases(services)
        worker = subprocess.Popen(
            [sys.executable, "-m", "app", "worker"],
            env=environment(services),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        wait_for_units(services, units_written)
        worker.send_signal(signal.SIGKILL)
        worker.wait()
        with Session(services.engine) as session:
            published = len(registry.batches_of_job(session, job.id))
        assert kinds_of_entries(services).count("batch") == published
        found = [look(services, serial) is not None for serial in SERIALS[::260]]
        assert all(found) if published else not any(found)
    assert_whole(services, finish(services, job))


def test_a_job_whose_attempts_are_used_up_leaves_nothing(services: Services) -> None:
    job = ask_for_serials(services)
    for _ in range(jobs.MAX_ATTEMPTS):
        run_dying_worker(services, "between transactions", 3)
        expire_leases(services)
    failed = finish(services, job)
    assert failed.state is JobState.FAILED
    sweep(services)
    assert leftovers(services) == NOTHING
    with Session(services.engine) as session:
        assert session.scalar(select(func.count()).select_from(units)) == 0


def wait_for_units(services: Services, wanted: int) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        with services.engine.connect() as connection:
            if (connection.scalar(select(func.count()).select_from(units)) or 0) >= wanted:
                return
        time.sleep(0.002)
    pytest.fail("the worker wrote no units")
