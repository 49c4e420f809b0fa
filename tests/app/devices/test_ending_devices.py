"""The lease of a device, and its end."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from app.accounts import service as accounts
from app.core.authorisation import Role
from app.core.clock import now_ms
from app.core.database import write_session
from app.core.errors import AppError, NotFound
from app.core.notices import NoticeRow
from app.core.services import Services
from app.devices import service as devices
from app.devices.models import DeviceRow
from app.devices.service.powers import client_of_device
from scanners.signed_scans import sign_lease
from tests.app.devices.device_builders import Hand, enrolled, make_hand, owner_of, person_of
from tests.builders import make_approved_firm, on_sqlite, principal

pytestmark = on_sqlite
DAY_MS = 86_400_000


@pytest.fixture
def hand(services: Services) -> Hand:
    return make_hand(services)


def change(services: Services, **values: Any) -> None:
    with write_session(services.engine) as session:
        session.execute(update(DeviceRow).values(**values))


def renewal(hand: Hand, *, at: int | None = None, **changes: Any) -> str:
    """Ask for the lease as the device does; the error's code, or "renewed"."""
    statement = sign_lease(
        changes.get("key", hand.key), device_id=changes.get("of", hand.device.id), at=now_ms() if at is None else at
    )
    try:
        devices.renew_by_device(hand.services, device_id=hand.device.id, statement=statement)
    except AppError as error:
        return error.code
    return "renewed"


def is_client(hand: Hand) -> bool:
    with Session(hand.services.engine) as session:
        client = client_of_device(session, hand.device.machine)
    return client is not None and client.valid


def test_a_device_keeps_its_lease_by_asking(hand: Hand) -> None:
    change(hand.services, lease_until=now_ms() + 1000)
    assert renewal(hand) == "renewed"
    with Session(hand.services.engine) as session:
        until = session.scalar(select(DeviceRow.lease_until)) or 0
    assert until - now_ms() > (hand.services.settings.device_lease_days - 1) * DAY_MS


def test_only_the_device_itself_can_ask_and_only_now(hand: Hand) -> None:
    neighbour, other = enrolled(hand.services, hand.who)
    assert renewal(hand, key=other) == "device_statement"
    assert renewal(hand, of=neighbour.id) == "device_statement"
    assert renewal(hand, at=now_ms() - 6 * 60_000) == "device_clock"
    assert renewal(hand, at=now_ms() + 6 * 60_000) == "device_clock"
    with pytest.raises(NotFound):
        devices.renew_by_device(hand.services, device_id="0" * 12, statement="a.b.c")


def test_whoever_can_not_sign_for_a_device_makes_no_other_wait(hand: Hand) -> None:
    other = enrolled(hand.services, hand.who)[1]
    with write_session(hand.services.engine):  # holds the database's one lock for writing
        assert renewal(hand, key=other) == "device_statement"


def test_a_lease_that_ended_is_renewed_by_who_manages_the_devices(hand: Hand) -> None:
    change(hand.services, lease_until=now_ms() - 1)
    assert renewal(hand) == "device_lease_ended"
    assert not is_client(hand)
    _, colleague = person_of(hand.services, hand.organisation, Role.INSPECTOR)
    for stranger in (hand.who, colleague):
        with pytest.raises(AppError):
            devices.renew_for_device(hand.services, principal=stranger, device_id=hand.device.id)
    devices.renew_for_device(hand.services, principal=owner_of(hand.organisation), device_id=hand.device.id)
    assert is_client(hand)
    assert renewal(hand) == "renewed"
    with Session(hand.services.engine) as session:
        acts = accounts.list_acts(session, organisation_id=hand.organisation.id)
    assert acts[0].act is accounts.Act.DEVICE_RENEWED


def test_a_person_ends_her_own_device_and_a_manager_any(hand: Hand) -> None:
    second, _ = enrolled(hand.services, hand.who)
    assert hand.is_lost().revoked_at is not None
    devices.revoke_device(
        hand.services, principal=owner_of(hand.organisation), device_id=second.id, reason="The contract ended."
    )
    with Session(hand.services.engine) as session:
        kinds = [notice.kind for notice in session.scalars(select(NoticeRow)) if notice.kind.startswith("device.")]
        acts = [act.act for act in accounts.list_acts(session, organisation_id=hand.organisation.id)]
    assert kinds == ["device.revoked"] * 2
    assert acts[:2] == [accounts.Act.DEVICE_REVOKED] * 2


def test_nobody_else_ends_it_or_learns_of_it(hand: Hand) -> None:
    _, colleague = person_of(hand.services, hand.organisation, Role.INSPECTOR)
    stranger = principal(make_approved_firm(hand.services, prefix=None))
    for other in (colleague, stranger):
        with pytest.raises(NotFound):
            devices.revoke_device(hand.services, principal=other, device_id=hand.device.id, reason="Mine.")
        with Session(hand.services.engine) as session:
            assert devices.list_devices(session, other) == []
            with pytest.raises(NotFound):
                devices.find_device_for(session, other, hand.device.id)
    assert is_client(hand)


def test_a_device_ends_once_and_for_ever(hand: Hand) -> None:
    hand.is_lost()
    with pytest.raises(AppError, match="already"):
        hand.is_lost()
    assert renewal(hand) == "device_revoked"
    with pytest.raises(AppError, match="revoked"):
        devices.renew_for_device(hand.services, principal=owner_of(hand.organisation), device_id=hand.device.id)
    assert not is_client(hand)


@pytest.mark.parametrize("since", [0, 2**60])
def test_it_was_lost_between_its_enrolment_and_now(hand: Hand, since: int) -> None:
    with pytest.raises(AppError) as refusal:
        hand.is_lost(since=since)
    assert refusal.value.code == "lost_when"


def test_what_it_signed_since_it_was_lost_is_counted(hand: Hand) -> None:
    code, caller = "https://example.org/01/09521234567899/21/1", hand.as_caller
    change(hand.services, enrolled_at=now_ms() - 100_000)
    signed = [hand.signs(code, scanned_at=now_ms() - age, seq=seq) for age, seq in ((90_000, 1), (20_000, 2), (0, 5))]
    devices.take_scans(hand.services, signed, caller=caller)
    hand.is_lost(since=now_ms() - 30_000)
    with Session(hand.services.engine) as session:
        counts = devices.find_device_for(session, hand.who, hand.device.id).counts
    assert (counts.received, counts.missing, counts.conflicts, counts.since_loss) == (3, 2, 0, 2)
