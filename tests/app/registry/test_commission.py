"""Commissioning: from a request to units that can be found, printed and proved."""

from __future__ import annotations

import pytest
from sqlalchemy.orm import Session

from app.accounts import service as accounts
from app.accounts.vocabulary import RightKind
from app.core.errors import Conflict, Forbidden, Invalid, NotFound
from app.core.jobs import JobState
from app.core.services import Services
from app.registry import service as registry
from app.registry.service import CommissionRequest, Profile
from ledger.proof import verify_unit_proof
from scanners.codes.identity import CodeIdentity, CodeKind
from scanners.codes.reader import read_code
from scanners.codes.signature import verify_code
from tests.app.registry.registry_builders import NOTHING, ask, commissioned, finished, leftovers, make_firm, make_product
from tests.builders import PREFIX, gtin, make_approved_firm, on_sqlite

HOSTS = {"localhost"}


def codes(services: Services, batch: registry.Batch, **more: int) -> list[registry.UnitCode]:
    with Session(services.engine) as session:
        stem = services.settings.code_stem
        return list(registry.codes_of_batch(session, services.sealer, batch, stem=stem, **more))


def find(services: Services, identity: CodeIdentity) -> registry.Unit:
    with Session(services.engine) as session:
        unit = registry.find_unit(session, identity)
    assert unit is not None
    return unit


def test_every_code_of_a_signed_batch_reads_verifies_and_names_its_unit(services: Services) -> None:
    firm = make_firm(services)
    batch = commissioned(
        services, firm.organisation, CommissionRequest(product=gtin(), quantity=1_203, lot="L-7/a", expiry="271231")
    )
    assert batch.quantity == 1_203
    printed = codes(services, batch)
    assert len({code.text for code in printed}) == 1_203
    key = accounts.public_code_key(services.engine, batch.key_id)
    assert key is not None
    for position, code in enumerate(printed):
        assert registry.position_of(code.unit_id) == position
        read = read_code(code.text, trusted_hosts=HOSTS)
        assert read.signature is not None
        assert read.identity == CodeIdentity(CodeKind.GTIN, gtin(), code.serial)
        assert verify_code(key.public_key, read.message(batch.key_id), read.signature.signature)
    assert find(services, CodeIdentity(CodeKind.GTIN, gtin(), printed[700].serial)).unit_id == printed[700].unit_id
    assert leftovers(services) == NOTHING
