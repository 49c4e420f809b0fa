"""Builders for verification: a firm with a printed batch, and people who scan it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from app.accounts.vocabulary import OrganisationKind
from app.core.authorisation import ANONYMOUS, Principal, Role
from app.core.services import Services
from app.registry import service as registry
from app.verification import service
from app.verification.actions import Action
from app.verification.answer import VerdictAnswer
from app.verification.request import ScanRequest
from tests.app.registry.registry_builders import Firm, commissioned, make_firm
from tests.builders import make_approved, principal


@dataclass(frozen=True)
class World:
    """One firm, one of its batches, and the texts of its codes."""

    services: Services
    firm: Firm
    batch: registry.Batch
    codes: list[str]

    @property
    def owner(self) -> Principal:
        return principal(self.firm.organisation)

    def shop(self) -> Principal:
        return principal(make_approved(self.services, kind=OrganisationKind.SHOP), Role.RETAILER)

    def inspector(self) -> Principal:
        return principal(make_approved(self.services, kind=OrganisationKind.AUTHORITY), Role.INSPECTOR)

    def activate(self) -> None:
        service.act_on_batch(self.services, handle=self.batch.handle, action=Action.ACTIVATE, principal=self.owner)

    def ask(self, text: str, who: Principal = ANONYMOUS, **circumstances: Any) -> VerdictAnswer:
        request = ScanRequest(**circumstances)
        return service.verify_and_act(self.services, text=text, principal=who, request=request)


def make_world(services: Services, *, quantity: int | None = 5, activated: bool = True, **request: Any) -> World:
    """A firm with one commissioned batch, activated unless told otherwise."""
    firm = make_firm(services)
    asked = registry.CommissionRequest(product=firm.product.reference, quantity=quantity, **request)
    batch = commissioned(services, firm.organisation, asked)
    with Session(services.engine) as session:
        codes = [
            code.text
            for code in registry.codes_of_batch(session, services.sealer, batch, stem=services.settings.code_stem)
        ]
    world = World(services, firm, batch, codes)
    if activated:
        world.activate()
    return world
