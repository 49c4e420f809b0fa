"""Guessing does not pay: nothing is hit, an alarm is raised, and customers beside a guesser keep getting answers."""

from __future__ import annotations

import secrets
import timeit
from collections import Counter
from contextlib import suppress
from dataclasses import replace

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session

from app import create_app
from app.accounts import service as accounts
from app.core.alarms import AlarmKind, count_recent_alarms, list_alarms
from app.core.authorisation import ANONYMOUS, Role
from app.core.config import Settings
from app.core.errors import TooMany
from app.core.mail import OutgoingMailRow
from app.core.notices import NoticeKind, NoticeRow
from app.core.services import Services
from app.registry.unit_id import MAX_BATCH_SIZE
from app.registry.vocabulary import Profile
from app.verification import guess_chance, limits, service
from app.verification.request import ScanRequest
from app.verification.verdict import Authenticity
from scanners.codes.serial import ALPHABET, RANDOM_LENGTH, generate_serials
from tests.app.conftest import close
from tests.app.verification.verdict_builders import World, make_world
from tests.builders import add_person, make_registry, on_sqlite, owner_email, signed_in
from tests.letters import waiting_letters

GUESSES = 10_000


@pytest.fixture
def world(limited_app: Flask) -> World:
    services: Services = limited_app.extensions["marchamo"]
    make_registry(services)
    return make_world(services, profile=Profile.COMPACT)


def compact_text(world: World, serial: str) -> str:
    """The text of a compact code of the world's product with another serial."""
    issued = world.codes[0]
    own = next(serial for serial in issued.split("/") if serial.startswith(world.batch.handle))
    return issued.replace(own.split("?")[0], serial)


def alarms(world: World) -> dict[AlarmKind, list[str]]:
    limits.carry_counts(world.services)
    found: dict[AlarmKind, list[str]] = {}
    with Session(world.services.engine) as session:
        for alarm in list_alarms(session):
            found.setdefault(alarm.kind, []).append(alarm.subject)
    return found


@on_sqlite
def test_ten_thousand_guesses_from_everywhere_hit_nothing_and_raise_the_alarm(world: World) -> None:
    """With the handle of a real batch, the product's number and the shape of its codes, as one who has seen codes."""
    outcomes: Counter[Authenticity] = Counter()
    for number, serial in enumerate(generate_serials(world.batch.handle, GUESSES)):
        answer = service.look(
            world.services,
            text=compact_text(world, serial),
            principal=ANONYMOUS,
            remote_address=f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}",
        )
        outcomes[answer.verdict.authenticity] += 1
    assert outcomes == {Authenticity.UNKNOWN_UNIT: GUESSES}
    raised = alarms(world)
    assert raised[AlarmKind.GUESSING_EVERYWHERE] == [""]
    assert raised[AlarmKind.GUESSING_BATCH] == [world.batch.handle]
    assert raised[AlarmKind.GUESSING_PRODUCT] == [world.firm.product.reference]
    assert AlarmKind.GUESSING_ADDRESS not in raised
    assert count_recent_alarms(world.services.engine) == 3
    with Session(world.services.engine) as session:
        told = session.scalars(select(NoticeRow).where(NoticeRow.kind == NoticeKind.GUESSING)).all()
        mails = session.scalars(select(OutgoingMailRow)).all()
    assert world.firm.organisation.id in {notice.organisation_id for notice in told}, "the issuer learns of it"
    letters = [world.services.sealer.open(mail.sealed, "outgoing mail").decode() for mail in mails]
    assert any("/admin/alarms" in letter for letter in letters)


@on_sqlite
def test_ten_thousand_guesses_from_one_address_hit_nothing_and_are_turned_away(
    limited_app: Flask, world: World
) -> None:
    client = limited_app.test_client()
    statuses: Counter[int] = Counter()
    for serial in generate_serials(world.batch.handle, GUESSES):
        answer = client.post("/v1/verify", json={"code": compact_text(world, serial)})
        statuses[answer.status_code] += 1
        if answer.status_code == 200:
            assert answer.get_json()["authenticity"] == "UNKNOWN_UNIT"
    assert statuses[200] <= 2 * limits.GUESSES, "two windows at most, when the clock passes a quarter of an hour"
    assert statuses[200] + statuses[429] == GUESSES


@on_sqlite
def test_an_address_that_goes_on_guessing_raises_an_alarm_that_does_not_name_it(world: World) -> None:
    guess_many(world, "203.0.113.7", limits.ALARM_OF_ADDRESS)
    (mark,) = alarms(world)[AlarmKind.GUESSING_ADDRESS]
    assert "203.0.113.7" not in mark
    guess_many(world, "203.0.113.7", 50)
    assert alarms(world)[AlarmKind.GUESSING_ADDRESS] == [mark], "what goes on is one alarm"


@on_sqlite
def test_one_false_code_that_many_scan_is_not_many_guesses(world: World) -> None:
    text = compact_text(world, generate_serials(world.batch.handle, 1)[0])
    for number in range(limits.ALARM_OF_PRODUCT + 10):
        address = f"198.51.{number >> 8}.{number & 255}"
        service.look(world.services, text=text, principal=ANONYMOUS, remote_address=address)
    assert alarms(world) == {}


def test_customers_behind_the_address_of_a_guesser_still_get_their_answers(limited_app: Flask, world: World) -> None:
    carrier = "100.64.0.1"
    guess_many(world, carrier, limits.GUESSES)
    with pytest.raises(TooMany):
        guess(world, carrier)
    for code in world.codes:
        answer = service.look(world.services, text=code, principal=ANONYMOUS, remote_address=carrier)
        assert answer.verdict.authenticity is Authenticity.REGISTERED


def test_the_limit_holds_for_all_processes_together(settings: Settings, limited_app: Flask, world: World) -> None:
    guess_many(world, "192.0.2.9", limits.GUESSES)
    limits.carry_counts(world.services)
    other_app = create_app(replace(settings, rate_limits=True))
    other: Services = other_app.extensions["marchamo"]
    try:
        elsewhere = replace(world, services=other)
        guess(elsewhere, "192.0.2.9")  # what this process does not know yet, it learns in its first round
        limits.carry_counts(other)
        with pytest.raises(TooMany):
            guess(elsewhere, "192.0.2.9")
    finally:
        close(other_app)


@on_sqlite
def test_a_network_of_ipv6_counts_as_one_address(world: World) -> None:
    for number in range(limits.GUESSES):
        guess(world, f"2001:db8:1:2::{number:x}")
    with pytest.raises(TooMany):
        guess(world, "2001:db8:1:2:ffff::1")
    guess(world, "2001:db8:1:3::1")


@on_sqlite
def test_guessing_at_proofs_counts_like_guessing_at_codes(limited_app: Flask, world: World) -> None:
    client = limited_app.test_client()
    statuses = [
        client.get(f"/v1/proofs/{world.batch.handle}/{serial}").status_code
        for serial in generate_serials(world.batch.handle, limits.GUESSES + 1)
    ]
    assert statuses == [404] * limits.GUESSES + [429]


@on_sqlite
def test_counting_costs_the_hot_path_some_microseconds(world: World) -> None:
    limits.refuse_flood(world.services, "192.0.2.1")
    best = min(timeit.repeat(lambda: limits._limits(world.services).requests.add("192.0.2.1"), number=2_000, repeat=5))
    assert best / 2_000 < 50e-6, "about 1.5 microseconds on an idle machine"


@on_sqlite
def test_administrators_read_the_alarms_on_their_page_and_nobody_else(
    limited_app: Flask, world: World, client: FlaskClient
) -> None:
    guess_many(world, "203.0.113.7", limits.ALARM_OF_BATCH)
    alarms(world)
    registry = make_registry(world.services)
    administrator = signed_in(limited_app.test_client(), world.services, owner_email(world.services, registry))
    page = administrator.get("/admin/alarms")
    assert page.status_code == 200
    assert world.batch.handle in page.text
    firm = signed_in(limited_app.test_client(), world.services, owner_email(world.services, world.firm.organisation))
    assert firm.get("/admin/alarms").status_code == 403
    assert limited_app.test_client().get("/health").get_json()["security_alarms"] == 1


def test_the_published_chance_is_that_of_the_serials_that_are_made() -> None:
    (serial,) = generate_serials("ABCDE", 1)
    assert guess_chance.serials_of_handle() == len(ALPHABET) ** (len(serial) - len("ABCDE")) == 2**60
    assert guess_chance.serials_in_all() == len(ALPHABET) ** len(serial) == 2**85
    assert guess_chance.chance_with_handle(MAX_BATCH_SIZE) == MAX_BATCH_SIZE / 2**60 < 5e-12
    assert guess_chance.chance_without_handle(10**9) < 1e-16
    assert guess_chance.chance_of_several(0.5, 3) == 1.0
    assert RANDOM_LENGTH == 12


@on_sqlite
def test_the_chance_is_published(client: FlaskClient) -> None:
    page = client.get("/transparency").text
    assert "1,152,921,504,606,846,976" in page
    assert f"{round(2**60 / MAX_BATCH_SIZE):,}" in page


def guess(world: World, address: str) -> None:
    serial = world.batch.handle + "".join(secrets.choice(ALPHABET) for _ in range(RANDOM_LENGTH))
    request = ScanRequest(remote_address=address)
    service.verify(world.services, text=compact_text(world, serial), principal=ANONYMOUS, request=request)


def guess_many(world: World, address: str, count: int) -> None:
    for _ in range(count):
        with suppress(TooMany):
            guess(world, address)


@on_sqlite
def test_only_those_who_may_read_alarms_get_the_letter(limited_app: Flask, world: World) -> None:
    services: Services = limited_app.extensions["marchamo"]
    with Session(services.engine) as session:
        (registry,) = accounts.registry_organisations(session)
        organisation = accounts.organisation_by_id(session, registry)
        administrators = {member.email for member in accounts.list_members(session, organisation_id=registry)}
    auditor = add_person(services, organisation, Role.AUDITOR)
    guess_many(world, "203.0.113.7", limits.ALARM_OF_ADDRESS)
    alarms(world)
    told = {letter.to for letter in waiting_letters(services) if "/admin/alarms" in letter.text}
    assert told == administrators
    assert auditor not in told
