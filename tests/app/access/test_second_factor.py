"""The second step: codes of an app, each once, recovery codes, each once, and what a role without a factor may do."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from threading import Barrier, Thread

import pyotp
import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from app.access import service as access
from app.access.models import CodeAppRow, RecoveryCodeRow, SignInSessionRow, SignInStepRow
from app.access.service.code_apps import GUESSES
from app.accounts.vocabulary import OrganisationKind
from app.core.authorisation import Role
from app.core.database import write_session
from app.core.errors import Conflict, Invalid, NotFound, NotSignedIn, TooMany
from app.core.services import Services
from app.core.tokens import token_hash
from tests.app.access.people_builders import (
    HERE,
    forget_last_step,
    letters_to,
    password_step,
    somebody,
    with_code_app,
    with_passkey,
)
from tests.builders import PASSWORD, add_person, make_approved, make_registry, on_sqlite, signed_in


def finish(services: Services, step: str, code: str) -> str:
    return access.finish_with_code(services, step=step, code=code, visitor=HERE)


def refusal_of(services: Services, step: str, code: str) -> str:
    with pytest.raises(NotSignedIn) as refused:
        finish(services, step, code)
    return refused.value.code


def sessions(services: Services) -> int:
    with Session(services.engine) as session:
        return len(session.scalars(select(SignInSessionRow)).all())


def test_with_a_factor_the_password_alone_starts_no_session(services: Services) -> None:
    person = somebody(services)
    app = with_code_app(services, person)
    before = sessions(services)
    step = password_step(services, person)
    assert sessions(services) == before
    token = finish(services, step, app.now())
    with Session(services.engine) as session:
        assert session.get_one(SignInSessionRow, token_hash(token)).strong


def test_a_code_is_accepted_once(services: Services) -> None:
    person = somebody(services)
    app = with_code_app(services, person)
    code = app.now()
    finish(services, password_step(services, person), code)
    assert refusal_of(services, password_step(services, person), code) == "code_refused"


def test_of_two_at_once_with_one_code_one_comes_in(services: Services) -> None:
    person = somebody(services)
    code = with_code_app(services, person).now()
    steps = [password_step(services, person) for _ in range(4)]
    together, tokens = Barrier(len(steps)), []

    def run(step: str) -> None:
        together.wait()
        with suppress(NotSignedIn):
            tokens.append(finish(services, step, code))

    threads = [Thread(target=run, args=(step,)) for step in steps]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(tokens) == 1


@on_sqlite
@pytest.mark.parametrize(("steps", "welcome"), [(-2, False), (-1, True), (0, True), (1, True), (2, False)])
def test_a_clock_may_be_off_by_one_step(services: Services, steps: int, welcome: bool) -> None:
    person = somebody(services)
    app = with_code_app(services, person)
    step = password_step(services, person)
    code = app.at(_now_in_mid_step(app) + steps * app.interval)
    if welcome:
        assert finish(services, step, code)
    else:
        assert refusal_of(services, step, code) == "code_refused"


def _now_in_mid_step(app: pyotp.TOTP) -> int:
    """Now; waits at the very end of a time step, where a test would see two of them."""
    import time

    if time.time() % app.interval > app.interval - 2:
        time.sleep(2.1)
    return int(time.time())


@on_sqlite
def test_a_code_of_an_earlier_step_is_refused_after_a_later_one(services: Services) -> None:
    person = somebody(services)
    app = with_code_app(services, person)
    now = _now_in_mid_step(app)
    finish(services, password_step(services, person), app.at(now + app.interval))
    assert refusal_of(services, password_step(services, person), app.at(now)) == "code_refused"


@on_sqlite
@pytest.mark.parametrize("code", ["", "000000", "١٢٣٤٥٦", "12345", "1234567", "abcdef", "-12345", "1" * 4000])
def test_what_is_no_code_is_refused(services: Services, code: str) -> None:
    person = somebody(services)
    with_code_app(services, person)
    assert refusal_of(services, password_step(services, person), code) == "code_refused"


@on_sqlite
def test_codes_are_braked_for_the_account_whoever_guesses(services: Services) -> None:
    limited = replace(services, settings=replace(services.settings, rate_limits=True))
    person = somebody(limited)
    app = with_code_app(limited, person)
    step = password_step(limited, person)
    for number in range(GUESSES):
        with pytest.raises(NotSignedIn):
            access.finish_with_code(limited, step=step, code="000000", visitor=access.Visitor(f"198.51.100.{number}"))
    with pytest.raises(TooMany):
        finish(limited, step, app.now())


@on_sqlite
def test_whoever_gives_the_password_and_wrong_codes_is_told_to_the_person_once(services: Services) -> None:
    person = somebody(services)
    with_code_app(services, person)
    already = len(letters_to(services, person.email))
    for _ in range(8):
        refusal_of(services, password_step(services, person), "000000")
    assert len(letters_to(services, person.email)) == already + 1
    with Session(services.engine) as session:
        noted = [event for event in access.list_events(session, person_id=person.id) if event.times > 1]
    assert [(event.kind, event.times) for event in noted] == [(access.SecurityEvent.CODE_REFUSED, 8)]


@on_sqlite
def test_the_second_step_takes_ten_minutes_at_most(services: Services) -> None:
    person = somebody(services)
    app = with_code_app(services, person)
    step = password_step(services, person)
    with write_session(services.engine) as session:
        session.execute(update(SignInStepRow).values(expires_at=SignInStepRow.expires_at - 600_000))
    assert refusal_of(services, step, app.now()) == "step_over"
    assert refusal_of(services, "made up", app.now()) == "step_over"


def test_an_app_counts_only_after_its_first_code_and_its_secret_is_sealed(services: Services) -> None:
    person = somebody(services)
    new = access.begin_code_app(services, person_id=person.id)
    assert new.address.startswith("otpauth://totp/")
    assert isinstance(access.sign_in(services, email=person.email, password=PASSWORD, visitor=HERE), access.SignedIn)
    with Session(services.engine) as session:
        assert new.secret.encode() not in session.get_one(CodeAppRow, person.id).sealed_secret
    with pytest.raises(Invalid):
        access.confirm_code_app(services, person_id=person.id, token=person.token, code="000000", visitor=HERE)
    code = pyotp.TOTP(new.secret).now()
    token = access.confirm_code_app(services, person_id=person.id, token=person.token, code=code, visitor=HERE)
    assert token != person.token
    assert password_step(services, person)
    with pytest.raises(Conflict):
        access.begin_code_app(services, person_id=person.id)
    with pytest.raises(NotFound):
        access.confirm_code_app(services, person_id=person.id, token=token, code=code, visitor=HERE)


def test_each_of_ten_recovery_codes_stands_in_once(services: Services) -> None:
    person = somebody(services)
    with_code_app(services, person)
    codes = access.make_recovery_codes(services, person_id=person.id, visitor=HERE)
    assert len(set(codes)) == 10
    with Session(services.engine) as session:
        stored = b"".join(session.scalars(select(RecoveryCodeRow.code_hash)))
    assert not any(code.replace("-", "").encode() in stored for code in codes)
    spoken = codes[0].lower().replace("-", " ").replace("0", "o").replace("1", "l")
    assert finish(services, password_step(services, person), spoken)
    assert refusal_of(services, password_step(services, person), codes[0]) == "code_refused"
    assert finish(services, password_step(services, person), codes[1])
    with Session(services.engine) as session:
        assert access.factors_of(session, person_id=person.id).recovery_codes == 8
    access.make_recovery_codes(services, person_id=person.id, visitor=HERE)
    assert refusal_of(services, password_step(services, person), codes[2]) == "code_refused"


@on_sqlite
def test_a_recovery_code_is_of_one_person(services: Services) -> None:
    person, other = somebody(services), somebody(services)
    with_code_app(services, person)
    with_code_app(services, other)
    (code, *_) = access.make_recovery_codes(services, person_id=person.id, visitor=HERE)
    assert refusal_of(services, password_step(services, other), code) == "code_refused"


@on_sqlite
def test_recovery_codes_need_a_factor_and_end_with_the_last_one(services: Services) -> None:
    person = somebody(services)
    with pytest.raises(Conflict):
        access.make_recovery_codes(services, person_id=person.id, visitor=HERE)
    with_code_app(services, person)
    with_passkey(services, person)
    access.make_recovery_codes(services, person_id=person.id, visitor=HERE)
    access.remove_code_app(services, person_id=person.id, visitor=HERE)
    with Session(services.engine) as session:
        assert access.factors_of(session, person_id=person.id).recovery_codes == 10
        (passkey,) = access.list_passkeys(session, person_id=person.id)
    access.remove_passkey(services, person_id=person.id, passkey_id=passkey.id, visitor=HERE)
    with Session(services.engine) as session:
        assert not access.factors_of(session, person_id=person.id).any
        assert session.scalars(select(RecoveryCodeRow)).all() == []
        assert not any(session.scalars(select(SignInSessionRow.strong)))


@on_sqlite
def test_a_removed_app_opens_nothing(services: Services) -> None:
    person = somebody(services)
    app = with_code_app(services, person)
    with_passkey(services, person)
    access.remove_code_app(services, person_id=person.id, visitor=HERE)
    assert refusal_of(services, password_step(services, person), app.now()) == "code_refused"
    assert any("second factor" in letter or "factor" in letter for letter in letters_to(services, person.email))


def weak_browser(services: Services, client: FlaskClient, email: str) -> FlaskClient:
    result = access.sign_in(services, email=email, password=PASSWORD, visitor=HERE)
    assert isinstance(result, access.SignedIn)
    with client.session_transaction() as cookie:
        cookie["token"] = result.token
    return client


@on_sqlite
@pytest.mark.parametrize("role", ["platform_administrator", "inspector"])
def test_a_role_that_needs_a_factor_comes_with_the_password_no_further_than_setting_one_up(
    app: Flask, services: Services, role: str
) -> None:
    if role == "inspector":
        email = add_person(services, make_approved(services, kind=OrganisationKind.AUTHORITY), Role.INSPECTOR)
    else:
        email = "registrar@example.org"
        make_registry(services, email=email)
    browser = weak_browser(services, app.test_client(), email)
    for path in ("/dashboard", "/organisation", "/admin"):
        answer = browser.get(path)
        assert (answer.status_code, answer.headers["Location"]) == (303, "/account/factors")
    assert browser.get("/dashboard", headers={"Accept": "application/json"}).get_json()["code"] == "second_factor_owed"
    page = browser.get("/account/factors")
    assert page.status_code == 200
    assert "Your role needs more than a password." in page.text
    strong = signed_in(app.test_client(), services, email)
    assert strong.get("/dashboard").status_code == 200


@on_sqlite
def test_setting_a_factor_up_opens_the_rest_at_once(app: Flask, services: Services) -> None:
    app.config["WTF_CSRF_METHODS"] = []
    make_registry(services, email="registrar@example.org")
    browser = weak_browser(services, app.test_client(), "registrar@example.org")
    assert browser.post("/account/code-app").status_code == 303
    page = browser.get("/account/factors")
    assert "data:image/svg+xml;base64," in page.text
    assert page.headers["Cache-Control"] == "no-store"
    secret = page.text.split('Or type the secret: <span class="code">')[1].split("<")[0]
    wrong = browser.post("/account/code-app/confirmation", data={"code": "000000"})
    assert wrong.status_code == 422
    done = browser.post("/account/code-app/confirmation", data={"code": pyotp.TOTP(secret).now()})
    assert (done.status_code, done.headers["Location"]) == (303, "/account/factors")
    assert browser.get("/admin").status_code == 200
    assert secret not in browser.get("/account/factors").text


@on_sqlite
def test_no_role_needs_a_factor_where_the_setting_says_so(app: Flask, services: Services) -> None:
    object.__setattr__(services.settings, "second_factor_roles", ())
    make_registry(services, email="registrar@example.org")
    assert weak_browser(services, app.test_client(), "registrar@example.org").get("/admin").status_code == 200


@on_sqlite
def test_the_pages_lead_through_the_second_step(app: Flask, services: Services) -> None:
    app.config["WTF_CSRF_METHODS"] = []
    person = somebody(services)
    totp = with_code_app(services, person)
    browser = app.test_client()
    given = {"email": person.email, "password": PASSWORD, "next": "/products"}
    first = browser.post("/sign-in", data=given)
    assert first.headers["Location"] == "/sign-in/second?next=/products"
    assert browser.get("/products").status_code == 303  # nothing is open yet
    assert "Second step" in browser.get(first.headers["Location"]).text
    wrong = browser.post("/sign-in/second", data={"code": "000000", "next": "/products"})
    assert wrong.status_code == 401
    done = browser.post("/sign-in/second", data={"code": totp.now(), "next": "/products"})
    assert done.headers["Location"] == "/products"
    assert browser.get("/products").status_code == 200
    forget_last_step(services, person)
    nobody = app.test_client()
    assert nobody.get("/sign-in/second").headers["Location"] == "/sign-in"
    assert nobody.post("/sign-in/second", data={"code": totp.now()}).headers["Location"] == "/sign-in"
