"""Units in bulk: short transactions, no foreign rows touched, and no writing after a batch was taken over."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from app.core.database import write_session
from app.core.jobs import JobState
from app.core.services import Services
from app.registry import service as registry
from app.registry.models import BatchRow, units
from app.registry.service import CommissionRequest, publish
from app.registry.unit_store import (
    ROWS_A_TRANSACTION,
    AttemptSupersededError,
    Chunk,
    SerialTakenError,
    sweep_batch,
    write_chunk,
)
from tests.app.registry.registry_builders import NOTHING, ask, commissioned, finished, leftovers, make_firm
from tests.builders import gtin


def draft(services: Services, product_id: int, *, attempt: str = "mine", first: str = "0", last: str = "z") -> int:
    with write_session(services.engine) as session:
        row = BatchRow(
            handle="DRAFT",
            product_id=product_id,
            organisation_id=1,
            job_id="a job",
            part=0,
            attempt=attempt,
            profile="signed",
            note="",
            quantity=1,
            generated=False,
            key_id=1,
            sealed_secret=b"",
            first_serial=first,
            last_serial=last,
            created_at=0,
        )
        session.add(row)
        session.flush()
        return row.id


def count_units(services: Services) -> int:
    with services.engine.connect() as connection:
        return connection.scalar(select(func.count()).select_from(units)) or 0


def test_a_worker_that_was_taken_for_dead_can_write_no_more(services: Services) -> None:
    firm = make_firm(services)
    batch_id = draft(services, firm.product.id)
    write_chunk(services.engine, Chunk(batch_id, firm.product.id, 0, ["A", "B"], []), attempt="mine")
    with write_session(services.engine) as session:
        session.execute(update(BatchRow).where(BatchRow.id == batch_id).values(attempt="successor"))
    with pytest.raises(AttemptSupersededError):
        write_chunk(services.engine, Chunk(batch_id, firm.product.id, 2, ["C"], []), attempt="mine")
    assert sweep_batch(services.engine, batch_id)
    with pytest.raises(AttemptSupersededError):
        write_chunk(services.engine, Chunk(batch_id, firm.product.id, 2, ["C"], []), attempt="mine")
    assert count_units(services) == 0


def test_a_serial_that_exists_takes_its_whole_chunk_back(services: Services) -> None:
    firm = make_firm(services)
    batch_id = draft(services, firm.product.id)
    write_chunk(services.engine, Chunk(batch_id, firm.product.id, 0, ["A"], []), attempt="mine")
    with pytest.raises(SerialTakenError):
        write_chunk(services.engine, Chunk(batch_id, firm.product.id, 1, ["B", "A"], []), attempt="mine")
    assert count_units(services) == 1


def test_a_sweep_removes_its_batch_and_leaves_the_units_between(services: Services) -> None:
    firm = make_firm(services)
    kept = tuple(f"{number:05}K" for number in range(2 * ROWS_A_TRANSACTION + 7))
    batch = commissioned(services, firm.organisation, CommissionRequest(product=gtin(), serials=kept))
    batch_id = draft(services, firm.product.id)
    swept = [f"{number:05}S" for number in range(2 * ROWS_A_TRANSACTION + 9)]
    for start in range(0, len(swept), ROWS_A_TRANSACTION):
        chunk = Chunk(batch_id, firm.product.id, start, swept[start : start + ROWS_A_TRANSACTION], [])
        write_chunk(services.engine, chunk, attempt="mine")
    assert sweep_batch(services.engine, batch_id)
    assert not sweep_batch(services.engine, batch_id)
    assert not sweep_batch(services.engine, batch.id), "a published batch is never swept"
    with Session(services.engine) as session:
        assert [serial for _, serial in registry.unit_serials(session, batch)] == sorted(kept)
    assert leftovers(services) == NOTHING


def test_a_failure_in_mid_commissioning_leaves_nothing(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    firm = make_firm(services)
    calls = iter(range(100))

    def failing(*arguments: Any, **keywords: Any) -> None:
        if next(calls) == 3:
            raise OSError("disk full")
        write_chunk(*arguments, **keywords)

    monkeypatch.setattr(publish, "write_chunk", failing)
    job = finished(services, ask(services, firm.organisation, CommissionRequest(product=gtin(), quantity=3_000)))
    assert job.state is JobState.FAILED
    assert job.problem is not None
    assert job.problem["code"] == "internal_error"
    assert "disk" not in str(job.problem)
    assert leftovers(services) == NOTHING
    assert count_units(services) == 0
