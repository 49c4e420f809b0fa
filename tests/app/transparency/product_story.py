"""A registry with some of everything on its ledger, and what somebody with all rights on its database can do to it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, Engine, select, text
from sqlalchemy.orm import Session

from app.accounts import service as accounts
from app.accounts.vocabulary import OrganisationKind, RightKind
from app.core.clock import now_ms
from app.core.services import Services
from app.facts.models import EventRow
from app.facts.scans.committing import commit_new_scans
from app.facts.scans.open import open_scan_store
from app.registry import service as registry
from app.registry.vocabulary import Profile
from app.transparency.service.product import product_checks
from app.verification import service as verification
from app.verification.actions import Action
from app.verification.request import ScanRequest
from ledger.audit import AuditReport, audit
from tests.app.registry.registry_builders import commissioned
from tests.app.verification.verdict_builders import World, make_world
from tests.builders import ADMINISTRATOR, PREFIX, YEAR_MS, gtin, make_approved, make_organisation, make_registry
from tests.guards import without_guards

Tamper = Callable[[Connection], None]


@dataclass(frozen=True)
class ProductStory:
    """A registry: two firms, three batches, sales, a recall, an undo, scans that are committed to, changed keys."""

    world: World
    sold: str
    """Event id of a sale."""
    undone: str

    @property
    def services(self) -> Services:
        return self.world.services

    def audit(self, *, since: int | None = None, sample: int | None = None) -> AuditReport:
        return audit_with_product(self.services, self.services.engine, since=since, sample=sample)


def tell(services: Services) -> ProductStory:
    """Record the story; nothing in it is wrong."""
    make_registry(services)
    world = make_world(services, quantity=40, lot="L1", expiry="271231")
    other = world.batch.reference
    small = make_more_batches(world)
    shop = world.shop()
    inspector = world.inspector()
    for number, code in enumerate(world.codes[:6]):
        world.ask(code, shop, device="till", key=f"k{number}", action=Action.SELL)
    commit(services)
    refuse_some(services, world.firm.organisation)
    sold = world.codes[2:5]
    act = ScanRequest(action=Action.RETURN, device="till", key="r1", note="Wrong size")
    verification.act_on_units(services, texts=sold, principal=shop, request=act)
    for number, code in enumerate(world.codes[:20]):
        world.ask(code, device="phone", key=f"p{number}")
    world.ask(world.codes[7], inspector, device="border", key="b1", action=Action.HOLD)
    unknown = world.codes[0].split("?")[0].split("/21/")[0] + "/21/NEVERMADE"
    world.ask(unknown, device="phone", key="x1")
    verification.act_on_batch(services, handle=small, action=Action.RECALL, principal=world.owner, note="Ethanol")
    with Session(services.engine) as session:
        sales = session.scalars(select(EventRow.event_id).where(EventRow.kind == "sold").order_by(EventRow.id)).all()
    verification.undo_event(services, event_id=sales[1], principal=shop)
    maker = make_approved(services, kind=OrganisationKind.FIRM)
    accounts.delegate_gtin(
        services,
        owner_organisation_id=world.firm.id,
        gtin=other,
        to_issuer=maker.issuer,
        quota=100,
        valid_until=now_ms() + YEAR_MS,
        actor=world.owner,
    )
    with Session(services.engine) as session:
        [prefix] = [
            right
            for right in accounts.list_rights(session, organisation_id=world.firm.id)
            if right.kind is RightKind.PREFIX
        ]
        keys = accounts.list_keys(session, organisation_id=maker.id)
    accounts.rotate_key(services, organisation_id=maker.id, key_id=keys[0].key_id)
    accounts.revoke_key(services, organisation_id=maker.id, key_id=keys[0].key_id, reason="Lost laptop.")
    accounts.revoke_right(
        services, reference=prefix.reference, reason="Licence ended.", revoked_by=ADMINISTRATOR, as_registry=True
    )
    accounts.suspend_organisation(services, issuer=maker.issuer, decided_by=ADMINISTRATOR, reason="Under inquiry.")
    commit(services)
    return ProductStory(world, sales[0], sales[1])


def make_more_batches(world: World) -> str:
    """Commission two further batches, one with serials of the firm's own; gives the handle of the first."""
    services, firm = world.services, world.firm
    small = commissioned(
        services, firm.organisation, registry.CommissionRequest(product=firm.product.reference, quantity=3)
    )
    own = tuple(f"OWN{number:03d}" for number in range(20))
    item = registry.register_product(
        services, organisation_id=firm.id, item="MEZCAL-1", name="Mezcal", brand="", sector=firm.product.sector
    )
    for more in (
        registry.CommissionRequest(product=firm.product.reference, serials=own),
        registry.CommissionRequest(product=item.reference, quantity=5, lot="L9", expiry="280131"),
        registry.CommissionRequest(product=firm.product.reference, quantity=5, lot="L2", profile=Profile.COMPACT),
        registry.CommissionRequest(case_prefix=PREFIX, quantity=18, profile=Profile.CASE),
    ):
        commissioned(services, firm.organisation, more)
    return small.handle


def refuse_some(services: Services, firm: accounts.Organisation) -> None:
    """Refuse an organisation and a right, and leave one of each without a decision."""
    refused = make_organisation(services)
    accounts.refuse_organisation(services, issuer=refused.issuer, decided_by=ADMINISTRATOR, reason="No papers.")
    make_organisation(services)
    for value, approve in ((gtin(7, prefix="952999"), False), (gtin(8, prefix="952999"), True)):
        asked = accounts.request_right(
            services, organisation_id=firm.id, kind=RightKind.GTIN, value=value, evidence="Certificate"
        )
        accounts.decide_right(
            services,
            reference=asked.reference,
            approve=approve,
            reason="Looked into.",
            decided_by=ADMINISTRATOR,
            quota=5,
            valid_until=now_ms() + YEAR_MS,
        )
    accounts.request_right(
        services, organisation_id=firm.id, kind=RightKind.GTIN, value=gtin(9, prefix="952999"), evidence="Certificate"
    )


def commit(services: Services) -> list[int]:
    """Commit to the scans so far, as the worker does each minute."""
    store = open_scan_store(services.settings, services.engine)
    try:
        return commit_new_scans(services, store)
    finally:
        store.close()


def audit_with_product(
    services: Services, engine: Engine, *, since: int | None = None, sample: int | None = None
) -> AuditReport:
    """Audit with the product's checks, on the services' own database or a changed copy of it."""
    checks = product_checks(services.settings, engine, services.sealer)
    log = services.log
    return audit(engine, log.verifier, origin=log.origin, since=since, sample=sample, extra_checks=checks)


def as_owner(engine: Engine, change: Tamper) -> None:
    """Change the database as somebody could who has all rights on it: no guard stands in the way."""
    with engine.begin() as connection, without_guards(connection):
        change(connection)


def sql(*statements: str) -> Tamper:
    """A change by SQL statements, each of which must hit a row."""

    def change(connection: Connection) -> None:
        for statement in statements:
            assert connection.execute(text(statement)).rowcount != 0, statement

    return change


def change_scans(folder: Path, statement: str) -> None:
    """Run a statement on the files of scans, in all of which together it must hit one row."""
    hit = 0
    for path in sorted(folder.glob("*.db")):
        with closing(sqlite3.connect(path)) as connection, connection:
            hit += connection.execute(statement).rowcount
    assert hit == 1, f"{statement} hit {hit} rows"
