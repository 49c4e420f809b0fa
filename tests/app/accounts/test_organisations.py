"""Organisations sign up, are decided on, and get their keys."""

from sqlalchemy.orm import Session

from app.accounts import service as accounts
from app.accounts.vocabulary import OrganisationStatus
from app.core.clock import now_ms
from app.core.services import Services
from tests.builders import gtin, make_approved_firm


def test_an_approved_firm_has_keys_and_its_prefix_covers_its_gtins(services: Services) -> None:
    firm = make_approved_firm(services)
    assert firm.status is OrganisationStatus.APPROVED
    with Session(services.engine) as session:
        key = accounts.code_key(session, services.sealer, organisation_id=firm.id)
        assert accounts.public_code_key(session, key.key_id) is not None
        entitlement = accounts.find_entitlement(session, organisation_id=firm.id, gtin=gtin(), at_ms=now_ms())
        assert entitlement is not None
