"""Enrolment: a code once, for fifteen minutes, with a key of the device's own; on the ledger; for a person's role."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import select, text, update
from sqlalchemy.orm import Session

from app.accounts import service as accounts
from app.accounts.models import MembershipRow
from app.accounts.vocabulary import OrganisationKind
from app.core.authorisation import Permission, Role, permissions_of
from app.core.clock import now_ms
from app.core.database import write_session
from app.core.errors import AppError, Conflict, Forbidden, TooMany
from app.core.services import Services
from app.devices import service as devices
from app.devices.models import DeviceCodeRow, DeviceRow
from app.devices.service import enrolling
from app.devices.service.powers import DEVICE_POWERS, power_of
from app.devices.service.records import find_device
from ledger.statement import sign_statement
from ledger.strict import encode_base64, encode_base64url
from scanners.codes.serial import ALPHABET
from scanners.signed_scans import ENROLMENT_TYPE, NEW_DEVICE, sign_enrolment
from tests.app.devices.device_builders import enrolled, make_hand, person_of
from tests.builders import make_approved, on_sqlite


@pytest.fixture
def who(services: Services) -> Any:
    return person_of(services, make_approved(services, kind=OrganisationKind.AUTHORITY), Role.INSPECTOR)[1]


def try_code(services: Services, code: str, **changes: Any) -> str:
    """Enrol a device with this code; the error's code, or "enrolled"."""
    key = Ed25519PrivateKey.generate()
    told = {
        "code": code,
        "public_key": encode_base64(key.public_key().public_bytes_raw()),
        "name": "phone 1",
        "possession": sign_enrolment(key, code=code, name="phone 1"),
        "remote_address": "192.0.2.7",
    }
    try:
        devices.enrol(services, **(told | changes))
    except AppError as error:
        return error.code
    return "enrolled"


def test_a_code_enrols_one_device_for_its_person(services: Services, who: Any) -> None:
    code = devices.request_code(services, principal=who)
    assert code.expires_at - now_ms() <= 15 * 60_000
    assert try_code(services, code.code) == "enrolled"
    assert try_code(services, code.code) == "enrolment_refused"
    with Session(services.engine) as session:
        [row] = session.scalars(select(DeviceRow))
    assert (row.person_id, row.organisation_id, row.role) == (who.person_id, who.organisation_id, "inspector")
    assert row.lease_until - row.enrolled_at == services.settings.device_lease_days * 86_400_000


@on_sqlite
def test_the_enrolment_is_on_the_ledger_with_the_key_and_without_a_name(services: Services, who: Any) -> None:
    device, key = enrolled(services, who, name="Ana's phone")
    with Session(services.engine) as session:
        [act] = [
            one
            for one in accounts.list_acts(session, organisation_id=device.organisation_id)
            if one.act is accounts.Act.DEVICE_ENROLLED
        ]
    assert act.actor == f"person:{who.person_id}"
    assert act.details == {
        "device": device.id,
        "person": f"person:{who.person_id}",
        "public_key": encode_base64(key.public_key().public_bytes_raw()),
        "role": "inspector",
    }


@on_sqlite
def test_a_code_is_read_as_people_type_it(services: Services, who: Any) -> None:
    code = devices.request_code(services, principal=who).code
    assert code[5] == "-"
    assert set(code.replace("-", "")) <= set(ALPHABET)
    typed = code.lower().replace("-", " ").replace("0", "o").replace("1", "l")
    assert try_code(services, typed) == "enrolled"


@on_sqlite
def test_all_codes_that_do_not_work_are_refused_alike(services: Services, who: Any) -> None:
    used, late, orphan = (devices.request_code(services, principal=who).code for _ in range(3))
    assert try_code(services, used) == "enrolled"
    assert {try_code(services, code) for code in (used, "0000000000", "", "nonsense", "X" * 20)} == {
        "enrolment_refused"
    }
    with write_session(services.engine) as session:
        session.execute(update(DeviceCodeRow).values(expires_at=now_ms() - 1))
    assert try_code(services, late) == "enrolment_refused"
    with write_session(services.engine) as session:
        session.execute(update(DeviceCodeRow).values(expires_at=now_ms() + 60_000))
        session.execute(update(MembershipRow).values(role="auditor"))
    assert try_code(services, orphan) == "enrolment_refused", "the person may not enrol devices any more"


@on_sqlite
def test_a_device_has_to_show_that_it_has_the_key(services: Services, who: Any) -> None:
    code = devices.request_code(services, principal=who).code
    other = Ed25519PrivateKey.generate()
    own = encode_base64(other.public_key().public_bytes_raw())
    wrong = [
        {"public_key": own},
        {"possession": sign_enrolment(other, code=code, name="phone 1")},
        {"public_key": own, "possession": sign_enrolment(other, code="0000000000", name="phone 1")},
        {"public_key": own, "possession": sign_enrolment(other, code=code, name="another")},
        {"public_key": "AAAA"},
        {"possession": "x.y.z"},
        {"name": "phone  1"},
        {"name": ""},
        {"name": "n" * 101},
        {"name": "a\nb"},
    ]
    codes = {try_code(services, code, **one) for one in wrong}
    assert codes == {"possession_not_shown", "device_name"}
    assert try_code(services, code) == "enrolled", "none of these used the code up"


@on_sqlite
def test_a_key_under_which_one_signature_fits_everything_is_refused(services: Services, who: Any) -> None:
    code = devices.request_code(services, principal=who).code
    neutral = bytes([1]) + bytes(31)  # the neutral point: with R the same and S = 0 whatever was signed is right
    payload = {"v": 1, "code": code, "name": "phone 1", "public_key": encode_base64(neutral)}
    sample = sign_statement(payload, private_key=Ed25519PrivateKey.generate(), key_id=NEW_DEVICE, typ=ENROLMENT_TYPE)
    forged = sample.rpartition(b".")[0] + b"." + encode_base64url(neutral + bytes(32))
    answer = try_code(services, code, public_key=payload["public_key"], possession=forged.decode("ascii"))
    assert answer == "possession_not_shown"


@on_sqlite
def test_one_key_is_one_device(services: Services, who: Any) -> None:
    _, key = enrolled(services, who)
    with pytest.raises(Conflict) as refusal:
        enrolled(services, who, key=key)
    assert refusal.value.code == "device_key_known"


@on_sqlite
def test_codes_and_devices_of_one_person_are_bounded(
    services: Services, who: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(enrolling, "MOST_DEVICES", 1)
    enrolled(services, who)
    with pytest.raises(Conflict):
        enrolled(services, who)
    for _ in range(enrolling.MOST_CODES - 1):
        devices.request_code(services, principal=who)
    with pytest.raises(Conflict):
        devices.request_code(services, principal=who)


@on_sqlite
def test_guessing_codes_is_braked(limited_app: Any) -> None:
    services: Services = limited_app.extensions["marchamo"]
    for _ in range(enrolling.GUESSES):
        assert try_code(services, "0000000000") == "enrolment_refused"
    with pytest.raises(TooMany):
        devices.enrol(services, code="0000000000", public_key="", name="n", possession="", remote_address="192.0.2.7")


@on_sqlite
def test_only_people_ask_for_codes(services: Services, who: Any) -> None:
    with pytest.raises(Forbidden):
        devices.request_code(services, principal=replace(who, person_id=None, machine="api-key:1"))


@on_sqlite
def test_the_code_is_stored_under_a_key_and_not_as_it_is(services: Services, who: Any) -> None:
    code = devices.request_code(services, principal=who).code.replace("-", "")
    with services.engine.connect() as connection:
        [stored] = connection.execute(text("SELECT code_hash FROM device_codes")).scalars()
    assert len(stored) == 32
    assert code.encode() not in stored


@on_sqlite
def test_a_device_of_an_owner_manages_nothing(services: Services) -> None:
    hand = make_hand(services, Role.OWNER, OrganisationKind.FIRM)
    assert hand.as_caller.permissions == permissions_of(Role.OWNER) & DEVICE_POWERS
    assert not hand.as_caller.may(Permission.DEVICE_MANAGE)


@on_sqlite
def test_a_person_who_rises_does_not_lift_the_device(services: Services) -> None:
    hand = make_hand(services, Role.RETAILER, OrganisationKind.FIRM)
    with write_session(services.engine) as session:
        session.get_one(MembershipRow, (hand.who.person_id, hand.organisation.id)).role = "owner"
    with Session(services.engine) as session:
        device = find_device(session, hand.device.id)
        assert device is not None
        power = power_of(session, device)
    assert power is not None
    assert power.role is Role.RETAILER
    assert not power.may(Permission.UNIT_RECALL)
