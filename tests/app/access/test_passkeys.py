"""Passkeys against a device in software: what opens, and every lie that must not."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import pytest
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from app.access import service as access
from app.access.models import PasskeyChallengeRow, PasskeyRow, SignInSessionRow
from app.access.relying_party import relying_party
from app.core.config import Settings
from app.core.database import write_session
from app.core.errors import Conflict, Invalid, NotFound, NotSignedIn
from app.core.i18n import in_language
from app.core.services import Services
from app.core.tokens import token_hash
from tests.app.access.people_builders import HERE, letters_to, password_step, somebody, with_passkey
from tests.app.access.software_authenticator import USER_PRESENT, SoftwareAuthenticator
from tests.builders import on_sqlite


def sign_in(services: Services, device: SoftwareAuthenticator) -> str:
    asked = access.ask_to_sign_in(services, visitor=HERE)
    return access.sign_in_with_passkey(
        services, challenge_token=asked.token, credential=device.answers(asked.options), visitor=HERE
    )


def person_of(services: Services, token: str) -> tuple[int, bool]:
    with Session(services.engine) as session:
        row = session.get_one(SignInSessionRow, token_hash(token))
        return row.person_id, row.strong


def events_of(services: Services, person_id: int) -> list[access.SecurityEvent]:
    with Session(services.engine) as session:
        return [event.kind for event in access.list_events(session, person_id=person_id)]


def refused(services: Services, device: SoftwareAuthenticator) -> str:
    with pytest.raises(NotSignedIn) as refusal:
        sign_in(services, device)
    return refusal.value.code


def test_a_passkey_opens_its_person_account_without_a_password(services: Services) -> None:
    person, other = somebody(services), somebody(services)
    device = with_passkey(services, person)
    with_passkey(services, other)
    assert person_of(services, sign_in(services, device)) == (person.id, True)
    with Session(services.engine) as session:
        (passkey,) = access.list_passkeys(session, person_id=person.id)
    assert passkey.name == "telephone"
    assert passkey.last_used_at is not None
    assert events_of(services, person.id)[0] is access.SecurityEvent.SIGNED_IN_BY_PASSKEY


@on_sqlite
def test_the_person_is_told_of_a_new_passkey_in_the_own_language(services: Services) -> None:
    person = somebody(services)
    with_passkey(services, person)
    subject = in_language("es", "A passkey was added to your account")  # as `builders` made the owner
    (letter,) = [letter for letter in letters_to(services, person.email) if letter.startswith(f"{subject}\n")]
    assert "telephone" in letter


@on_sqlite
def test_options_ask_for_a_discoverable_passkey_a_verified_person_and_no_attestation(services: Services) -> None:
    person = somebody(services)
    with_passkey(services, person)
    options = json.loads(access.ask_for_new_passkey(services, person_id=person.id).options)
    assert options["authenticatorSelection"]["residentKey"] == "required"
    assert options["authenticatorSelection"]["userVerification"] == "required"
    assert options["attestation"] == "none"
    assert len(options["excludeCredentials"]) == 1
    assert person.email not in options["user"]["id"]
    asked = json.loads(access.ask_to_sign_in(services, visitor=HERE).options)
    assert asked["userVerification"] == "required"
    assert not asked.get("allowCredentials")


LIES: dict[str, Callable[[SoftwareAuthenticator], object]] = {
    "another origin": lambda device: setattr(device, "origin", "http://localhost.example"),
    "another port": lambda device: setattr(device, "origin", "http://localhost:8001"),
    "another relying party": lambda device: setattr(device, "rp_id", "example.org"),
    "a person not verified": lambda device: setattr(device, "flags", USER_PRESENT),
    "nobody present": lambda device: setattr(device, "flags", 0),
    "another person's handle": lambda device: setattr(device, "user_handle", bytes(32)),
    "no handle": lambda device: setattr(device, "user_handle", None),
    "another key": lambda device: setattr(device, "key", SoftwareAuthenticator().key),
    "another passkey": lambda device: setattr(device, "credential_id", bytes(32)),
}


@on_sqlite
@pytest.mark.parametrize("lie", LIES)
def test_a_passkey_that_lies_is_refused_in_one_shape(services: Services, lie: str) -> None:
    device = with_passkey(services, somebody(services))
    LIES[lie](device)
    assert refused(services, device) == "passkey_refused"


@on_sqlite
@pytest.mark.parametrize("lie", ["another origin", "another port", "another relying party", "a person not verified"])
def test_a_passkey_is_not_added_by_a_lie(services: Services, lie: str) -> None:
    person, device = somebody(services), SoftwareAuthenticator()
    LIES[lie](device)
    with pytest.raises(Invalid) as refusal:
        with_passkey(services, person, device)
    assert refusal.value.code == "passkey_refused"


@on_sqlite
@pytest.mark.parametrize("answer", ["", "{}", "[]", "null", "not json", '{"id": 7}', "x" * 20_000])
def test_what_is_no_answer_of_a_passkey_is_refused_as_such(services: Services, answer: str) -> None:
    person = somebody(services)
    asked = access.ask_to_sign_in(services, visitor=HERE)
    with pytest.raises(NotSignedIn) as refusal:
        access.sign_in_with_passkey(services, challenge_token=asked.token, credential=answer, visitor=HERE)
    assert refusal.value.code == "passkey_refused"
    new = access.ask_for_new_passkey(services, person_id=person.id)
    with pytest.raises(Invalid):
        access.add_passkey(
            services,
            person_id=person.id,
            token=person.token,
            challenge_token=new.token,
            credential=answer,
            name="x",
            visitor=HERE,
        )


def test_an_answer_opens_once_and_a_challenge_takes_one_answer(services: Services) -> None:
    device = with_passkey(services, somebody(services))
    asked = access.ask_to_sign_in(services, visitor=HERE)
    said = device.answers(asked.options)
    access.sign_in_with_passkey(services, challenge_token=asked.token, credential=said, visitor=HERE)
    with pytest.raises(Conflict) as replayed:
        access.sign_in_with_passkey(services, challenge_token=asked.token, credential=said, visitor=HERE)
    assert replayed.value.code == "challenge_over"
    later = access.ask_to_sign_in(services, visitor=HERE)
    with pytest.raises(NotSignedIn) as elsewhere:
        access.sign_in_with_passkey(services, challenge_token=later.token, credential=said, visitor=HERE)
    assert elsewhere.value.code == "passkey_refused"
    with pytest.raises(Conflict) as used_up:  # the wrong answer has used the challenge up
        access.sign_in_with_passkey(
            services, challenge_token=later.token, credential=device.answers(later.options), visitor=HERE
        )
    assert used_up.value.code == "challenge_over"


@on_sqlite
def test_a_challenge_belongs_to_one_browser_one_purpose_and_one_person(services: Services) -> None:
    person, other = somebody(services), somebody(services)
    device = with_passkey(services, person)
    with_passkey(services, other)
    mine, theirs = access.ask_to_sign_in(services, visitor=HERE), access.ask_to_sign_in(services, visitor=HERE)
    with pytest.raises(NotSignedIn):
        access.sign_in_with_passkey(
            services, challenge_token=theirs.token, credential=device.answers(mine.options), visitor=HERE
        )
    for_confirming = access.ask_to_confirm(services, person_id=person.id)
    with pytest.raises(Conflict) as another_purpose:
        access.sign_in_with_passkey(
            services,
            challenge_token=for_confirming.token,
            credential=device.answers(for_confirming.options),
            visitor=HERE,
        )
    assert another_purpose.value.code == "challenge_over"
    step = password_step(services, other)
    for_other = access.ask_to_finish(services, step=step)
    with pytest.raises(NotSignedIn) as another_person:
        access.finish_with_passkey(
            services,
            step=step,
            challenge_token=for_other.token,
            credential=device.answers(for_other.options),
            visitor=HERE,
        )
    assert another_person.value.code == "passkey_refused"


@on_sqlite
def test_a_challenge_is_over_after_five_minutes(services: Services) -> None:
    device = with_passkey(services, somebody(services))
    asked = access.ask_to_sign_in(services, visitor=HERE)
    with write_session(services.engine) as session:
        session.execute(update(PasskeyChallengeRow).values(expires_at=PasskeyChallengeRow.expires_at - 300_000))
    with pytest.raises(Conflict) as refusal:
        access.sign_in_with_passkey(
            services, challenge_token=asked.token, credential=device.answers(asked.options), visitor=HERE
        )
    assert refusal.value.code == "challenge_over"


def test_a_counter_that_goes_back_is_refused_and_noted(services: Services) -> None:
    person = somebody(services)
    device = with_passkey(services, person)
    stolen = device.copy()
    sign_in(services, device)
    sign_in(services, device)
    assert refused(services, stolen) == "passkey_refused"
    assert access.SecurityEvent.PASSKEY_COUNTER_WENT_BACK in events_of(services, person.id)
    assert person_of(services, sign_in(services, device))[0] == person.id


@on_sqlite
def test_a_device_that_does_not_count_stays_welcome_until_it_does(services: Services) -> None:
    device = with_passkey(services, somebody(services), SoftwareAuthenticator(counts=False))
    sign_in(services, device)
    sign_in(services, device)
    device.counts = True
    sign_in(services, device)
    device.counts, device.counter = False, 0
    assert refused(services, device) == "passkey_refused"


def test_a_passkey_is_the_second_step_after_a_password(services: Services) -> None:
    person = somebody(services)
    device = with_passkey(services, person)
    step = password_step(services, person)
    asked = access.ask_to_finish(services, step=step)
    assert len(json.loads(asked.options)["allowCredentials"]) == 1
    token = access.finish_with_passkey(
        services, step=step, challenge_token=asked.token, credential=device.answers(asked.options), visitor=HERE
    )
    assert person_of(services, token) == (person.id, True)
    again = access.ask_to_confirm(services, person_id=person.id)
    with pytest.raises(NotSignedIn) as used:
        access.finish_with_passkey(
            services, step=step, challenge_token=again.token, credential=device.answers(again.options), visitor=HERE
        )
    assert used.value.code == "step_over"


@on_sqlite
def test_a_confirmation_by_passkey_renews_the_session_token(services: Services) -> None:
    person = somebody(services)
    device = with_passkey(services, person)
    asked = access.ask_to_confirm(services, person_id=person.id)
    token = access.confirm_with_passkey(
        services,
        person_id=person.id,
        token=person.token,
        challenge_token=asked.token,
        credential=device.answers(asked.options),
        visitor=HERE,
    )
    assert token != person.token
    assert person_of(services, token) == (person.id, True)
    with Session(services.engine) as session:
        assert session.get(SignInSessionRow, token_hash(person.token)) is None


@on_sqlite
def test_a_passkey_is_added_once_and_removed_by_its_person_only(services: Services) -> None:
    person, other = somebody(services), somebody(services)
    device = with_passkey(services, person)
    with pytest.raises(Conflict) as known:
        with_passkey(services, other, device)
    assert known.value.code == "passkey_known"
    with Session(services.engine) as session:
        passkey_id = session.scalars(select(PasskeyRow.id)).one()
    with pytest.raises(NotFound):
        access.remove_passkey(services, person_id=other.id, passkey_id=passkey_id, visitor=HERE)
    access.remove_passkey(services, person_id=person.id, passkey_id=passkey_id, visitor=HERE)
    assert refused(services, device) == "passkey_refused"
    assert isinstance(
        access.sign_in(services, email=person.email, password="correct horse battery staple", visitor=HERE),
        access.SignedIn,
    )


@pytest.mark.parametrize(
    ("address", "host"),
    [
        ("https://registro.example.mx", "registro.example.mx"),
        ("https://registro.example.mx:8443", "registro.example.mx"),
        ("http://localhost:8000", "localhost"),
        ("http://127.0.0.1:8000", None),
        ("https://[::1]:8000", None),
        ("https://192.0.2.7", None),
        ("http://registro.example.mx", None),
    ],
)
def test_passkeys_are_bound_to_the_host_of_the_public_address(address: str, host: str | None) -> None:
    party = relying_party(Settings(public_url=address))
    assert (party.id if party else None) == host
    if party:
        assert party.origin == address


@on_sqlite
def test_at_an_ip_address_the_service_says_that_there_are_no_passkeys(services: Services) -> None:
    elsewhere = replace(services, settings=replace(services.settings, public_url="http://127.0.0.1:8000"))
    with pytest.raises(Conflict) as refusal:
        access.ask_to_sign_in(elsewhere, visitor=HERE)
    assert refusal.value.code == "passkeys_not_possible"


@on_sqlite
@pytest.mark.parametrize("answer", ["[" * 16_000, '{"response":' * 1_300, "", "null", "\ud800"])
def test_what_is_no_answer_about_a_passkey_is_refused(services: Services, answer: str) -> None:
    asked = access.ask_to_sign_in(services, visitor=HERE)
    with pytest.raises(NotSignedIn) as refusal:
        access.sign_in_with_passkey(services, challenge_token=asked.token, credential=answer, visitor=HERE)
    assert refusal.value.code == "passkey_refused"
