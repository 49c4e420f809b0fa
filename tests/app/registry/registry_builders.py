"""Builders of products and batches for tests."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.accounts import service as accounts
from app.core import jobs
from app.core.jobs import Job, JobState
from app.core.services import Services
from app.registry import service as registry
from app.registry.jobs import job_handlers
from app.registry.models import BatchRow, SerialFileRow, batch_tiles, units
from tests.builders import gtin, make_approved_firm, principal


@dataclass(frozen=True)
class Firm:
    organisation: accounts.Organisation
    product: registry.Product

    @property
    def id(self) -> int:
        return self.organisation.id


def make_firm(services: Services, *, item: int = 1, **more: Any) -> Firm:
    """An approved firm with one registered product."""
    organisation = make_approved_firm(services, **more)
    return Firm(organisation, make_product(services, organisation, gtin=gtin(item)))


def make_product(services: Services, organisation: accounts.Organisation, **more: Any) -> registry.Product:
    given: dict[str, Any] = {"name": "Tequila añejo 700 ml", "brand": "Casa Prueba", **more}
    return registry.register_product(services, organisation_id=organisation.id, **given)


def ask(
    services: Services,
    organisation: accounts.Organisation,
    *requests: registry.CommissionRequest,
    key: str | None = None,
) -> Job:
    return registry.request_commission(
        services, principal=principal(organisation), requests=requests, idempotency_key=key
    )


def work(services: Services) -> None:
    """Run every waiting job."""
    while jobs.run_next(services.engine, job_handlers(services)):
        pass


def finished(services: Services, job: Job) -> Job:
    """The job after the worker has run."""
    work(services)
    with Session(services.engine) as session:
        return jobs.find_job(session, job.id, organisation_id=job.organisation_id)


def commissioned(
    services: Services, organisation: accounts.Organisation, request: registry.CommissionRequest
) -> registry.Batch:
    job = finished(services, ask(services, organisation, request))
    assert job.state is JobState.DONE, job.problem
    assert job.result is not None
    with Session(services.engine) as session:
        return registry.find_batch(session, job.result["batches"][0]["handle"])


def leftovers(services: Services) -> dict[str, int]:
    """Rows that an aborted commissioning must not leave behind."""
    with Session(services.engine) as session:
        published = select(BatchRow.id).where(BatchRow.log_index.is_not(None))
        known = {batch_id for (batch_id,) in session.execute(published)}
        unit_batches = {number >> 24 for (number,) in session.execute(select(units.c.unit_id))}
        tile_batches = set(session.scalars(select(batch_tiles.c.batch_id).distinct()))
        return {
            "batches": session.scalar(select(func.count()).where(BatchRow.log_index.is_(None))) or 0,
            "units": len(unit_batches - known),
            "tiles": len(tile_batches - known),
            "serial files": session.scalar(select(func.count()).select_from(SerialFileRow)) or 0,
        }


NOTHING = {"batches": 0, "units": 0, "tiles": 0, "serial files": 0}
