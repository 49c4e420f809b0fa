"""Passkeys in Chromium: its virtual authenticator stands in for a telephone, and everything else is as it is."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pyotp
import pytest
from playwright.sync_api import Browser, CDPSession, Page

from app.core.clock import now_ms
from tests.builders import PASSWORD, make_approved_firm, owner_email
from tests.journeys.visiting import DESK, PHONE, Site, Visitor

pytestmark = pytest.mark.browser

DEVICE = {
    "protocol": "ctap2",
    "transport": "internal",
    "hasResidentKey": True,
    "hasUserVerification": True,
    "isUserVerified": True,
    "automaticPresenceSimulation": True,
}


class Telephone:
    """A virtual authenticator of one page."""

    def __init__(self, page: Page) -> None:
        self._session: CDPSession = page.context.new_cdp_session(page)
        self._session.send("WebAuthn.enable")
        self._id = self._session.send("WebAuthn.addVirtualAuthenticator", {"options": DEVICE})["authenticatorId"]

    def knows_its_owner(self, yes: bool) -> None:
        """Whether finger, face or PIN fit from now on."""
        self._session.send("WebAuthn.setUserVerified", {"authenticatorId": self._id, "isUserVerified": yes})

    def passkeys(self) -> int:
        """How many passkeys it holds."""
        held = self._session.send("WebAuthn.getCredentials", {"authenticatorId": self._id})
        return len(held["credentials"])


@pytest.fixture
def visitor(browser: Browser, named_site: Site) -> Iterator[Visitor]:
    context = browser.new_context(viewport=PHONE, locale="en")
    context.set_default_timeout(10_000)
    yield Visitor(context, named_site.address)
    context.close()


def main_button(page: Page, name: str) -> None:
    page.get_by_role("main").get_by_role("button", name=name, exact=True).click()


def sign_out(visitor: Visitor) -> None:
    visitor.context.clear_cookies()


def a_person(site: Site) -> str:
    return owner_email(site.services, make_approved_firm(site.services, prefix=None))


def test_a_passkey_is_made_signs_in_is_a_second_step_and_is_removed(visitor: Visitor, named_site: Site) -> None:
    email = a_person(named_site)
    page = visitor.signs_in(email)
    telephone = Telephone(page)

    visitor.goes_to("/account/factors")
    page.get_by_label("Name").fill("my telephone")
    main_button(page, "Add a passkey")
    page.get_by_text("The passkey is added").wait_for()
    assert telephone.passkeys() == 1
    assert page.get_by_role("cell", name="my telephone").is_visible()
    main_button(page, "Make recovery codes")
    assert len(page.locator(".code-list .code").all()) == 10

    sign_out(visitor)
    visitor.goes_to("/sign-in?next=/account")
    main_button(page, "Sign in with a passkey")
    page.get_by_role("heading", name="My account").wait_for()
    assert "Signed in with a passkey" in page.locator("main").inner_text()

    sign_out(visitor)
    visitor.goes_to("/sign-in")
    page.get_by_label("E-mail address").fill(email)
    page.get_by_label("Password").fill(PASSWORD)
    main_button(page, "Sign in")
    page.wait_for_url("**/sign-in/second")
    main_button(page, "Use the passkey")
    page.wait_for_url("**/dashboard")

    visitor.goes_to("/sign-in/again?next=/account/factors")
    main_button(page, "Use the passkey")
    page.get_by_role("heading", name="Second factors").wait_for()
    main_button(page, "Remove")
    page.get_by_text("The passkey is removed.").wait_for()

    sign_out(visitor)
    visitor.goes_to("/sign-in")
    main_button(page, "Sign in with a passkey")
    page.get_by_text("This passkey does not open an account here.").wait_for()
    assert [text for text in visitor.complaints if "401" not in text] == []


def test_whoever_holds_the_telephone_without_its_owner_stays_outside(visitor: Visitor, named_site: Site) -> None:
    page = visitor.signs_in(a_person(named_site))
    telephone = Telephone(page)
    visitor.goes_to("/account/factors")
    page.get_by_label("Name").fill("my telephone")
    main_button(page, "Add a passkey")
    page.get_by_text("The passkey is added").wait_for()
    telephone.knows_its_owner(False)
    sign_out(visitor)
    visitor.goes_to("/sign-in")
    main_button(page, "Sign in with a passkey")
    page.get_by_text("The passkey gave no answer.").wait_for()
    assert "/sign-in" in page.url


def test_a_page_left_open_too_long_asks_again_before_it_makes_a_passkey(visitor: Visitor, named_site: Site) -> None:
    page = visitor.signs_in(a_person(named_site))
    Telephone(page)
    visitor.goes_to("/account/factors")
    page.get_by_label("Name").fill("my telephone")
    with named_site.services.engine.begin() as connection:
        connection.exec_driver_sql(f"UPDATE sign_in_sessions SET confirmed_at = {now_ms() - 3_600_000}")  # noqa: S608
    main_button(page, "Add a passkey")
    page.wait_for_url("**/sign-in/again?next=/account/factors")


def test_an_app_for_codes_is_set_up_from_its_picture(visitor: Visitor, named_site: Site) -> None:
    email = a_person(named_site)
    page = visitor.signs_in(email)
    visitor.goes_to("/account/factors")
    main_button(page, "Set up an app")
    picture = page.get_by_role("img", name=re.compile("QR code"))
    assert picture.evaluate("image => image.complete && image.naturalWidth > 0")
    app = pyotp.TOTP(page.locator("#app .code").inner_text())
    page.get_by_label("Code that the app shows").fill(app.now())
    main_button(page, "Set the app up")
    page.get_by_text("The app is set up.").wait_for()
    assert visitor.barriers() == []
    assert not visitor.is_wider_than_the_screen()


@pytest.mark.parametrize("language", ["en", "es"])
@pytest.mark.parametrize("viewport", [PHONE, DESK], ids=["phone", "desk"])
def test_the_pages_of_signing_in_have_no_barrier(
    browser: Browser, named_site: Site, language: str, viewport: dict[str, int]
) -> None:
    context = browser.new_context(viewport=viewport, locale=language)  # type: ignore[arg-type]
    someone = Visitor(context, named_site.address)
    email = a_person(named_site)
    page = someone.signs_in(email)
    Telephone(page)
    faults = {}
    someone.goes_to("/account/factors")
    page.locator("form[data-passkey] input[name=name]").fill("teléfono")
    page.locator("form[data-passkey] button").click()
    page.locator("table.cards").wait_for()
    page.locator("form[action='/account/code-app'] button").click()
    page.locator("img.qr").wait_for()
    faults["factors"] = someone.barriers()
    context.clear_cookies()
    someone.goes_to("/sign-in")
    faults["sign-in"] = someone.barriers()
    page.locator("input[type=email]").fill(email)
    page.locator("input[type=password]").fill(PASSWORD)
    page.locator("form[action='/sign-in'] button").click()
    page.wait_for_url("**/sign-in/second")
    faults["second"] = someone.barriers()
    wide = someone.is_wider_than_the_screen()
    context.close()
    assert not wide
    assert {name: found for name, found in faults.items() if found} == {}
