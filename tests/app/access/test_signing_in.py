"""Signing in: the right password opens, guessing is braked, and refusals do not say what was wrong."""

import re
from dataclasses import replace

import pytest
from flask.testing import FlaskClient
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from app.access import service as access
from app.access.models import SignInSessionRow
from app.access.service import signing_in
from app.access.visitors import Visitor
from app.accounts import passwords
from app.accounts import service as accounts
from app.accounts.models import PersonRow
from app.accounts.passwords import password_matches
from app.core.attempts import AttemptRow, count_attempt
from app.core.clock import now_ms
from app.core.database import write_session
from app.core.errors import Invalid, NotFound, NotSignedIn, TooMany
from app.core.services import Services
from tests.builders import ADMINISTRATOR, PASSWORD, make_approved_firm, make_organisation, on_sqlite, owner_email

ADDRESS = "192.0.2.1"


@pytest.fixture
def limited(services: Services) -> Services:
    return replace(services, settings=replace(services.settings, rate_limits=True))


def try_password(services: Services, email: str, password: str, address: str = ADDRESS) -> str:
    result = access.sign_in(services, email=email, password=password, visitor=Visitor(address))
    assert isinstance(result, access.SignedIn)
    return result.token


def test_the_right_password_opens_a_session_whose_token_is_not_stored(services: Services) -> None:
    email = owner_email(services, make_organisation(services))
    token = try_password(services, f"  {email.upper()} ", PASSWORD)
    with Session(services.engine) as session:
        rows = session.scalars(select(SignInSessionRow)).all()
    assert len(rows) == 1
    assert token.encode() not in rows[0].token_hash
    assert rows[0].expires_at > now_ms()


@on_sqlite
def test_a_wrong_password_and_an_unknown_person_are_refused_alike(services: Services) -> None:
    email = owner_email(services, make_organisation(services))
    refusals = []
    for attempt in (email, "nobody@example.org", "", "x" * 5000):
        with pytest.raises(NotSignedIn) as refused:
            try_password(services, attempt, "not the password")
        refusals.append(refused.value.problem())
    assert all(refusal == refusals[0] for refusal in refusals)


@on_sqlite
def test_an_unknown_person_costs_a_password_check_too(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    checked: list[str] = []

    def count(known_hash: str, password: str) -> bool:
        checked.append(known_hash)
        return password_matches(known_hash, password)

    monkeypatch.setattr(signing_in, "password_matches", count)
    with pytest.raises(NotSignedIn):
        try_password(services, "nobody@example.org", "whatever it is")
    assert len(checked) == 1
    assert checked[0].startswith("$argon2id$")


def test_guessing_is_braked_before_the_password_is_looked_at(limited: Services) -> None:
    email = owner_email(limited, make_organisation(limited))
    for _ in range(signing_in.GUESSES_OF_PAIR):
        with pytest.raises(NotSignedIn):
            try_password(limited, email, "wrong password")
    with pytest.raises(TooMany) as refused:
        try_password(limited, email, PASSWORD)
    assert refused.value.code == "too_many_attempts"
    assert try_password(limited, email, PASSWORD, address="192.0.2.2")  # the owner elsewhere is not locked out


@on_sqlite
def test_one_address_cannot_try_one_password_on_many_accounts(
    limited: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The password check itself is slow on purpose and not what this test is about.
    monkeypatch.setattr(signing_in, "password_matches", lambda *_: False)
    for number in range(signing_in.GUESSES_OF_ADDRESS):
        with pytest.raises(NotSignedIn):
            try_password(limited, f"person{number}@example.org", PASSWORD)
    with pytest.raises(TooMany):
        try_password(limited, "another@example.org", PASSWORD)


@on_sqlite
def test_successful_sign_ins_do_not_use_the_allowance_up(limited: Services) -> None:
    email = owner_email(limited, make_organisation(limited))
    for _ in range(signing_in.GUESSES_OF_PAIR + 2):
        try_password(limited, email, PASSWORD)


def test_the_brake_opens_after_its_window_and_forgets(limited: Services) -> None:
    email = owner_email(limited, make_organisation(limited))
    limits = {"test": 1}
    count_attempt(limited, limits)
    with pytest.raises(TooMany):
        count_attempt(limited, limits)
    with write_session(limited.engine) as session:
        session.execute(update(AttemptRow).values(window_ends_at=now_ms() - 1))
    count_attempt(limited, limits)
    with Session(limited.engine) as session:
        assert session.scalar(select(func.count()).select_from(AttemptRow)) == 1
        assert email.encode() not in b"".join(session.scalars(select(AttemptRow.subject)))


@on_sqlite
def test_a_suspended_organisation_lets_nobody_in(services: Services) -> None:
    firm = make_approved_firm(services, prefix=None)
    email = owner_email(services, firm)
    accounts.suspend_organisation(services, issuer=firm.issuer, decided_by=ADMINISTRATOR, reason="Complaint.")
    with pytest.raises(NotSignedIn, match="suspended your organisation"):
        try_password(services, email, PASSWORD)
    with pytest.raises(NotSignedIn, match="is not right"):
        try_password(services, email, "a wrong password")


@on_sqlite
def test_a_session_can_only_switch_to_an_organisation_of_the_person(services: Services) -> None:
    firm, other = make_organisation(services), make_organisation(services)
    token = try_password(services, owner_email(services, firm), PASSWORD)
    with pytest.raises(NotFound):
        access.switch_organisation(services, token=token, issuer=other.issuer)
    with pytest.raises(NotSignedIn):
        access.switch_organisation(services, token="made up", issuer=other.issuer)


def test_sessions_that_ended_are_swept_at_the_next_sign_in(services: Services) -> None:
    email = owner_email(services, make_organisation(services))
    try_password(services, email, PASSWORD)
    with write_session(services.engine) as session:
        session.execute(update(SignInSessionRow).values(expires_at=now_ms() - 1))
    try_password(services, email, PASSWORD)
    with Session(services.engine) as session:
        assert session.scalar(select(func.count()).select_from(SignInSessionRow)) == 1


@on_sqlite
def test_a_new_password_needs_the_present_one_and_must_be_strong(services: Services) -> None:
    email = owner_email(services, make_organisation(services))
    token = try_password(services, email, PASSWORD)
    with Session(services.engine) as session:
        person_id = session.scalars(select(PersonRow.id).where(PersonRow.email == email)).one()

    def change(current: str, new: str) -> str:
        return access.change_password(
            services, person_id=person_id, token=token, current=current, new=new, visitor=Visitor(ADDRESS)
        )

    with pytest.raises(Invalid) as refused:
        change("not the password", "another long password")
    assert refused.value.code == "password_refused"
    with pytest.raises(Invalid):
        change(PASSWORD, email)
    change(PASSWORD, "another long password")
    with pytest.raises(NotSignedIn):
        try_password(services, email, PASSWORD)


@on_sqlite
def test_a_person_without_a_password_is_refused_as_an_unknown_one_is(services: Services) -> None:
    email = owner_email(services, make_organisation(services))
    with write_session(services.engine) as session:
        session.execute(update(PersonRow).values(password_hash=""))
    for password in ("", "whatever it is"):
        with pytest.raises(NotSignedIn) as refused:
            try_password(services, email, password)
        assert refused.value.code == "sign_in_refused"


@on_sqlite
def test_whoever_is_refused_the_slow_hash_is_computed_once(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    """The time of an answer is that of argon2: unknown, wrong and without a password cost one check each."""
    with_password = owner_email(services, make_organisation(services))
    without = owner_email(services, make_organisation(services))
    with write_session(services.engine) as session:
        session.execute(update(PersonRow).where(PersonRow.email == without).values(password_hash=""))
    hasher = passwords._hasher
    verified: list[str] = []

    class Counting:
        def verify(self, known: str, password: str) -> bool:
            verified.append(known)
            return hasher.verify(known, password)

    passwords.decoy_hash()  # made once a process
    monkeypatch.setattr(passwords, "_hasher", Counting())
    for email in (with_password, without, "nobody@example.org"):
        verified.clear()
        with pytest.raises(NotSignedIn):
            try_password(services, email, "not the password")
        assert len(verified) == 1
        assert verified[0].startswith("$argon2id$")


@on_sqlite
def test_forms_are_taken_over_tls_from_browsers_that_send_no_referrer(client: FlaskClient) -> None:
    """Our own Referrer-Policy keeps browsers from sending one."""
    page = client.get("/sign-in", base_url="https://localhost")
    found = re.search(r'name="csrf_token" value="([^"]+)"', page.text)
    assert found is not None
    sent = {"csrf_token": found[1], "email": "nobody@example.org", "password": "not the password"}
    answer = client.post("/sign-in", base_url="https://localhost", data=sent)
    assert (answer.status_code, "is not right" in answer.text) == (401, True)
    from_elsewhere = client.post(
        "/sign-in", base_url="https://localhost", data=sent, headers={"Sec-Fetch-Site": "cross-site"}
    )
    assert from_elsewhere.status_code == 400
