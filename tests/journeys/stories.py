"""What has happened before a journey begins: a firm with a batch of codes in trade."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy.orm import Session

from app.accounts import service as accounts
from app.core import jobs
from app.core.services import Services
from app.facts.scans import Scan
from app.facts.scans.open import open_scan_store
from app.portal.addresses import verify_path
from app.registry import service as registry
from app.registry.jobs import job_handlers
from app.verification import service as verification
from app.verification.actions import Action
from scanners.codes.reader import read_code
from tests.builders import gtin, make_approved_firm, owner_email, principal
from tests.journeys.visiting import Site


@dataclass(frozen=True)
class Goods:
    """A batch and the people behind it."""

    firm: accounts.Organisation
    owner: str
    product: registry.Product
    batch: registry.Batch
    codes: list[str]

    def address(self, unit: int = 0) -> str:
        """The address of a unit's page."""
        return verify_path(self.codes[unit])


def make_goods(services: Services, *, prefix: str, name: str = "Mezcal espadín 750 ml", in_trade: bool = True) -> Goods:
    """A firm with ten units of one product."""
    firm = make_approved_firm(services, name=f"Destilería {prefix}", prefix=prefix)
    product = registry.register_product(
        services, organisation_id=firm.id, name=name, brand="Tres Ríos", gtin=gtin(prefix=prefix)
    )
    wanted = registry.CommissionRequest(product=product.reference, quantity=10, lot="L-7", expiry="281231")
    job = registry.request_commission(services, principal=principal(firm), requests=[wanted])
    while jobs.run_next(services.engine, job_handlers(services)):
        pass
    with Session(services.engine) as session:
        _wait(session, job.id, firm.id)
        (batch,) = registry.batches_of_job(session, job.id)
        stem = services.settings.code_stem
        codes = [code.text for code in registry.codes_of_batch(session, services.sealer, batch, stem=stem)]
    if in_trade:
        verification.act_on_batch(services, handle=batch.handle, action=Action.ACTIVATE, principal=principal(firm))
    return Goods(firm, owner_email(services, firm), product, batch, codes)


def _wait(session: Session, job_id: str, organisation_id: int) -> None:
    """Wait for a job that another worker has claimed."""
    while jobs.find_job(session, job_id, organisation_id=organisation_id).state is not jobs.JobState.DONE:
        session.rollback()


def scans_of(site: Site, goods: Goods, unit: int) -> list[Scan]:
    """The recorded scans of a unit, newest first."""
    identity = read_code(goods.codes[unit], trusted_hosts=site.services.settings.code_hosts).identity
    assert identity is not None
    with Session(site.services.engine) as session:
        found = registry.find_unit(session, identity)
    assert found is not None
    store = open_scan_store(site.services.settings, site.services.engine)
    scans = store.recent(found.unit_id)
    store.close()
    return scans
