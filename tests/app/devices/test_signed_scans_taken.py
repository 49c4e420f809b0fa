"""Signed scans: taken in when everything fits, kept as evidence when the signature does not count, refused else."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from app.accounts.models import MembershipRow
from app.core.authorisation import ANONYMOUS, Permission, Role
from app.core.clock import now_ms
from app.core.database import write_session
from app.core.errors import AppError
from app.core.notices import NoticeRow
from app.core.services import Services
from app.devices.models import DeviceConflictRow, DeviceRow, DeviceStatementRow
from app.devices.service.claiming import MOST_CONFLICTS, take_scans
from app.devices.values import SignedScan, Standing
from ledger.statement import sign_statement
from scanners.signed_scans import LEASE_TYPE, SCAN_TYPE, ScanStatement, key_id_of, scan_digest
from tests.app.devices.device_builders import Hand, enrolled, make_hand, person_of
from tests.builders import make_approved_firm, on_sqlite, principal

CODE = "https://example.org/01/09521234567899/21/1"


@pytest.fixture
def hand(services: Services) -> Hand:
    return make_hand(services)


def taken(hand: Hand, *tokens: str, caller: Any = None) -> list[SignedScan | AppError]:
    return take_scans(hand.services, tokens, caller=caller or hand.as_caller)


def standing(hand: Hand, token: str, caller: Any = None) -> str:
    """The standing of a scan that is taken, or the code of its refusal."""
    [one] = taken(hand, token, caller=caller)
    return one.code if isinstance(one, AppError) else one.standing.value


def change(services: Services, **values: Any) -> None:
    with write_session(services.engine) as session:
        session.execute(update(DeviceRow).values(**values))


def test_a_signed_scan_is_taken_with_the_power_of_its_device(hand: Hand) -> None:
    token = hand.signs(CODE)
    [one] = taken(hand, token)
    assert isinstance(one, SignedScan)
    assert (one.standing, one.digest, one.statement.code) == (Standing.GOOD, scan_digest(token), CODE)
    assert one.power is not None
    assert (one.power.role, one.power.machine) == (Role.INSPECTOR, f"device:{hand.device.id}")


def test_what_was_signed_is_kept_as_it_came(hand: Hand) -> None:
    token = hand.signs(CODE)
    taken(hand, token)
    with Session(hand.services.engine) as session:
        [row] = session.scalars(select(DeviceStatementRow))
    assert (row.statement, row.digest, row.standing) == (token, scan_digest(token), "good")


def test_the_same_scan_again_is_a_retry(hand: Hand) -> None:
    token = hand.signs(CODE)
    assert standing(hand, token) == standing(hand, token) == "good"
    [first, second] = taken(hand, hand.signs(CODE, seq=50), hand.signs(CODE, seq=51))
    assert isinstance(first, SignedScan)
    assert isinstance(second, SignedScan)


def test_another_scan_under_a_used_number_is_refused_kept_and_told(hand: Hand) -> None:
    first, second = hand.signs(CODE, seq=7), hand.signs(CODE, seq=7)
    assert standing(hand, first) == "good"
    assert standing(hand, second) == standing(hand, second) == "device_sequence"
    with Session(hand.services.engine) as session:
        [conflict] = session.scalars(select(DeviceConflictRow))
        told = [notice.kind for notice in session.scalars(select(NoticeRow)) if notice.kind.startswith("device.")]
    assert (conflict.seq, conflict.statement) == (7, second)
    assert told == ["device.conflict"]


def test_one_number_twice_in_one_request_is_found_too(hand: Hand) -> None:
    [first, second] = taken(hand, hand.signs(CODE, seq=7), hand.signs(CODE, seq=7))
    assert isinstance(first, SignedScan)
    assert isinstance(second, AppError)


@on_sqlite
def test_the_evidence_of_conflicts_is_bounded(hand: Hand, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.devices.service.claiming.MOST_CONFLICTS", 3)
    assert MOST_CONFLICTS > 3
    for _ in range(6):
        taken(hand, hand.signs(CODE, seq=1))
    with Session(hand.services.engine) as session:
        assert len(session.scalars(select(DeviceConflictRow)).all()) == 3
        conflicts = select(NoticeRow).where(NoticeRow.kind == "device.conflict")
        assert len(session.scalars(conflicts).all()) == 1


def test_numbers_may_come_late_since_a_queue_waits_for_a_connection(hand: Hand) -> None:
    later = hand.signs(CODE, seq=9)
    assert standing(hand, later) == "good"
    assert standing(hand, hand.signs(CODE, seq=3, offline=True)) == "good"


@on_sqlite
def test_a_thousand_at_once_keep_their_order(hand: Hand) -> None:
    tokens = [hand.signs(CODE) for _ in range(1_000)]
    found = taken(hand, *reversed(tokens))
    assert [one.statement.seq for one in found if isinstance(one, SignedScan)] == list(range(1_000, 0, -1))


def test_one_queue_handed_in_from_both_ends_at_once_comes_in(hand: Hand) -> None:
    tokens = [hand.signs(CODE) for _ in range(1000)]
    caller = hand.as_caller
    with ThreadPoolExecutor(2) as pool:
        handed_in = [pool.submit(take_scans, hand.services, part, caller=caller) for part in (tokens, tokens[::-1])]
    assert all(isinstance(one, SignedScan) for done in handed_in for one in done.result())


@on_sqlite
def test_one_that_is_refused_takes_no_other_along(hand: Hand) -> None:
    good = hand.signs(CODE)
    [one, two] = taken(hand, "not.a.token", good)
    assert isinstance(one, AppError)
    assert isinstance(two, SignedScan)


@on_sqlite
def test_every_other_signature_is_refused(hand: Hand) -> None:
    other = Ed25519PrivateKey.generate()
    good = hand.signs(CODE)
    header, payload, signature = good.split(".")
    flipped = signature[:10] + ("A" if signature[10] != "A" else "B") + signature[11:]
    statement = ScanStatement(code=CODE, action="check", scanned_at=now_ms(), key="k", seq=900)
    forged = [
        statement.sign(other, hand.device.id),
        statement.sign(hand.key, "0" * 12),
        f"{header}.{payload}.{flipped}",
        f"{header}.{payload}.",
        f"{header}.{payload}",
        good + "A",
        sign_statement({"v": 1}, private_key=hand.key, key_id=key_id_of(hand.device.id), typ=SCAN_TYPE).decode(),
        sign_statement({"v": 1}, private_key=hand.key, key_id=key_id_of(hand.device.id), typ=LEASE_TYPE).decode(),
        sign_statement({"v": 1}, private_key=hand.key, key_id="org:1", typ=SCAN_TYPE).decode(),
        "x" * 20_000,
        "",
    ]
    assert {standing(hand, token) for token in forged} == {"device_statement"}
    with Session(hand.services.engine) as session:
        assert session.scalars(select(DeviceStatementRow)).all() == []


@on_sqlite
def test_a_time_that_can_not_be_is_refused(hand: Hand) -> None:
    assert standing(hand, hand.signs(CODE, scanned_at=now_ms() + 6 * 60_000)) == "device_clock"
    assert standing(hand, hand.signs(CODE, scanned_at=hand.device.enrolled_at - 6 * 60_000)) == "device_clock"
    assert standing(hand, hand.signs(CODE, scanned_at=now_ms() + 4 * 60_000)) == "good"


@on_sqlite
def test_only_its_own_organisation_may_hand_in_what_a_device_signed(hand: Hand) -> None:
    services, token = hand.services, hand.signs(CODE)
    stranger = principal(make_approved_firm(services, prefix=None))
    _, colleague = person_of(services, hand.organisation, Role.INSPECTOR)
    neighbour, _ = enrolled(services, colleague)
    machine = replace(hand.as_caller, machine=f"device:{neighbour.id}")
    assert standing(hand, token, stranger) == "device_of_another"
    assert standing(hand, token, machine) == "device_of_another"
    assert standing(hand, token, replace(hand.as_caller, machine="api-key:1")) == "good"
    assert standing(hand, hand.signs(CODE), ANONYMOUS) == "good"


def test_after_a_revocation_nothing_counts_whatever_time_it_names(hand: Hand) -> None:
    before, caller = hand.signs(CODE), hand.as_caller
    queued = hand.signs(CODE, scanned_at=now_ms() - 1000)
    assert standing(hand, before, caller) == "good"
    hand.is_lost()
    assert standing(hand, queued, caller) == "revoked"
    assert standing(hand, hand.signs(CODE), caller) == "revoked"
    assert standing(hand, before, caller) == "good", "a retry of what stands"
    [one] = taken(hand, hand.signs(CODE), caller=caller)
    assert isinstance(one, SignedScan)
    assert one.power is None


@on_sqlite
def test_what_was_signed_within_the_lease_may_come_after_it(hand: Hand) -> None:
    services, caller = hand.services, hand.as_caller
    change(services, enrolled_at=now_ms() - 100_000, lease_until=now_ms() - 10_000)
    assert standing(hand, hand.signs(CODE, scanned_at=now_ms() - 50_000, offline=True), caller) == "late"
    assert standing(hand, hand.signs(CODE), caller) == "lease_ended"
    [late, ended] = taken(hand, hand.signs(CODE, scanned_at=now_ms() - 40_000), hand.signs(CODE), caller=caller)
    assert isinstance(late, SignedScan)
    assert isinstance(ended, SignedScan)
    assert late.power is not None
    assert ended.power is None


@on_sqlite
def test_a_device_follows_its_person_at_once(hand: Hand) -> None:
    services, caller = hand.services, hand.as_caller

    def give(role: Role | None) -> None:
        with write_session(services.engine) as session:
            row = session.get_one(MembershipRow, (hand.who.person_id, hand.organisation.id))
            if role is None:
                session.delete(row)
            else:
                row.role = role.value

    [one] = taken(hand, hand.signs(CODE), caller=caller)
    assert isinstance(one, SignedScan)
    assert one.power is not None
    assert one.power.may(Permission.UNIT_DETAIN)
    give(Role.ANALYST)
    [one] = taken(hand, hand.signs(CODE), caller=caller)
    assert isinstance(one, SignedScan)
    assert one.power is not None
    assert not one.power.may(Permission.UNIT_DETAIN)
    assert one.power.role is Role.ANALYST
    give(Role.AUDITOR)
    assert standing(hand, hand.signs(CODE), caller) == "no_role"
    give(None)
    assert standing(hand, hand.signs(CODE), caller) == "no_role"


@on_sqlite
def test_scanning_moves_the_lease_on(hand: Hand) -> None:
    soon, hours = now_ms() + 60_000, 3600_000
    change(hand.services, enrolled_at=now_ms() - 3 * hours, last_contact_at=now_ms() - 2 * hours, lease_until=soon)
    taken(hand, hand.signs(CODE, scanned_at=now_ms() - 10 * 60_000))
    with Session(hand.services.engine) as session:
        assert session.scalar(select(DeviceRow.lease_until)) == soon, "an old scan is no sign of life"
    taken(hand, hand.signs(CODE))
    with Session(hand.services.engine) as session:
        assert (session.scalar(select(DeviceRow.lease_until)) or 0) > soon + 20 * 86_400_000
