"""Signing up: nobody learns who has an account, and only the link in the letter makes one."""

from __future__ import annotations

import re
import statistics
import time
from collections.abc import Callable
from dataclasses import replace

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from app.accounts import service as accounts
from app.accounts.joining_models import ApplicationRow
from app.accounts.vocabulary import OrganisationKind, OrganisationStatus
from app.core.clock import now_ms
from app.core.database import write_session
from app.core.errors import Invalid, NotFound, TooMany
from app.core.i18n import in_language
from app.core.services import Services
from tests.builders import PASSWORD, make_organisation, on_sqlite, owner_email
from tests.letters import waiting_letters

EMAIL = "rosa@example.org"
SIGN_UP = {
    "name": "Café de Altura",
    "country": "MX",
    "kind": "firm",
    "person_name": "Rosa Méndez",
    "email": EMAIL,
    "password": PASSWORD,
}


def ask(services: Services, email: str = EMAIL, **changed: str) -> None:
    entries = {**SIGN_UP, "email": email, **changed}
    accounts.ask_to_join(
        services,
        name=entries["name"],
        country=entries["country"],
        kind=OrganisationKind(entries["kind"]),
        person_name=entries["person_name"],
        email=email,
        password=entries["password"],
        locale=entries.get("locale", "es"),
        remote_address="192.0.2.9",
    )


def token_for(services: Services, email: str = EMAIL) -> str:
    return waiting_letters(services, to=email)[-1].path.removeprefix("/sign-up/")


def organisations(services: Services) -> list[accounts.Organisation]:
    with Session(services.engine) as session:
        return accounts.list_organisations(session).items


def test_an_application_becomes_an_organisation_only_by_the_link_in_the_letter(services: Services) -> None:
    ask(services)
    assert organisations(services) == []
    joined = accounts.confirm_application(services, token=token_for(services))
    (organisation,) = organisations(services)
    assert joined.organisation == organisation
    assert organisation.status is OrganisationStatus.PENDING
    assert owner_email(services, organisation) == EMAIL


def test_a_link_works_once_and_for_a_day_and_no_made_up_one_does(services: Services) -> None:
    ask(services)
    token = token_for(services)
    accounts.confirm_application(services, token=token)
    ask(services, "other@example.org")
    late = token_for(services, "other@example.org")
    with write_session(services.engine) as session:
        session.execute(update(ApplicationRow).values(expires_at=now_ms()))
    for each in (token, late, "x" * 43, ""):
        with pytest.raises(NotFound) as refused:
            accounts.confirm_application(services, token=each)
        assert refused.value.code == "link_ended"
    assert len(organisations(services)) == 1


@on_sqlite
def test_of_two_applications_with_one_address_the_first_confirmed_counts(services: Services) -> None:
    ask(services)
    ask(services, name="Another name")
    first, second = (letter.path.removeprefix("/sign-up/") for letter in waiting_letters(services))
    accounts.confirm_application(services, token=second)
    with pytest.raises(NotFound):
        accounts.confirm_application(services, token=first)
    assert [each.name for each in organisations(services)] == ["Another name"]


@on_sqlite
def test_a_known_address_gets_a_letter_that_opens_nothing(services: Services) -> None:
    known = owner_email(services, make_organisation(services))
    ask(services, known.upper())
    (letter,) = waiting_letters(services, to=known)
    assert letter.path == "/sign-in"
    assert "tiene una cuenta" in letter.text or "has an account" in letter.text
    assert len(organisations(services)) == 1


@on_sqlite
def test_the_answer_to_a_known_address_is_that_to_an_unknown_one(client: FlaskClient, services: Services) -> None:
    known = owner_email(services, make_organisation(services))
    answers = [client.post("/v1/organisations", json={**SIGN_UP, "email": each}) for each in (known, EMAIL)]
    assert [each.status_code for each in answers] == [202, 202]
    assert answers[0].data == answers[1].data
    assert answers[0].get_json() == {"status": "confirm_by_mail"}

    def headers(index: int) -> dict[str, str]:
        return {name: value for name, value in answers[index].headers if name != "X-Request-Id"}

    assert headers(0) == headers(1)

    def page(email: str) -> str:
        token = re.search(r'name="csrf_token" value="([^"]+)"', client.get("/sign-up").text)
        assert token is not None
        answer = client.post("/sign-up", data={**SIGN_UP, "email": email, "csrf_token": token[1]})
        assert answer.status_code == 200
        return re.sub(r'csrf_token" value="[^"]+"', "", answer.text).replace(email, "")

    assert page(known) == page("new@example.org")


def _counted(hashed: list[str]) -> Callable[[str], str]:
    """A password hash that costs nothing and is counted."""

    def hash_password(text: str) -> str:
        hashed.append(text)
        return "hash"

    return hash_password


@on_sqlite
def test_a_known_and_an_unknown_address_cost_the_same(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    """Counted, not timed: one hash, one row, one letter, whichever it is."""
    known = owner_email(services, make_organisation(services))
    hashed: list[str] = []
    monkeypatch.setattr("app.accounts.service.sign_up.hash_password", _counted(hashed))
    for email in (known, EMAIL):
        ask(services, email)
    assert len(hashed) == len(waiting_letters(services)) == 2
    with Session(services.engine) as session:
        assert session.scalar(select(func.count()).select_from(ApplicationRow)) == 2
    times: dict[str, list[float]] = {known: [], EMAIL: []}
    for _ in range(30):
        for email, measured in times.items():
            start = time.perf_counter()
            ask(services, email)
            measured.append(time.perf_counter() - start)
    # The password's hash, left out here, takes ten times as long as all of this: a coarse bound is enough.
    medians = [statistics.median(measured) for measured in times.values()]
    assert abs(medians[0] - medians[1]) < max(0.003, 0.3 * min(medians))


@on_sqlite
def test_what_waits_can_not_be_read_without_the_key_and_is_swept_when_its_day_is_over(services: Services) -> None:
    ask(services)
    with Session(services.engine) as session:
        row = session.scalars(select(ApplicationRow)).one()
        assert EMAIL.encode() not in row.sealed
        assert token_for(services).encode() != row.token_hash
    with write_session(services.engine) as session:
        session.execute(update(ApplicationRow).values(expires_at=now_ms()))
    ask(services, "next@example.org")
    with Session(services.engine) as session:
        assert session.scalar(select(func.count()).select_from(ApplicationRow)) == 1


@on_sqlite
def test_opening_the_link_changes_nothing_and_its_button_signs_the_owner_in(
    client: FlaskClient, services: Services
) -> None:
    ask(services)
    path = f"/sign-up/{token_for(services)}"
    for _ in range(2):  # a program that scans mail, then the person
        shown = client.get(path)
        assert SIGN_UP["name"] in shown.text
        assert shown.headers["Cache-Control"] == "no-store"
    assert organisations(services) == []
    token = re.search(r'name="csrf_token" value="([^"]+)"', shown.text)
    assert token is not None
    answer = client.post(path, data={"csrf_token": token[1]})
    assert answer.headers["Location"] == "/organisation"
    assert SIGN_UP["name"] in client.get("/organisation").text
    assert client.get(path).status_code == 404


@on_sqlite
@pytest.mark.parametrize(
    ("changed", "where"),
    [({"name": "x"}, "/name"), ({"country": "XX"}, "/country"), ({"kind": "registry"}, "/kind")],
)
def test_every_entry_is_checked(services: Services, changed: dict[str, str], where: str) -> None:
    with pytest.raises(Invalid) as refused:
        ask(services, **changed)
    assert [fault.where for fault in refused.value.faults] == [where]
    assert waiting_letters(services) == []


@on_sqlite
def test_one_network_address_and_one_inbox_have_their_share_and_no_more(services: Services) -> None:
    limited = replace(services, settings=replace(services.settings, rate_limits=True))
    for _ in range(3):
        ask(limited)
    with pytest.raises(TooMany):
        ask(limited)
    for number in range(6):
        ask(limited, f"o{number}@example.org")
    with pytest.raises(TooMany):
        ask(limited, "last@example.org")
    assert len(waiting_letters(services)) == 9


@on_sqlite
def test_the_letter_is_in_the_language_of_the_form(services: Services) -> None:
    ask(services, "es@example.org", locale="es")
    ask(services, "en@example.org", locale="en")
    spanish, english = (waiting_letters(services, to=f"{each}@example.org")[0] for each in ("es", "en"))
    subject = "Confirm the application of %(organisation)s"
    for language, letter in (("es", spanish), ("en", english)):
        assert letter.subject == in_language(language, subject, organisation=SIGN_UP["name"])


@on_sqlite
def test_sign_up_over_the_api_is_braked_by_address(limited_app: Flask) -> None:
    client = limited_app.test_client()
    codes = [
        client.post("/v1/organisations", json={**SIGN_UP, "email": f"r{number}@example.org"}).status_code
        for number in range(11)
    ]
    assert codes == [202] * 10 + [429]


@on_sqlite
@pytest.mark.parametrize("email", ["ñandú@example.org", "=?utf-8?q?victim=40example.com=3E?=@example.org"])
def test_an_address_that_a_header_would_change_into_another_is_none(services: Services, email: str) -> None:
    with pytest.raises(Invalid):
        ask(services, email)
    assert waiting_letters(services) == []


@on_sqlite
def test_a_letter_goes_to_the_very_address_that_was_given(services: Services) -> None:
    strange = "a.b+c!#$%&'*/=^_`{|}~-d@example.org"
    ask(services, strange)
    assert [letter.to for letter in waiting_letters(services)] == [strange]


@on_sqlite
@pytest.mark.parametrize("name", ["Confirm at https://evil.example", "Prize: WWW.evil.example", "https://evil.example"])
def test_a_letter_in_the_registrys_name_carries_no_link_of_a_stranger(services: Services, name: str) -> None:
    with pytest.raises(Invalid):
        ask(services, name=name)
    assert waiting_letters(services) == []
