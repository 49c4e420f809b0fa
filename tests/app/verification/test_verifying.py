"""Verification from text to verdict, on both databases."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from app.core.authorisation import ANONYMOUS
from app.core.clock import now_ms
from app.core.errors import Conflict, Forbidden, Malformed
from app.core.service_keys import KeyPurpose
from app.core.services import Services
from app.registry.vocabulary import Profile
from app.verification import service
from app.verification.actions import Action
from app.verification.parts import close_parts
from app.verification.request import ScanRequest
from app.verification.verdict import AskerRole, Authenticity, Reason, Risk, Status, Summary
from ledger.statement import RECEIPT_TYPE, verify_statement
from tests.app.verification.verdict_builders import World, make_world

HOUR_MS = 3_600_000


@pytest.fixture
def world(services: Services) -> Iterator[World]:
    """A firm with a released batch of five signed units."""
    yield make_world(services)
    close_parts(services)


def wrong_signature(text: str) -> str:
    """The same code with another last digit."""
    return text[:-1] + ("1" if text[-1] != "1" else "2")


def test_a_code_of_a_released_unit_passes(world: World) -> None:
    answer = world.ask(world.codes[0])
    assert answer.verdict.authenticity is Authenticity.REGISTERED
    assert answer.verdict.status == {Status.ACTIVE}
    assert answer.verdict.risk is Risk.NONE
    assert answer.verdict.labour is None
    assert answer.verdict.summary is Summary.PASS
    assert answer.verdict.reasons == (Reason.SIGNATURE_VALID,)
    assert answer.scan_id
    assert not answer.replayed


def test_the_receipt_verifies_and_says_what_was_answered(world: World) -> None:
    answer = world.ask(world.codes[0], nonce="n-1")
    key = world.services.keys[KeyPurpose.RECEIPT].public_key
    receipt = verify_statement(answer.receipt, public_key=key, typ=RECEIPT_TYPE).payload
    assert receipt["nonce"] == "n-1"
    assert receipt["summary"] == "PASS"
    assert receipt["authenticity"] == "REGISTERED"
    assert receipt["scan"] == answer.scan_id
    assert receipt["checkpoint"]["size"] == answer.checkpoint.size


def test_a_unit_that_was_not_released_is_looked_at_twice(services: Services) -> None:
    world = make_world(services, activated=False)
    answer = world.ask(world.codes[0])
    assert answer.verdict.status == {Status.NOT_ACTIVATED}
    assert answer.verdict.summary is Summary.CHECK
    close_parts(services)


def test_a_retry_is_no_second_scan(world: World) -> None:
    shop = world.shop()
    first = world.ask(world.codes[0], shop, device="till", key="k1")
    again = world.ask(world.codes[0], shop, device="till", key="k1")
    other = world.ask(world.codes[0], shop, device="till", key="k2")
    assert (first.replayed, again.replayed, other.replayed) == (False, True, False)
    assert first.scan_id == again.scan_id != other.scan_id
    assert (first.earlier_scans, again.earlier_scans, other.earlier_scans) == (0, 0, 1)


def test_a_scan_key_with_another_action_is_refused(world: World) -> None:
    shop = world.shop()
    world.ask(world.codes[0], shop, device="till", key="k1")
    with pytest.raises(Conflict) as refusal:
        world.ask(world.codes[0], shop, device="till", key="k1", action=Action.SELL)
    assert refusal.value.code == "idempotency_key_reused"


def test_a_changed_signature_is_a_suspicion_and_never_called_fake(world: World) -> None:
    answer = world.ask(wrong_signature(world.codes[0]))
    assert answer.verdict.authenticity is Authenticity.INVALID_SIGNATURE
    assert answer.verdict.summary is Summary.STOP
    assert "potential suspected falsification" in answer.advice
    assert "fake" not in answer.advice


def test_a_stranger_learns_nothing_from_a_wrong_signature(world: World) -> None:
    issued = world.codes[0]
    serial = issued.split("/21/")[1].split("?")[0]
    never = issued.replace(serial, serial[:5] + "ZZZZZZZZZZZZ")
    on_issued, on_never = world.ask(wrong_signature(issued)), world.ask(wrong_signature(never))
    assert on_issued.verdict == on_never.verdict
    assert on_issued.unit is None
    assert _shape(on_issued.to_wire()) == _shape(on_never.to_wire())
    unsigned = [world.ask(text.split("?")[0]) for text in (issued, never)]
    assert unsigned[0].verdict == unsigned[1].verdict
    assert unsigned[0].verdict.authenticity is Authenticity.SIGNATURE_MISSING
    assert _shape(unsigned[0].to_wire()) == _shape(unsigned[1].to_wire())


def _shape(wire: object) -> object:
    """Names and types, without values that differ from scan to scan."""
    if isinstance(wire, dict):
        return {name: _shape(value) for name, value in wire.items()}
    return type(wire)


def test_a_professional_is_told_exactly(world: World) -> None:
    inspector = world.inspector()
    issued = world.codes[0]
    serial = issued.split("/21/")[1].split("?")[0]
    never = issued.replace(serial, serial[:5] + "ZZZZZZZZZZZZ")
    on_issued = world.ask(wrong_signature(issued), inspector)
    assert on_issued.verdict.reasons[0] is Reason.SIGNATURE_DOES_NOT_FIT
    assert on_issued.unit is not None
    on_never = world.ask(never.split("?")[0], inspector)
    assert on_never.verdict.authenticity is Authenticity.UNKNOWN_UNIT
    assert Reason.UNIT_NOT_REGISTERED in on_never.verdict.reasons
    missing = world.ask(issued.split("?")[0], inspector)
    assert missing.verdict.authenticity is Authenticity.SIGNATURE_MISSING
    assert missing.unit is not None


def test_a_compact_code_is_confirmed_by_its_serial(services: Services) -> None:
    world = make_world(services, profile=Profile.COMPACT)
    answer = world.ask(world.codes[0])
    assert answer.verdict.authenticity is Authenticity.REGISTERED
    assert Reason.SERIAL_CONFIRMED in answer.verdict.reasons
    serial = world.codes[0].split("/21/")[1]
    guessed = world.codes[0].replace(serial, serial[:5] + "ZZZZZZZZZZZZ")
    assert world.ask(guessed).verdict.authenticity is Authenticity.UNKNOWN_UNIT
    close_parts(services)


def test_a_foreign_host_is_its_own_verdict(world: World) -> None:
    text = world.codes[0].replace("HTTP://LOCALHOST", "https://example.com")
    answer = world.ask(text, world.inspector())
    assert answer.verdict.authenticity is Authenticity.FOREIGN_HOST
    assert answer.unit is None
    assert answer.code is not None
    assert answer.code.host == "example.com"


def test_text_that_is_no_code_is_malformed(world: World) -> None:
    with pytest.raises(Malformed) as refusal:
        world.ask("hello 100%s")
    assert refusal.value.code


def test_a_sale_is_one_scan_and_one_event_and_a_second_one_elsewhere_is_suspected(world: World) -> None:
    shop, other = world.shop(), world.shop()
    early = now_ms() - 3 * HOUR_MS
    sold = world.ask(world.codes[0], shop, action=Action.SELL, device="till", key="1", device_time=early)
    assert sold.verdict.summary is Summary.PASS
    assert sold.action is not None
    assert sold.action.recorded
    again = world.ask(world.codes[0], shop, action=Action.SELL, device="till", key="1", device_time=early)
    assert again.replayed
    assert again.action is not None
    assert again.action.replayed
    assert again.action.event_id == sold.action.event_id
    copy = world.ask(world.codes[0], other, action=Action.SELL, device="till", key="1")
    assert copy.verdict.risk is Risk.SUSPECT
    assert copy.verdict.summary is Summary.STOP
    assert Reason.SOLD_ELSEWHERE in copy.verdict.reasons
    assert copy.action is not None
    assert copy.action.recorded, "a second sale is evidence and is kept"


def test_a_recalled_unit_is_not_sold(world: World) -> None:
    service.act_on_batch(world.services, handle=world.batch.handle, action=Action.RECALL, principal=world.owner)
    answer = world.ask(world.codes[0], world.shop(), action=Action.SELL)
    assert answer.verdict.summary is Summary.STOP
    assert answer.action is not None
    assert not answer.action.recorded
    assert answer.action.code == "unit_recalled"


def test_only_the_authority_that_holds_releases(world: World) -> None:
    one, two = world.inspector(), world.inspector()
    held = world.ask(world.codes[0], one, action=Action.HOLD)
    assert held.action is not None
    assert held.action.recorded
    refused = world.ask(world.codes[0], two, action=Action.RELEASE)
    assert refused.action is not None
    assert refused.action.code == "detained_by_another"
    released = world.ask(world.codes[0], one, action=Action.RELEASE)
    assert released.action is not None
    assert released.action.recorded
    assert world.ask(world.codes[0]).verdict.status == {Status.ACTIVE}


def test_a_sale_can_be_undone_by_its_shop_only(world: World) -> None:
    shop, other = world.shop(), world.shop()
    sold = world.ask(world.codes[0], shop, action=Action.SELL)
    assert sold.action is not None
    assert sold.action.event_id is not None
    from app.core.errors import NotFound

    with pytest.raises(NotFound):
        service.undo_event(world.services, event_id=sold.action.event_id, principal=other)
    service.undo_event(world.services, event_id=sold.action.event_id, principal=shop)
    assert world.ask(world.codes[0]).verdict.status == {Status.ACTIVE}
    with pytest.raises(Conflict) as refusal:
        service.undo_event(world.services, event_id=sold.action.event_id, principal=shop)
    assert refusal.value.code == "already_undone"


def test_the_public_acts_on_nothing(world: World) -> None:
    with pytest.raises(Forbidden):
        world.ask(world.codes[0], ANONYMOUS, action=Action.SELL)


def test_a_batch_is_answered_in_its_order_and_sold_with_one_event(world: World) -> None:
    shop = world.shop()
    texts = [world.codes[0], "nonsense", world.codes[1], wrong_signature(world.codes[2]), world.codes[0]]
    items = service.act_on_units(
        world.services, texts=texts, principal=shop, request=ScanRequest(action=Action.SELL, key="b1")
    )
    assert items[1].error is not None
    outcomes = [item.answer.action.recorded if item.answer and item.answer.action else None for item in items]
    assert outcomes[0] is True
    assert outcomes[2] is True
    assert outcomes[3] is False
    assert outcomes[4] is True, "scanned twice, sold once, told twice"
    assert world.ask(world.codes[1]).verdict.status == {Status.SOLD}
    size = world.services.log.head()[0]
    again = service.act_on_units(
        world.services, texts=texts, principal=shop, request=ScanRequest(action=Action.SELL, key="b1")
    )
    assert again[0].answer is not None
    assert again[0].answer.replayed
    assert world.services.log.head()[0] == size, "a repeated batch records nothing"


def test_a_key_that_comes_again_with_other_units_acknowledges_nothing_for_them(world: World) -> None:
    shop, request = world.shop(), ScanRequest(action=Action.SELL, key="b1")
    service.act_on_units(world.services, texts=world.codes[:2], principal=shop, request=request)
    items = service.act_on_units(world.services, texts=world.codes[1:3], principal=shop, request=request)
    acts = [item.answer.action for item in items if item.answer and item.answer.action]
    assert [(act.recorded, act.replayed, act.code) for act in acts] == [
        (True, True, None),
        (False, False, "idempotency_key_reused"),
    ]
    assert Status.SOLD not in world.ask(world.codes[2]).verdict.status


def test_a_look_records_nothing(world: World) -> None:
    answer = service.look(world.services, text=world.codes[0], principal=ANONYMOUS)
    assert answer.verdict.summary is Summary.PASS
    assert answer.scan_id is None
    assert world.ask(world.codes[0], world.shop()).earlier_scans == 0


def test_a_clock_ahead_is_kept_and_named_but_not_believed(world: World) -> None:
    answer = world.ask(world.codes[0], world.shop(), device_time=now_ms() + 2 * HOUR_MS)
    assert Reason.DEVICE_CLOCK_AHEAD in answer.verdict.reasons
    assert answer.device_clock_offset is not None
    assert answer.device_clock_offset > HOUR_MS


def test_askers_are_told_apart(world: World) -> None:
    assert world.ask(world.codes[0]).asker is AskerRole.PUBLIC
    assert world.ask(world.codes[0], world.shop()).asker is AskerRole.SHOP
    assert world.ask(world.codes[0], world.inspector()).asker is AskerRole.INSPECTOR
