"""The audit of what firms signed themselves: every change in the database is named."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from sqlalchemy import update

from app.accounts.models import OrganisationKeyRow
from app.core.services import Services
from app.registry import service as registry
from app.registry.models import unit_signatures
from app.registry.service import CommissionRequest
from ledger.storage.engine import begin_write
from tests.app.registry.registry_builders import Firm, commissioned, make_firm
from tests.app.transparency.product_story import audit_with_product, sql
from tests.builders import gtin, on_sqlite
from tests.firm_keys import register_firm_key, sign_batch


@dataclass(frozen=True)
class Signed:
    services: Services
    firm: Firm
    batch: registry.Batch


@pytest.fixture
def signed(services: Services) -> Signed:
    firm = make_firm(services)
    _, key = register_firm_key(services, firm.organisation)
    batch = commissioned(services, firm.organisation, CommissionRequest(product=gtin(), quantity=600, lot="L1"))
    sign_batch(services, firm.organisation, batch, key)
    return Signed(services, firm, batch)


def faults(services: Services) -> set[tuple[str, str]]:
    report = audit_with_product(services, services.engine)
    return {(fault.code, fault.where) for fault in report.faults}


def test_a_batch_that_its_firm_signed_passes_the_audit(signed: Signed) -> None:
    assert faults(signed.services) == set()


@on_sqlite
@pytest.mark.parametrize(
    ("change", "code"),
    [
        ("UPDATE unit_signatures SET data = zeroblob(5632) WHERE chunk = 1", "signing.signatures"),
        ("DELETE FROM unit_signatures WHERE chunk = 1", "signing.signatures"),
        ("UPDATE batch_signings SET seal = zeroblob(64)", "signing.seal"),
        ("UPDATE batch_signings SET signatures_hash = zeroblob(32)", "signing.entry"),
        ("UPDATE batch_signings SET signed_at = signed_at + 1", "signing.entry"),
        ("DELETE FROM batch_signings", "signing.missing"),
    ],
)
def test_what_is_changed_is_named(signed: Signed, change: str, code: str) -> None:
    with signed.services.engine.begin() as connection:
        sql(change)(connection)
    found = faults(signed.services)
    assert code in {fault for fault, _ in found}
    if code == "signing.signatures":
        assert ("signing.signatures", f"unit_signatures {signed.batch.id}/1") in found


@on_sqlite
def test_a_batch_under_the_services_key_after_the_firm_took_over_is_named(services: Services) -> None:
    """What a thief of the service could do: leave out the check, and publish under the key that it still holds."""
    firm = make_firm(services)
    batch = commissioned(services, firm.organisation, CommissionRequest(product=gtin(), quantity=1))
    record, _ = register_firm_key(services, firm.organisation)
    with begin_write(services.engine) as connection:
        connection.execute(
            update(OrganisationKeyRow)
            .where(OrganisationKeyRow.key_id == record.key_id)
            .values(registered_index=batch.log_index - 1)
        )
    assert ("batch.taken_over", f"batches {batch.handle}") in faults(services)


@on_sqlite
def test_units_can_not_be_added_behind_the_seal(signed: Signed) -> None:
    with signed.services.engine.begin() as connection:
        connection.execute(unit_signatures.insert().values(batch_id=signed.batch.id, chunk=2, data=bytes(64)))
    assert "signing.signatures" in {code for code, _ in faults(signed.services)}
