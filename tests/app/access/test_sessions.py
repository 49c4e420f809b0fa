"""Sessions: they end by themselves, by their person and by a new password, and their token does not stay the same."""

from __future__ import annotations

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import update
from sqlalchemy.orm import Session

from app.access import service as access
from app.access.models import SignInSessionRow
from app.access.service.sessions import IDLE_MS, SEEN_EVERY_MS, SESSION_MS
from app.access.visitors import browser_family, coarse_network
from app.core.authorisation import CONFIRMED_MS, asks_for_confirmation
from app.core.clock import now_ms
from app.core.database import write_session
from app.core.errors import Invalid, NotFound
from app.core.services import Services
from tests.app.access.people_builders import HERE, Somebody, somebody
from tests.builders import PASSWORD, on_sqlite

CHROME = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36"


def browser_of(app: Flask, person: Somebody, token: str | None = None) -> FlaskClient:
    client = app.test_client()
    with client.session_transaction() as cookie:
        cookie["token"] = token or person.token
    return client


def token_of(client: FlaskClient) -> str:
    with client.session_transaction() as cookie:
        return str(cookie["token"])


def age(services: Services, **columns: int) -> None:
    """As if the sessions had got older by so many milliseconds."""
    with write_session(services.engine) as session:
        for name, by in columns.items():
            column = getattr(SignInSessionRow, name)
            session.execute(update(SignInSessionRow).values({name: column - by}))


def listed(services: Services, person: Somebody) -> list[access.BrowserSession]:
    with Session(services.engine) as session:
        return access.list_sessions(session, person_id=person.id, token=person.token)


def another_session(services: Services, person: Somebody) -> str:
    return access.start_session_for(services, person_id=person.id, visitor=access.Visitor("2001:db8:1:2::3", "Chrome"))


def test_a_session_ends_after_two_idle_hours_and_after_twelve_in_any_case(app: Flask, services: Services) -> None:
    person = somebody(services)
    client = browser_of(app, person)
    assert client.get("/account").status_code == 200
    age(services, seen_at=IDLE_MS + 1)
    assert client.get("/account").headers["Location"].startswith("/sign-in")
    long_used = browser_of(app, person, another_session(services, person))
    age(services, expires_at=SESSION_MS + 1)
    assert long_used.get("/account").headers["Location"].startswith("/sign-in")
    assert listed(services, person) == []


@on_sqlite
def test_the_use_of_a_session_is_written_down_now_and_then(app: Flask, services: Services) -> None:
    person = somebody(services)
    client = browser_of(app, person)
    age(services, seen_at=SEEN_EVERY_MS // 2)
    client.get("/account")
    with Session(services.engine) as session:
        assert session.query(SignInSessionRow).one().seen_at < now_ms() - SEEN_EVERY_MS // 4
    age(services, seen_at=SEEN_EVERY_MS)
    client.get("/account")
    with Session(services.engine) as session:
        assert session.query(SignInSessionRow).one().seen_at > now_ms() - SEEN_EVERY_MS // 4


def test_the_list_is_coarse_and_knows_this_browser(services: Services) -> None:
    person = somebody(services)
    another_session(services, person)
    somebody(services)
    here, there = sorted(listed(services, person), key=lambda found: not found.is_this_one)
    assert here.is_this_one
    assert (here.browser, here.place) == ("Firefox, Linux", "192.0.2.0/24")
    assert (there.browser, there.place) == ("Chrome", "2001:db8:1::/48")
    assert here.seen_at % 3_600_000 == 0
    assert person.token not in here.reference


def test_a_person_ends_own_sessions_one_or_all_others(app: Flask, services: Services) -> None:
    person, stranger = somebody(services), somebody(services)
    other = another_session(services, person)
    (there,) = [found for found in listed(services, person) if not found.is_this_one]
    with pytest.raises(NotFound):
        access.end_session(services, person_id=stranger.id, reference=there.reference, visitor=HERE)
    access.end_session(services, person_id=person.id, reference=there.reference, visitor=HERE)
    assert browser_of(app, person, other).get("/account").status_code == 303
    more = [another_session(services, person) for _ in range(2)]
    access.end_other_sessions(services, person_id=person.id, token=person.token, visitor=HERE)
    assert [browser_of(app, person, token).get("/account").status_code for token in more] == [303, 303]
    assert browser_of(app, person).get("/account").status_code == 200
    assert browser_of(app, stranger).get("/account").status_code == 200


def test_a_new_password_ends_all_others_and_renews_this_one(app: Flask, services: Services) -> None:
    app.config["WTF_CSRF_METHODS"] = []
    person = somebody(services)
    other = another_session(services, person)
    client = browser_of(app, person)
    changed = client.post("/account/password", data={"current": PASSWORD, "password": "quince lampara orilla zinc"})
    assert (changed.status_code, changed.headers["Location"]) == (303, "/account")
    assert token_of(client) != person.token
    assert client.get("/account").status_code == 200
    assert browser_of(app, person).get("/account").status_code == 303  # the old token
    assert browser_of(app, person, other).get("/account").status_code == 303


@on_sqlite
def test_signing_in_never_continues_a_session_that_somebody_has_planted(app: Flask, services: Services) -> None:
    app.config["WTF_CSRF_METHODS"] = []
    person, attacker = somebody(services), somebody(services)
    client = browser_of(app, attacker)
    with client.session_transaction() as cookie:
        cookie["challenge"] = "planted"
    client.post("/sign-in", data={"email": person.email, "password": PASSWORD})
    assert token_of(client) != attacker.token
    with client.session_transaction() as cookie:
        assert "challenge" not in cookie


def test_what_gives_power_asks_again_after_a_quarter_of_an_hour(app: Flask, services: Services) -> None:
    app.config["WTF_CSRF_METHODS"] = []
    person = somebody(services)
    client = browser_of(app, person)
    age(services, confirmed_at=CONFIRMED_MS + 1)
    made = {"name": "till", "role": "operator", "days": "30"}
    refused = client.post("/organisation/api-keys", data=made)
    assert refused.headers["Location"] == "/sign-in/again?next=/organisation&sent=1"
    page = client.get(refused.headers["Location"])
    assert "What you sent was not done" in page.text
    wrong = client.post("/sign-in/again", data={"password": "wrong", "next": "/organisation/machines"})
    assert wrong.status_code == 422
    old = token_of(client)
    right = client.post("/sign-in/again", data={"password": PASSWORD, "next": "/organisation/machines"})
    assert right.headers["Location"] == "/organisation/machines"
    assert token_of(client) != old
    assert client.post("/organisation/api-keys", data=made).status_code == 200
    assert browser_of(app, person, old).get("/account").status_code == 303


@on_sqlite
def test_a_page_that_asks_again_leads_back_to_itself_and_never_elsewhere(app: Flask, services: Services) -> None:
    app.config["WTF_CSRF_METHODS"] = []
    person = somebody(services)
    client = browser_of(app, person)
    age(services, confirmed_at=CONFIRMED_MS + 1)
    assert client.get("/account/factors").headers["Location"] == "/sign-in/again?next=/account/factors"
    said = client.post("/account/passkeys/options", headers={"Accept": "application/json"})
    assert (said.status_code, said.get_json()["code"]) == (403, "confirmation_needed")
    away = client.post("/sign-in/again", data={"password": PASSWORD, "next": "//example.org"})
    assert away.headers["Location"] == "/dashboard"


@on_sqlite
def test_every_page_that_gives_or_takes_power_asks_again(app: Flask) -> None:
    """The list as it is: what disappears from it must have stopped to be dangerous."""
    with app.app_context():
        asking = {
            rule.endpoint
            for rule in app.url_map.iter_rules()
            for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
            if not rule.rule.startswith("/v1/") and asks_for_confirmation(rule.endpoint, method)
        }
    assert {
        "account_pages.change_password",
        "factor_pages.add_passkey",
        "factor_pages.ask_for_new_passkey",
        "factor_pages.begin_code_app",
        "factor_pages.confirm_code_app",
        "factor_pages.factors",
        "factor_pages.make_recovery_codes",
        "factor_pages.remove_code_app",
        "factor_pages.remove_passkey",
        "machine_pages.create_api_key",
        "recovery_pages.admin_request_reset",
        "recovery_pages.request_reset",
    } <= asking
    assert not {"access_pages.confirm_with_password", "account_pages.account", "access_pages.sign_out"} & asking


@on_sqlite
def test_the_account_page_shows_sessions_factors_and_history(app: Flask, services: Services) -> None:
    app.config["WTF_CSRF_METHODS"] = []
    person = somebody(services)
    for _ in range(3):
        with pytest.raises(Invalid):
            access.confirm_with_password(services, token=person.token, password="wrong", visitor=HERE)
    client = app.test_client()
    client.post("/sign-in", data={"email": person.email, "password": PASSWORD}, headers={"User-Agent": CHROME})
    text = client.get("/account").text
    for shown in ("Chrome, Linux", "127.0.0.0/24", "This one", "Only a password", "Wrong password (3 ×)"):
        assert shown in text
    assert "127.0.0.1" not in text


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.77", "192.0.2.0/24"),
        ("2001:db8:1:2:3::4", "2001:db8:1::/48"),
        ("::ffff:192.0.2.77", "192.0.2.0/24"),
        ("fe80::1%eth0", "fe80::/48"),
        ("nonsense", "unknown"),
        ("", "unknown"),
    ],
)
def test_of_an_address_only_its_network_is_kept(address: str, network: str) -> None:
    assert coarse_network(address) == network


@pytest.mark.parametrize(
    ("agent", "family"),
    [
        (CHROME, "Chrome, Linux"),
        (f"{CHROME} Edg/140.0", "Edge, Linux"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Version/18.0 Mobile Safari/604.1", "Safari, iPhone"),
        ("Mozilla/5.0 (Android 15; Mobile; rv:140.0) Gecko/140.0 Firefox/140.0", "Firefox, Android"),
        ("curl/8", "unknown"),
        ("<script>" * 1000, "unknown"),
    ],
)
def test_of_a_browser_only_its_family_is_kept(agent: str, family: str) -> None:
    assert browser_family(agent) == family
