"""Somebody looks at the state of the register: a key to copy, plots and tables, and an alarm that nobody overlooks."""

from __future__ import annotations

import pytest

from app.core.clock import now_ms
from app.transparency.auditing import run_due_audits
from ledger.alarms import AlarmKind, raise_alarm
from tests.journeys.visiting import DESK, PHONE, Site, Visitor
from tests.log_builders import new_entry

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module", autouse=True)
def grown(site: Site) -> None:
    site.services.log.append_many([new_entry(number) for number in range(300)])
    run_due_audits(site.services, now=now_ms())
    raise_alarm(site.services.engine, AlarmKind.FORK, detail="Two histories.", evidence="note\n" * 40)


@pytest.mark.parametrize("visitor", [("es", PHONE), ("en", PHONE), ("es", DESK), ("en", DESK)], indirect=True, ids=str)
def test_the_page_with_all_its_parts_open_has_no_barrier(visitor: Visitor) -> None:
    page = visitor.goes_to("/ledger")
    for summary in page.locator("main details > summary").all():
        summary.click()
    assert page.locator("svg.plot").count() == 2
    assert visitor.barriers() == []
    assert not visitor.is_wider_than_the_screen()
    assert visitor.complaints == []


def test_the_alarm_leads_to_what_was_found(visitor: Visitor) -> None:
    page = visitor.goes_to("/ledger?lang=en")
    page.get_by_role("alert").get_by_role("link", name="What was found").click()
    assert page.locator("#alarms").is_visible()
    assert "Two histories." in page.locator(".alarm").first.inner_text()


def test_the_key_can_be_copied_and_the_button_says_so(visitor: Visitor, site: Site) -> None:
    visitor.context.grant_permissions(["clipboard-read", "clipboard-write"], origin=site.address)
    page = visitor.goes_to("/ledger?lang=en")
    page.get_by_role("button", name="Copy the key").click()
    page.get_by_role("button", name="Copied").wait_for()
    assert page.evaluate("navigator.clipboard.readText()") == site.services.log.verifier.to_text()
    page.get_by_role("button", name="Copy the key").wait_for(timeout=5_000)
