"""The parties of the demonstration: a coffee firm, a shop and a customs office, approved by an administrator.

GTINs use the prefix 9521234: GS1 keeps 952 for demonstrations, so no demonstration can collide with a real product.
"""

import os
import secrets
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import orjson
from sqlalchemy.orm import Session

from app.accounts import service as accounts
from app.accounts.vocabulary import OrganisationKind, RightKind
from app.core.authorisation import Principal, Role, permissions_of
from app.core.errors import NotFound
from app.core.jobs import JobState, find_job, run_next
from app.core.services import Services
from app.registry import service as registry
from app.registry.jobs import job_handlers
from app.verification import service as verification
from app.verification.actions import Action

PREFIX = "9521234"
GTIN = "09521234000013"
FILE = "demo-firm.json"
POLL_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Party:
    """An organisation of the demonstration, and how its owner signs in."""

    issuer: str
    name: str
    email: str
    password: str


@dataclass(frozen=True, slots=True)
class Parties:
    """Who takes part."""

    administrator: Party
    firm: Party
    shop: Party
    customs: Party
    product: str
    batch: str


def ensure_parties(services: Services, *, units: int = 30) -> Parties:
    """The demonstration's parties with one product and one batch; made at first use.

    Their passwords are random and lie in the file demo-firm.json of the data folder, readable by its owner only.
    """
    path = services.settings.data_dir / FILE
    parties = _stored_parties(path)
    if parties is not None and _still_there(services, parties):
        return parties
    parties = make_parties(services, units=units)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(orjson.dumps(asdict(parties), option=orjson.OPT_INDENT_2))
    return parties


def _stored_parties(path: Path) -> Parties | None:
    """Give the parties of the file; None when there is none, or one that another program or a crash has left."""
    try:
        stored = orjson.loads(path.read_bytes())
        names = ("administrator", "firm", "shop", "customs")
        return Parties(**stored | {name: Party(**stored[name]) for name in names})
    except (FileNotFoundError, ValueError, TypeError, KeyError):
        return None


def make_parties(services: Services, *, units: int) -> Parties:
    """Make everything anew; the database must not know the demonstration's prefix yet."""
    administrator = _administrator(services)
    firm = approved(services, "Café Sierra Azul (demo)", OrganisationKind.FIRM, "owner@cafe.example")
    shop = approved(services, "Tienda La Esquina (demo)", OrganisationKind.SHOP, "owner@tienda.example")
    customs = approved(services, "Aduana de Nogales (demo)", OrganisationKind.AUTHORITY, "owner@aduana.example")
    owner = principal_of(services, firm)
    grant_prefix(services, owner)
    product = registry.register_product(
        services,
        organisation_id=owner.organisation_id or 0,
        name="Café de altura, 500 g",
        brand="Sierra Azul",
        description="Whole bean coffee, washed, dark roast.",
        sector=registry.Sector.AGRICULTURE,
        gtin=GTIN,
    )
    batch = commission(
        services, owner, registry.CommissionRequest(product=product.reference, quantity=units, lot="DEMO-1")
    )
    # In trade at once: the first label that somebody scans from the terminal then has nothing recorded against it.
    verification.act_on_batch(services, handle=batch.handle, action=Action.ACTIVATE, principal=owner)
    return Parties(administrator, firm, shop, customs, product.reference, batch.handle)


def approved(services: Services, name: str, kind: OrganisationKind, email: str) -> Party:
    """Sign an organisation up and approve it."""
    password = secrets.token_urlsafe(12)
    pending = accounts.register_organisation(
        services,
        name=name,
        country="MX",
        kind=kind,
        person_name="Demo Owner",
        email=email,
        password=password,
        locale="es",
    )
    accounts.approve_organisation(
        services,
        issuer=pending.issuer,
        decided_by=administrator_principal(),
        reason="Demonstration.",
        jurisdiction={"MX"} if kind is OrganisationKind.AUTHORITY else None,
    )
    return Party(pending.issuer, name, email, password)


def grant_prefix(services: Services, owner: Principal, prefix: str = PREFIX) -> None:
    """Ask for the company prefix and approve it."""
    right = accounts.request_right(
        services,
        organisation_id=owner.organisation_id or 0,
        kind=RightKind.PREFIX,
        value=prefix,
        evidence="GS1 demonstration prefix; no certificate exists.",
        quota=None,
    )
    accounts.decide_right(
        services,
        reference=right.reference,
        approve=True,
        reason="Demonstration prefix.",
        decided_by=administrator_principal(),
        valid_until=None,
    )


def commission(services: Services, owner: Principal, request: registry.CommissionRequest) -> registry.Batch:
    """Ask for a batch and run its job here, as the worker would, unless the worker of a running service was faster."""
    job = registry.request_commission(services, principal=owner, requests=[request], idempotency_key=None)
    while True:
        ran = run_next(services.engine, job_handlers(services))
        with Session(services.engine) as session:
            now = find_job(session, job.id, organisation_id=job.organisation_id)
            if now.state is JobState.DONE:
                return registry.batches_of_job(session, job.id)[0]
        if now.state is JobState.FAILED:
            raise RuntimeError(f"the demonstration batch was refused: {now.problem}")
        if not ran:
            time.sleep(POLL_SECONDS)


def principal_of(services: Services, party: Party, role: Role = Role.OWNER) -> Principal:
    """Act for a party as one of its members."""
    with Session(services.engine) as session:
        organisation = accounts.organisation_by_issuer(session, party.issuer)
    return Principal(
        organisation_id=organisation.id, role=role, person_id=0, permissions=permissions_of(role), name=party.name
    )


def administrator_principal() -> Principal:
    """The administrator who approves the demonstration's parties."""
    role = Role.PLATFORM_ADMINISTRATOR
    return Principal(role=role, person_id=0, permissions=permissions_of(role), name="demonstration")


def _administrator(services: Services) -> Party:
    email, password = "administrator@registry.example", secrets.token_urlsafe(12)
    organisation = accounts.create_platform_administrator(
        services, email=email, password=password, name="Demo Administrator"
    )
    return Party(organisation.issuer, organisation.name, email, password)


def _still_there(services: Services, parties: Parties) -> bool:
    with Session(services.engine) as session:
        try:
            accounts.organisation_by_issuer(session, parties.firm.issuer)
            registry.find_batch(session, parties.batch)
        except NotFound:
            return False
    return True
