"""A firm is suspended: its codes do not pass as if nothing were, online or offline, until it is approved again."""

from __future__ import annotations

from sqlalchemy import event

from app.accounts import service as accounts
from app.core.clock import now_ms
from app.core.services import Services
from app.verification import service as verification
from app.verification.verdict import Authenticity, Reason, Summary
from ledger.strict import encode_json
from scanners.offline import judge
from scanners.trust import TrustList
from tests.app.verification.verdict_builders import make_world
from tests.builders import ADMINISTRATOR


def test_codes_of_a_suspended_firm_ask_for_a_person_and_pass_again_afterwards(services: Services) -> None:
    world = make_world(services)
    [text, compared, *_] = world.codes

    def summary(code: str) -> Summary:
        return world.ask(code).verdict.summary

    def offline_reason() -> str:
        trust = TrustList.from_json(encode_json(verification.trust_list(services)))
        return judge(text, trust, now=now_ms()).reason

    assert (summary(text), offline_reason()) == (Summary.PASS, "signature_valid")
    issuer = world.firm.organisation.issuer
    accounts.suspend_organisation(services, issuer=issuer, decided_by=ADMINISTRATOR, reason="Under inquiry.")
    verdict = world.ask(text).verdict
    assert (verdict.authenticity, verdict.summary) == (Authenticity.REGISTERED, Summary.CHECK)
    assert Reason.ISSUER_SUSPENDED in verdict.reasons
    assert offline_reason() == "issuer_suspended"
    accounts.approve_organisation(services, issuer=issuer, decided_by=ADMINISTRATOR, reason="All is well.")
    assert (summary(compared), offline_reason()) == (Summary.PASS, "signature_valid")


def test_the_standing_costs_no_query_of_its_own(services: Services) -> None:
    world = make_world(services)
    asked: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_more: object) -> None:
        asked.append(statement)

    world.ask(world.codes[0])
    event.listen(services.engine, "before_cursor_execute", note)
    world.ask(world.codes[1])
    event.remove(services.engine, "before_cursor_execute", note)
    assert [statement for statement in asked if "organisation_keys" in statement] == []
