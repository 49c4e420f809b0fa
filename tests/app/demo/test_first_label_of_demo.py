"""The parties of the demonstration: what `make run` seeds is ready to be scanned."""

from __future__ import annotations

from sqlalchemy.orm import Session

from app.core.authorisation import ANONYMOUS
from app.core.services import Services
from app.demo.parties import ensure_parties
from app.registry import service as registry
from app.verification import service as verification
from app.verification.verdict import Status, Summary
from tests.builders import on_sqlite

pytestmark = on_sqlite


def test_the_first_label_that_is_scanned_has_nothing_recorded_against_it(services: Services) -> None:
    parties = ensure_parties(services, units=3)
    with Session(services.engine) as session:
        batch = registry.find_batch(session, parties.batch)
        stem = services.settings.code_stem
        codes = [code.text for code in registry.codes_of_batch(session, services.sealer, batch, stem=stem)]
    assert len(codes) == 3
    for code in codes:
        answer = verification.look(services, text=code, principal=ANONYMOUS)
        assert answer.verdict.status == {Status.ACTIVE}
        assert answer.verdict.summary is Summary.PASS
